//! When a window has been reported by everyone who reports.

use std::collections::BTreeSet;

use events::catalogue::telemetry::Window;
use events::{ComponentName, EventData, RecordedEvent, Timestamp};

/// A window is complete when everyone who reported the window before has reported it, or when a
/// later one begins.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    start: Option<Timestamp>,
    before: BTreeSet<Reporter>,
    reported: BTreeSet<Reporter>,
    told: bool,
}

type Reporter = (&'static str, ComponentName);

/// A window is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Complete {
    /// The window's end.
    pub(super) end: Timestamp,
    /// Position of the last event that belongs to it, as far as is known.
    pub(super) position: u64,
}

impl Rounds {
    pub(super) fn observe(&mut self, recorded: &RecordedEvent) -> Option<Complete> {
        let (kind, reporter, window) = match &recorded.event.data {
            _ if recorded.pruned.is_some() => return None,
            EventData::MetricSnapshotRecorded(data) => ("metrics", &data.component, &data.window),
            EventData::TraceEdgesRecorded(data) => ("edges", &data.caller, &data.window),
            _ => return None,
        };
        let mut complete = None;
        if self.start.is_none_or(|start| window.start > start) {
            if self.start.is_some() && !self.told {
                let position = recorded.position.saturating_sub(1);
                complete = Some(Complete { end: window.start, position });
            }
            self.start = Some(window.start);
            self.before = std::mem::take(&mut self.reported);
            self.told = false;
        }
        if self.start == Some(window.start) {
            self.reported.insert((kind, reporter.clone()));
            complete = self.all_reported(window, recorded.position).or(complete);
        }
        complete
    }

    fn all_reported(&mut self, window: &Window, position: u64) -> Option<Complete> {
        if self.told || self.before.is_empty() || !self.reported.is_superset(&self.before) {
            return None;
        }
        self.told = true;
        Some(Complete { end: window.end(), position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::value::Line;
    use events::{Event, EventId, StreamId};

    fn report(rounds: &mut Rounds, position: u64, component: &str, second: i64) -> Option<u64> {
        let data = serde_json::json!({
            "component": component,
            "window": { "start": Timestamp::from_second(second).unwrap(), "duration_ms": 2000 },
        });
        let data = EventData::from_json("io.faultline.metrics.snapshotrecorded.v1", data).unwrap();
        let id = EventId(uuid::Uuid::from_u128(position.into()));
        let event = Event::with_id(id, Line::clipped("/test"), Timestamp::UNIX_EPOCH, data);
        let recorded = RecordedEvent {
            stream: StreamId::new("s").unwrap(),
            revision: position,
            position,
            recorded_at: Timestamp::UNIX_EPOCH,
            event,
            pruned: None,
        };
        rounds.observe(&recorded).map(|complete| complete.position)
    }

    #[test]
    fn a_window_is_complete_once_when_all_have_reported_or_the_next_begins() {
        let mut rounds = Rounds::default();
        assert_eq!(report(&mut rounds, 1, "a", 0), None);
        assert_eq!(report(&mut rounds, 2, "b", 0), None);
        assert_eq!(report(&mut rounds, 3, "a", 2), Some(2), "the first window never could be");
        assert_eq!(report(&mut rounds, 4, "b", 2), Some(4));
        assert_eq!(report(&mut rounds, 5, "c", 2), None);
        assert_eq!(report(&mut rounds, 6, "a", 4), None);
        assert_eq!(report(&mut rounds, 7, "b", 4), None);
        assert_eq!(report(&mut rounds, 8, "a", 6), Some(7), "c is late");
        assert_eq!(report(&mut rounds, 9, "c", 4), None, "too late");
        assert_eq!(report(&mut rounds, 10, "b", 6), Some(10));
    }
}
