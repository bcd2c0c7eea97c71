//! From weighed observations to suspects whose terms add up.

use std::collections::BTreeMap;

use events::catalogue::diagnosis::{ScoreTerm, Suspect};
use events::value::{Finite, Line};
use events::{ComponentName, EventId};

use super::Ranking;
use super::path::Paths;
use crate::contrast::Contrast;

/// Contributions are multiples of this. Sums of a few of them are exact in binary, so that the
/// terms add up to the score to the last bit, in any order of summation.
pub const GRAIN: f64 = 1.0 / 4096.0;

/// Most suspects in a ranking; past it scores are noise.
pub const MOST_SUSPECTS: usize = 10;

/// Most events that one term cites.
pub const MOST_CITED: usize = 6;

/// One observation that speaks against a component.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// What was observed.
    pub name: &'static str,
    /// How much it weighs beside the others; 0 or more.
    pub weight: f64,
    /// The events that show it.
    pub evidence: Vec<EventId>,
}

/// The observations against every component.
pub type Charges<'e> = BTreeMap<&'e ComponentName, Vec<Term>>;

/// Ranks by total weight. A score is the component's share of all weight, so that 0.9 reads as
/// "nine tenths of what is unusual is its own". Below `least` there is nothing to rank.
pub fn ranking(
    method: &str,
    contrast: &Contrast<'_>,
    noticed: &ComponentName,
    charges: &Charges<'_>,
    least: f64,
) -> Ranking {
    let total: f64 = charges.values().flatten().map(|term| term.weight).sum();
    if total.is_nan() || total < least {
        return abstained(method, "nothing differs from what was usual before by more than noise");
    }
    let paths = Paths::from(noticed, contrast);
    let mut suspects: Vec<Suspect> = charges
        .iter()
        .filter_map(|(component, terms)| suspect(component, terms, total, &paths))
        .collect();
    if suspects.is_empty() {
        return abstained(method, "what is unusual is spread too thin to suspect anyone");
    }
    suspects.sort_by(|a, b| {
        b.score.get().total_cmp(&a.score.get()).then_with(|| a.component.cmp(&b.component))
    });
    suspects.truncate(MOST_SUSPECTS);
    Ranking { method: Line::clipped(method), abstained: None, suspects }
}

/// A ranking without suspects.
pub fn abstained(method: &str, reason: &str) -> Ranking {
    Ranking {
        method: Line::clipped(method),
        abstained: Some(Line::clipped(reason)),
        suspects: Vec::new(),
    }
}

fn suspect(
    component: &ComponentName,
    terms: &[Term],
    total: f64,
    paths: &Paths<'_>,
) -> Option<Suspect> {
    let mut kept: Vec<ScoreTerm> = terms
        .iter()
        .map(|term| (grains(term.weight / total), term))
        .filter(|(contribution, _)| *contribution > 0.0)
        .map(|(contribution, term)| ScoreTerm {
            name: Line::clipped(term.name),
            contribution: finite(contribution),
            evidence: term.evidence.clone(),
        })
        .collect();
    kept.sort_by(|a, b| {
        let contributions = b.contribution.get().total_cmp(&a.contribution.get());
        contributions.then_with(|| a.name.cmp(&b.name))
    });
    let score: f64 = kept.iter().map(|term| term.contribution.get()).sum();
    (score > 0.0).then(|| Suspect {
        component: component.clone(),
        score: finite(score),
        fault_kind: None,
        terms: kept,
        path: paths.to(component),
    })
}

/// `share` as a multiple of the grain.
pub fn grains(share: f64) -> f64 {
    (share / GRAIN).round() * GRAIN
}

/// The validated form of a number that is finite by construction.
pub fn finite(number: f64) -> Finite {
    Finite::new(number).expect("shares of a positive total are finite")
}

/// Evidence of several sources, each id once, at most [`MOST_CITED`].
pub fn cited(sources: impl IntoIterator<Item = Vec<EventId>>) -> Vec<EventId> {
    let mut ids = Vec::new();
    for id in sources.into_iter().flatten() {
        if ids.len() < MOST_CITED && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}
