//! Calls beyond what the growth of the callers explains, and the damage they do downstream.

use std::collections::BTreeMap;

use super::link::Link;
use super::scene::Scene;

/// A component with less traffic than this, in calls a second, cannot multiply it: three
/// requests after one are no flood.
const LEAST_RATE: f64 = 1.0;
/// Growth below this factor is a busy moment.
const LEAST_GROWTH: f64 = 1.8;
/// Growth that weighs as much as growth can.
const FULL_GROWTH: f64 = 8.0;
/// Unexplained calls below this number may be chance.
const LEAST_CALLS: f64 = 20.0;

struct Surge {
    // By which factor calls grew that no caller's own growth explains.
    unexplained: f64,
    // How much of the growth came through each caller that had grown itself.
    through: BTreeMap<usize, f64>,
    share_of_callers: f64,
}

/// The growth of traffic of every component, and where it came from.
pub struct Surges(Vec<Surge>);

impl Surges {
    /// Of all components.
    pub fn of(scene: &Scene<'_>) -> Self {
        let grown: Vec<(f64, f64)> =
            (0..scene.names.len()).map(|component| wanted_of(scene, component)).collect();
        let components = 0..scene.names.len();
        Self(components.map(|component| Surge::of(scene, component, &grown)).collect())
    }

    /// The share of the component's troubles that is its callers' growth passed on, 0 to 1.
    pub fn share_of_callers(&self, component: usize) -> f64 {
        self.0[component].share_of_callers
    }

    /// How much calls grew that nobody's growth explains, 0 to 1.
    pub fn unexplained(&self, component: usize) -> f64 {
        let growth = self.0[component].unexplained;
        ((growth / LEAST_GROWTH).ln() / (FULL_GROWTH / LEAST_GROWTH).ln()).clamp(0.0, 1.0)
    }

    /// Moves what a surge did to a component back along the calls it came through, to where it
    /// entered. As many steps as there are components reach every source; what is then still
    /// under way runs in a circle and stays where it is.
    pub fn carried_to_their_source(
        &self,
        mut overloads: BTreeMap<usize, f64>,
    ) -> BTreeMap<usize, f64> {
        let mut settled: BTreeMap<usize, f64> = BTreeMap::new();
        for _ in 0..self.0.len() {
            overloads.retain(|_, weight| *weight > 0.0);
            if overloads.is_empty() {
                break;
            }
            let mut moved: BTreeMap<usize, f64> = BTreeMap::new();
            for (component, weight) in overloads {
                let through = &self.0[component].through;
                if through.is_empty() {
                    *settled.entry(component).or_default() += weight;
                    continue;
                }
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

impl Surge {
    fn of(scene: &Scene<'_>, component: usize, grown: &[(f64, f64)]) -> Self {
        let (before, after) = grown[component];
        let mut through = BTreeMap::new();
        let mut unexplained = 0.0;
        for link in scene.inbound(component) {
            let usual = scene.rate_before(link.before.calls);
            let now = wanted(scene, link);
            let expected = usual * link.caller.map_or(1.0, |caller| growth(grown[caller]));
            if link.caller.is_none_or(|caller| !scene.awaits_inbound(caller)) {
                unexplained += (now - expected).max(0.0);
            }
            let passed_on = now.min(expected) - usual;
            if let Some(caller) = link.caller.filter(|_| passed_on > 0.0) {
                through.insert(caller, passed_on);
            }
        }
        let chance = unexplained * scene.cover.after_s < LEAST_CALLS || scene.cover.before_s <= 0.0;
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
fn wanted(scene: &Scene<'_>, link: &Link) -> f64 {
    let now = scene.rate_after(link.after.calls);
    if link.caller.is_none_or(|caller| scene.is_client(caller)) {
        return now;
    }
    let usual = scene.rate_before(link.before.calls);
    let failing = link.failing_more() * now;
    now - failing.min((now - usual).max(0.0))
}

fn wanted_of(scene: &Scene<'_>, component: usize) -> (f64, f64) {
    let (before, _) = scene.inbound_rates(component);
    (before, scene.inbound(component).map(|link| wanted(scene, link)).sum())
}

// By which factor the calls into a component grew; callers that nobody calls are as usual.
fn growth((before, after): (f64, f64)) -> f64 {
    if before <= 0.0 { 1.0 } else { (after / before).max(1.0) }
}
