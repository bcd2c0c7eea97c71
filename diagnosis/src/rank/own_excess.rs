//! `own-excess@1`: what of the trouble is a component's own.
//!
//! A component is charged with the time and the failures that its callers see, minus what its
//! own calls explain; with calls that nobody's growth explains; and with the state of its
//! process. The idea is the attribution of excess along call edges that did best among simple
//! rankers on PetShop (M. Hardt et al., "The PetShop Dataset", CLeaR 2024, give the data and the
//! graph-traversal baseline): callers of a broken component look at least as bad as it does, so
//! whatever an anomalous callee explains is taken off first.

mod excess;
mod state;
mod surge;

use std::collections::BTreeMap;

use events::{ComponentName, EventId};

use super::terms::{self, Charges, Term, cited};
use super::{Ranker, Ranking};
use crate::baseline::saturating;
use crate::contrast::Contrast;
use crate::evidence::Evidence;
use excess::Excess;
use surge::Surges;

/// The ranker that was the default before [`Causal`](super::Causal); see the module's text.
#[derive(Clone, Copy, Debug)]
pub struct OwnExcess;

const NAME: &str = "own-excess@1";

/// Added latency that weighs half of what a latency can weigh.
const HALF_SLOW_MS: f64 = 200.0;
/// Added share of failures that weighs half of what failures can weigh.
const HALF_FAILING: f64 = 0.15;
/// What trouble that passes through a component weighs against it, beside its own.
const PASSING: f64 = 0.05;
/// Least total weight that is more than noise.
const LEAST_WEIGHT: f64 = 0.05;
/// Windows before the incident that a latency baseline needs.
const LEAST_BASELINE_WINDOWS: usize = 3;

impl Ranker for OwnExcess {
    fn name(&self) -> &'static str {
        NAME
    }

    fn rank(&self, evidence: &Evidence) -> Ranking {
        let contrast = Contrast::of(evidence);
        if contrast.after_windows == 0 {
            return terms::abstained(NAME, "no telemetry from the time of the incident");
        }
        let charges = charges(&contrast);
        if contrast.before_windows < LEAST_BASELINE_WINDOWS && charges.values().all(Vec::is_empty) {
            let reason = format!(
                "{} windows of telemetry before the incident, {LEAST_BASELINE_WINDOWS} are needed \
                 to know what is usual, and nothing failed outright",
                contrast.before_windows
            );
            return terms::abstained(NAME, &reason);
        }
        terms::ranking(NAME, &contrast, evidence.noticed(), &charges, LEAST_WEIGHT)
    }
}

fn charges<'e>(contrast: &Contrast<'e>) -> Charges<'e> {
    let surges = Surges::of(contrast);
    let mut charges = Charges::new();
    let mut overloads: BTreeMap<&'e ComponentName, f64> = BTreeMap::new();
    for &component in contrast.components.keys() {
        if contrast.is_client(component) {
            continue;
        }
        let excess = Excess::of(contrast, component);
        let slow = saturating(excess.own_slow_ms, HALF_SLOW_MS);
        let failing = saturating(excess.own_failing, HALF_FAILING);
        let passed_on = surges.share_of_callers(component);
        overloads.insert(component, (slow + failing) * passed_on);
        let mut terms = excess_terms(contrast, component, &excess, 1.0 - passed_on);
        terms.extend(surges.term(contrast, component));
        let own: f64 = terms.iter().map(|term| term.weight).sum();
        terms.extend(passing_term(contrast, component, &excess));
        terms.extend(state::terms(contrast, component, &excess, own));
        charges.insert(component, terms);
    }
    for (component, weight) in surges.carried_to_their_source(overloads) {
        if let Some(terms) = charges.get_mut(component).filter(|_| weight > 0.0) {
            let evidence = busiest(contrast, component);
            terms.push(Term { name: "overload it passes on", weight, evidence });
        }
    }
    charges
}

fn excess_terms(
    contrast: &Contrast<'_>,
    component: &ComponentName,
    excess: &Excess,
    kept: f64,
) -> Vec<Term> {
    let edges = || contrast.inbound(component).map(|(_, edge)| edge);
    let mut terms = vec![
        Term {
            name: "slow by itself",
            weight: saturating(excess.own_slow_ms, HALF_SLOW_MS) * kept,
            evidence: cited(edges().map(|edge| edge.slowest(2))),
        },
        Term {
            name: "failing by itself",
            weight: saturating(excess.own_failing, HALF_FAILING) * kept,
            evidence: cited(edges().map(|edge| edge.most_failing(2))),
        },
    ];
    terms.retain(|term| term.weight > 0.0);
    terms
}

// A residue, so that a component on the path of the trouble is listed behind the suspects
// rather than cleared: subtraction is an estimate.
fn passing_term(
    contrast: &Contrast<'_>,
    component: &ComponentName,
    excess: &Excess,
) -> Option<Term> {
    let slow = saturating(excess.slow_ms - excess.noise_ms, HALF_SLOW_MS);
    let seen = slow + saturating(excess.failing - excess.noise_failing, HALF_FAILING);
    (seen > 0.0).then(|| Term {
        name: "slow or failing in all",
        weight: PASSING * seen,
        evidence: cited(contrast.inbound(component).map(|(_, edge)| edge.slowest(2))),
    })
}

fn busiest(contrast: &Contrast<'_>, component: &ComponentName) -> Vec<EventId> {
    cited(contrast.inbound(component).map(|(_, edge)| edge.busiest(3)))
}
