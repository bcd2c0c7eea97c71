//! Time and failures that callers see, minus what the component's own calls explain.

use events::ComponentName;

use crate::baseline::{PRIOR_CALLS, floor};
use crate::contrast::{Contrast, EdgeContrast, rate};

/// Explaining is estimated generously: sums over different requests never cancel exactly.
const BENEFIT_OF_DOUBT: f64 = 1.1;

/// What callers of a component see beyond the usual, per request to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Excess {
    /// Added latency.
    pub slow_ms: f64,
    /// Added share of failures.
    pub failing: f64,
    /// Added latency that its callees do not explain.
    pub own_slow_ms: f64,
    /// Added failures that its callees do not explain.
    pub own_failing: f64,
    /// Added latency that may be noise.
    pub noise_ms: f64,
    /// Added failures that may be noise.
    pub noise_failing: f64,
}

impl Excess {
    /// Of one component.
    pub fn of(contrast: &Contrast<'_>, component: &ComponentName) -> Self {
        let inbound: Vec<&EdgeContrast> = contrast.inbound(component).map(|(_, e)| e).collect();
        let requests: f64 = inbound.iter().map(|edge| edge.after.calls).sum();
        if requests <= 0.0 {
            return Self::default();
        }
        let mean = |of: &dyn Fn(&EdgeContrast) -> f64| {
            inbound.iter().map(|edge| edge.after.calls * of(edge)).sum::<f64>() / requests
        };
        let slow_ms = mean(&|edge| edge.slower_ms().unwrap_or(0.0));
        let failing = mean(&EdgeContrast::failing_more);
        let noise_ms = mean(&|edge| noise_ms(edge, contrast.after_windows));
        let noise_failing = floor::ERROR_SHARE;
        let callees = Callees::of(contrast, component, requests);

        let own_slow = left_over(slow_ms, callees.slow_ms, noise_ms);
        let own_failing = left_over(failing, callees.failing, noise_failing);
        // One link alone may be disturbed: its own calls tell it, the mean over all would not.
        let worst_slow = worst(&inbound, |edge| {
            left_over(edge.slower_ms().unwrap_or(0.0), callees.slow_ms, noise_ms)
        });
        let worst_failing =
            worst(&inbound, |edge| left_over(edge.failing_more(), callees.failing, noise_failing));
        // Time is lost to failing callees too (retries, waiting for a connection), and requests
        // fail because of slow ones (timeouts).
        let failed_over = explained(callees.failing, failing, noise_failing);
        let timed_out = explained(callees.slow_ms, slow_ms, noise_ms)
            * (callees.slow_ms / (callees.slow_ms + 100.0));
        Self {
            slow_ms,
            failing,
            own_slow_ms: f64::midpoint(own_slow, worst_slow) * (1.0 - failed_over),
            own_failing: f64::midpoint(own_failing, worst_failing) * (1.0 - timed_out),
            noise_ms,
            noise_failing,
        }
    }

    /// The share of what callers see that is the component's own; 1 when they see nothing.
    pub fn own_share(&self) -> f64 {
        let slow = (self.slow_ms > self.noise_ms).then(|| self.own_slow_ms / self.slow_ms);
        let failing = (self.failing > self.noise_failing).then(|| self.own_failing / self.failing);
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
    // Failing callees are often called less in the end (pools give up, breakers open), so the
    // usual number of calls a request stands in when fewer are seen. A callee that is not
    // called at all any more explains nothing: it may never have been reached.
    fn of(contrast: &Contrast<'_>, component: &ComponentName, requests: f64) -> Self {
        let (usual_requests, _) = contrast.inbound_rates(component);
        let mut callees = Self { slow_ms: 0.0, failing: 0.0 };
        for (_, edge) in contrast.outbound(component) {
            let usual_calls = rate(edge.before.calls, contrast.before_s);
            let usual = if usual_requests > 0.0 { usual_calls / usual_requests } else { 0.0 };
            let calls_a_request = (edge.after.calls / requests).max(usual);
            callees.slow_ms += calls_a_request * edge.slower_ms().unwrap_or(0.0);
            let share = edge.failing_more().min(1.0);
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
fn left_over(seen: f64, by_callees: f64, noise: f64) -> f64 {
    let own = seen - BENEFIT_OF_DOUBT * by_callees - noise;
    if own <= 0.0 { 0.0 } else { own * ((seen - by_callees) / seen).clamp(0.0, 1.0) }
}

fn explained(by_callees: f64, seen: f64, noise: f64) -> f64 {
    if by_callees <= noise { 0.0 } else { by_callees / by_callees.max(seen) }
}

fn worst(inbound: &[&EdgeContrast], of: impl Fn(&EdgeContrast) -> f64) -> f64 {
    inbound
        .iter()
        .map(|edge| of(edge) * edge.after.calls / (edge.after.calls + PRIOR_CALLS))
        .fold(0.0, f64::max)
}

fn noise_ms(edge: &EdgeContrast, windows: usize) -> f64 {
    edge.usual_ms().map_or(0.0, |usual| {
        let error_of_mean = 3.0 * usual.spread / (windows.max(1) as f64).sqrt();
        usual.latency_floor_ms().max(error_of_mean)
    })
}
