//! What is unusual right now, and which unusual things are one incident.
//!
//! [`Detector`] compares every window of every component and edge with their own recent past;
//! [`Grouping`] decides which anomalies open an incident, which join one and when one is over.
//! Both are folds over the log: the same events give the same answers with the same ids, so that
//! a crash or a replay repeats nothing.

mod assembly;
mod grouping;
mod history;
mod judge;
mod novelty;
mod picture;
mod rhythm;
mod telling;
mod topology;

use std::collections::{BTreeMap, BTreeSet};

use events::catalogue::diagnosis::{AnomalyDetected, AnomalyPart};
use events::catalogue::telemetry::Window;
use events::value::{Line, NonNegative};
use events::{ComponentName, EventData, EventId, IncidentId, MaintenanceId, RecordedEvent};
use jiff::{SignedDuration, Timestamp};

pub use grouping::{Decided, Decision, Grouping, GroupingSettings, OPENED_BY};
pub use topology::Topology;

use assembly::{Assembly, Slot};
use history::{History, Subject};

/// The detector's name and version, as it stands in the events.
pub const DETECTOR: &str = "robust-window@4";

/// When a window counts as unusual.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Usual windows that must have been seen before any is called unusual.
    pub least_windows: usize,
    /// Usual windows that are remembered.
    pub most_windows: usize,
    /// Unusual windows in a row that make an anomaly, unless one alone is overwhelming.
    pub in_a_row: usize,
    /// Windows after which what stays unusual is the new usual: more or less load, or use of a
    /// resource. Failures, slow answers and absence never are, unless a person ended their incident.
    pub relearn_after: usize,
    /// A time without telemetry after which what was usual says nothing of now: it is learned
    /// anew.
    pub forget_after: SignedDuration,
    /// Windows that a report may be late and still be judged and learned from. What is older is
    /// history that someone loads, not what is going on.
    pub most_late: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            least_windows: 6,
            most_windows: 30,
            in_a_row: 2,
            relearn_after: 150,
            forget_after: SignedDuration::from_hours(1),
            most_late: 30,
        }
    }
}

/// A window of a component is unlike its past.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    /// The component.
    pub component: ComponentName,
    /// Which window.
    pub window: Window,
    /// Start of the first unusual window in a row.
    pub since: Timestamp,
    /// How unusual in all: the strongest deviation.
    pub score: NonNegative,
    /// The unusual signals, the strongest first.
    pub parts: Vec<AnomalyPart>,
    /// The telemetry that shows it, this window's first, then that of the windows since
    /// [`Self::since`].
    pub evidence: Vec<EventId>,
}

impl Anomaly {
    /// The id of the event that tells of it: derived from the telemetry, hence the same whenever
    /// the log is read again.
    pub fn event_id(&self) -> EventId {
        let first = self.evidence.first().copied().unwrap_or(EventId(uuid::Uuid::nil()));
        first.derived(&format!("anomaly of {}", self.component))
    }

    /// The event's data. It happened at the window's end.
    pub fn to_data(&self) -> AnomalyDetected {
        AnomalyDetected {
            component: self.component.clone(),
            window: self.window.clone(),
            detector: Line::clipped(DETECTOR),
            score: self.score,
            parts: self.parts.clone(),
            evidence: self.evidence.clone(),
        }
    }
}

/// What a part of an anomaly is called where parts are compared: its signal.
pub fn part_name(part: &AnomalyPart) -> String {
    format!("{:?}", part.signal).to_lowercase()
}

/// Watches telemetry, window by window.
#[derive(Debug, Default)]
pub struct Detector {
    settings: Settings,
    assembly: Assembly,
    topology: Topology,
    histories: BTreeMap<Subject, History>,
    maintenance: BTreeMap<MaintenanceId, BTreeSet<ComponentName>>,
    /// The components of incidents that are open.
    open: BTreeMap<IncidentId, BTreeSet<ComponentName>>,
    /// End of the latest window that was judged.
    latest_end: Option<Timestamp>,
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Takes the next event of the log. Windows are judged when they are complete: when
    /// everything that reported in the window before has reported, or when a later window
    /// begins. Faults, experiments and labels are not looked at.
    pub fn observe(&mut self, recorded: &RecordedEvent) -> Vec<Anomaly> {
        let event = recorded.event.id;
        self.topology.observe(&recorded.event.data);
        self.follow_incidents(&recorded.event.data);
        let closed = match &recorded.event.data {
            // What was pruned was judged when it was whole.
            _ if recorded.pruned.is_some() => Vec::new(),
            EventData::MetricSnapshotRecorded(data) => self.assembly.snapshot(event, data),
            EventData::TraceEdgesRecorded(data) => self.assembly.edges(event, data),
            EventData::LogPatternsRecorded(data) => self.assembly.logs(event, data),
            EventData::MaintenanceStarted(data) => {
                let components = data.components.iter().cloned().collect();
                self.maintenance.insert(data.maintenance.clone(), components);
                Vec::new()
            }
            EventData::MaintenanceEnded(data) => {
                self.maintenance.remove(&data.maintenance);
                Vec::new()
            }
            _ => Vec::new(),
        };
        closed.into_iter().flat_map(|slot| self.judge(&slot)).collect()
    }

    /// What a person ends may become usual where it goes on all the same.
    fn follow_incidents(&mut self, data: &EventData) {
        match data {
            EventData::IncidentOpened(it) => {
                self.open.entry(it.incident.clone()).or_default().insert(it.component.clone());
            }
            EventData::SymptomAttached(it) => {
                if let Some(components) = self.open.get_mut(&it.incident) {
                    components.insert(it.component.clone());
                }
            }
            EventData::IncidentMerged(it) => {
                let components = self.open.remove(&it.incident).unwrap_or_default();
                self.open.entry(it.into.clone()).or_default().extend(components);
            }
            EventData::IncidentResolved(it) => {
                let components = self.open.remove(&it.incident).unwrap_or_default();
                if it.by.as_str() != OPENED_BY {
                    let of = |subject: &Subject| components.contains(subject.component());
                    let histories = self.histories.iter_mut();
                    histories.filter(|(it, _)| of(it)).for_each(|(_, history)| history.accept());
                }
            }
            _ => {}
        }
    }

    fn judge(&mut self, slot: &Slot) -> Vec<Anomaly> {
        if !self.is_of_now(slot) {
            return Vec::new();
        }
        let context = judge::Context::of(slot, &self.histories, &self.topology);
        let mut findings = context.findings(&self.settings);
        let silenced: BTreeSet<&ComponentName> = self.maintenance.values().flatten().collect();
        findings.retain(|finding| !silenced.contains(finding.subject.component()));
        let skip = |subject: &Subject| silenced.contains(subject.component());
        history::learn(&mut self.histories, slot, &findings, &self.settings, skip);

        let in_a_row = self.settings.in_a_row;
        picture::anomalies(slot, &findings, &self.histories, &self.topology, in_a_row)
    }

    /// Whether the window is not much older than the latest; after a long silence the past is
    /// forgotten.
    fn is_of_now(&mut self, slot: &Slot) -> bool {
        let (start, end) = (slot.window.start, slot.window.end());
        let Some(latest) = self.latest_end else {
            self.latest_end = Some(end);
            return true;
        };
        let patience = slot.window.duration_ms.saturating_mul(u64::from(self.settings.most_late));
        let patience = SignedDuration::from_millis(i64::try_from(patience).unwrap_or(i64::MAX));
        if latest.duration_since(end) > patience {
            return false;
        }
        if start.duration_since(latest) > self.settings.forget_after {
            // What a component writes into its log outlives a silence, and what hours bring.
            self.histories.retain(|subject, history| {
                matches!(subject, Subject::Logs(_)) || history.forget_lately()
            });
        }
        self.latest_end = Some(latest.max(end));
        true
    }
}

#[cfg(test)]
mod tests;
