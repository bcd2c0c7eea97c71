//! What a proxy observed: calls, failures and how long they took.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use events::catalogue::telemetry::Latency;
use events::value::NonNegative;
use hdrhistogram::Histogram;

/// Longest latency that is told apart from a longer one.
const MAX_MICROS: u64 = 120_000_000;

/// Calls of one edge since the last look.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// Calls that ended.
    pub(crate) calls: u64,
    /// Those that failed.
    pub(crate) errors: u64,
    micros: Histogram<u64>,
}

impl Default for Observed {
    fn default() -> Self {
        let micros = Histogram::new_with_bounds(1, MAX_MICROS, 3)
            .expect("the bounds and three digits are within what a histogram can have");
        Self { calls: 0, errors: 0, micros }
    }
}

impl Observed {
    fn add(&mut self, took: Duration, failed: bool) {
        self.calls += 1;
        self.errors += u64::from(failed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(MAX_MICROS);
        self.micros.saturating_record(micros.max(1));
    }

    /// Both together.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.micros.add(&other.micros).expect("all histograms have the same bounds");
    }

    /// Quantiles; none without a call.
    pub(crate) fn latency(&self) -> Option<Latency> {
        if self.calls == 0 {
            return None;
        }
        let ms = |micros: f64| {
            NonNegative::new(micros / 1_000.0).expect("a histogram holds nothing below zero")
        };
        let quantile = |q| ms(precise(self.micros.value_at_quantile(q)));
        Some(Latency {
            p50_ms: quantile(0.5),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            mean_ms: Some(ms(self.micros.mean())),
        })
    }
}

/// Exact below 2^53; the histogram ends far before it.
fn precise(micros: u64) -> f64 {
    micros as f64
}

/// Where the connections of a proxy write down what they saw.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Observed>);

impl Tally {
    pub(super) fn take(&self) -> Observed {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn record(&self, took: Duration, failed: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(took, failed);
    }

    /// A call begins. Unless it is [ended](Call::end), it failed: the caller gave up, or the
    /// connection broke.
    pub(super) fn begin(&self) -> Call<'_> {
        Call { tally: Some(self), began: Instant::now() }
    }
}

/// A call that goes on.
pub(super) struct Call<'a> {
    tally: Option<&'a Tally>,
    began: Instant,
}

impl Call<'_> {
    /// The call ended with an answer.
    pub(super) fn end(mut self, failed: bool) {
        if let Some(tally) = self.tally.take() {
            tally.record(self.began.elapsed(), failed);
        }
    }

    /// It was no call of the shop's own.
    pub(super) fn forget(mut self) {
        self.tally = None;
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(tally) = self.tally {
            tally.record(self.began.elapsed(), true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_nobody_ended_failed() {
        let tally = Tally::default();
        drop(tally.begin());
        tally.begin().end(false);
        tally.begin().forget();
        let observed = tally.take();
        assert_eq!((observed.calls, observed.errors), (2, 1));
        assert_eq!(tally.take().calls, 0);
    }

    #[test]
    fn quantiles_are_in_milliseconds_and_merge() {
        let mut one = Observed::default();
        (1..=100).for_each(|ms| one.add(Duration::from_millis(ms), false));
        let mut two = Observed::default();
        two.add(Duration::from_secs(10), true);
        one.merge(&two);
        let latency = one.latency().unwrap();
        assert!((latency.p50_ms.get() - 51.0).abs() < 1.0, "{latency:?}");
        assert!((latency.p95_ms.get() - 96.0).abs() < 1.0, "{latency:?}");
        assert!((latency.p99_ms.get() - 100.0).abs() < 1.0, "{latency:?}");
        assert_eq!((one.calls, one.errors), (101, 1));
        assert_eq!(Observed::default().latency(), None);
    }
}
