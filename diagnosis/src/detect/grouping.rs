//! Which anomalies are one incident.
//!
//! Trouble spreads along calls, so anomalies that are near in the call graph while an incident is
//! open belong to it. An incident is over when none of its components was unusual for a while;
//! what is told of its time later still belongs to it.
//! Alerts of other systems open incidents and join them the same way.

mod alerts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use events::catalogue::incident::{
    IncidentMitigated, IncidentOpened, IncidentResolved, Signal, SymptomAttached,
};
use events::catalogue::telemetry::Window;
use events::value::{Line, Text};
use events::{
    AlertId, ComponentName, EventData, EventId, IncidentId, MaintenanceId, RecordedEvent,
};
use jiff::{SignedDuration, Timestamp};

use super::{Anomaly, Topology, telling};

/// Who the grouping's incidents are opened and resolved by.
pub const OPENED_BY: &str = "/faultline/detector";
/// A symptom is told again when it has grown by this factor.
const WORSE: f64 = 3.0;
/// Incidents that are over and are remembered in case they are reopened.
const MOST_CLOSED: usize = 1_000;

/// What is near enough in the graph and in time.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupingSettings {
    /// Calls between components of one incident.
    pub hops: usize,
    /// Windows without an anomaly after which an incident is over.
    pub calm_windows: u64,
    /// Windows without an anomaly after which an incident that something was done against is
    /// mitigated: users no longer notice it, and whether it is over is not known yet.
    pub mitigated_windows: u64,
    /// How long after the last sign of an incident an alert near it is still part of it.
    pub alert_span: SignedDuration,
}

impl Default for GroupingSettings {
    fn default() -> Self {
        let alert_span = SignedDuration::from_mins(15);
        Self { hops: 2, calm_windows: 5, mitigated_windows: 2, alert_span }
    }
}

/// An event to append.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The event's id, derived from its cause.
    pub id: EventId,
    /// The event that led to it.
    pub cause: EventId,
    /// When it happened: the end of the window that showed it.
    pub at: Timestamp,
    /// What.
    pub decision: Decision,
}

impl Decided {
    /// The event's data.
    pub fn data(self) -> EventData {
        match self.decision {
            Decision::Open { opened, .. } => opened.into(),
            Decision::Attach(attached) => attached.into(),
            Decision::Mitigate(mitigated) => mitigated.into(),
            Decision::Resolve(resolved) => resolved.into(),
        }
    }
}

/// What to do about anomalies, or their absence.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// A new incident.
    Open {
        /// Its first event.
        opened: IncidentOpened,
        /// Start of the first unusual window.
        began_at: Timestamp,
    },
    /// Another symptom of an open incident.
    Attach(SymptomAttached),
    /// What was done against the incident has helped.
    Mitigate(IncidentMitigated),
    /// The incident is over.
    Resolve(IncidentResolved),
}

#[derive(Clone, Debug, PartialEq)]
struct Open {
    symptoms: BTreeMap<(ComponentName, Option<Signal>), f64>,
    /// Its alerts that fire.
    alerts: BTreeSet<AlertId>,
    began_at: Timestamp,
    last_unusual: Timestamp,
    window_ms: u64,
    ours: bool,
    /// When something was last done against it, until that is told to have helped.
    acted_at: Option<Timestamp>,
    mitigated: bool,
    /// Closed because nothing was unusual any more, not by a word.
    calmed: bool,
}

impl Open {
    /// One that this grouping opens.
    fn ours(began_at: Timestamp, last_unusual: Timestamp, window_ms: u64) -> Self {
        Self {
            began_at,
            symptoms: BTreeMap::new(),
            alerts: BTreeSet::new(),
            last_unusual,
            window_ms,
            ours: true,
            acted_at: None,
            mitigated: false,
            calmed: false,
        }
    }

    fn components(&self) -> impl Iterator<Item = &ComponentName> {
        self.symptoms.keys().map(|(component, _)| component)
    }
}

/// Open incidents, as the log and the anomalies make them.
#[derive(Debug, Default)]
pub struct Grouping {
    settings: GroupingSettings,
    topology: Topology,
    open: BTreeMap<IncidentId, Open>,
    closed: BTreeMap<IncidentId, Open>,
    closed_by_age: VecDeque<IncidentId>,
    latest_start: Option<Timestamp>,
    /// Components under maintenance, of which alerts say nothing.
    maintained: BTreeMap<MaintenanceId, BTreeSet<ComponentName>>,
    /// Alerts on them that fire.
    silenced: BTreeMap<AlertId, alerts::Silenced>,
}

impl Grouping {
    /// A grouping that knows of no incident.
    pub fn new(settings: GroupingSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Takes the next event of the log and the anomalies that the detector found in it. Decides
    /// about incidents of its own; those that people opened are joined but never resolved.
    pub fn observe(&mut self, recorded: &RecordedEvent, anomalies: &[Anomaly]) -> Vec<Decided> {
        self.topology.observe(&recorded.event.data);
        self.follow(recorded);
        let (mut decided, mut strangers) = (self.alert(&recorded.event), Vec::new());
        for anomaly in anomalies {
            let (start, window_ms) = (anomaly.window.start, anomaly.window.duration_ms);
            let home = self.home_of(&anomaly.component, start, window_ms, SignedDuration::ZERO);
            match home.or_else(|| self.past_home_of(anomaly)) {
                Some(incident) => decided.extend(self.attach(&incident, anomaly)),
                None => strangers.push(anomaly),
            }
        }
        for cluster in self.clusters(strangers) {
            decided.extend(self.open(&cluster));
        }
        decided.extend(self.mitigate_calm(recorded.event.id));
        decided.extend(self.resolve_calm(recorded.event.id));
        decided
    }

    /// The calls that the log has told so far.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    // What people, and this grouping's own events when the log is read again, say of incidents.
    fn follow(&mut self, recorded: &RecordedEvent) {
        let at = recorded.event.time;
        match &recorded.event.data {
            EventData::MetricSnapshotRecorded(data) => self.advance(data.window.start),
            EventData::TraceEdgesRecorded(data) => self.advance(data.window.start),
            EventData::IncidentOpened(data) if !self.knows(&data.incident) => {
                let symptoms = BTreeMap::from([((data.component.clone(), None), 0.0)]);
                let open = Open { symptoms, ours: false, ..Open::ours(at, at, 0) };
                self.open.insert(data.incident.clone(), open);
            }
            EventData::MitigationApplied(data) => {
                if let Some(open) = self.open.get_mut(&data.incident) {
                    open.acted_at = open.acted_at.max(Some(at));
                }
            }
            EventData::IncidentMitigated(data) => {
                if let Some(open) = self.open.get_mut(&data.incident) {
                    open.mitigated = true;
                }
            }
            EventData::IncidentResolved(data) => self.close(&data.incident),
            EventData::IncidentReopened(data) => {
                if let Some(mut open) = self.closed.remove(&data.incident) {
                    open.ours = false;
                    (open.acted_at, open.mitigated, open.calmed) = (None, false, false);
                    open.last_unusual = self.latest_start.map_or(at, |latest| latest.max(at));
                    self.open.insert(data.incident.clone(), open);
                }
            }
            EventData::IncidentMerged(data) => {
                let merged = self.open.get(&data.incident).cloned();
                self.close(&data.incident);
                if let Some((into, merged)) = self.open.get_mut(&data.into).zip(merged) {
                    into.symptoms.extend(merged.symptoms);
                    into.alerts.extend(merged.alerts);
                    into.last_unusual = into.last_unusual.max(merged.last_unusual);
                }
            }
            _ => {}
        }
    }

    fn knows(&self, incident: &IncidentId) -> bool {
        self.open.contains_key(incident) || self.closed.contains_key(incident)
    }

    fn close(&mut self, incident: &IncidentId) {
        if let Some(open) = self.open.remove(incident) {
            self.closed.insert(incident.clone(), open);
            self.closed_by_age.push_back(incident.clone());
            // One that was reopened and closed again stands in the queue twice and may be
            // forgotten early: then nothing joins it when it is reopened once more.
            if self.closed_by_age.len() > MOST_CLOSED
                && let Some(oldest) = self.closed_by_age.pop_front()
            {
                self.closed.remove(&oldest);
            }
        }
    }

    fn advance(&mut self, start: Timestamp) {
        self.latest_start = Some(self.latest_start.map_or(start, |latest| latest.max(start)));
    }

    /// Something was done against the incident, and since then none of its components was unusual
    /// for [`GroupingSettings::mitigated_windows`].
    fn mitigate_calm(&mut self, cause: EventId) -> Vec<Decided> {
        let Some(now) = self.latest_start else { return Vec::new() };
        let windows = self.settings.mitigated_windows;
        let mut decided = Vec::new();
        for (incident, open) in &mut self.open {
            let Some(acted_at) = open.acted_at.filter(|_| open.ours && !open.mitigated) else {
                continue;
            };
            let calm_since = open.last_unusual.max(acted_at);
            if now.duration_since(calm_since) < patience(open.window_ms, windows) {
                continue;
            }
            open.mitigated = true;
            decided.push(Decided {
                id: cause.derived(&format!("mitigates {incident}")),
                cause,
                at: now,
                decision: Decision::Mitigate(IncidentMitigated {
                    incident: incident.clone(),
                    by: Line::clipped(OPENED_BY),
                }),
            });
        }
        decided
    }

    fn resolve_calm(&mut self, cause: EventId) -> Vec<Decided> {
        let Some(now) = self.latest_start else { return Vec::new() };
        let calm = |open: &Open| {
            open.ours
                && open.alerts.is_empty()
                && now.duration_since(open.last_unusual) >= self.patience(open.window_ms)
        };
        let over: Vec<IncidentId> =
            self.open.iter().filter(|(_, open)| calm(open)).map(|(id, _)| id.clone()).collect();
        over.into_iter()
            .map(|incident| {
                if let Some(open) = self.open.get_mut(&incident) {
                    open.calmed = true;
                }
                self.close(&incident);
                let windows = self.settings.calm_windows;
                let resolution = format!("Nothing unusual for {windows} windows.");
                Decided {
                    id: cause.derived(&format!("resolves {incident}")),
                    cause,
                    at: now,
                    decision: Decision::Resolve(IncidentResolved {
                        incident,
                        by: Line::clipped(OPENED_BY),
                        resolution: Some(Text::clipped(&resolution)),
                    }),
                }
            })
            .collect()
    }

    // How long an incident stays open without anything unusual.
    fn patience(&self, window_ms: u64) -> SignedDuration {
        patience(window_ms, self.settings.calm_windows)
    }

    // The open incident with a component nearest to this one; among equals the lesser id.
    fn home_of(
        &self,
        component: &ComponentName,
        at: Timestamp,
        window_ms: u64,
        least: SignedDuration,
    ) -> Option<IncidentId> {
        let is_alive = |open: &Open| {
            let held = if open.alerts.is_empty() { least } else { self.settings.alert_span };
            open.is_alive(at, self.patience(open.window_ms.max(window_ms)).max(held))
        };
        let alive = self.open.iter().filter(|(_, open)| is_alive(open));
        self.nearest(alive, component)
    }

    // As [`Self::home_of`], among the incidents that had become calm when the anomaly was told.
    fn past_home_of(&self, anomaly: &Anomaly) -> Option<IncidentId> {
        let (start, end) = (anomaly.window.start, anomaly.window.end());
        let of_its_time = |open: &Open| {
            let patience = self.patience(open.window_ms.max(anomaly.window.duration_ms));
            open.calmed
                && start.duration_since(open.last_unusual) < patience
                && open.began_at.duration_since(end) < patience
        };
        let past = self.closed.iter().filter(|(_, open)| of_its_time(open));
        self.nearest(past, &anomaly.component)
    }

    fn nearest<'a>(
        &self,
        incidents: impl Iterator<Item = (&'a IncidentId, &'a Open)>,
        component: &ComponentName,
    ) -> Option<IncidentId> {
        let distance = |open: &Open| {
            let hops = open
                .components()
                .filter_map(|member| self.topology.hops(member, component, self.settings.hops));
            hops.min()
        };
        let near = incidents.filter_map(|(id, open)| Some((distance(open)?, id)));
        near.min().map(|(_, id)| id.clone())
    }

    fn clusters<'a>(&self, anomalies: Vec<&'a Anomaly>) -> Vec<Vec<&'a Anomaly>> {
        let mut clusters: Vec<Vec<&Anomaly>> = Vec::new();
        for anomaly in anomalies {
            let near = |cluster: &Vec<&Anomaly>| {
                cluster.iter().any(|member| {
                    let hops = self.settings.hops;
                    self.topology.hops(&member.component, &anomaly.component, hops).is_some()
                })
            };
            let (joined, mut apart): (Vec<_>, Vec<_>) = clusters.into_iter().partition(near);
            let mut joined: Vec<&Anomaly> = joined.into_iter().flatten().collect();
            joined.push(anomaly);
            apart.push(joined);
            clusters = apart;
        }
        clusters
    }

    fn open(&mut self, cluster: &[&Anomaly]) -> Vec<Decided> {
        let most_visible = cluster.iter().min_by(|a, b| {
            let depth = |anomaly: &Anomaly| self.topology.depth(&anomaly.component);
            let depths = depth(a).cmp(&depth(b));
            depths.then_with(|| b.score.get().total_cmp(&a.score.get()))
        });
        let Some(&noticed) = most_visible else { return Vec::new() };
        let cause = noticed.event_id();
        let id = cause.derived("opens an incident");
        let incident = incident_id(id);
        let began_at = cluster.iter().map(|a| a.since).min().unwrap_or(noticed.since);
        let mut evidence: Vec<EventId> = Vec::new();
        for anomaly in cluster {
            evidence.push(anomaly.event_id());
            evidence.extend(&anomaly.evidence);
        }
        evidence.sort();
        evidence.dedup();
        let opened = IncidentOpened {
            incident: incident.clone(),
            title: telling::title(noticed, cluster.len()),
            component: noticed.component.clone(),
            severity: telling::severity(cluster, &self.topology),
            opened_by: Line::clipped(OPENED_BY),
            evidence,
        };
        let Window { start, duration_ms } = noticed.window;
        let open = Open::ours(start, noticed.window.end(), duration_ms);
        self.open.insert(incident.clone(), open);
        let decision = Decision::Open { opened, began_at };
        let mut decided = vec![Decided { id, cause, at: noticed.window.end(), decision }];
        for anomaly in cluster {
            decided.extend(self.attach(&incident, anomaly));
        }
        decided
    }

    fn attach(&mut self, incident: &IncidentId, anomaly: &Anomaly) -> Vec<Decided> {
        let known = self.open.get_mut(incident).or_else(|| self.closed.get_mut(incident));
        let Some(open) = known else { return Vec::new() };
        open.began_at = open.began_at.min(anomaly.window.start);
        open.last_unusual = open.last_unusual.max(anomaly.window.end());
        open.window_ms = open.window_ms.max(anomaly.window.duration_ms);
        let cause = anomaly.event_id();
        let mut decided = Vec::new();
        for part in &anomaly.parts {
            let key = (anomaly.component.clone(), Some(part.signal));
            let strength = part.deviation.get();
            let told = open.symptoms.get(&key).copied();
            if told.is_some_and(|told| strength.abs() < told.abs() * WORSE) {
                continue;
            }
            open.symptoms.insert(key, strength);
            decided.push(Decided {
                id: cause.derived(&format!("{:?} symptom of {incident}", part.signal)),
                cause,
                at: anomaly.window.end(),
                decision: Decision::Attach(SymptomAttached {
                    incident: incident.clone(),
                    component: anomaly.component.clone(),
                    signal: part.signal,
                    strength: part.deviation,
                    observed: Some(part.observed),
                    baseline: Some(part.baseline),
                    evidence: anomaly.evidence.clone(),
                }),
            });
        }
        decided
    }
}

/// The incident that an event with this id opens.
fn incident_id(opened_by: EventId) -> IncidentId {
    let digits: String = opened_by.0.simple().to_string().chars().take(12).collect();
    IncidentId::new(format!("inc-{digits}"))
        .expect("sixteen printable characters are an incident id")
}

fn patience(window_ms: u64, windows: u64) -> SignedDuration {
    let wait = window_ms.saturating_mul(windows);
    SignedDuration::from_millis(i64::try_from(wait).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
