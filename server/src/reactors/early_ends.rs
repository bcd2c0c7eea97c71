//! Faults, alerts, incidents and maintenance of which the end is told first, as two senders, or one
//! that retries, bring them into the log. Taken as it comes, such a fault would act, such an alert
//! fire, and such an incident stay open, for good.

use std::collections::{BTreeMap, HashMap};

use events::{EventData, RecordedEvent, StreamId};

/// How many begins without their end are remembered, and how many ends without their begin: those
/// that are missing are near in the log, or never told.
const KEPT: usize = 2_000;

/// What has a begin and an end of which one is known, each by its stream.
#[derive(Default)]
pub(super) struct EarlyEnds {
    begun: Newest<()>,
    ended: Newest<RecordedEvent>,
}

impl EarlyEnds {
    /// Takes the next event of the log. The end of what it begins, when that was told before and
    /// did not happen before: to be taken once more, behind it.
    pub(super) fn observe(&mut self, recorded: &RecordedEvent) -> Option<RecordedEvent> {
        let (stream, position) = (&recorded.stream, recorded.position);
        match &recorded.event.data {
            EventData::FaultInjected(_)
            | EventData::AlertFired(_)
            | EventData::IncidentOpened(_)
            | EventData::IncidentReopened(_)
            | EventData::MaintenanceStarted(_) => {
                let end = self.ended.remove(stream);
                let end = end.filter(|end| end.event.time >= recorded.event.time);
                if end.is_none() {
                    self.begun.insert(stream, position, ());
                }
                end
            }
            EventData::FaultCleared(_)
            | EventData::AlertResolved(_)
            | EventData::IncidentResolved(_)
            | EventData::IncidentMerged(_)
            | EventData::MaintenanceEnded(_) => {
                if self.begun.remove(stream).is_none() {
                    self.ended.insert(stream, position, recorded.clone());
                }
                None
            }
            _ => None,
        }
    }
}

/// The newest of many, by stream.
struct Newest<T> {
    of: HashMap<StreamId, (u64, T)>,
    by_position: BTreeMap<u64, StreamId>,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self { of: HashMap::new(), by_position: BTreeMap::new() }
    }
}

impl<T> Newest<T> {
    fn insert(&mut self, stream: &StreamId, position: u64, told: T) {
        self.remove(stream);
        self.of.insert(stream.clone(), (position, told));
        self.by_position.insert(position, stream.clone());
        if self.of.len() > KEPT
            && let Some((_, oldest)) = self.by_position.pop_first()
        {
            self.of.remove(&oldest);
        }
    }

    fn remove(&mut self, stream: &StreamId) -> Option<T> {
        let (position, told) = self.of.remove(stream)?;
        self.by_position.remove(&position);
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::catalogue::alert::{AlertFired, AlertResolved};
    use events::catalogue::incident::Severity;
    use events::value::Line;
    use events::{AlertId, Event, Timestamp};

    #[derive(Default)]
    struct Log {
        ends: EarlyEnds,
        position: u64,
    }

    fn told(log: &mut Log, at: i64, data: impl Into<EventData>) -> Option<RecordedEvent> {
        log.position += 1;
        let at = Timestamp::from_second(at).unwrap();
        let event = Event::new(Line::clipped("/test"), at, data);
        log.ends.observe(&RecordedEvent {
            stream: event.data.stream(),
            revision: 0,
            position: log.position,
            recorded_at: at,
            event,
            pruned: None,
        })
    }

    fn fired(alert: &str) -> AlertFired {
        AlertFired {
            alert: AlertId::new(alert).unwrap(),
            name: Line::clipped("Slow"),
            severity: Severity::Error,
            component: None,
            summary: None,
            labels: Default::default(),
        }
    }

    fn resolved(alert: &str) -> AlertResolved {
        AlertResolved { alert: AlertId::new(alert).unwrap() }
    }

    #[test]
    fn an_end_told_early_follows_its_begin_once() {
        let mut log = Log::default();
        assert!(told(&mut log, 9, resolved("a1")).is_none());
        assert!(told(&mut log, 1, fired("a2")).is_none());
        let end = told(&mut log, 1, fired("a1")).unwrap();
        assert_eq!(end.event.data, resolved("a1").into());
        assert!(told(&mut log, 2, fired("a1")).is_none());
    }

    #[test]
    fn what_begins_after_an_early_end_goes_on() {
        let mut log = Log::default();
        assert!(told(&mut log, 5, resolved("a1")).is_none());
        assert!(told(&mut log, 6, fired("a1")).is_none());
    }

    #[test]
    fn what_fires_again_with_the_beginning_that_it_had_goes_on() {
        let mut log = Log::default();
        assert!(told(&mut log, 1, fired("a1")).is_none());
        assert!(told(&mut log, 5, resolved("a1")).is_none());
        assert!(told(&mut log, 1, fired("a1")).is_none());
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut log = Log::default();
        for alert in 0..=KEPT {
            told(&mut log, 9, resolved(&format!("a{alert}")));
            told(&mut log, 9, resolved(&format!("a{alert}")));
        }
        assert!(told(&mut log, 1, fired("a0")).is_none());
        assert!(told(&mut log, 1, fired("a1")).is_some());
        assert_eq!(log.ends.ended.of.len(), KEPT - 1);
        assert_eq!(log.ends.ended.by_position.len(), KEPT - 1);
    }
}
