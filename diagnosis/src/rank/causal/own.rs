//! Time and failures that callers see, minus what the component's own calls explain.
//!
//! The idea is that of `own-excess@1`; what is new is that a change counts only as far as it is
//! more than chance, and that what is the component's own is weighed by how many calls it
//! touched: one slow call of thirteen is not what a thousand users noticed.

use super::link::Link;
use super::scene::Scene;

/// Explaining is estimated generously: sums over different requests never cancel exactly.
const BENEFIT_OF_DOUBT: f64 = 1.1;

/// What callers of a component see beyond the usual, per request to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Own {
    /// Added latency.
    pub slow_ms: f64,
    /// Added share of failures.
    pub failing: f64,
    /// Added latency that its callees do not explain.
    pub own_slow_ms: f64,
    /// Added failures that its callees do not explain.
    pub own_failing: f64,
    /// Requests to it: those that were seen, or that are usual, if fewer were.
    pub requests: f64,
    /// Requests to it that were seen.
    pub seen_requests: f64,
    /// How long it usually takes.
    pub usual_ms: f64,
    /// Time that its callers lost in all, in milliseconds, chance included.
    pub lost_ms: f64,
    /// Calls that failed beyond the usual, chance included.
    pub failed: f64,
}

impl Own {
    /// Of one component.
    pub fn of(scene: &Scene<'_>, component: usize) -> Self {
        let inbound: Vec<&Link> = scene.inbound(component).collect();
        let requests: f64 = inbound.iter().map(|link| link.after.calls).sum();
        if requests <= 0.0 {
            return Self::default();
        }
        let mean = |of: &dyn Fn(&Link) -> f64| {
            inbound.iter().map(|link| link.after.calls * of(link)).sum::<f64>() / requests
        };
        let slow_ms = mean(&Link::slower_ms);
        let failing = mean(&Link::failing_more);
        let callees = Callees::of(scene, component, requests);
        let own_slow = left_over(slow_ms, callees.slow_ms);
        let own_failing = left_over(failing, callees.failing);
        // One link alone may be disturbed: its own calls tell it, the mean over all would not.
        let worst = |of: &dyn Fn(&Link) -> f64| {
            let each = inbound.iter().map(|link| {
                let calls = link.after.calls;
                of(link) * calls / (calls + crate::baseline::PRIOR_CALLS)
            });
            each.fold(0.0, f64::max)
        };
        let worst_slow = worst(&|link| left_over(link.slower_ms(), callees.slow_ms));
        let worst_failing = worst(&|link| left_over(link.failing_more(), callees.failing));
        // Time is lost to failing callees too (retries, waiting for a connection), and requests
        // fail because of slow ones (timeouts).
        let failed_over = explained(callees.failing, failing);
        let timed_out =
            explained(callees.slow_ms, slow_ms) * (callees.slow_ms / (callees.slow_ms + 100.0));
        let usual: f64 = inbound.iter().map(|link| link.before.calls).sum();
        let usual = scene.rate_before(usual) * scene.cover.after_s;
        Self {
            slow_ms,
            failing,
            own_slow_ms: f64::midpoint(own_slow, worst_slow) * (1.0 - failed_over),
            own_failing: f64::midpoint(own_failing, worst_failing) * (1.0 - timed_out),
            requests: requests.max(usual),
            seen_requests: requests,
            usual_ms: mean(&|link| link.usual_ms().unwrap_or(0.0)),
            lost_ms: requests * mean(&Link::slower_at_all_ms),
            failed: requests * mean(&Link::failing_at_all),
        }
    }

    /// The share of what callers see that is the component's own; 1 when they see nothing.
    pub fn own_share(&self) -> f64 {
        let slow = (self.slow_ms > 0.0).then(|| self.own_slow_ms / self.slow_ms);
        let failing = (self.failing > 0.0).then(|| self.own_failing / self.failing);
        match (slow, failing) {
            (None, None) => 1.0,
            (slow, failing) => slow.unwrap_or(0.0).max(failing.unwrap_or(0.0)).min(1.0),
        }
    }
}

struct Callees {
    slow_ms: f64,
    failing: f64,
}

impl Callees {
    // Chance or not, the time that callees took is time that the component did not take itself.
    // Failing callees are often called less in the end (pools give up, breakers open), so the
    // usual number of calls a request stands in when fewer are seen. A callee that is not called
    // at all any more explains nothing: it may never have been reached.
    fn of(scene: &Scene<'_>, component: usize, requests: f64) -> Self {
        let (usual_requests, _) = scene.inbound_rates(component);
        let mut callees = Self { slow_ms: 0.0, failing: 0.0 };
        for link in scene.outbound(component) {
            let usual_calls = scene.rate_before(link.before.calls);
            let usual = if usual_requests > 0.0 { usual_calls / usual_requests } else { 0.0 };
            let calls_a_request = (link.after.calls / requests).max(usual);
            callees.slow_ms += calls_a_request * link.slower_at_all_ms().max(0.0);
            let share = link.failing_at_all().clamp(0.0, 1.0);
            callees.failing += if calls_a_request > 1.0 {
                1.0 - (1.0 - share).powf(calls_a_request)
            } else {
                share * calls_a_request
            };
        }
        callees.failing = callees.failing.min(1.0);
        callees
    }
}

// What is left is scaled down again by how much was explained: of a second that callees explain
// nine tenths of, the last tenth is an error of estimation rather than a second cause.
fn left_over(seen: f64, by_callees: f64) -> f64 {
    let own = seen - BENEFIT_OF_DOUBT * by_callees;
    if own <= 0.0 { 0.0 } else { own * ((seen - by_callees) / seen).clamp(0.0, 1.0) }
}

fn explained(by_callees: f64, seen: f64) -> f64 {
    if by_callees <= 0.0 { 0.0 } else { by_callees / by_callees.max(seen) }
}
