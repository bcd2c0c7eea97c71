//! Alerts of other systems, as part of incidents.
//!
//! An alert that fires joins the incident nearest to its component, or opens one. It holds the
//! incident open until it resolves; one that nothing but alerts made is over with the last of
//! them. An alert whose component is not known is nobody's, and one for the record opens nothing.

use std::collections::BTreeSet;

use events::catalogue::alert::AlertFired;
use events::catalogue::incident::{
    IncidentOpened, IncidentResolved, Severity, Signal, SymptomAttached,
};
use events::value::{Finite, Line, Text};
use events::{AlertId, ComponentName, Event, EventData, IncidentId, Timestamp};
use jiff::SignedDuration;

use super::{Decided, Decision, Grouping, OPENED_BY, Open, incident_id};

impl Grouping {
    /// Takes what an event says of an alert.
    pub(super) fn alert(&mut self, event: &Event) -> Vec<Decided> {
        match &event.data {
            EventData::AlertFired(data) => self.fired(event, data),
            EventData::AlertResolved(data) => self.no_longer_fires(event, &data.alert),
            EventData::MaintenanceStarted(data) => {
                let components = data.components.iter().cloned().collect();
                self.maintained.insert(data.maintenance.clone(), components);
                Vec::new()
            }
            EventData::MaintenanceEnded(data) => {
                self.maintained.remove(&data.maintenance);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn fired(&mut self, event: &Event, data: &AlertFired) -> Vec<Decided> {
        let Some(component) = &data.component else { return Vec::new() };
        if self.maintained.values().flatten().any(|maintained| maintained == component) {
            return Vec::new();
        }
        if let Some(open) = self.open.values_mut().find(|it| it.alerts.contains(&data.alert)) {
            open.last_unusual = open.last_unusual.max(event.time);
            return Vec::new();
        }
        let span = self.settings.alert_span;
        match self.home_of(component, event.time, 0, span) {
            Some(incident) => self.join(&incident, event, component, data).into_iter().collect(),
            None if data.severity == Severity::Info => Vec::new(),
            None => self.open_for(event, component, data),
        }
    }

    fn open_for(
        &mut self,
        event: &Event,
        component: &ComponentName,
        data: &AlertFired,
    ) -> Vec<Decided> {
        let id = event.id.derived("opens an incident");
        let incident = incident_id(id);
        self.open.insert(incident.clone(), Open::ours(event.time, 0));
        let opened = IncidentOpened {
            incident: incident.clone(),
            title: title(component, data),
            component: component.clone(),
            severity: data.severity,
            opened_by: event.source.clone(),
            evidence: vec![event.id],
        };
        let decision = Decision::Open { opened, began_at: event.time };
        let opened = Decided { id, cause: event.id, at: event.time, decision };
        std::iter::once(opened).chain(self.join(&incident, event, component, data)).collect()
    }

    fn join(
        &mut self,
        incident: &IncidentId,
        event: &Event,
        component: &ComponentName,
        data: &AlertFired,
    ) -> Option<Decided> {
        let open = self.open.get_mut(incident)?;
        open.alerts.insert(data.alert.clone());
        open.last_unusual = open.last_unusual.max(event.time);
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
            evidence: vec![event.id],
        };
        Some(Decided {
            id: event.id.derived(&format!("symptom of {incident}")),
            cause: event.id,
            at: event.time,
            decision: Decision::Attach(attached),
        })
    }

    fn no_longer_fires(&mut self, event: &Event, alert: &AlertId) -> Vec<Decided> {
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

/// Alerts that fire, of one incident.
pub(super) type Firing = BTreeSet<AlertId>;
