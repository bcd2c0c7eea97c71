//! Alerts of other systems, as part of incidents.
//!
//! An alert that fires joins the incident nearest to its component, or opens one. It holds the
//! incident open until it resolves; one that nothing but alerts made is over with the last of
//! them. An alert whose component is not known is nobody's, and one for the record opens nothing.

use events::catalogue::alert::AlertFired;
use events::catalogue::incident::{
    IncidentOpened, IncidentResolved, Severity, Signal, SymptomAttached,
};
use events::value::{Finite, Line, Text};
use events::{AlertId, ComponentName, Event, EventData, EventId, IncidentId, Timestamp};
use jiff::SignedDuration;

use super::{Decided, Decision, Grouping, OPENED_BY, Open, incident_id};

/// Most alerts under maintenance that are remembered.
const MOST_SILENCED: usize = 10_000;

/// An alert that fires while its component is worked on.
#[derive(Clone, Debug)]
pub(super) struct Silenced {
    event: EventId,
    source: Line,
    data: AlertFired,
}

/// Who tells of an alert, and when it counts.
#[derive(Clone, Copy)]
struct Told<'a> {
    cause: EventId,
    at: Timestamp,
    source: &'a Line,
}

impl Grouping {
    /// Takes what an event says of an alert.
    pub(super) fn alert(&mut self, event: &Event) -> Vec<Decided> {
        match &event.data {
            EventData::AlertFired(data) => {
                let told = Told { cause: event.id, at: event.time, source: &event.source };
                self.fired(told, data)
            }
            EventData::AlertResolved(data) => self.no_longer_fires(event, &data.alert),
            EventData::MaintenanceStarted(data) => {
                let components = data.components.iter().cloned().collect();
                self.maintained.insert(data.maintenance.clone(), components);
                Vec::new()
            }
            EventData::MaintenanceEnded(data) => {
                self.maintained.remove(&data.maintenance);
                self.unsilenced(event)
            }
            _ => Vec::new(),
        }
    }

    fn is_maintained(&self, component: &ComponentName) -> bool {
        self.maintained.values().flatten().any(|maintained| maintained == component)
    }

    /// Alerts that began under maintenance and still fire when it ends are heard then: their
    /// sender repeats them under the same id, which tells nothing new.
    fn unsilenced(&mut self, ended: &Event) -> Vec<Decided> {
        let silenced = std::mem::take(&mut self.silenced);
        let mut decided = Vec::new();
        for (alert, fired) in silenced {
            match fired.data.component.as_ref().is_some_and(|it| self.is_maintained(it)) {
                true => drop(self.silenced.insert(alert, fired)),
                false => {
                    let told = Told { cause: fired.event, at: ended.time, source: &fired.source };
                    decided.extend(self.fired(told, &fired.data));
                }
            }
        }
        decided
    }

    fn fired(&mut self, told: Told<'_>, data: &AlertFired) -> Vec<Decided> {
        let Some(component) = &data.component else { return Vec::new() };
        if self.is_maintained(component) {
            let silenced =
                Silenced { event: told.cause, source: told.source.clone(), data: data.clone() };
            if self.silenced.len() < MOST_SILENCED {
                self.silenced.insert(data.alert.clone(), silenced);
            }
            return Vec::new();
        }
        let firing = self.open.iter().find(|(_, open)| open.alerts.contains(&data.alert));
        if let Some(incident) = firing.map(|(incident, _)| incident.clone()) {
            return self.join(&incident, told, component, data).into_iter().collect();
        }
        let span = self.settings.alert_span;
        match self.home_of(component, told.at, 0, span) {
            Some(incident) => self.join(&incident, told, component, data).into_iter().collect(),
            None if data.severity == Severity::Info => Vec::new(),
            None => self.open_for(told, component, data),
        }
    }

    fn open_for(
        &mut self,
        told: Told<'_>,
        component: &ComponentName,
        data: &AlertFired,
    ) -> Vec<Decided> {
        let id = told.cause.derived("opens an incident");
        let incident = incident_id(id);
        self.open.insert(incident.clone(), Open::ours(told.at, told.at, 0));
        let opened = IncidentOpened {
            incident: incident.clone(),
            title: title(component, data),
            component: component.clone(),
            severity: data.severity,
            opened_by: told.source.clone(),
            evidence: vec![told.cause],
        };
        let decision = Decision::Open { opened, began_at: told.at };
        let opened = Decided { id, cause: told.cause, at: told.at, decision };
        std::iter::once(opened).chain(self.join(&incident, told, component, data)).collect()
    }

    fn join(
        &mut self,
        incident: &IncidentId,
        told: Told<'_>,
        component: &ComponentName,
        data: &AlertFired,
    ) -> Option<Decided> {
        let open = self.open.get_mut(incident)?;
        open.alerts.insert(data.alert.clone());
        open.last_unusual = open.last_unusual.max(told.at);
        let strength = strength(data.severity);
        let key = (component.clone(), Some(Signal::Alert));
        // A further alert on the same component tells nothing unless it is worse.
        if open.symptoms.get(&key).is_some_and(|told| *told >= strength) {
            return None;
        }
        open.symptoms.insert(key, strength);
        let attached = SymptomAttached {
            incident: incident.clone(),
            component: component.clone(),
            signal: Signal::Alert,
            strength: Finite::new(strength).expect("a severity is finite"),
            observed: None,
            baseline: None,
            evidence: vec![told.cause],
        };
        Some(Decided {
            id: told.cause.derived(&format!("symptom of {incident}")),
            cause: told.cause,
            at: told.at,
            decision: Decision::Attach(attached),
        })
    }

    fn no_longer_fires(&mut self, event: &Event, alert: &AlertId) -> Vec<Decided> {
        self.silenced.remove(alert);
        let of = self.open.iter_mut().find(|(_, open)| open.alerts.contains(alert));
        let Some((incident, open)) = of else { return Vec::new() };
        open.alerts.remove(alert);
        open.last_unusual = open.last_unusual.max(event.time);
        let measured = open.symptoms.keys().any(|(_, signal)| *signal != Some(Signal::Alert));
        if !open.ours || measured || !open.alerts.is_empty() {
            return Vec::new();
        }
        let incident = incident.clone();
        self.close(&incident);
        vec![Decided {
            id: event.id.derived(&format!("resolves {incident}")),
            cause: event.id,
            at: event.time,
            decision: Decision::Resolve(IncidentResolved {
                incident,
                by: Line::clipped(OPENED_BY),
                resolution: Some(Text::clipped("Its alerts have resolved.")),
            }),
        }]
    }
}

/// The strength of a symptom that is an alert: its severity, from 1.
fn strength(severity: Severity) -> f64 {
    match severity {
        Severity::Info => 1.0,
        Severity::Warning => 2.0,
        Severity::Error => 3.0,
        Severity::Critical => 4.0,
    }
}

fn title(component: &ComponentName, data: &AlertFired) -> Line {
    let said = data.summary.as_ref().map(|text| text.as_str().split_whitespace());
    let said = said.map(|words| words.collect::<Vec<_>>().join(" ")).unwrap_or_default();
    let name = &data.name;
    match said.is_empty() {
        true => Line::clipped(&format!("{name} on {component}")),
        false => Line::clipped(&format!("{name} on {component}: {said}")),
    }
}

impl Open {
    /// Whether something that happens at `at` may still be part of it. What detectors opened is
    /// closed when it is calm; what people left open, or what an alert holds open, takes in
    /// nothing once it has been calm for long.
    pub(super) fn is_alive(&self, at: Timestamp, patience: SignedDuration) -> bool {
        let closes_by_itself = self.ours && self.alerts.is_empty();
        closes_by_itself || at.duration_since(self.last_unusual) < patience
    }
}
