//! The live detector over a recording.

use std::collections::BTreeSet;

use events::{ComponentName, EventData, IncidentId};
use jiff::Timestamp;

use super::Observed;
use crate::detect::{
    Anomaly, Decision, Detector, Grouping, GroupingSettings, Settings, Topology, part_name,
};

/// An anomaly, and when it was known.
#[derive(Clone, Debug, PartialEq)]
pub struct Noticed {
    /// What.
    pub anomaly: Anomaly,
    /// The latest moment that the log had told of.
    pub known_at: Timestamp,
}

/// An incident that the live grouping opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Start of the first unusual window.
    pub began_at: Timestamp,
    /// When it was opened.
    pub known_at: Timestamp,
    /// Where something was unusual when it was opened.
    pub components: Vec<ComponentName>,
    /// Which parts of the detector said so.
    pub parts: BTreeSet<String>,
}

/// What the detector made of a recording.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// Every anomaly, in the order in which they became known.
    pub noticed: Vec<Noticed>,
    /// Every alarm, likewise.
    pub alarms: Vec<Alarm>,
    /// Who was seen to call whom.
    pub topology: Topology,
}

/// Shows the detector and the grouping one event after the other, as the server does.
pub fn watch(observed: &Observed, settings: Settings) -> Watched {
    let mut detector = Detector::new(settings);
    let mut grouping = Grouping::new(GroupingSettings::default());
    let mut watched = Watched::default();
    let mut known_at = Timestamp::MIN;
    for recorded in observed.events() {
        if let EventData::MetricSnapshotRecorded(_)
        | EventData::TraceEdgesRecorded(_)
        | EventData::LogPatternsRecorded(_) = &recorded.event.data
        {
            known_at = known_at.max(recorded.event.time);
        }
        watched.topology.observe(&recorded.event.data);
        let anomalies = detector.observe(recorded);
        let mut opened: Vec<(IncidentId, Alarm)> = Vec::new();
        for decided in grouping.observe(recorded, &anomalies) {
            match decided.decision {
                Decision::Open { opened: data, began_at } => {
                    let (components, parts) = Default::default();
                    let alarm = Alarm { began_at, known_at, components, parts };
                    opened.push((data.incident, alarm));
                }
                Decision::Attach(symptom) => {
                    let of_it = |(id, _): &&mut (IncidentId, Alarm)| *id == symptom.incident;
                    if let Some((_, alarm)) = opened.iter_mut().find(of_it) {
                        alarm.components.push(symptom.component);
                    }
                }
                Decision::Mitigate(_) | Decision::Resolve(_) => {}
            }
        }
        watched.alarms.extend(opened.into_iter().map(|(_, alarm)| told(alarm, &anomalies)));
        let noticed = anomalies.into_iter().map(|anomaly| Noticed { anomaly, known_at });
        watched.noticed.extend(noticed);
    }
    watched
}

fn told(mut alarm: Alarm, anomalies: &[Anomaly]) -> Alarm {
    alarm.components.dedup();
    let of_it = anomalies.iter().filter(|it| alarm.components.contains(&it.component));
    alarm.parts = of_it.flat_map(|anomaly| &anomaly.parts).map(part_name).collect();
    alarm
}
