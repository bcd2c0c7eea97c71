//! One edge of the call graph, before against after, with what of its change may be chance.

use events::EventId;
use events::catalogue::telemetry::Latency;

use super::counters::Counter;
use crate::contrast::{Flow, Side, mean_ms};

/// Latency that is jitter of the machine: in milliseconds, and as a share of the usual.
const JITTER_MS: f64 = 0.7;
const JITTER_SHARE: f64 = 0.07;
/// Share of failures that is noise of a network, however many calls there are.
const NOISE_FAILING: f64 = 0.003;
/// A change of this many standard errors counts half.
const SURE: f64 = 1.6;
/// Windows from which their own scatter tells how much a window varies.
const ENOUGH_TO_SCATTER: usize = 4;
/// Events that are kept to be cited.
const SHOWN: usize = 6;

/// Calls of one edge.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// The index of the caller; `None` for callers nobody saw.
    pub caller: Option<usize>,
    /// The index of the callee.
    pub callee: usize,
    /// Before the incident.
    pub before: Flow,
    /// From its first window on.
    pub after: Flow,
    // Mean latency and calls of each window before.
    means_before: Vec<(f64, f64)>,
    windows_after: usize,
    // Standard deviation of single calls, summed over calls, and these calls.
    scatter_before: (f64, f64),
    scatter_after: (f64, f64),
    usual_ms: Option<f64>,
    slower_ms: f64,
    failing_more: f64,
    last: Option<EventId>,
    shown: Vec<Shown>,
}

#[derive(Clone, Copy, Debug)]
struct Shown {
    event: EventId,
    calls: f64,
    errors: f64,
    busy_ms: f64,
}

/// What a window told of an edge.
#[derive(Clone, Copy)]
pub struct Told<'l> {
    pub event: EventId,
    pub calls: f64,
    pub errors: f64,
    pub latency: Option<&'l Latency>,
}

impl Link {
    pub fn new(caller: Option<usize>, callee: usize) -> Self {
        Self { caller, callee, ..Self::default() }
    }

    /// Adds a window.
    pub fn add(&mut self, side: Side, told: Told<'_>) {
        let Told { event, calls, errors, latency } = told;
        let errors = errors.min(calls);
        let flow = match side {
            Side::Before => &mut self.before,
            Side::After => &mut self.after,
            Side::Between => return,
        };
        flow.calls += calls;
        flow.errors += errors;
        if calls > 0.0 {
            self.last = Some(event);
        }
        let mean = latency.map(mean_ms).filter(|_| calls > 0.0);
        if let (Some(mean), Some(latency)) = (mean, latency) {
            flow.timed += calls;
            flow.busy_ms += calls * mean;
            let scatter = if side == Side::Before {
                self.means_before.push((mean, calls));
                &mut self.scatter_before
            } else {
                self.windows_after += 1;
                &mut self.scatter_after
            };
            scatter.0 += calls * deviation_ms(latency, mean);
            scatter.1 += calls;
        }
        if side == Side::After && calls > 0.0 {
            let busy_ms = calls * mean.unwrap_or(0.0);
            self.shown.push(Shown { event, calls, errors, busy_ms });
        }
    }

    /// How many calls there were.
    pub fn counter(&self) -> Counter {
        Counter { before: self.before.calls, after: self.after.calls, last: self.last }
    }

    /// To be called once when all windows are added.
    pub fn close(&mut self) {
        self.usual_ms = self.before.mean_ms();
        let error_ms = self.usual_ms.map_or(0.0, |usual_ms| self.error_ms(usual_ms));
        self.slower_ms = shrunk(self.slower_at_all_ms(), error_ms);
        self.failing_more = shrunk(self.failing_at_all(), self.failing_error());
    }

    /// The usual latency; `None` when the edge is new.
    pub fn usual_ms(&self) -> Option<f64> {
        self.usual_ms
    }

    /// By how much a call takes longer than usual, as far as it is more than chance.
    pub fn slower_ms(&self) -> f64 {
        self.slower_ms
    }

    /// The share of calls that fail beyond the usual share, as far as it is more than chance.
    pub fn failing_more(&self) -> f64 {
        self.failing_more
    }

    // Of the difference of the means. The scatter is that of calls when all is well: a fault that
    // hits some calls hard scatters them itself.
    fn error_ms(&self, usual_ms: f64) -> f64 {
        let windows = self.means_before.len();
        let within =
            if self.scatter_before.1 > 0.0 { self.scatter_before } else { self.scatter_after };
        let deviation = if within.1 > 0.0 { within.0 / within.1 } else { 0.0 };
        let calls = 1.0 / self.after.timed.max(1.0) + 1.0 / self.before.timed.max(1.0);
        let within = deviation * deviation * calls;
        let between = if windows >= ENOUGH_TO_SCATTER {
            let square = |(mean, calls): &(f64, f64)| calls * (mean - usual_ms).powi(2);
            let squares: f64 = self.means_before.iter().map(square).sum();
            let variance = squares / self.before.timed.max(1.0);
            variance * (1.0 / self.windows_after.max(1) as f64 + 1.0 / windows as f64)
        } else {
            0.0
        };
        let jitter = JITTER_MS.max(JITTER_SHARE * usual_ms);
        (within.max(between) + jitter * jitter).sqrt()
    }

    /// By how much a call takes longer than usual or, below 0, less long, chance included.
    pub fn slower_at_all_ms(&self) -> f64 {
        let (Some(now), Some(usual)) = (self.after.mean_ms(), self.usual_ms) else { return 0.0 };
        now - usual
    }

    /// By how much the share of calls that fail is larger or, below 0, smaller than usual, chance
    /// included.
    pub fn failing_at_all(&self) -> f64 {
        let share = |flow: &Flow| if flow.calls > 0.0 { flow.errors / flow.calls } else { 0.0 };
        share(&self.after) - share(&self.before)
    }

    fn failing_error(&self) -> f64 {
        let pooled = (self.after.errors + self.before.errors + 0.5)
            / (self.after.calls + self.before.calls + 1.0);
        let calls = 1.0 / (self.after.calls + 1.0) + 1.0 / (self.before.calls + 1.0);
        (pooled * (1.0 - pooled).max(0.0) * calls + NOISE_FAILING * NOISE_FAILING).sqrt()
    }

    /// A link that carries `share` of this one.
    pub fn part(&self, caller: Option<usize>, share: f64) -> Self {
        let part = |flow: &Flow| Flow {
            calls: flow.calls * share,
            errors: flow.errors * share,
            timed: flow.timed * share,
            busy_ms: flow.busy_ms * share,
        };
        // The errors of the estimates stay those of the whole: nothing more is known of a part.
        let mut link = self.clone();
        link.caller = caller;
        link.before = part(&self.before);
        link.after = part(&self.after);
        link.shown.iter_mut().for_each(|shown| {
            shown.calls *= share;
            shown.errors *= share;
            shown.busy_ms *= share;
        });
        link
    }

    /// The events that show most failures.
    pub fn most_failing(&self) -> Vec<EventId> {
        self.top(|shown| shown.errors)
    }

    /// The events that show most time spent.
    pub fn slowest(&self) -> Vec<EventId> {
        self.top(|shown| shown.busy_ms)
    }

    /// The events that show most calls.
    pub fn busiest(&self) -> Vec<EventId> {
        self.top(|shown| shown.calls)
    }

    fn top(&self, weight: impl Fn(&Shown) -> f64) -> Vec<EventId> {
        let mut shown: Vec<(f64, EventId)> =
            self.shown.iter().map(|shown| (weight(shown), shown.event)).collect();
        shown.retain(|(weight, _)| *weight > 0.0);
        shown.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        shown.into_iter().take(SHOWN / 2).map(|(_, event)| event).collect()
    }
}

// What is well within the error is nearly nothing, what is far beyond it nearly itself.
fn shrunk(change: f64, error: f64) -> f64 {
    if change <= 0.0 {
        return 0.0;
    }
    let certain = (change / (SURE * error).max(f64::MIN_POSITIVE)).powi(4);
    if certain.is_finite() { change * certain / (1.0 + certain) } else { change }
}

// As if calls were distributed normally around the median; a mean far from it tells of a tail
// that the quantiles miss.
fn deviation_ms(latency: &Latency, mean: f64) -> f64 {
    let (p50, p95, p99) = (latency.p50_ms.get(), latency.p95_ms.get(), latency.p99_ms.get());
    ((p95 - p50) / 1.645).max((p99 - p50) / 2.326).max((mean - p50).abs())
}
