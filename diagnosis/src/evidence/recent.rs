//! The measurements of the last minutes, for whoever follows the log.

use std::collections::BTreeMap;

use events::{EventData, RecordedEvent, Timestamp};
use jiff::SignedDuration;

use super::{EdgeEvidence, LogEvidence, SnapshotEvidence};

/// How far behind an event's time windows are kept: evidence reaches some 25 minutes back from the
/// last window that it asks for.
const KEPT: SignedDuration = SignedDuration::from_mins(40);
/// How many measurements are kept at most, a snapshot, a call and a log pattern each one: as many as
/// 500 components have in that time that tell four every ten seconds. The oldest windows are
/// forgotten first.
const MOST_MEASUREMENTS: usize = 480_000;

/// What was measured in a span of time, in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Golden signals.
    pub snapshots: Vec<SnapshotEvidence>,
    /// Calls that were observed.
    pub edges: Vec<EdgeEvidence>,
    /// Log lines.
    pub logs: Vec<LogEvidence>,
}

/// A fold over the log, from its begin: the windows that the newest incidents are about, so that
/// whoever follows the log need not read them back from a store.
#[derive(Debug)]
pub struct RecentWindows {
    windows: BTreeMap<(Timestamp, u64), Measurements>,
    /// How many measurements these have.
    count: usize,
    most: usize,
    /// Of what begins from here on nothing was forgotten.
    complete_from: Option<Timestamp>,
    /// Of what the log holds up to here nothing is missing.
    followed_to: u64,
}

impl Default for RecentWindows {
    fn default() -> Self {
        Self {
            windows: BTreeMap::new(),
            count: 0,
            most: MOST_MEASUREMENTS,
            complete_from: None,
            followed_to: 0,
        }
    }
}

/// Of one event.
#[derive(Clone, Debug)]
enum Measurements {
    Snapshot(SnapshotEvidence),
    Edges(Vec<EdgeEvidence>),
    Logs(LogEvidence),
}

impl Measurements {
    /// The measurements of an event, and the start of their window. What was pruned has none.
    fn read(recorded: &RecordedEvent) -> Option<(Timestamp, Self)> {
        if recorded.pruned.is_some() {
            return None;
        }
        let id = recorded.event.id;
        Some(match &recorded.event.data {
            EventData::MetricSnapshotRecorded(data) => {
                (data.window.start, Self::Snapshot(SnapshotEvidence::new(id, data.clone())))
            }
            EventData::TraceEdgesRecorded(data) => {
                (data.window.start, Self::Edges(EdgeEvidence::of(id, data.clone()).collect()))
            }
            EventData::LogPatternsRecorded(data) => {
                (data.window.start, Self::Logs(LogEvidence::new(id, data.clone())))
            }
            _ => return None,
        })
    }

    fn count(&self) -> usize {
        match self {
            Self::Snapshot(_) => 1,
            Self::Edges(edges) => edges.len().max(1),
            Self::Logs(logs) => logs.patterns.len().max(1),
        }
    }
}

impl RecentWindows {
    /// Takes the next event of the log.
    pub fn observe(&mut self, recorded: &RecordedEvent) {
        self.followed_to = recorded.position;
        let Some((start, window)) = Measurements::read(recorded) else { return };
        let oldest = recorded.event.time.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
        self.forget_before(oldest);
        if self.complete_from.is_some_and(|from| start < from) {
            return;
        }
        self.count += window.count();
        self.windows.insert((start, recorded.position), window);
        while self.count > self.most
            && let Some(forgotten) = self.forget_first()
        {
            let next = Timestamp::from_nanosecond(forgotten.as_nanosecond() + 1);
            self.forget_before(next.unwrap_or(Timestamp::MAX));
        }
    }

    fn forget_before(&mut self, oldest: Timestamp) {
        if self.complete_from.is_some_and(|from| oldest <= from) {
            return;
        }
        self.complete_from = Some(oldest);
        while self.windows.first_entry().is_some_and(|first| first.key().0 < oldest) {
            self.forget_first();
        }
    }

    /// Forgets the first window; when it began.
    fn forget_first(&mut self) -> Option<Timestamp> {
        let ((start, _), window) = self.windows.pop_first()?;
        self.count -= window.count();
        Some(start)
    }

    /// What was measured in the windows that begin at `from` or later and before `to`, as far as
    /// the log reached to `position`. `None` where something was forgotten, or not yet told.
    pub fn between(&self, from: Timestamp, to: Timestamp, position: u64) -> Option<Measured> {
        if self.complete_from.is_none_or(|complete| from < complete) || position > self.followed_to
        {
            return None;
        }
        let mut measured = Measured::default();
        if to <= from {
            return Some(measured);
        }
        for ((_, told_at), window) in self.windows.range((from, 0)..(to, 0)) {
            if *told_at > position {
                continue;
            }
            match window.clone() {
                Measurements::Snapshot(snapshot) => measured.snapshots.push(snapshot),
                Measurements::Edges(edges) => measured.edges.extend(edges),
                Measurements::Logs(logs) => measured.logs.push(logs),
            }
        }
        Some(measured)
    }
}

#[cfg(test)]
mod tests {
    use events::catalogue::telemetry::{
        CallStatistics, LogPatternsRecorded, MetricSnapshotRecorded, TraceEdgesRecorded, Window,
    };
    use events::value::Line;
    use events::{ComponentName, Event, EventId, RecordHash};

    use super::*;

    #[derive(Default)]
    struct Log {
        recent: RecentWindows,
        position: u64,
    }

    fn second(at: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + at).unwrap()
    }

    fn cart() -> ComponentName {
        ComponentName::new("cart").unwrap()
    }

    fn window(at: i64) -> Window {
        Window { start: second(at), duration_ms: 2_000 }
    }

    impl Log {
        fn push(&mut self, at: i64, data: impl Into<EventData>, pruned: bool) {
            self.position += 1;
            let data = data.into();
            let id = EventId(uuid::Uuid::from_u128(self.position.into()));
            self.recent.observe(&RecordedEvent {
                stream: data.stream(),
                revision: self.position,
                position: self.position,
                recorded_at: second(at),
                event: Event::with_id(id, Line::clipped("/test"), second(at), data),
                pruned: pruned.then_some(RecordHash([7; 32])),
            });
        }

        fn snapshot(&mut self, at: i64) {
            self.push(at, snapshot(at), false);
        }

        /// Starts of the snapshots from one second to another.
        fn starts(&self, from: i64, to: i64) -> Option<Vec<i64>> {
            let measured = self.recent.between(second(from), second(to), self.position)?;
            let start = |it: &SnapshotEvidence| it.window.start.as_second() - 1_000_000;
            Some(measured.snapshots.iter().map(start).collect())
        }
    }

    fn snapshot(at: i64) -> MetricSnapshotRecorded {
        MetricSnapshotRecorded {
            component: cart(),
            window: window(at),
            requests: Some(10),
            errors: None,
            latency: None,
            saturation: None,
            cpu_cores: None,
            memory_bytes: None,
            extras: BTreeMap::new(),
        }
    }

    fn calls(at: i64, count: usize) -> TraceEdgesRecorded {
        let edge = CallStatistics {
            callee: cart(),
            calls: 1,
            errors: 0,
            latency: None,
            exemplar_trace_ids: Vec::new(),
        };
        TraceEdgesRecorded { caller: cart(), window: window(at), edges: vec![edge; count] }
    }

    #[test]
    fn a_span_has_the_windows_that_begin_in_it_and_were_told_by_then() {
        let mut log = Log::default();
        assert_eq!(log.starts(0, 10), None, "nothing was followed");
        for at in [4, 0, 2, 6] {
            log.snapshot(at);
        }
        log.push(4, calls(2, 2), false);
        let patterns =
            LogPatternsRecorded { component: cart(), window: window(2), patterns: Vec::new() };
        log.push(4, patterns, false);
        log.push(4, snapshot(3), true);
        assert_eq!(log.starts(2, 6), Some(vec![2, 4]), "what was pruned is not there");
        assert_eq!(log.starts(6, 2), Some(vec![]));
        let measured = log.recent.between(second(0), second(9), log.position).unwrap();
        assert_eq!((measured.edges.len(), measured.logs.len()), (2, 1));
        let before = log.recent.between(second(0), second(9), 2).unwrap();
        assert_eq!((before.snapshots.len(), before.edges.len()), (2, 0));
        assert_eq!(log.recent.between(second(0), second(9), log.position + 1), None);
    }

    #[test]
    fn what_may_have_been_forgotten_is_not_answered() {
        let mut log = Log::default();
        let long = KEPT.as_secs();
        log.snapshot(0);
        log.snapshot(1);
        log.snapshot(long + 1);
        assert_eq!(log.starts(0, 9), None);
        assert_eq!(log.starts(1, 9), Some(vec![1]));
        // Told of late: neither kept nor claimed to be there.
        log.snapshot(-9);
        assert_eq!(log.starts(-9, 9), None);
        assert_eq!(log.starts(1, long + 9), Some(vec![1, long + 1]));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut log = Log::default();
        log.recent.most = 9;
        for _ in 0..7 {
            log.snapshot(0);
        }
        log.push(2, calls(2, 2), false);
        assert_eq!(log.starts(0, 9), Some(vec![0; 7]));
        log.snapshot(3);
        assert_eq!(log.starts(0, 9), None, "one of the first second is gone");
        assert_eq!(log.starts(1, 9), Some(vec![3]));
        assert_eq!(log.recent.count, 3);
        log.push(4, calls(4, 9), false);
        assert_eq!((log.recent.count, log.starts(4, 9)), (9, Some(vec![])));
        log.push(5, calls(5, 10), false);
        assert_eq!((log.recent.count, log.starts(5, 9)), (0, None), "too many by themselves");
    }
}
