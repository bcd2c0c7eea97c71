//! Distributions as they are sent, what they grew by, and how they become a sketch.

use std::borrow::Cow;

use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;

use crate::aggregate::latency::Sketch;

/// Counts, their sum, and how they are spread.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution<'a> {
    pub count: u64,
    pub sum: f64,
    pub buckets: Buckets<'a>,
}

/// How a distribution is spread.
#[derive(Clone, Debug, PartialEq)]
pub enum Buckets<'a> {
    /// Counts between given bounds.
    Explicit { bounds: Cow<'a, [f64]>, counts: Cow<'a, [u64]> },
    /// Counts between powers of `2^(2^-scale)`.
    Exponential { scale: i32, offset: i32, zero: u64, counts: Cow<'a, [u64]> },
    /// Values at quantiles, of the recent past.
    Summary { quantiles: Vec<(f64, f64)> },
}

/// More calls than this are no count of calls.
const MOST_CALLS: u64 = 1 << 53;

/// Steps that the calls within a bucket are spread over.
const STEPS: u64 = 8;

impl<'a> Buckets<'a> {
    pub fn explicit(bounds: &'a [f64], counts: &'a [u64]) -> Option<Self> {
        // Without buckets there is still a count and a sum.
        let fits = counts.is_empty() && bounds.is_empty() || counts.len() == bounds.len() + 1;
        let rising = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = bounds.iter().all(|bound| bound.is_finite());
        (fits && rising && finite)
            .then(|| Self::Explicit { bounds: bounds.into(), counts: counts.into() })
    }

    pub fn exponential(scale: i32, offset: i32, zero: u64, counts: &'a [u64]) -> Option<Self> {
        let sane = (-10..=20).contains(&scale) && offset.unsigned_abs() < 1 << 30;
        sane.then(|| Self::Exponential { scale, offset, zero, counts: counts.into() })
    }

    pub fn summary(values: &[ValueAtQuantile]) -> Option<Self> {
        let mut quantiles: Vec<_> = values.iter().map(|it| (it.quantile, it.value)).collect();
        // A quantile of nothing is not a number, which is how clients of Prometheus send it.
        quantiles.retain(|(_, value)| !value.is_nan());
        let sane =
            |(quantile, value): &(f64, f64)| (0.0..=1.0).contains(quantile) && value.is_finite();
        if !quantiles.iter().all(sane) {
            return None;
        }
        quantiles.sort_by(|one, other| one.0.total_cmp(&other.0));
        Some(Self::Summary { quantiles })
    }
}

impl Distribution<'_> {
    /// Whether its counts are ones that anything could have had.
    pub fn is_sane(&self) -> bool {
        let buckets = match &self.buckets {
            Buckets::Explicit { counts, .. } => counts,
            Buckets::Exponential { counts, .. } => counts,
            Buckets::Summary { .. } => return self.count <= MOST_CALLS,
        };
        let sum = buckets.iter().fold(self.count, |sum, count| sum.saturating_add(*count));
        sum <= 2 * MOST_CALLS
    }

    /// What a cumulative distribution grew by since `before`; `None` if it did not grow but began
    /// anew, or has other bounds.
    pub fn since(&self, before: &Self) -> Option<Self> {
        let count = self.count.checked_sub(before.count)?;
        let sum = self.sum - before.sum;
        let buckets = match (&self.buckets, &before.buckets) {
            (
                Buckets::Explicit { bounds, counts },
                Buckets::Explicit { bounds: old, counts: then },
            ) => {
                if bounds != old || counts.len() != then.len() {
                    return None;
                }
                Buckets::Explicit { bounds: bounds.clone(), counts: less(counts, then)? }
            }
            (Buckets::Exponential { .. }, Buckets::Exponential { .. }) => {
                exponential_since(&self.buckets, &before.buckets)?
            }
            (now @ Buckets::Summary { .. }, Buckets::Summary { .. }) => now.clone(),
            _ => return None,
        };
        Some(Self { count, sum, buckets })
    }

    /// Adds the distribution to a sketch, as durations in units of `unit_ns`.
    pub fn pour(&self, unit_ns: f64, sketch: &mut Sketch) {
        let ns = |value: f64| (value.max(0.0) * unit_ns).min(1e18) as u64;
        match &self.buckets {
            Buckets::Explicit { bounds, counts } => {
                for (index, count) in counts.iter().enumerate() {
                    let low = index.checked_sub(1).map_or(0.0, |index| bounds[index]);
                    // Nothing is known of what is beyond the last bound but that it is.
                    let high = bounds.get(index).copied().unwrap_or(low);
                    spread(low, high, *count, |value, count| sketch.add_many(ns(value), count));
                }
            }
            Buckets::Exponential { scale, offset, zero, counts } => {
                if *zero > 0 {
                    sketch.add_many(0, *zero);
                }
                for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                    let index = f64::from(*offset) + index as f64;
                    // The middle of the bucket on its own, logarithmic scale.
                    let value = ((index + 0.5) * (-f64::from(*scale)).exp2()).exp2();
                    sketch.add_many(ns(value), *count);
                }
            }
            Buckets::Summary { quantiles } => {
                let mut told = 0;
                let mut below = None;
                for (quantile, value) in quantiles {
                    let up_to = (quantile * self.count as f64).round() as u64;
                    let low = below.unwrap_or(*value);
                    spread(low, *value, up_to.saturating_sub(told), |value, count| {
                        sketch.add_many(ns(value), count);
                    });
                    (told, below) = (up_to.max(told), Some(*value));
                }
                if let Some(value) = below {
                    sketch.add_many(ns(value), self.count.saturating_sub(told));
                }
            }
        }
        let sum = (self.sum.max(0.0) * unit_ns).round();
        sketch.add_sum(if sum.is_finite() { sum as u128 } else { 0 }, self.count);
    }
}

/// Spreads the calls of a bucket evenly over it.
fn spread(low: f64, high: f64, count: u64, mut add: impl FnMut(f64, u64)) {
    let steps = STEPS.min(count);
    for step in 0..steps {
        let share = count / steps + u64::from(step < count % steps);
        add(low + (high - low) * (step as f64 + 0.5) / steps as f64, share);
    }
}

fn less(now: &[u64], then: &[u64]) -> Option<Cow<'static, [u64]>> {
    now.iter().zip(then).map(|(now, then)| now.checked_sub(*then)).collect()
}

/// Exponential buckets are brought to the coarser of both scales, which is exact, and then
/// subtracted where they overlap.
fn exponential_since(now: &Buckets<'_>, then: &Buckets<'_>) -> Option<Buckets<'static>> {
    let (
        Buckets::Exponential { scale, offset, zero, counts },
        Buckets::Exponential { scale: old, offset: since, zero: zeros, counts: before },
    ) = (now, then)
    else {
        return None;
    };
    let coarser = (*scale).min(*old);
    let (offset, mut counts) = coarsened(*offset, counts, scale - coarser);
    let (since, before) = coarsened(*since, before, old - coarser);
    for (index, count) in before.iter().enumerate().filter(|(_, count)| **count > 0) {
        let index = i64::from(since) + i64::try_from(index).ok()? - i64::from(offset);
        let now = counts.get_mut(usize::try_from(index).ok()?)?;
        *now = now.checked_sub(*count)?;
    }
    let zero = zero.checked_sub(*zeros)?;
    Some(Buckets::Exponential { scale: coarser, offset, zero, counts: counts.into() })
}

fn coarsened(offset: i32, counts: &[u64], by: i32) -> (i32, Vec<u64>) {
    let first = offset >> by;
    let mut merged = Vec::with_capacity((counts.len() >> by) + 2);
    for (index, count) in counts.iter().enumerate() {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        let place = usize::try_from((offset.saturating_add(index) >> by) - first).unwrap_or(0);
        if merged.len() <= place {
            merged.resize(place + 1, 0);
        }
        merged[place] = u64::saturating_add(merged[place], *count);
    }
    (first, merged)
}
