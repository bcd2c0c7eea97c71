//! What stays whole whatever the policies say: what another event cites, and the windows around
//! incidents, from which they are diagnosed and diagnosed again.
//!
//! It is read from the log alone. Citations are found in all that is not telemetry, wherever an
//! event id stands: too much is pinned rather than too little.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::EmbeddedLog;
use super::super::reader;
use crate::catalogue::EventData;
use crate::catalogue::telemetry::TelemetryKind;
use crate::envelope::RecordedEvent;
use crate::id::{EventId, IncidentId};
use crate::log::ReadError;

/// How far around an incident telemetry stays whole. Before it: the baseline of its diagnosis,
/// which begins before the incident was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// Before it was opened.
    pub before: SignedDuration,
    /// After it was over. One that is open has no end.
    pub after: SignedDuration,
}

impl Default for Around {
    fn default() -> Self {
        Self { before: SignedDuration::from_mins(30), after: SignedDuration::from_mins(30) }
    }
}

/// What the log cites and when it had incidents, as far as it was read.
#[derive(Debug, Default)]
struct Pins {
    cited: HashSet<EventId>,
    incidents: HashMap<IncidentId, Incident>,
}

#[derive(Debug)]
struct Incident {
    began: Timestamp,
    /// The latest end; none while it is open.
    ended: Option<Timestamp>,
}

/// Spans of time that do not overlap, in order.
#[derive(Debug)]
struct Spans(Vec<(Timestamp, Timestamp)>);

impl EmbeddedLog {
    /// The telemetry that stays whole.
    ///
    /// Blocks for as long as it takes to read the log twice.
    pub fn pinned(&self, around: Around) -> Result<HashSet<EventId>, ReadError> {
        let head = *self.head.borrow();
        let mut pins = Pins::default();
        reader::scan(&self.segments, 1, head, &mut |position, record| {
            if TelemetryKind::of_type(record.event_type).is_none() {
                pins.observe(&record.decode(position)?);
            }
            Ok(())
        })?;
        let spans = pins.spans(around);
        let mut pinned = HashSet::new();
        reader::scan(&self.segments, 1, head, &mut |position, record| {
            let is_whole = record.pruned.is_none();
            if is_whole && TelemetryKind::of_type(record.event_type).is_some() {
                let within = || {
                    let event = record.decode(position)?.event;
                    let start = event.data.window().map_or(event.time, |window| window.start);
                    Ok::<_, String>(spans.cover(start))
                };
                if pins.cited.contains(&record.id) || within()? {
                    pinned.insert(record.id);
                }
            }
            Ok(())
        })?;
        Ok(pinned)
    }
}

impl Pins {
    fn observe(&mut self, recorded: &RecordedEvent) {
        let event = &recorded.event;
        self.cited.extend(event.causation_id);
        if let Ok(data) = serde_json::to_value(&event.data) {
            self.cite(&data);
        }
        match &event.data {
            EventData::IncidentOpened(data) => {
                let incident = self.incidents.entry(data.incident.clone());
                let known = incident.or_insert(Incident { began: event.time, ended: None });
                known.began = known.began.min(event.time);
            }
            EventData::IncidentResolved(data) => self.ended(&data.incident, Some(event.time)),
            EventData::IncidentMerged(data) => self.ended(&data.incident, Some(event.time)),
            EventData::IncidentReopened(data) => self.ended(&data.incident, None),
            _ => {}
        }
    }

    fn ended(&mut self, incident: &IncidentId, at: Option<Timestamp>) {
        if let Some(incident) = self.incidents.get_mut(incident) {
            incident.ended = at;
        }
    }

    fn cite(&mut self, data: &Value) {
        match data {
            Value::String(text) => self.cited.extend(text.parse::<EventId>().ok()),
            Value::Array(values) => values.iter().for_each(|value| self.cite(value)),
            Value::Object(fields) => fields.values().for_each(|value| self.cite(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn spans(&self, around: Around) -> Spans {
        let mut spans: Vec<_> = self
            .incidents
            .values()
            .map(|incident| {
                let from = incident.began.saturating_sub(around.before);
                let to = incident.ended.map(|ended| ended.saturating_add(around.after));
                let never = Ok(Timestamp::MAX);
                (from.unwrap_or(Timestamp::MIN), to.unwrap_or(never).unwrap_or(Timestamp::MAX))
            })
            .collect();
        spans.sort_unstable();
        let mut joined: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (from, to) in spans {
            match joined.last_mut() {
                Some((_, end)) if from <= *end => *end = to.max(*end),
                _ => joined.push((from, to)),
            }
        }
        Spans(joined)
    }
}

impl Spans {
    fn cover(&self, at: Timestamp) -> bool {
        let behind = self.0.partition_point(|(from, _)| *from <= at);
        behind.checked_sub(1).is_some_and(|last| at <= self.0[last].1)
    }
}
