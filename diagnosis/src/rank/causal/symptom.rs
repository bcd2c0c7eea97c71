//! What was felt where the incident was noticed, against which every explanation is held.

use super::own::Own;
use super::scene::Scene;

/// Share of the time of requests that may be lost without anyone noticing.
const TIME_NOT_NOTICED: f64 = 0.1;
/// Share of requests that may fail without anyone noticing.
const FAILURES_NOT_NOTICED: f64 = 0.002;
/// Trouble that is so many times what was felt may still be what was felt: calls run side by
/// side, and are repeated.
const OVERLAP: f64 = 2.0;
/// What remains of trouble that nobody felt where the incident was noticed.
const UNFELT: f64 = 0.25;

/// What remains of one kind of trouble where only the other kind is certain to have been felt.
const OTHER_KIND: f64 = 0.4;
/// Certainty that is not worth comparing.
const UNCERTAIN: f64 = 0.2;
/// What remains of the trouble of a component that no calls lead to from where the incident was
/// noticed.
const OUT_OF_REACH: f64 = 0.3;

/// In what a component can harm its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// They wait.
    Time,
    /// They fail.
    Failures,
}

/// What was felt, and what there is to explain it, in one dimension.
#[derive(Clone, Copy, Debug)]
pub struct Symptom {
    felt: Option<f64>,
    all: f64,
    weight: f64,
}

impl Symptom {
    /// As seen by the callers of the component where it was noticed, if it has any.
    pub fn of(noticed: Option<&Own>, owns: &[Own], dimension: Dimension) -> Self {
        let noticed = noticed.filter(|own| own.requests > 0.0);
        let (felt, little, all) = match dimension {
            Dimension::Time => (
                noticed.map(|own| own.lost_ms),
                noticed.map_or(0.0, |own| TIME_NOT_NOTICED * own.usual_ms * own.requests),
                owns.iter().map(|own| own.own_slow_ms * own.requests).sum::<f64>(),
            ),
            Dimension::Failures => (
                noticed.map(|own| own.failed),
                noticed.map_or(0.0, |own| FAILURES_NOT_NOTICED * own.requests),
                owns.iter().map(|own| own.own_failing * own.requests).sum::<f64>(),
            ),
        };
        let weight = noticed.map_or(1.0, |own| {
            let (time, failures) = certain(own);
            let this = if dimension == Dimension::Time { time } else { failures };
            OTHER_KIND + (1.0 - OTHER_KIND) * (this / time.max(failures).max(UNCERTAIN))
        });
        Self { felt: felt.map(|felt| felt.max(0.0)), all: all.max(little), weight }
    }

    /// The share that trouble of this size has in it, 0 to 1: of all there is, of at least what
    /// is noticed at all, and less when it would have been felt more than it was.
    pub fn share(&self, trouble: f64) -> f64 {
        if trouble <= 0.0 || self.all <= 0.0 {
            return 0.0;
        }
        let felt = self.felt.map_or(1.0, |felt| (OVERLAP * felt / trouble).min(1.0));
        trouble / self.all * (UNFELT + (1.0 - UNFELT) * felt) * self.weight
    }
}

// How much of what was felt is more than chance, as time and as failures.
fn certain(own: &Own) -> (f64, f64) {
    let share = |sure: f64, all: f64| if all > 0.0 { (sure / all).clamp(0.0, 1.0) } else { 0.0 };
    (
        share(own.slow_ms * own.seen_requests, own.lost_ms),
        share(own.failing * own.seen_requests, own.failed),
    )
}

/// How much the trouble of each component counts by where it is: all of it where calls lead from
/// where the incident was noticed, or where nothing is known of the calls from there.
pub fn reach(scene: &Scene<'_>, noticed: Option<usize>) -> Vec<f64> {
    let Some(noticed) = noticed.filter(|at| scene.outbound(*at).next().is_some()) else {
        return vec![1.0; scene.names.len()];
    };
    let mut reach = vec![OUT_OF_REACH; scene.names.len()];
    reach[noticed] = 1.0;
    let mut queue = vec![noticed];
    while let Some(caller) = queue.pop() {
        for link in scene.outbound(caller) {
            if reach[link.callee] < 1.0 {
                reach[link.callee] = 1.0;
                queue.push(link.callee);
            }
        }
    }
    reach
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(own_slow_ms: f64, lost_ms: f64) -> Own {
        let slow_ms = lost_ms / 100.0;
        let requests = 100.0;
        Own {
            own_slow_ms,
            slow_ms,
            lost_ms,
            requests,
            seen_requests: requests,
            usual_ms: 50.0,
            ..Own::default()
        }
    }

    #[test]
    fn trouble_that_was_not_felt_explains_little() {
        let owns = [own(0.0, 2_000.0), own(20.0, 2_000.0), own(300.0, 30_000.0)];
        let symptom = Symptom::of(Some(&owns[0]), &owns, Dimension::Time);
        let (felt, beside) = (symptom.share(2_000.0), symptom.share(30_000.0));
        assert!(beside < 0.45 && felt < 0.1, "{felt} {beside}");
        let unseen = Symptom::of(None, &owns, Dimension::Time);
        assert!(unseen.share(30_000.0) > 0.9, "without a witness all of it counts");
        assert_eq!(symptom.share(0.0), 0.0);
    }

    #[test]
    fn the_only_slowness_there_is_may_be_too_little() {
        let owns = [own(0.0, 100.0), own(1.0, 100.0)];
        let symptom = Symptom::of(Some(&owns[0]), &owns, Dimension::Time);
        assert!(symptom.share(100.0) < 0.25, "a fifth of what is noticed at all");
    }
}
