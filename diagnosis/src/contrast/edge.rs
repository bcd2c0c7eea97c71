//! One edge of the call graph, before against after.

use events::EventId;
use events::catalogue::telemetry::CallStatistics;

use super::{Side, mean_ms};
use crate::baseline::{Usual, shrunk_share};

/// Calls of one side, summed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flow {
    /// Calls that ended.
    pub calls: f64,
    /// Those that failed.
    pub errors: f64,
    /// Calls whose latency is known.
    pub timed: f64,
    /// Time they took together.
    pub busy_ms: f64,
}

impl Flow {
    /// Mean latency; `None` without calls.
    pub fn mean_ms(&self) -> Option<f64> {
        (self.timed > 0.0).then(|| self.busy_ms / self.timed)
    }
}

/// Calls of one edge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdgeContrast {
    /// Before the incident.
    pub before: Flow,
    /// From its first window on.
    pub after: Flow,
    means_before: Vec<f64>,
    shown: Vec<(EventId, Shown)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Shown {
    calls: f64,
    errors: f64,
    mean_ms: f64,
}

impl EdgeContrast {
    pub(super) fn add(&mut self, side: Side, event: EventId, stats: &CallStatistics) {
        let mean = stats.latency.as_ref().map(mean_ms);
        self.add_window(side, event, stats.calls as f64, stats.errors as f64, mean);
    }

    pub(super) fn add_window(
        &mut self,
        side: Side,
        event: EventId,
        calls: f64,
        errors: f64,
        mean_ms: Option<f64>,
    ) {
        let errors = errors.min(calls);
        let flow = match side {
            Side::Before => &mut self.before,
            Side::After => &mut self.after,
            Side::Between => return,
        };
        flow.calls += calls;
        flow.errors += errors;
        if let Some(mean) = mean_ms.filter(|_| calls > 0.0) {
            flow.timed += calls;
            flow.busy_ms += calls * mean;
            if side == Side::Before {
                self.means_before.push(mean);
            }
        }
        if side == Side::After {
            let mean_ms = mean_ms.unwrap_or(0.0);
            self.shown.push((event, Shown { calls, errors, mean_ms }));
        }
    }

    /// The usual latency of a window; `None` when the edge is new.
    pub fn usual_ms(&self) -> Option<Usual> {
        Usual::of(self.means_before.iter().copied())
    }

    /// By how much a call takes longer than usual, at least 0; unknown for a new edge.
    pub fn slower_ms(&self) -> Option<f64> {
        Some((self.after.mean_ms()? - self.usual_ms()?.median).max(0.0))
    }

    /// The share of calls that fail beyond the usual share, as far as their number shows it.
    pub fn failing_more(&self) -> f64 {
        let usual = shrunk_share(self.before.errors, self.before.calls, 0.0);
        (shrunk_share(self.after.errors, self.after.calls, usual) - usual).max(0.0)
    }

    /// The events that show most failures, at most `most`.
    pub fn most_failing(&self, most: usize) -> Vec<EventId> {
        self.top(most, |shown| shown.errors)
    }

    /// The events that show most time lost, at most `most`.
    pub fn slowest(&self, most: usize) -> Vec<EventId> {
        self.top(most, |shown| shown.calls * shown.mean_ms)
    }

    /// The events that show most calls, at most `most`.
    pub fn busiest(&self, most: usize) -> Vec<EventId> {
        self.top(most, |shown| shown.calls)
    }

    fn top(&self, most: usize, weight: impl Fn(&Shown) -> f64) -> Vec<EventId> {
        let mut shown: Vec<(f64, EventId)> =
            self.shown.iter().map(|(event, shown)| (weight(shown), *event)).collect();
        shown.retain(|(weight, _)| *weight > 0.0);
        shown.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        shown.into_iter().take(most).map(|(_, event)| event).collect()
    }
}
