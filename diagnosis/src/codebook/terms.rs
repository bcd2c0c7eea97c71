//! What speaks for a hypothesis, in words and with the events that show it.

use std::collections::BTreeMap;

use events::EventId;

use super::features::Feature;
use super::scene::Part;

/// One observation's share of a score.
#[derive(Clone, Debug, PartialEq)]
pub struct SignTerm {
    /// The sign, or what is told of the component as a whole.
    pub name: String,
    /// What it adds to the answer, or takes from it: to the logarithm of the odds of the
    /// component, to the share of a kind.
    pub weight: f64,
    /// The events that show the sign.
    pub evidence: Vec<EventId>,
}

/// Lighter terms are left out.
const LEAST: f64 = 1e-3;

/// All that is weighed of a component under one kind, by sign, the weightiest first.
pub fn terms(
    part: &Part,
    seen: &[Feature],
    weights: &BTreeMap<String, Vec<f64>>,
    kind: usize,
) -> Vec<SignTerm> {
    told(part, seen, |feature| {
        let weights = weights.get(&feature.name)?;
        let weight = weights[0] + weights.get(kind + 1).copied().unwrap_or(0.0);
        Some(weight * feature.value)
    })
}

/// What `weigh` makes of each number, by sign, the weightiest first.
pub fn told(
    part: &Part,
    seen: &[Feature],
    weigh: impl Fn(&Feature) -> Option<f64>,
) -> Vec<SignTerm> {
    let mut by_sign: BTreeMap<&str, f64> = BTreeMap::new();
    for feature in seen {
        let Some(weight) = weigh(feature) else { continue };
        let name = feature.sign.as_deref().unwrap_or(&feature.name);
        *by_sign.entry(name).or_default() += weight;
    }
    let events = |sign: &str| part.signs.get(sign).map(|s| s.events.clone()).unwrap_or_default();
    let mut terms: Vec<SignTerm> = by_sign
        .into_iter()
        .filter(|(_, weight)| weight.abs() >= LEAST)
        .map(|(name, weight)| SignTerm {
            name: name.replace('|', " "),
            weight,
            evidence: events(name),
        })
        .collect();
    terms.sort_by(|a, b| {
        b.weight.abs().total_cmp(&a.weight.abs()).then_with(|| a.name.cmp(&b.name))
    });
    terms
}
