//! A window that is still coming in.
//!
//! Incidents are asked about while they happen, when some components have reported the newest
//! window and others not yet. What is not there yet looks like calls that nobody made and steps
//! that nobody took. A report is awaited when it came for each of the windows just before: who
//! has been silent for longer than one window is silent, not late.

use std::collections::{BTreeMap, BTreeSet};

use events::catalogue::telemetry::Window;
use events::{ComponentName, Timestamp};

use crate::evidence::{Evidence, SnapshotEvidence};

/// Windows just before the newest one that have to hold a report for it to be awaited.
pub const USUAL: usize = 3;

/// What is reported of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Report {
    /// Its snapshot.
    Snapshot,
    /// The calls that it made.
    Calls,
    /// Its log.
    Log,
}

/// Reports that are still to come.
pub type Awaited<'e> = BTreeSet<(Report, &'e ComponentName)>;

type Key = (Timestamp, u64);

/// The newest window of each length with at most [`USUAL`] before it, the newest first.
pub struct Newest(pub BTreeMap<u64, Vec<Timestamp>>);

impl Newest {
    /// The reports that the newest window of each length still misses.
    pub fn awaited<'e>(&self, evidence: &'e Evidence) -> BTreeMap<u64, Awaited<'e>> {
        let reports = self.reports(evidence);
        let none = Awaited::new();
        let of = |duration_ms: u64, start: &Timestamp| {
            reports.made.get(&(*start, duration_ms)).unwrap_or(&none)
        };
        let awaited = self.0.iter().filter_map(|(&duration_ms, starts)| {
            let (newest, before) = starts.split_first()?;
            let (nearest, others) = before.split_first()?;
            let arrived = of(duration_ms, newest);
            let missing = of(duration_ms, nearest)
                .difference(arrived)
                .filter(|report| others.iter().all(|it| of(duration_ms, it).contains(*report)))
                .filter(|(_, name)| !reports.idle.contains(&((*newest, duration_ms), *name)));
            Some((duration_ms, missing.copied().collect()))
        });
        awaited.collect()
    }

    fn reports<'e>(&self, evidence: &'e Evidence) -> Reports<'e> {
        let mut reports = Reports::default();
        let Some(&since) = self.0.values().flatten().min() else { return reports };
        let is_asked = |window: &Window| {
            let starts = self.0.get(&window.duration_ms);
            starts.is_some_and(|starts| starts.contains(&window.start))
        };
        let mut add = |window: &Window, report, name| {
            if is_asked(window) {
                let key = (window.start, window.duration_ms);
                reports.made.entry(key).or_default().insert((report, name));
            }
        };
        for it in evidence.snapshots().iter().rev().take_while(|it| it.window.start >= since) {
            add(&it.window, Report::Snapshot, &it.component);
            if is_idle(it) {
                reports.idle.insert(((it.window.start, it.window.duration_ms), &it.component));
            }
        }
        for it in evidence.edges().iter().rev().take_while(|it| it.window.start >= since) {
            add(&it.window, Report::Calls, &it.caller);
        }
        for it in evidence.logs().iter().rev().take_while(|it| it.window.start >= since) {
            add(&it.window, Report::Log, &it.component);
        }
        reports
    }
}

#[derive(Default)]
struct Reports<'e> {
    made: BTreeMap<Key, Awaited<'e>>,
    // Who has nothing to report, by its own snapshot.
    idle: BTreeSet<(Key, &'e ComponentName)>,
}

fn is_idle(snapshot: &SnapshotEvidence) -> bool {
    snapshot.up() == Some(false) || snapshot.requests == Some(0)
}
