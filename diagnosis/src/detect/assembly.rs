//! Puts the reports of one window together before it is judged.
//!
//! What a fault looks like is told by several reports (the component's own, its callers'), and
//! they arrive one by one. A window that is judged report by report would open an incident at
//! whichever component's report came first.

use std::collections::{BTreeMap, BTreeSet};

use events::catalogue::telemetry::{
    CallStatistics, LogPatternsRecorded, MetricSnapshotRecorded, TraceEdgesRecorded, Window,
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
    pub logs: BTreeMap<ComponentName, (EventId, LogPatternsRecorded)>,
    reporters: BTreeSet<Reporter>,
}

impl Slot {
    fn new(window: Window) -> Self {
        let (snapshots, edges, logs, reporters) = Default::default();
        Self { window, snapshots, edges, logs, reporters }
    }

    /// Length of the window in seconds.
    pub fn seconds(&self) -> f64 {
        self.window.duration_ms.max(1) as f64 / 1_000.0
    }
}

/// Most windows that wait for further reports: of reporters whose windows do not begin together
/// there may be several, and what reaches far ahead would wait for ever.
const MOST_OPEN: usize = 64;

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

    /// Takes a component's log report. Nobody waits for one: when everything else has reported, a
    /// window is judged without it, and the report with the next window.
    pub fn logs(&mut self, event: EventId, data: &LogPatternsRecorded) -> Vec<Slot> {
        let mut closed = self.close_before(&data.window);
        let slot = self.slot(&data.window);
        slot.logs.insert(data.component.clone(), (event, data.clone()));
        if self.is_late(&data.window) {
            closed.extend(self.open.remove(&(data.window.start, data.window.duration_ms)));
        }
        closed
    }

    fn is_late(&self, window: &Window) -> bool {
        self.latest_start.is_some_and(|latest| window.end() <= latest)
    }

    fn slot(&mut self, window: &Window) -> &mut Slot {
        let key = (window.start, window.duration_ms);
        self.open.entry(key).or_insert_with(|| Slot::new(window.clone()))
    }

    // Everything that ends before the newest window begins waits for nobody any more.
    fn close_before(&mut self, window: &Window) -> Vec<Slot> {
        let latest = self.latest_start.map_or(window.start, |start| start.max(window.start));
        self.latest_start = Some(latest);
        let surplus = self.open.len().saturating_sub(MOST_OPEN);
        let over: Vec<(Timestamp, u64)> = self
            .open
            .iter()
            .enumerate()
            .filter(|(index, (_, slot))| *index < surplus || slot.window.end() <= latest)
            .map(|(_, (key, _))| *key)
            .collect();
        over.into_iter().filter_map(|key| self.close(key)).collect()
    }

    fn close_if_complete(&mut self, window: &Window) -> Option<Slot> {
        let key = (window.start, window.duration_ms);
        let slot = self.open.get(&key)?;
        let complete = !self.expected.is_empty() && self.expected.is_subset(&slot.reporters);
        if self.is_late(window) {
            // Who else reported then says nothing of who reports now.
            return self.open.remove(&key);
        }
        if complete { self.close(key) } else { None }
    }

    fn close(&mut self, key: (Timestamp, u64)) -> Option<Slot> {
        let slot = self.open.remove(&key)?;
        if !slot.reporters.is_empty() {
            self.expected.clone_from(&slot.reporters);
        }
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(component: &str, second: i64) -> (EventId, MetricSnapshotRecorded) {
        let data = MetricSnapshotRecorded {
            component: ComponentName::new(component).unwrap(),
            window: Window { start: Timestamp::from_second(second).unwrap(), duration_ms: 10_000 },
            requests: Some(1),
            errors: None,
            latency: None,
            saturation: None,
            cpu_cores: None,
            memory_bytes: None,
            extras: BTreeMap::new(),
        };
        (EventId(uuid::Uuid::from_u128(u128::from(second.unsigned_abs()))), data)
    }

    fn tell(assembly: &mut Assembly, component: &str, second: i64) -> Vec<usize> {
        let (event, data) = report(component, second);
        assembly.snapshot(event, &data).iter().map(|slot| slot.snapshots.len()).collect()
    }

    #[test]
    fn a_window_closes_with_the_last_of_the_usual_reports() {
        let mut assembly = Assembly::default();
        assert!(tell(&mut assembly, "a", 0).is_empty(), "who reports is not known yet");
        assert!(tell(&mut assembly, "b", 0).is_empty());
        assert_eq!(tell(&mut assembly, "b", 10), [2], "a later window ends the first");
        assert_eq!(tell(&mut assembly, "a", 10), [2], "complete at once");
    }

    #[test]
    fn whoever_falls_silent_is_waited_for_one_window_only() {
        let mut assembly = Assembly::default();
        for second in [0, 10] {
            tell(&mut assembly, "a", second);
            tell(&mut assembly, "b", second);
        }
        assert!(tell(&mut assembly, "a", 20).is_empty());
        assert_eq!(tell(&mut assembly, "a", 30), [1, 1], "b is no longer expected");
    }

    #[test]
    fn windows_that_never_end_do_not_pile_up() {
        let mut assembly = Assembly::default();
        for second in 0..1_000 {
            let (event, mut data) = report("a", second);
            data.window.duration_ms = 1_000_000_000;
            assembly.snapshot(event, &data);
        }
        assert!(assembly.open.len() <= MOST_OPEN + 1);
    }

    #[test]
    fn a_late_report_is_judged_by_itself() {
        let mut assembly = Assembly::default();
        for second in [0, 10, 20] {
            tell(&mut assembly, "a", second);
        }
        assert_eq!(tell(&mut assembly, "b", 0), [1]);
    }
}
