//! What of a case a diagnosis may see: the same choice that the live path makes of its graph.

use diagnosis::evidence::{
    AlertEvidence, Call, Change, ChangeEvidence, EdgeEvidence, Evidence, Gathered, LogEvidence,
    SnapshotEvidence,
};
use events::{Event, EventData, EventId};
use jiff::SignedDuration;

use crate::case::Noticed;

/// How far evidence reaches around the moment that an incident was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Length of the baseline before it.
    pub before: SignedDuration,
    /// Longest time from it on.
    pub after: SignedDuration,
}

impl Default for Span {
    /// Ten minutes on both sides, as a server looks.
    fn default() -> Self {
        Self { before: SignedDuration::from_mins(10), after: SignedDuration::from_mins(10) }
    }
}

impl Span {
    /// How far the cases of a data set are looked at. Where nothing is known around most faults
    /// (traces of three minutes), the day before them is the baseline.
    pub fn of(data_set: &str) -> Self {
        match data_set {
            "nezha" => Self { before: SignedDuration::from_hours(24), ..Self::default() },
            _ => Self::default(),
        }
    }
}

impl Span {
    /// Whether an event can be part of the evidence of an incident that was noticed as told: what
    /// was measured at another time is not, but for who calls whom.
    pub fn may_show(&self, event: &Event, noticed: &Noticed) -> bool {
        let reach = (noticed.at - self.before)..(noticed.at + self.after);
        let tells_calls = matches!(event.data, EventData::TraceEdgesRecorded(_));
        tells_calls || event.data.window().is_none_or(|window| reach.contains(&window.start))
    }
}

/// The evidence in `events` for an incident that was noticed as told. Faults, experiments and
/// labels among the events have no place in it.
pub fn gather<'e>(
    events: impl IntoIterator<Item = &'e Event>,
    noticed: &Noticed,
    span: Span,
) -> Evidence {
    let mut gathered = Gathered {
        noticed: noticed.component.clone(),
        noticed_at: noticed.at,
        calls: Vec::new(),
        snapshots: Vec::new(),
        edges: Vec::new(),
        logs: Vec::new(),
        changes: Vec::new(),
        alerts: Vec::new(),
    };
    let longest = noticed.at + span.after;
    let end = noticed.until.map_or(longest, |until| until.min(longest));
    let reach = (noticed.at - span.before)..end;
    for event in events {
        match &event.data {
            EventData::MetricSnapshotRecorded(data) if reach.contains(&data.window.start) => {
                gathered.snapshots.push(SnapshotEvidence::new(event.id, data.clone()));
            }
            EventData::TraceEdgesRecorded(data) if reach.contains(&data.window.start) => {
                gathered.edges.extend(EdgeEvidence::of(event.id, data.clone()));
            }
            EventData::LogPatternsRecorded(data) if reach.contains(&data.window.start) => {
                gathered.logs.push(LogEvidence::new(event.id, data.clone()));
            }
            EventData::AlertFired(data) if reach.contains(&event.time) => {
                gathered.alerts.extend(AlertEvidence::new(event.id, event.time, data));
            }
            EventData::DependencyObserved(data) => gathered
                .calls
                .push(Call { caller: data.caller.clone(), callee: data.callee.clone() }),
            EventData::TraceEdgesRecorded(data) => {
                let calls = data
                    .edges
                    .iter()
                    .map(|edge| Call { caller: data.caller.clone(), callee: edge.callee.clone() });
                gathered.calls.extend(calls);
            }
            data if reach.contains(&event.time) => {
                gathered.changes.extend(change(event.id, event, data))
            }
            _ => {}
        }
    }
    Evidence::new(gathered)
}

fn change(id: EventId, event: &Event, data: &EventData) -> Option<ChangeEvidence> {
    let (component, change) = match data {
        EventData::DeploymentRecorded(data) => {
            let previous = data.previous_version.clone();
            (&data.component, Change::Deployment { version: data.version.clone(), previous })
        }
        EventData::ConfigurationChanged(data) => {
            (&data.component, Change::Configuration { description: data.description.clone() })
        }
        _ => return None,
    };
    Some(ChangeEvidence { event: id, component: component.clone(), at: event.time, change })
}
