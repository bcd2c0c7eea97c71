//! Puts the reports of one window together before it is judged.
//!
//! What a fault looks like is told by several reports (the component's own, its callers'), and
//! they arrive one by one. A window that is judged report by report would open an incident at
//! whichever component's report came first.

use std::collections::{BTreeMap, BTreeSet};

use events::catalogue::telemetry::{
    CallStatistics, MetricSnapshotRecorded, TraceEdgesRecorded, Window,
};
use events::{ComponentName, EventId};
use jiff::Timestamp;

/// Who reports what: a component its own state, a caller its edges.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reporter {
    Snapshot(ComponentName),
    Edges(ComponentName),
}

/// All reports of one window.
#[derive(Clone, Debug)]
pub struct Slot {
    pub window: Window,
    pub snapshots: BTreeMap<ComponentName, (EventId, MetricSnapshotRecorded)>,
    pub edges: BTreeMap<(ComponentName, ComponentName), (EventId, CallStatistics)>,
    reporters: BTreeSet<Reporter>,
}

impl Slot {
    fn new(window: Window) -> Self {
        let (snapshots, edges, reporters) = Default::default();
        Self { window, snapshots, edges, reporters }
    }

    /// Length of the window in seconds.
    pub fn seconds(&self) -> f64 {
        self.window.duration_ms.max(1) as f64 / 1_000.0
    }

    /// Everything that the window tells something of.
    pub fn components(&self) -> BTreeSet<&ComponentName> {
        self.snapshots.keys().chain(self.edges.keys().map(|(_, callee)| callee)).collect()
    }
}

/// Windows that are not complete yet.
#[derive(Debug, Default)]
pub struct Assembly {
    open: BTreeMap<(Timestamp, u64), Slot>,
    expected: BTreeSet<Reporter>,
    latest_start: Option<Timestamp>,
}

impl Assembly {
    /// Takes a component's report and gives the windows that are complete with it.
    pub fn snapshot(&mut self, event: EventId, data: &MetricSnapshotRecorded) -> Vec<Slot> {
        let mut closed = self.close_before(&data.window);
        let slot = self.slot(&data.window);
        slot.reporters.insert(Reporter::Snapshot(data.component.clone()));
        slot.snapshots.insert(data.component.clone(), (event, data.clone()));
        closed.extend(self.close_if_complete(&data.window));
        closed
    }

    /// Takes a caller's report and gives the windows that are complete with it.
    pub fn edges(&mut self, event: EventId, data: &TraceEdgesRecorded) -> Vec<Slot> {
        let mut closed = self.close_before(&data.window);
        let slot = self.slot(&data.window);
        slot.reporters.insert(Reporter::Edges(data.caller.clone()));
        for edge in &data.edges {
            let key = (data.caller.clone(), edge.callee.clone());
            slot.edges.insert(key, (event, edge.clone()));
        }
        closed.extend(self.close_if_complete(&data.window));
        closed
    }

    fn slot(&mut self, window: &Window) -> &mut Slot {
        let key = (window.start, window.duration_ms);
        self.open.entry(key).or_insert_with(|| Slot::new(window.clone()))
    }

    // Everything that ends before the newest window begins waits for nobody any more.
    fn close_before(&mut self, window: &Window) -> Vec<Slot> {
        let latest = self.latest_start.map_or(window.start, |start| start.max(window.start));
        self.latest_start = Some(latest);
        let over: Vec<(Timestamp, u64)> = self
            .open
            .iter()
            .filter(|(_, slot)| slot.window.end() <= latest)
            .map(|(key, _)| *key)
            .collect();
        over.into_iter().filter_map(|key| self.close(key)).collect()
    }

    fn close_if_complete(&mut self, window: &Window) -> Option<Slot> {
        let key = (window.start, window.duration_ms);
        let slot = self.open.get(&key)?;
        let complete = !self.expected.is_empty() && self.expected.is_subset(&slot.reporters);
        if complete { self.close(key) } else { None }
    }

    fn close(&mut self, key: (Timestamp, u64)) -> Option<Slot> {
        let slot = self.open.remove(&key)?;
        self.expected.clone_from(&slot.reporters);
        Some(slot)
    }
}
