//! Which windows are the baseline and which the symptom.

use std::collections::{BTreeMap, BTreeSet};

use events::catalogue::telemetry::Window;
use jiff::{SignedDuration, Timestamp};

use super::{Side, mean_ms};
use crate::evidence::Evidence;

/// Fewer windows than this before the incident are all kept: none can be told to be unusual.
const ENOUGH_TO_CHOOSE: usize = 8;
/// What a failed call costs beside a slow one.
const FAILURE_MS: f64 = 1_000.0;
/// A window is disturbed when a call costs this many times what it costs in calm ones …
const DISTURBED_FACTOR: f64 = 2.0;
/// … and this much more.
const DISTURBED_MS: f64 = 10.0;
/// A window is flooded when it has this many times the calls of calm ones.
const FLOODED_FACTOR: f64 = 3.0;
/// Calls by which floods differ from chance.
const FLOODED_CALLS: f64 = 30.0;

type Key = (Timestamp, u64);

/// The rule by which windows are told apart.
pub(super) struct Split {
    noticed_at: Timestamp,
    /// Length of the longest window.
    pub(super) guard: SignedDuration,
    disturbed: BTreeSet<Key>,
}

/// What the windows of a side cover together.
pub(super) struct Covered {
    pub(super) windows: usize,
    pub(super) seconds: f64,
}

impl Split {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let longest_ms = windows(evidence).map(|w| w.duration_ms).max().unwrap_or(0);
        let guard = SignedDuration::from_millis(i64::try_from(longest_ms).unwrap_or(i64::MAX));
        let noticed_at = evidence.noticed_at();
        let mut split = Self { noticed_at, guard, disturbed: BTreeSet::new() };
        split.disturbed = split.disturbed_before(evidence);
        split
    }

    pub(super) fn noticed_at(&self) -> Timestamp {
        self.noticed_at
    }

    pub(super) fn side(&self, window: &Window) -> Side {
        let end = window.end();
        if end > self.noticed_at {
            Side::After
        } else if self.noticed_at.duration_since(end) >= self.guard
            && !self.disturbed.contains(&key(window))
        {
            Side::Before
        } else {
            Side::Between
        }
    }

    // Length of the union of the side's windows: reporters need not be in step.
    pub(super) fn covered(&self, evidence: &Evidence, side: Side) -> Covered {
        let mut spans: Vec<(Timestamp, Timestamp)> = windows(evidence)
            .filter(|window| self.side(window) == side)
            .map(|window| (window.start, window.end()))
            .collect();
        spans.sort();
        spans.dedup();
        let windows = spans.len();
        let mut seconds = 0.0;
        let mut reached = Timestamp::MIN;
        for (start, end) in spans {
            let from = start.max(reached);
            if end > from {
                seconds += end.duration_since(from).as_secs_f64();
                reached = end;
            }
        }
        Covered { windows, seconds }
    }

    // The calm quarter of the windows says what a call costs when nothing is wrong; up to three
    // quarters may belong to earlier incidents.
    fn disturbed_before(&self, evidence: &Evidence) -> BTreeSet<Key> {
        let mut costs: BTreeMap<Key, Cost> = BTreeMap::new();
        for edge in evidence.edges() {
            if self.side(&edge.window) == Side::Before {
                let mean = edge.stats.latency.as_ref().map_or(0.0, mean_ms);
                let cost = costs.entry(key(&edge.window)).or_default();
                cost.add(edge.stats.calls as f64, edge.stats.errors as f64, mean);
            }
        }
        for snapshot in evidence.snapshots() {
            if self.side(&snapshot.window) == Side::Before {
                let mean = snapshot.latency.as_ref().map_or(0.0, mean_ms);
                let requests = snapshot.requests.unwrap_or(0) as f64;
                let cost = costs.entry(key(&snapshot.window)).or_default();
                cost.add(requests, snapshot.errors.unwrap_or(0) as f64, mean);
                cost.down |= snapshot.up() == Some(false);
            }
        }
        if costs.len() < ENOUGH_TO_CHOOSE {
            return BTreeSet::new();
        }
        let calm_ms = lower_quartile(costs.values().filter_map(Cost::a_call));
        let calm_calls = lower_quartile(costs.values().map(|cost| cost.calls));
        let often_down = costs.values().filter(|cost| cost.down).count() * 2 > costs.len();
        let disturbed = |cost: &Cost| {
            cost.a_call().is_some_and(|ms| ms > calm_ms * DISTURBED_FACTOR + DISTURBED_MS)
                || cost.calls > calm_calls * FLOODED_FACTOR + FLOODED_CALLS
                || (cost.down && !often_down)
        };
        costs.into_iter().filter(|(_, cost)| disturbed(cost)).map(|(key, _)| key).collect()
    }
}

#[derive(Default)]
struct Cost {
    calls: f64,
    ms: f64,
    down: bool,
}

impl Cost {
    fn add(&mut self, calls: f64, errors: f64, mean_ms: f64) {
        self.calls += calls;
        self.ms += calls * mean_ms + errors.min(calls) * FAILURE_MS;
    }

    fn a_call(&self) -> Option<f64> {
        (self.calls > 0.0).then(|| self.ms / self.calls)
    }
}

fn key(window: &Window) -> Key {
    (window.start, window.duration_ms)
}

fn lower_quartile(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 4).copied().unwrap_or(0.0)
}

fn windows(evidence: &Evidence) -> impl Iterator<Item = &Window> {
    let snapshots = evidence.snapshots().iter().map(|s| &s.window);
    snapshots.chain(evidence.edges().iter().map(|e| &e.window))
}
