//! What a data set comes to, whatever its format.

use std::path::PathBuf;

use events::value::Line;
use events::{ComponentName, Event, EventData, EventId, FaultKind, Timestamp};
use uuid::Uuid;

/// A data set, read.
#[derive(Clone, Debug, Default)]
pub struct DataSet {
    /// `petshop`, `nezha`, …
    pub name: &'static str,
    /// Recordings that several cases share: normal operation, the metrics of a whole day.
    pub periods: Vec<Period>,
    /// The incidents, by name.
    pub cases: Vec<Case>,
    /// What could not be used, and why; the rest was.
    pub skipped: Vec<Skipped>,
}

impl DataSet {
    /// The events of a case and of the periods that it refers to.
    pub fn events_of<'d>(&'d self, case: &'d Case) -> impl Iterator<Item = &'d Event> {
        let shared = self.periods.iter().filter(|period| case.periods.contains(&period.name));
        shared.flat_map(|period| &period.events).chain(&case.events)
    }
}

/// Events that belong to no case alone.
#[derive(Clone, Debug)]
pub struct Period {
    /// Unique within the data set.
    pub name: String,
    /// What was recorded, by time.
    pub events: Vec<Event>,
}

/// One incident.
#[derive(Clone, Debug)]
pub struct Case {
    /// Unique within the data set, such as `high_traffic/test/issue_3`.
    pub name: String,
    /// Under what the data set's authors report it, such as `high latency`.
    pub group: String,
    /// The shared periods that are part of its history.
    pub periods: Vec<String>,
    /// What was recorded around it, by time.
    pub events: Vec<Event>,
    /// Where and when somebody noticed.
    pub noticed: Noticed,
    /// What it was called when it was opened, where that is told.
    pub title: Option<Line>,
    /// What it was; `None` when the data set does not tell.
    pub truth: Option<Truth>,
}

/// Where and when an incident was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// The component that alarmed, or through which users come in.
    pub component: ComponentName,
    /// The first moment of the symptom.
    pub at: Timestamp,
    /// The end of it, where that is known.
    pub until: Option<Timestamp>,
}

/// What an incident really was. Never part of what a ranking is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The components at fault, at least one.
    pub root_causes: Vec<ComponentName>,
    /// What was done to them, where it is told.
    pub fault_kind: Option<FaultKind>,
}

/// A file or an entry that was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Makes events whose ids depend on the data set, the case and what they say, so that reading the
/// same folder twice gives the same events.
#[derive(Clone, Debug)]
pub struct Recorder {
    root: EventId,
    source: Line,
    correlation: Line,
    events: Vec<Event>,
}

impl Recorder {
    /// For the events of `part` (a case or a period) of `data_set`.
    pub fn new(data_set: &str, part: &str) -> Self {
        let urn = format!("urn:faultline:data-set:{data_set}/{part}");
        Self {
            root: EventId(Uuid::new_v5(&Uuid::NAMESPACE_URL, urn.as_bytes())),
            source: Line::clipped(&format!("/data-sets/{data_set}")),
            correlation: Line::clipped(part),
            events: Vec::new(),
        }
    }

    /// From what its events' ids are derived.
    pub fn root(&self) -> EventId {
        self.root
    }

    /// Adds what happened at `time`; `what` tells it from everything else of this part.
    pub fn record(&mut self, what: &str, time: Timestamp, data: impl Into<EventData>) {
        let mut event =
            Event::with_id(self.root.derived(what), self.source.clone(), time, data.into());
        event.correlation_id = Some(self.correlation.clone());
        self.events.push(event);
    }

    /// What was recorded, by time; at the same moment in the order of their ids.
    pub fn finish(mut self) -> Vec<Event> {
        self.events.sort_by_key(|event| (event.time, event.id));
        self.events.dedup_by_key(|event| event.id);
        self.events
    }
}
