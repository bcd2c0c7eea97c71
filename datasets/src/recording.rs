//! Faultline's own events, a CloudEvent a line, as `GET /v1/events` and `faultline export` give them.
//!
//! Every incident of the recording is a case. It was noticed where and when its opening says, and
//! was over when it was resolved; the labels that count are the truth. What a detector or a
//! diagnosis made of it is left out: a ranking is to be asked anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use diagnosis::evaluation::detection::is_observed;
use diagnosis::verdict::{Opinion, verdict};
use events::value::Line;
use events::{Event, EventData, EventId, IncidentId, LabelId, Timestamp};

use crate::case::{Case, DataSet, Noticed, Period, Skipped, Truth};
use crate::table::{self, ReadError};

const NAME: &str = "recording";

/// Reads the file. All that was measured is one period, which its incidents share.
pub fn read(path: &Path) -> Result<DataSet, ReadError> {
    let Recorded { mut events, skipped } = events(path)?;
    let incidents = Incidents::of(&events);
    events.retain(|event| is_observed(&event.data));
    let period = Period { name: NAME.to_owned(), events };
    Ok(DataSet { name: NAME, periods: vec![period], cases: incidents.cases(), skipped })
}

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Its events, those of experiments and of the server included, in its order.
    pub events: Vec<Event>,
    /// The lines that are none.
    pub skipped: Vec<Skipped>,
}

/// Reads every event of the file.
pub fn events(path: &Path) -> Result<Recorded, ReadError> {
    let Some(text) = table::text(path)? else {
        return Err(ReadError::NotFound { path: path.to_owned(), expected: "recorded events" });
    };
    let mut recorded = Recorded::default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let event = serde_json::from_str(line).map_err(|error| error.to_string());
        let event = event.and_then(|document| {
            Event::from_cloud_event(document, Timestamp::UNIX_EPOCH).map_err(|e| e.to_string())
        });
        match event {
            Ok(event) => recorded.events.push(event),
            Err(reason) => recorded.skipped.push(Skipped {
                path: path.to_owned(),
                reason: format!("line {}: {reason}", number + 1),
            }),
        }
    }
    Ok(recorded)
}

#[derive(Default)]
struct Incidents {
    noticed: BTreeMap<IncidentId, Noticed>,
    titles: BTreeMap<IncidentId, Line>,
    opinions: BTreeMap<IncidentId, Vec<Opinion>>,
}

impl Incidents {
    fn of(events: &[Event]) -> Self {
        let starts = starts(events);
        let mut incidents = Self::default();
        let mut retracted: BTreeSet<LabelId> = BTreeSet::new();
        for event in events {
            match &event.data {
                EventData::IncidentOpened(opened) => {
                    // The first unusual window of those that it was opened for.
                    let unusual = opened.evidence.iter().filter_map(|id| starts.get(id));
                    let at = unusual.copied().min().unwrap_or(event.time).min(event.time);
                    let component = opened.component.clone();
                    incidents.titles.insert(opened.incident.clone(), opened.title.clone());
                    let noticed = Noticed { component, at, until: None };
                    incidents.noticed.insert(opened.incident.clone(), noticed);
                }
                EventData::IncidentResolved(resolved) => {
                    if let Some(noticed) = incidents.noticed.get_mut(&resolved.incident) {
                        noticed.until = Some(event.time);
                    }
                }
                EventData::IncidentReopened(reopened) => {
                    if let Some(noticed) = incidents.noticed.get_mut(&reopened.incident) {
                        noticed.until = None;
                    }
                }
                EventData::LabelAssigned(label) => {
                    incidents.opinions.entry(label.incident.clone()).or_default().push(Opinion {
                        label: label.label.clone(),
                        claim: label.claim.clone(),
                        confidence: label.confidence.get(),
                        at: event.time,
                        retracted: false,
                    });
                }
                EventData::LabelRetracted(label) => {
                    retracted.insert(label.label.clone());
                }
                _ => {}
            }
        }
        let opinions = incidents.opinions.values_mut().flatten();
        opinions.for_each(|opinion| opinion.retracted = retracted.contains(&opinion.label));
        incidents
    }

    fn cases(self) -> Vec<Case> {
        let Self { noticed, mut titles, mut opinions } = self;
        let cases = noticed.into_iter().map(|(incident, noticed)| {
            let verdict = verdict(opinions.remove(&incident).unwrap_or_default());
            let truth = verdict.root_cause().map(|component| Truth {
                root_causes: vec![component.clone()],
                fault_kind: verdict.fault_kind().cloned(),
            });
            Case {
                name: incident.as_str().to_owned(),
                group: NAME.to_owned(),
                periods: vec![NAME.to_owned()],
                events: Vec::new(),
                noticed,
                title: titles.remove(&incident),
                truth,
            }
        });
        cases.collect()
    }
}

// The start of the window that each event tells of.
fn starts(events: &[Event]) -> BTreeMap<EventId, Timestamp> {
    let start = |event: &Event| match &event.data {
        EventData::MetricSnapshotRecorded(data) => Some(data.window.start),
        EventData::TraceEdgesRecorded(data) => Some(data.window.start),
        EventData::AnomalyDetected(data) => Some(data.window.start),
        _ => None,
    };
    events.iter().filter_map(|event| Some((event.id, start(event)?))).collect()
}
