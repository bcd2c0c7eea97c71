//! How long calls took: a sketch that merges, and the sum beside it.

use events::catalogue::telemetry::Latency;
use events::value::NonNegative;
use hdrhistogram::Histogram;

/// Latencies within one percent, and their exact sum.
///
/// Counts and whole numbers only: adding in another order gives the same, which a sum of floating
/// point numbers would not.
#[derive(Clone, Debug)]
pub struct Sketch {
    us: Histogram<u32>,
    sum_ns: u128,
    count: u64,
}

/// What is longer counts as this long: a day.
const MAX_US: u64 = 86_400_000_000;

impl Default for Sketch {
    fn default() -> Self {
        let mut us = Histogram::new_with_bounds(1, 1_000_000, 2)
            .expect("the bounds are apart and two digits are supported");
        us.auto(true);
        Self { us, sum_ns: 0, count: 0 }
    }
}

impl Sketch {
    /// Adds one call.
    pub fn add(&mut self, ns: u64) {
        self.add_many(ns, 1);
        self.add_sum(u128::from(ns), 1);
    }

    /// Adds `count` calls of about `ns` to the quantiles, without adding to the sum.
    pub fn add_many(&mut self, ns: u64, count: u64) {
        let us = (ns / 1_000).clamp(1, MAX_US);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.us.record_n(us, count).expect("the sketch grows up to a day");
    }

    /// Adds to what the mean is made of.
    pub fn add_sum(&mut self, ns: u128, count: u64) {
        self.sum_ns = self.sum_ns.saturating_add(ns);
        self.count = self.count.saturating_add(count);
    }

    /// Takes up another sketch.
    pub fn merge(&mut self, other: &Self) {
        self.us.add(&other.us).expect("the sketch grows up to a day");
        self.add_sum(other.sum_ns, other.count);
    }

    /// A quantile, in nanoseconds.
    pub fn quantile_ns(&self, quantile: f64) -> f64 {
        self.us.value_at_quantile(quantile) as f64 * 1_000.0
    }

    /// The mean, in nanoseconds.
    pub fn mean_ns(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_ns as f64 / self.count as f64)
    }

    /// As an event tells it; `None` without calls.
    pub fn latency(&self) -> Option<Latency> {
        if self.us.is_empty() {
            return None;
        }
        let ms = |ns: f64| {
            // Whole microseconds: more digits would pretend.
            let ms = (ns / 1_000.0).round() / 1_000.0;
            NonNegative::new(ms).expect("a duration is finite and not negative")
        };
        Some(Latency {
            p50_ms: ms(self.quantile_ns(0.50)),
            p95_ms: ms(self.quantile_ns(0.95)),
            p99_ms: ms(self.quantile_ns(0.99)),
            mean_ms: self.mean_ns().map(ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_percent_and_do_not_depend_on_the_order() {
        let latencies: Vec<u64> = (1..=10_000).map(|n| n * 37_000).collect();
        let (mut forwards, mut parts) = (Sketch::default(), [(); 3].map(|()| Sketch::default()));
        latencies.iter().for_each(|ns| forwards.add(*ns));
        latencies.iter().rev().enumerate().for_each(|(n, ns)| parts[n % 3].add(*ns));
        let mut merged = Sketch::default();
        parts.iter().for_each(|part| merged.merge(part));
        assert_eq!(forwards.latency(), merged.latency());
        for quantile in [0.5, 0.95, 0.99] {
            let exact = quantile * 10_000.0 * 37_000.0;
            let error = (forwards.quantile_ns(quantile) - exact).abs() / exact;
            assert!(error < 0.01, "{quantile}: {error}");
        }
        assert_eq!(forwards.mean_ns(), Some(37_000.0 * 5_000.5));
        assert_eq!(Sketch::default().latency(), None);
    }

    #[test]
    fn a_call_of_a_year_is_taken_as_one_of_a_day() {
        let mut sketch = Sketch::default();
        sketch.add(365 * 86_400 * 1_000_000_000);
        assert!(sketch.quantile_ns(0.5) < 90_000.0 * 1e9);
    }
}
