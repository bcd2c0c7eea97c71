//! When an incident is diagnosed: as soon as it opens, and again after every further window
//! until the answer has settled. One that settled without any suspect is asked again when another
//! symptom is told.

use std::collections::BTreeMap;

use events::catalogue::diagnosis::DiagnosisProposed;
use events::catalogue::incident::Signal;
use events::{ComponentName, EventData, EventId, FaultKind, IncidentId, RecordedEvent, Timestamp};

use super::rounds::Rounds;

/// Attempts in a row with the same answer after which an incident is left alone.
const SETTLED_AFTER: u32 = 3;

/// An incident to be diagnosed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) incident: IncidentId,
    /// The event that opened the incident.
    pub(super) opened: EventId,
    /// The event that made it time.
    pub(super) cause: EventId,
    /// The evidence is everything up to here.
    pub(super) position: u64,
    /// When, by the events' own time.
    pub(super) at: Timestamp,
}

impl Attempt {
    /// The id of the proposal that comes of it.
    pub(super) fn event_id(&self) -> EventId {
        self.cause.derived(&format!("diagnosis of {}", self.incident))
    }
}

/// What a reader would call the same answer: suspects in order, the kind of fault, the similar
/// incidents in order. Scores move with every window.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    suspects: Vec<ComponentName>,
    fault_kind: Option<FaultKind>,
    similar: Vec<IncidentId>,
}

struct Watched {
    opened: EventId,
    /// What it was opened for.
    cause: Option<EventId>,
    last: Option<Answer>,
    proposed: u32,
    same: u32,
}

/// A fold over the log that knows which incidents are due.
pub(super) struct Attempts {
    max: u32,
    rounds: Rounds,
    watched: BTreeMap<IncidentId, Watched>,
    /// Open, and left alone without an answer.
    unanswered: BTreeMap<IncidentId, Watched>,
}

impl Attempts {
    /// At most `max` proposals an incident.
    pub(super) fn new(max: u32) -> Self {
        Self {
            max,
            rounds: Rounds::default(),
            watched: BTreeMap::new(),
            unanswered: BTreeMap::new(),
        }
    }

    /// Takes the next event of the log. Every attempt is to be answered by [`Self::settle`].
    pub(super) fn observe(&mut self, recorded: &RecordedEvent) -> Vec<Attempt> {
        let event = &recorded.event;
        match &event.data {
            EventData::IncidentOpened(data) => {
                let (opened, cause) = (event.id, event.causation_id);
                let watched = Watched { opened, cause, last: None, proposed: 0, same: 0 };
                self.watched.entry(data.incident.clone()).or_insert(watched);
                return vec![Attempt {
                    incident: data.incident.clone(),
                    opened: event.id,
                    cause: event.id,
                    position: recorded.position,
                    at: event.time,
                }];
            }
            EventData::SymptomAttached(data) => {
                if let Some(watched) = self.unanswered.remove(&data.incident) {
                    let again = Watched { same: 0, ..watched };
                    self.watched.insert(data.incident.clone(), again);
                }
                // Who sends alerts alone sends no windows to wait for. The alert that opened the
                // incident was seen when it was opened.
                if data.signal == Signal::Alert
                    && let Some(watched) = self.watched.get(&data.incident)
                    && watched.cause != event.causation_id
                {
                    return vec![Attempt {
                        incident: data.incident.clone(),
                        opened: watched.opened,
                        cause: event.id,
                        position: recorded.position,
                        at: event.time,
                    }];
                }
            }
            EventData::IncidentResolved(data) => self.forget(&data.incident),
            EventData::IncidentMerged(data) => self.forget(&data.incident),
            _ => {}
        }
        let Some(complete) = self.rounds.observe(recorded) else {
            return Vec::new();
        };
        self.watched
            .iter()
            .map(|(incident, watched)| Attempt {
                incident: incident.clone(),
                opened: watched.opened,
                cause: event.id,
                position: complete.position,
                at: complete.end,
            })
            .collect()
    }

    fn forget(&mut self, incident: &IncidentId) {
        self.watched.remove(incident);
        self.unanswered.remove(incident);
    }

    /// Whether `proposal` says something that the incident's last one did not.
    pub(super) fn is_news(&self, proposal: &DiagnosisProposed) -> bool {
        let known = self.watched.get(&proposal.incident).and_then(|watched| watched.last.as_ref());
        known != Some(&answer(proposal))
    }

    /// What came of an attempt: a proposal, or the same answer as before.
    pub(super) fn settle(&mut self, incident: &IncidentId, proposal: Option<&DiagnosisProposed>) {
        let Some(watched) = self.watched.get_mut(incident) else {
            return;
        };
        match proposal {
            Some(proposal) => {
                watched.last = Some(answer(proposal));
                watched.proposed += 1;
                watched.same = 0;
            }
            None => watched.same += 1,
        }
        let given_up = watched.proposed >= self.max;
        if !given_up && watched.same < SETTLED_AFTER {
            return;
        }
        if let Some(watched) = self.watched.remove(incident)
            && !given_up
            && watched.last.as_ref().is_none_or(|answer| answer.suspects.is_empty())
        {
            self.unanswered.insert(incident.clone(), watched);
        }
    }
}

fn answer(proposal: &DiagnosisProposed) -> Answer {
    Answer {
        suspects: proposal.suspects.iter().take(3).map(|s| s.component.clone()).collect(),
        fault_kind: proposal.suspects.first().and_then(|suspect| suspect.fault_kind.clone()),
        similar: proposal.similar.iter().take(3).map(|s| s.incident.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::catalogue::diagnosis::Suspect;
    use events::catalogue::incident::{IncidentOpened, IncidentResolved, Severity};
    use events::value::{Finite, Line};
    use events::{DiagnosisId, Event, StreamId};

    fn recorded(position: u64, data: impl Into<EventData>) -> RecordedEvent {
        let id = EventId(uuid::Uuid::from_u128(position.into()));
        RecordedEvent {
            event: Event::with_id(id, Line::clipped("/test"), Timestamp::UNIX_EPOCH, data),
            stream: StreamId::new("s").unwrap(),
            revision: position,
            position,
            recorded_at: Timestamp::UNIX_EPOCH,
            pruned: None,
        }
    }

    fn incident() -> IncidentId {
        IncidentId::new("i-1").unwrap()
    }

    fn opened(position: u64) -> RecordedEvent {
        let data = IncidentOpened {
            incident: incident(),
            title: Line::clipped("t"),
            component: ComponentName::new("gateway").unwrap(),
            severity: Severity::Error,
            opened_by: Line::clipped("test"),
            evidence: vec![],
        };
        recorded(position, data)
    }

    /// The only reporter's window: each report completes its own.
    fn window(position: u64) -> RecordedEvent {
        let start = Timestamp::from_second(i64::try_from(position).unwrap() * 2).unwrap();
        let data = serde_json::json!({
            "component": "gateway", "window": { "start": start, "duration_ms": 2000 } });
        let data = EventData::from_json("io.faultline.metrics.snapshotrecorded.v1", data);
        recorded(position, data.unwrap())
    }

    fn proposal(suspect: &str) -> DiagnosisProposed {
        DiagnosisProposed {
            incident: incident(),
            diagnosis: DiagnosisId::new("d").unwrap(),
            method: Line::clipped("m@1"),
            model: None,
            evidence_position: 1,
            abstained: None,
            suspects: vec![Suspect {
                component: ComponentName::new(suspect).unwrap(),
                score: Finite::new(1.0).unwrap(),
                fault_kind: None,
                terms: vec![],
                path: vec![],
            }],
            similar: vec![],
            fingerprint: None,
            told: None,
        }
    }

    #[test]
    fn an_incident_is_diagnosed_when_it_opens_and_window_by_window_until_it_settles() {
        let mut attempts = Attempts::new(8);
        assert!(attempts.observe(&window(1)).is_empty());
        assert!(attempts.observe(&window(2)).is_empty());
        let first = attempts.observe(&opened(3));
        assert_eq!((first.len(), first[0].position), (1, 3));
        assert!(attempts.is_news(&proposal("a")));
        attempts.settle(&incident(), Some(&proposal("a")));
        assert!(!attempts.is_news(&proposal("a")));
        assert!(attempts.is_news(&proposal("b")));
        for position in 4..7 {
            let again = attempts.observe(&window(position));
            assert_eq!((again.len(), again[0].position), (1, position));
            assert_ne!(again[0].event_id(), first[0].event_id());
            attempts.settle(&incident(), None);
        }
        assert!(attempts.observe(&window(7)).is_empty(), "three times the same answer");
    }

    #[test]
    fn an_answer_that_keeps_changing_is_given_up_at_the_limit() {
        let mut attempts = Attempts::new(3);
        attempts.observe(&window(1));
        attempts.observe(&opened(2));
        for (position, suspect) in [(3, "a"), (4, "b"), (5, "a")] {
            attempts.settle(&incident(), Some(&proposal(suspect)));
            let due = attempts.observe(&window(position)).len();
            assert_eq!(due, usize::from(position < 5));
        }
    }

    #[test]
    fn a_new_symptom_asks_again_about_an_incident_without_an_answer() {
        use events::catalogue::incident::{Signal, SymptomAttached};
        let symptom = |position| {
            let data = SymptomAttached {
                incident: incident(),
                component: ComponentName::new("cart").unwrap(),
                signal: Signal::Latency,
                strength: Finite::new(9.0).unwrap(),
                observed: None,
                baseline: None,
                evidence: vec![],
            };
            recorded(position, data)
        };
        let abstained = DiagnosisProposed { suspects: vec![], ..proposal("a") };
        for (answer, asked_again) in [(abstained, 1), (proposal("a"), 0)] {
            let mut attempts = Attempts::new(8);
            attempts.observe(&window(1));
            attempts.observe(&opened(2));
            attempts.settle(&incident(), Some(&answer));
            for position in 3..6 {
                attempts.observe(&window(position));
                attempts.settle(&incident(), None);
            }
            assert!(attempts.observe(&window(6)).is_empty(), "it has settled");
            attempts.observe(&symptom(7));
            assert_eq!(attempts.observe(&window(8)).len(), asked_again);
        }
    }

    #[test]
    fn an_incident_that_is_over_is_left_alone() {
        let mut attempts = Attempts::new(8);
        attempts.observe(&window(1));
        attempts.observe(&opened(2));
        let over =
            IncidentResolved { incident: incident(), by: Line::clipped("test"), resolution: None };
        attempts.observe(&recorded(3, over));
        assert!(attempts.observe(&window(4)).is_empty());
    }
}
