//! What was true while a recording was made. The detector never sees it.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    ComponentName, Event, EventData, EventId, FaultKind, IncidentId, LabelId, MaintenanceId,
};
use jiff::{SignedDuration, Timestamp};

use crate::verdict::{Opinion, verdict};

/// A fault that was injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Unique within the recording.
    pub name: String,
    /// What kind of fault, where that is told.
    pub kind: Option<FaultKind>,
    /// Where.
    pub component: ComponentName,
    /// When it began to act.
    pub from: Timestamp,
    /// When it no longer acted.
    pub until: Timestamp,
}

/// Something else that explains an alarm, wherever it is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end; the same moment for a change.
    pub until: Timestamp,
}

/// See the [module](super).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// What was injected, by time.
    pub injections: Vec<Injection>,
    /// What else explains an alarm.
    pub reasons: Vec<Reason>,
}

impl Truth {
    /// What a recording's events tell: faults, changes, maintenance, and incidents of which the
    /// labels that count name a root cause or a fault kind. A fault that nobody cleared acted
    /// until its deadline, or to the end.
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Event>) -> Self {
        let mut reading = Reading::default();
        for event in events {
            reading.take(event);
        }
        reading.finish()
    }
}

#[derive(Default)]
struct Reading {
    injections: BTreeMap<String, Injection>,
    reasons: Vec<Reason>,
    maintenance: BTreeMap<MaintenanceId, Timestamp>,
    /// Start of the window that an event tells of.
    starts: BTreeMap<EventId, Timestamp>,
    incidents: BTreeMap<IncidentId, Reason>,
    opinions: BTreeMap<IncidentId, Vec<Opinion>>,
    retracted: BTreeSet<LabelId>,
    end: Option<Timestamp>,
}

impl Reading {
    fn take(&mut self, event: &Event) {
        let at = event.time;
        self.end = self.end.max(Some(at));
        match &event.data {
            EventData::MetricSnapshotRecorded(data) => {
                self.starts.insert(event.id, data.window.start);
            }
            EventData::TraceEdgesRecorded(data) => {
                self.starts.insert(event.id, data.window.start);
            }
            EventData::FaultInjected(data) => {
                let deadline = data.deadline_ms.map(|ms| at + millis(ms.get()));
                let injection = Injection {
                    name: data.fault.as_str().to_owned(),
                    kind: Some(data.kind.clone()),
                    component: data.component.clone(),
                    from: at,
                    until: deadline.unwrap_or(Timestamp::MAX),
                };
                self.injections.insert(injection.name.clone(), injection);
            }
            EventData::FaultCleared(data) => {
                if let Some(injection) = self.injections.get_mut(data.fault.as_str()) {
                    injection.until = at.max(injection.from);
                }
            }
            EventData::DeploymentRecorded(_) | EventData::ConfigurationChanged(_) => {
                self.reasons.push(Reason { from: at, until: at });
            }
            EventData::MaintenanceStarted(data) => {
                self.maintenance.insert(data.maintenance.clone(), at);
            }
            EventData::MaintenanceEnded(data) => {
                let from = self.maintenance.remove(&data.maintenance).unwrap_or(at);
                self.reasons.push(Reason { from, until: at });
            }
            EventData::IncidentOpened(data) => {
                // The first unusual window of those that it was opened for.
                let unusual = data.evidence.iter().filter_map(|id| self.starts.get(id));
                let from = unusual.copied().min().unwrap_or(at).min(at);
                let reason = Reason { from, until: Timestamp::MAX };
                self.incidents.insert(data.incident.clone(), reason);
            }
            EventData::IncidentResolved(data) => {
                if let Some(reason) = self.incidents.get_mut(&data.incident) {
                    reason.until = at.max(reason.from);
                }
            }
            EventData::LabelAssigned(data) => {
                self.opinions.entry(data.incident.clone()).or_default().push(Opinion {
                    label: data.label.clone(),
                    claim: data.claim.clone(),
                    confidence: data.confidence.get(),
                    at,
                    retracted: false,
                });
            }
            EventData::LabelRetracted(data) => {
                self.retracted.insert(data.label.clone());
            }
            _ => {}
        }
    }

    fn finish(mut self) -> Truth {
        let end = self.end.unwrap_or(Timestamp::MIN);
        for (incident, mut opinions) in self.opinions {
            for opinion in &mut opinions {
                opinion.retracted = self.retracted.contains(&opinion.label);
            }
            let verdict = verdict(opinions);
            let explained = verdict.root_cause().is_some() || verdict.fault_kind().is_some();
            self.reasons.extend(self.incidents.get(&incident).filter(|_| explained));
        }
        let lasting = self.maintenance.into_values();
        self.reasons.extend(lasting.map(|from| Reason { from, until: end }));
        for reason in &mut self.reasons {
            reason.until = reason.until.min(end.max(reason.from));
        }
        let mut injections: Vec<Injection> = self.injections.into_values().collect();
        for injection in &mut injections {
            injection.until = injection.until.min(end);
        }
        injections.sort_by(|a, b| a.from.cmp(&b.from).then_with(|| a.name.cmp(&b.name)));
        Truth { injections, reasons: self.reasons }
    }
}

fn millis(ms: f64) -> SignedDuration {
    SignedDuration::from_millis(ms as i64)
}
