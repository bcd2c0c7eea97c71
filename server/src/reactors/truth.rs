//! What experiments teach: an incident that a known fault caused is labelled with it, and what
//! ended the fault is what fixed the incident.
//!
//! The first fault that acted when an incident was opened is its root cause; one that begins
//! later made it worse, and caused nothing of an incident that no known fault began. What is
//! known to be another system is not concerned. The labels are for later incidents: the diagnosis of the same incident never sees them (DI-3).

use std::collections::{BTreeMap, HashMap, VecDeque};

use diagnosis::detect::{OPENED_BY, Topology};
use events::catalogue::experiment::{FaultCleared, FaultInjected};
use events::catalogue::incident::{IncidentOpened, MitigationApplied};
use events::catalogue::label::{Claim, LabelAssigned};
use events::catalogue::telemetry::Window;
use events::value::{Line, Ratio};
use events::{
    ComponentName, Event, EventData, EventId, FaultId, IncidentId, LabelId, RecordedEvent,
    Timestamp,
};

use jiff::SignedDuration;

use super::reaction::{of_incident, source};

/// How many windows are remembered by their event: an incident names the windows it was opened
/// for, and is opened shortly after them.
const WINDOWS_KEPT: usize = 10_000;
/// How long a fault is believed to act that has no deadline and whose end nobody tells.
const LONGEST_UNTOLD: SignedDuration = SignedDuration::from_hours(24);
/// How long an incident is believed to go on that somebody opened and of which nothing is told any
/// more. The detector says when one of its own is over, however long that takes, and tells a symptom
/// again only when it is much stronger: of those an end is believed after [`LONGEST_UNTOLD`].
const LONGEST_SILENCE: SignedDuration = SignedDuration::from_hours(1);
/// How many faults, and how many incidents, are remembered: those that ended first, or are believed
/// to end first, are forgotten first.
const MOST_REMEMBERED: usize = 2_000;

impl Fault {
    /// When it stopped acting, at the latest; the driver undoes what nobody clears at its
    /// deadline.
    fn ended_at(&self) -> Timestamp {
        if let Some(cleared) = &self.cleared {
            return cleared.at;
        }
        let deadline = self.data.deadline_ms.map(|ms| SignedDuration::from_millis(ms.get() as i64));
        let lasts = deadline.unwrap_or(LONGEST_UNTOLD);
        self.from.saturating_add(lasts).unwrap_or(Timestamp::MAX)
    }
}

/// A fold over faults and incidents.
#[derive(Default)]
pub(super) struct Truth {
    faults: BTreeMap<FaultId, Fault>,
    incidents: BTreeMap<IncidentId, Incident>,
    windows: HashMap<EventId, Timestamp>,
    windows_by_age: VecDeque<EventId>,
}

struct Fault {
    event: EventId,
    data: FaultInjected,
    from: Timestamp,
    cleared: Option<Cleared>,
}

#[derive(Clone)]
struct Cleared {
    event: EventId,
    at: Timestamp,
    action: Line,
}

impl Cleared {
    fn told(event: &Event, data: &FaultCleared) -> Self {
        Self { event: event.id, at: event.time, action: data.action.clone() }
    }

    fn by(event: &Event) -> Option<Self> {
        match &event.data {
            EventData::FaultCleared(data) => Some(Self::told(event, data)),
            _ => None,
        }
    }
}

struct Incident {
    /// Where it was noticed.
    component: ComponentName,
    /// Start of the first unusual window.
    from: Timestamp,
    opened_at: Timestamp,
    /// When it was opened, joined by a symptom or dealt with, the last time.
    told_at: Timestamp,
    /// Opened by the detector.
    detected: bool,
    until: Option<Timestamp>,
    /// In the order in which they were found; the first is the root cause.
    faults: Vec<FaultId>,
}

impl Incident {
    /// When it was over, at the latest.
    fn ended_at(&self) -> Timestamp {
        self.until.unwrap_or_else(|| {
            let lasts = if self.detected { LONGEST_UNTOLD } else { LONGEST_SILENCE };
            self.told_at.saturating_add(lasts).unwrap_or(Timestamp::MAX)
        })
    }
}

impl Truth {
    /// Takes the next event of the log, the end of what it begins when that was told before, and
    /// the calls that are known. Answers what follows from it.
    pub(super) fn observe(
        &mut self,
        recorded: &RecordedEvent,
        end: Option<&RecordedEvent>,
        calls: &Topology,
    ) -> Vec<Event> {
        let (event, end) = (&recorded.event, end.map(|end| &end.event));
        match &event.data {
            EventData::MetricSnapshotRecorded(data) => self.remember(event.id, &data.window),
            EventData::TraceEdgesRecorded(data) => self.remember(event.id, &data.window),
            EventData::AnomalyDetected(data) => self.remember(event.id, &data.window),
            EventData::FaultInjected(data) => return self.injected(event, data, end, calls),
            EventData::FaultCleared(data) => return self.cleared(event, data),
            EventData::IncidentOpened(data) => return self.opened(event, data, end, calls),
            EventData::IncidentResolved(data) => self.ended(&data.incident, Some(event.time)),
            EventData::IncidentMerged(data) => self.ended(&data.incident, Some(event.time)),
            EventData::IncidentReopened(data) => {
                self.ended(&data.incident, end.map(|end| end.time));
                self.told(&data.incident, event.time);
            }
            EventData::SymptomAttached(data) => self.told(&data.incident, event.time),
            EventData::IncidentAcknowledged(data) => self.told(&data.incident, event.time),
            EventData::MitigationApplied(data) => self.told(&data.incident, event.time),
            EventData::IncidentMitigated(data) => self.told(&data.incident, event.time),
            _ => {}
        }
        Vec::new()
    }

    fn remember(&mut self, event: EventId, window: &Window) {
        self.windows.insert(event, window.start);
        self.windows_by_age.push_back(event);
        if self.windows_by_age.len() > WINDOWS_KEPT
            && let Some(oldest) = self.windows_by_age.pop_front()
        {
            self.windows.remove(&oldest);
        }
    }

    fn ended(&mut self, incident: &IncidentId, until: Option<Timestamp>) {
        if let Some(incident) = self.incidents.get_mut(incident) {
            incident.until = until;
        }
    }

    fn told(&mut self, incident: &IncidentId, at: Timestamp) {
        if let Some(incident) = self.incidents.get_mut(incident) {
            incident.told_at = incident.told_at.max(at);
        }
    }

    fn injected(
        &mut self,
        event: &Event,
        data: &FaultInjected,
        end: Option<&Event>,
        calls: &Topology,
    ) -> Vec<Event> {
        let cleared = end.and_then(Cleared::by);
        let fault = Fault { event: event.id, data: data.clone(), from: event.time, cleared };
        let mut decided = Vec::new();
        for (id, incident) in &mut self.incidents {
            decided.extend(link(id, incident, &fault, calls, event.id));
        }
        self.faults.insert(data.fault.clone(), fault);
        if self.faults.len() > MOST_REMEMBERED {
            forget_one(&mut self.faults, Fault::ended_at);
        }
        decided
    }

    fn cleared(&mut self, event: &Event, data: &FaultCleared) -> Vec<Event> {
        let Some(fault) = self.faults.get_mut(&data.fault) else {
            return Vec::new();
        };
        let cleared = Cleared::told(event, data);
        fault.cleared = Some(cleared.clone());
        self.incidents
            .iter()
            .filter(|(_, incident)| incident.faults.contains(&data.fault))
            .map(|(id, incident)| mitigation(id, incident, fault, &cleared, event.id))
            .collect()
    }

    fn opened(
        &mut self,
        event: &Event,
        data: &IncidentOpened,
        end: Option<&Event>,
        calls: &Topology,
    ) -> Vec<Event> {
        let from = data.evidence.iter().filter_map(|event| self.windows.get(event)).min();
        let mut incident = Incident {
            component: data.component.clone(),
            from: from.copied().unwrap_or(event.time).min(event.time),
            opened_at: event.time,
            told_at: event.time,
            detected: data.opened_by.as_str() == OPENED_BY,
            until: end.map(|end| end.time),
            faults: Vec::new(),
        };
        let mut faults: Vec<&Fault> = self.faults.values().collect();
        faults.sort_by_key(|fault| (fault.from, fault.event));
        let mut decided = Vec::new();
        for fault in faults {
            decided.extend(link(&data.incident, &mut incident, fault, calls, event.id));
        }
        self.incidents.entry(data.incident.clone()).or_insert(incident);
        if self.incidents.len() > MOST_REMEMBERED {
            forget_one(&mut self.incidents, Incident::ended_at);
        }
        decided
    }
}

/// Removes what comes first by `age`.
fn forget_one<K: Ord + Clone, V, A: Ord>(all: &mut BTreeMap<K, V>, age: impl Fn(&V) -> A) {
    let oldest = all.iter().min_by_key(|(_, value)| age(value)).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        all.remove(&oldest);
    }
}

/// Labels the incident with the fault when they overlap in time and may be of one system.
fn link(
    id: &IncidentId,
    incident: &mut Incident,
    fault: &Fault,
    calls: &Topology,
    cause: EventId,
) -> Vec<Event> {
    let began_before_the_end = fault.from < incident.ended_at();
    let ended_after_the_begin = fault.ended_at() > incident.from;
    if !(began_before_the_end && ended_after_the_begin)
        || incident.faults.contains(&fault.data.fault)
        || (incident.faults.is_empty() && fault.from > incident.opened_at)
        || calls.are_apart(&fault.data.component, &incident.component)
    {
        return Vec::new();
    }
    let component = fault.data.component.clone();
    let claims = if incident.faults.is_empty() {
        vec![
            ("root cause", Claim::RootCause { component }),
            ("fault kind", Claim::FaultKind { fault_kind: fault.data.kind.clone() }),
        ]
    } else {
        vec![("contributing factor", Claim::ContributingFactor { component })]
    };
    incident.faults.push(fault.data.fault.clone());
    let mut decided: Vec<Event> = claims
        .into_iter()
        .map(|(role, claim)| {
            let event = fault.event.derived(&format!("{role} of {id}"));
            let label = LabelAssigned {
                label: LabelId::new(event.to_string()).expect("a UUID's text is 36 characters"),
                incident: id.clone(),
                claim,
                by: by(fault),
                confidence: Ratio::new(1.0).expect("1 is a ratio"),
                fault: Some(fault.data.fault.clone()),
                comment: None,
            };
            let time = fault.from.max(incident.opened_at);
            of_incident(event, source::LABELS, id, cause, time, label)
        })
        .collect();
    if let Some(cleared) = &fault.cleared {
        decided.push(mitigation(id, incident, fault, cleared, cause));
    }
    decided
}

fn mitigation(
    id: &IncidentId,
    incident: &Incident,
    fault: &Fault,
    cleared: &Cleared,
    cause: EventId,
) -> Event {
    let data = MitigationApplied {
        incident: id.clone(),
        action: cleared.action.clone(),
        component: Some(fault.data.component.clone()),
        runbook: None,
        by: by(fault),
    };
    let event = cleared.event.derived(&format!("mitigation of {id}"));
    of_incident(event, source::LABELS, id, cause, cleared.at.max(incident.opened_at), data)
}

fn by(fault: &Fault) -> Line {
    match &fault.data.experiment {
        Some(experiment) => Line::clipped(&format!("experiment {experiment}")),
        None => Line::clipped(&format!("fault {}", fault.data.fault)),
    }
}

#[cfg(test)]
mod tests;
