//! What disturbs an edge: the sum of the faults that act on it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use events::FaultId;
use tokio::sync::watch;

/// How an edge is disturbed. The default disturbs nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Disturbance {
    /// Added to every answer.
    pub(crate) delay: Duration,
    /// Up to this much more is added, at random.
    pub(crate) max_jitter: Duration,
    /// Answers pass no faster than this.
    pub(crate) bytes_per_second: Option<u32>,
    /// Share of exchanges in whose middle the connection is reset.
    pub(crate) reset_probability: f64,
    /// Nothing passes; connections stay open.
    pub(crate) black_hole: bool,
    /// No connections.
    pub(crate) cut: bool,
    /// Share of HTTP answers that are replaced, and by which status.
    pub(crate) http_error: Option<(f64, u16)>,
    /// Share of answers that are held back, and for how long.
    pub(crate) slow: Option<(f64, Duration)>,
}

impl Disturbance {
    /// Both at once: delays add up, and otherwise the worse one counts.
    fn with(&self, other: &Self) -> Self {
        Self {
            delay: self.delay + other.delay,
            max_jitter: self.max_jitter + other.max_jitter,
            bytes_per_second: match (self.bytes_per_second, other.bytes_per_second) {
                (Some(one), Some(two)) => Some(one.min(two)),
                (one, two) => one.or(two),
            },
            reset_probability: self.reset_probability.max(other.reset_probability),
            black_hole: self.black_hole || other.black_hole,
            cut: self.cut || other.cut,
            http_error: worse(self.http_error, other.http_error),
            slow: worse(self.slow, other.slow),
        }
    }
}

fn worse<T>(one: Option<(f64, T)>, two: Option<(f64, T)>) -> Option<(f64, T)> {
    match (one, two) {
        (Some(one), Some(two)) => Some(if two.0 > one.0 { two } else { one }),
        (one, two) => one.or(two),
    }
}

/// The faults on one edge, and what they come to.
#[derive(Default)]
pub(crate) struct Disturbances {
    by_fault: Mutex<BTreeMap<FaultId, Disturbance>>,
    sum: watch::Sender<Disturbance>,
}

impl Disturbances {
    /// From now on `fault` disturbs the edge as well.
    pub(crate) fn add(&self, fault: FaultId, disturbance: Disturbance) {
        self.change(|by_fault| {
            by_fault.insert(fault, disturbance);
        });
    }

    /// From now on `fault` does not.
    pub(crate) fn remove(&self, fault: &FaultId) {
        self.change(|by_fault| {
            by_fault.remove(fault);
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<FaultId, Disturbance>)) {
        let mut by_fault = self.by_fault.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut by_fault);
        let sum = by_fault.values().fold(Disturbance::default(), |sum, one| sum.with(one));
        self.sum.send_replace(sum);
    }

    /// What disturbs the edge now.
    pub(crate) fn now(&self) -> Disturbance {
        self.sum.borrow().clone()
    }

    /// Returns as soon as bytes may pass.
    pub(super) async fn until_open(&self) {
        self.until(|disturbance| !disturbance.black_hole).await;
    }

    /// Returns as soon as connections may not be.
    pub(super) async fn until_cut(&self) {
        self.until(|disturbance| disturbance.cut).await;
    }

    async fn until(&self, reached: impl FnMut(&Disturbance) -> bool) {
        // The sender lives in `self`, so the channel cannot close.
        let _ = self.sum.subscribe().wait_for(reached).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(name: &str) -> FaultId {
        FaultId::new(name).unwrap()
    }

    #[test]
    fn faults_on_one_edge_add_up_and_leave_nothing_behind() {
        let edge = Disturbances::default();
        let delay = |ms| Disturbance { delay: Duration::from_millis(ms), ..Default::default() };
        edge.add(fault("a"), delay(100));
        edge.add(fault("b"), Disturbance { cut: true, ..delay(50) });
        assert_eq!(edge.now(), Disturbance { cut: true, ..delay(150) });
        edge.remove(&fault("a"));
        edge.remove(&fault("b"));
        assert_eq!(edge.now(), Disturbance::default());
    }

    #[test]
    fn the_likelier_of_two_errors_counts() {
        let error = |p| Disturbance { http_error: Some((p, 500)), ..Default::default() };
        assert_eq!(error(0.2).with(&error(0.7)), error(0.7));
        assert_eq!(error(0.2).with(&Disturbance::default()), error(0.2));
    }
}
