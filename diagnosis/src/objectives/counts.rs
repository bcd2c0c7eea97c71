//! Counts by steps of time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Tally;

/// Parts of a request: what is bad of a latency objective is a share, and sums of fractions would
/// depend on their order.
const PARTS: f64 = 1_000.0;

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    requests: u64,
    bad_parts: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.bad_parts = self.bad_parts.saturating_add(other.bad_parts);
    }
}

/// The newest so many steps in which anything was counted. What is older than all of them is
/// dropped, whenever it comes.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    step_ms: i64,
    most: usize,
    steps: BTreeMap<i64, Count>,
}

impl Counts {
    /// Steps of the length, which is at least a second, enough of them for `reach`.
    pub(super) fn new(step: SignedDuration, reach: SignedDuration) -> Self {
        let ms = |duration: SignedDuration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let step_ms = ms(step).max(1_000);
        let most = usize::try_from(ms(reach) / step_ms).unwrap_or(usize::MAX).saturating_add(2);
        Self { step_ms, most, steps: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, end: Timestamp, tally: Tally) {
        let count =
            Count { requests: tally.total as u64, bad_parts: (tally.bad * PARTS).round() as u64 };
        self.steps.entry(self.step_of(end)).or_default().add(count);
        while self.steps.len() > self.most {
            self.steps.pop_first();
        }
    }

    /// What was counted in the time before `now`.
    pub(super) fn since(&self, back: SignedDuration, now: Timestamp) -> Tally {
        let from = self.step_of(now.saturating_sub(back).unwrap_or(Timestamp::MIN));
        let to = self.step_of(now);
        let mut sum = Count::default();
        if from < to {
            self.steps.range(from + 1..=to).for_each(|(_, count)| sum.add(*count));
        }
        Tally { total: sum.requests as f64, bad: sum.bad_parts as f64 / PARTS }
    }

    // The step that a window ended in: one that ends with a step belongs to it.
    fn step_of(&self, end: Timestamp) -> i64 {
        (end.as_millisecond() - 1).div_euclid(self.step_ms)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }
}
