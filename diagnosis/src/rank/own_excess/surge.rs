//! Calls beyond what the growth of the callers explains, and the damage they do downstream.

use std::collections::BTreeMap;

use events::ComponentName;

use super::{Term, busiest};
use crate::contrast::{Contrast, EdgeContrast, rate};

/// A component with less traffic than this, in calls a second, cannot multiply it: three
/// requests after one are no flood.
const LEAST_RATE: f64 = 1.0;
/// Growth below this factor is a busy moment.
const LEAST_GROWTH: f64 = 1.8;
/// Growth that weighs as much as growth can.
const FULL_GROWTH: f64 = 8.0;
/// Unexplained calls below this number may be chance.
const LEAST_CALLS: f64 = 20.0;
const WEIGHT: f64 = 0.8;

struct Surge<'e> {
    // By which factor calls grew that no caller's own growth explains.
    unexplained: f64,
    // How much of the growth came through each caller that had grown itself.
    through: BTreeMap<&'e ComponentName, f64>,
    share_of_callers: f64,
}

/// The growth of traffic of every component, and where it came from.
pub struct Surges<'e>(BTreeMap<&'e ComponentName, Surge<'e>>);

impl<'e> Surges<'e> {
    /// Of all components.
    pub fn of(contrast: &Contrast<'e>) -> Self {
        let components = contrast.components.keys();
        Self(components.map(|&c| (c, Surge::of(contrast, c))).collect())
    }

    /// The share of the component's troubles that is its callers' growth passed on, 0 to 1.
    pub fn share_of_callers(&self, component: &ComponentName) -> f64 {
        self.0.get(component).map_or(0.0, |surge| surge.share_of_callers)
    }

    /// The term for calls that nobody's growth explains.
    pub fn term(&self, contrast: &Contrast<'e>, component: &ComponentName) -> Option<Term> {
        let growth = self.0.get(component)?.unexplained;
        let strength =
            ((growth / LEAST_GROWTH).ln() / (FULL_GROWTH / LEAST_GROWTH).ln()).clamp(0.0, 1.0);
        (strength > 0.0).then(|| Term {
            name: "more calls than its callers' growth explains",
            weight: WEIGHT * strength,
            evidence: busiest(contrast, component),
        })
    }

    /// Moves what a surge did to a component back along the calls it came through, to where it
    /// entered. As many steps as there are components reach every source; what is then still
    /// under way runs in a circle and stays where it is.
    pub fn carried_to_their_source(
        &self,
        mut overloads: BTreeMap<&'e ComponentName, f64>,
    ) -> BTreeMap<&'e ComponentName, f64> {
        let mut settled: BTreeMap<&'e ComponentName, f64> = BTreeMap::new();
        for _ in 0..self.0.len() {
            let mut moved: BTreeMap<&'e ComponentName, f64> = BTreeMap::new();
            for (component, weight) in overloads {
                let through = self.0.get(component).map(|s| &s.through).filter(|t| !t.is_empty());
                let Some(through) = through else {
                    *settled.entry(component).or_default() += weight;
                    continue;
                };
                let total: f64 = through.values().sum();
                for (&caller, part) in through {
                    *moved.entry(caller).or_default() += weight * part / total;
                }
            }
            overloads = moved;
        }
        for (component, weight) in overloads {
            *settled.entry(component).or_default() += weight;
        }
        settled
    }
}

impl<'e> Surge<'e> {
    fn of(contrast: &Contrast<'e>, component: &ComponentName) -> Self {
        let (before, after) = wanted_of(contrast, component);
        let mut through = BTreeMap::new();
        let mut unexplained = 0.0;
        for (caller, edge) in contrast.inbound(component) {
            let usual = rate(edge.before.calls, contrast.before_s);
            let now = wanted(contrast, caller, edge);
            let expected = usual * caller.map_or(1.0, |caller| growth(contrast, caller));
            unexplained += (now - expected).max(0.0);
            let passed_on = now.min(expected) - usual;
            if let Some(caller) = caller.filter(|_| passed_on > 0.0) {
                through.insert(caller, passed_on);
            }
        }
        let chance = unexplained * contrast.after_s < LEAST_CALLS || contrast.before_s <= 0.0;
        let base = before.max(LEAST_RATE);
        let passed_on: f64 = through.values().sum();
        let grown = ((after / base - 1.5) / 1.5).clamp(0.0, 1.0);
        let share = passed_on / (passed_on + unexplained).max(f64::MIN_POSITIVE);
        let share_of_callers = grown * share;
        if share_of_callers <= 0.0 {
            through.clear();
        }
        Self {
            unexplained: if chance { 1.0 } else { 1.0 + unexplained / base },
            through,
            share_of_callers,
        }
    }
}

// Calls a second that the caller wanted answered. Growth that is not more than the failures are
// repeats of failed calls: an effect of the failures, not a cause. Clients repeat nothing.
fn wanted(contrast: &Contrast<'_>, caller: Option<&ComponentName>, edge: &EdgeContrast) -> f64 {
    let now = rate(edge.after.calls, contrast.after_s);
    if caller.is_none_or(|caller| contrast.is_client(caller)) {
        return now;
    }
    let usual = rate(edge.before.calls, contrast.before_s);
    let failing = edge.failing_more() * now;
    now - failing.min((now - usual).max(0.0))
}

fn wanted_of(contrast: &Contrast<'_>, component: &ComponentName) -> (f64, f64) {
    let (before, _) = contrast.inbound_rates(component);
    (before, contrast.inbound(component).map(|(caller, e)| wanted(contrast, caller, e)).sum())
}

// By which factor the calls into a component grew; callers that nobody calls are as usual.
fn growth(contrast: &Contrast<'_>, component: &ComponentName) -> f64 {
    let (before, after) = wanted_of(contrast, component);
    if before <= 0.0 { 1.0 } else { (after / before).max(1.0) }
}
