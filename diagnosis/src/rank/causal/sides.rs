//! Which windows are the baseline and which the symptom, for each length of window by itself:
//! metrics of a minute and calls of ten seconds stand beside each other.
//!
//! The newest window is on neither side while reports of it are awaited. Where it is the only one
//! of the symptom it is looked at all the same, and what is awaited is told.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use events::Timestamp;
use events::catalogue::telemetry::Window;
use jiff::SignedDuration;

use super::arrival::{Awaited, Newest, USUAL};
use super::cover::{Cover, Watched};
use crate::contrast::{Side, mean_ms};
use crate::evidence::Evidence;

/// With fewer windows before the incident none is left out: there is nothing to spare.
const ENOUGH_FOR_A_GUARD: usize = 2;
/// With fewer, none can be told to be unusual.
const ENOUGH_TO_CHOOSE: usize = 8;
/// What a failed call costs beside a slow one.
const FAILURE_MS: f64 = 1_000.0;
/// A window is disturbed when a call costs this many times what it costs in calm ones …
const DISTURBED_FACTOR: f64 = 2.0;
/// … and this much more …
const DISTURBED_MS: f64 = 10.0;
/// … and so many times further away than calm ones are from the calmest.
const DISTURBED_SCATTER: f64 = 10.0;
/// A window is flooded when it has this many times the calls of calm ones …
const FLOODED_FACTOR: f64 = 3.0;
/// … and this many more.
const FLOODED_CALLS: f64 = 30.0;

type Key = (Timestamp, u64);

/// The side of every window.
pub struct Sides<'e> {
    noticed_at: Timestamp,
    sides: HashMap<Key, Side>,
    awaited: Awaited<'e>,
    cover: Cover,
    // Evidence is in the order of time: the next window is mostly the same as the last.
    last: Cell<Option<(Key, Side)>>,
}

#[derive(Clone, Default)]
struct Cost {
    calls: f64,
    ms: f64,
    down: bool,
    traced: bool,
    counted: bool,
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

impl<'e> Sides<'e> {
    /// Tells the windows of the evidence apart.
    pub fn of(evidence: &'e Evidence) -> Self {
        let noticed_at = evidence.noticed_at();
        let mut classes: BTreeMap<u64, BTreeMap<Timestamp, Cost>> = BTreeMap::new();
        for (key, cost) in costs(evidence) {
            classes.entry(key.1).or_default().insert(key.0, cost);
        }
        let newest = |windows: &BTreeMap<Timestamp, Cost>| {
            windows.keys().rev().take(1 + USUAL).copied().collect()
        };
        let newest = classes.iter().map(|(duration_ms, it)| (*duration_ms, newest(it))).collect();
        let mut late = Newest(newest).awaited(evidence);
        let mut awaited = Awaited::new();
        let mut sides = HashMap::new();
        let mut watched = Vec::new();
        for (duration_ms, windows) in classes {
            let end = |start: &Timestamp| Window { start: *start, duration_ms }.end();
            let before = windows.keys().filter(|start| end(start) <= noticed_at).count();
            let guard_ms = if before >= ENOUGH_FOR_A_GUARD { duration_ms } else { 0 };
            let guard = SignedDuration::from_millis(i64::try_from(guard_ms).unwrap_or(i64::MAX));
            let side = |start: &Timestamp| {
                let end = end(start);
                if end > noticed_at {
                    Side::After
                } else if noticed_at.duration_since(end) >= guard {
                    Side::Before
                } else {
                    Side::Between
                }
            };
            let calm: Vec<(&Timestamp, &Cost)> =
                windows.iter().filter(|(start, _)| side(start) == Side::Before).collect();
            let disturbed = disturbed(&calm);
            for start in windows.keys() {
                let side = if disturbed.contains(&start) { Side::Between } else { side(start) };
                sides.insert((*start, duration_ms), side);
            }
            let late = late.remove(&duration_ms).filter(|late| !late.is_empty());
            let mut after = windows.keys().rev().filter(|start| side(start) == Side::After);
            if let (Some(late), Some(newest)) = (late, after.next()) {
                if after.next().is_some() {
                    sides.insert((*newest, duration_ms), Side::Between);
                } else {
                    awaited.extend(late);
                }
            }
            watched.extend(windows.iter().map(|(start, cost)| {
                let window = (*start, duration_ms);
                let Cost { traced, counted, .. } = *cost;
                Watched { window, side: sides[&window], traced, counted }
            }));
        }
        Self { noticed_at, sides, awaited, cover: Cover::of(watched), last: Cell::new(None) }
    }

    /// Reports of the only window of the symptom that are still to come.
    pub fn awaited(&self) -> &Awaited<'e> {
        &self.awaited
    }

    /// How long both sides were watched.
    pub fn cover(&self) -> Cover {
        self.cover
    }

    /// The side of a window.
    pub fn side(&self, window: &Window) -> Side {
        let key = (window.start, window.duration_ms);
        if let Some((last, side)) = self.last.get()
            && last == key
        {
            return side;
        }
        let known = self.sides.get(&key).copied();
        let unknown = if window.end() > self.noticed_at { Side::After } else { Side::Between };
        let side = known.unwrap_or(unknown);
        self.last.set(Some((key, side)));
        side
    }
}

/// The costs of every window. Windows follow each other in runs of equal ones.
#[derive(Default)]
struct Costs {
    sums: HashMap<Key, Cost>,
    run: Option<(Key, Cost)>,
}

impl Costs {
    fn of(&mut self, window: &Window) -> &mut Cost {
        let key = (window.start, window.duration_ms);
        if self.run.as_ref().is_none_or(|(last, _)| *last != key) {
            self.end_run();
        }
        &mut self.run.get_or_insert_with(|| (key, Cost::default())).1
    }

    fn end_run(&mut self) {
        if let Some((key, cost)) = self.run.take() {
            let sum = self.sums.entry(key).or_default();
            sum.calls += cost.calls;
            sum.ms += cost.ms;
            sum.down |= cost.down;
            sum.traced |= cost.traced;
            sum.counted |= cost.counted;
        }
    }
}

fn costs(evidence: &Evidence) -> HashMap<Key, Cost> {
    let mut costs = Costs::default();
    for edge in evidence.edges() {
        let mean = edge.stats.latency.as_ref().map_or(0.0, mean_ms);
        let cost = costs.of(&edge.window);
        cost.add(edge.stats.calls as f64, edge.stats.errors as f64, mean);
        cost.traced = true;
    }
    for snapshot in evidence.snapshots() {
        let mean = snapshot.latency.as_ref().map_or(0.0, mean_ms);
        let requests = snapshot.requests.unwrap_or(0) as f64;
        let cost = costs.of(&snapshot.window);
        cost.add(requests, snapshot.errors.unwrap_or(0) as f64, mean);
        cost.down |= snapshot.up() == Some(false);
        cost.counted |= snapshot.requests.is_some();
    }
    for log in evidence.logs() {
        costs.of(&log.window);
    }
    costs.end_run();
    costs.sums
}

// The calm quarter of the windows says what a call costs when nothing is wrong; up to three
// quarters may belong to earlier incidents.
fn disturbed<'t>(windows: &[(&'t Timestamp, &Cost)]) -> Vec<&'t Timestamp> {
    let costs = || windows.iter().map(|(_, cost)| *cost).filter(|cost| cost.calls > 0.0);
    if costs().count() < ENOUGH_TO_CHOOSE {
        return Vec::new();
    }
    let mut prices: Vec<f64> = costs().filter_map(Cost::a_call).collect();
    prices.sort_by(f64::total_cmp);
    let calm_ms = prices[prices.len() / 4];
    // Calm windows that differ much among each other say that others may too.
    let scatter_ms = calm_ms - prices[prices.len() / 20];
    let most_ms =
        (calm_ms * DISTURBED_FACTOR + DISTURBED_MS).max(calm_ms + DISTURBED_SCATTER * scatter_ms);
    let calm_calls = lower_quartile(costs().map(|cost| cost.calls));
    let often_down = costs().filter(|cost| cost.down).count() * 2 > windows.len();
    let disturbed = |cost: &Cost| {
        cost.a_call().is_some_and(|ms| ms > most_ms)
            || cost.calls > calm_calls * FLOODED_FACTOR + FLOODED_CALLS
            || (cost.down && !often_down)
    };
    windows.iter().filter(|(_, cost)| disturbed(cost)).map(|(start, _)| *start).collect()
}

fn lower_quartile(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 4).copied().unwrap_or(0.0)
}
