//! What an event does to the graph, as data.
//!
//! A change names rows and says how fields are merged; it never reads. That an event can arrive
//! late, or before what it speaks of, is settled here: rows are made when something speaks of
//! them, and the time of the event, not its arrival, decides which of two statements stands.

use events::Timestamp;
use surrealdb::types::{Object, Value};

use crate::table::{RowId, Table};
use crate::value::{text, time};

/// How a field takes a new value.
#[derive(Clone, Debug, PartialEq)]
pub enum Merge {
    /// The last one said.
    Set(Value),
    /// The first one said.
    First(Value),
    /// The one that was said of the latest time; at the same time the last one said.
    Newest(Timestamp, Value),
    /// The earliest moment.
    Earliest(Timestamp),
    /// The latest moment.
    Latest(Timestamp),
    /// The latest moment, except that one less than [`LAST_SEEN_STEP_MS`] later than the known
    /// one is not worth a change.
    LatestInSteps(Timestamp),
    /// The largest number.
    Largest(f64),
    /// An entry of a list that has one for each value of its field `by`, in the order of that
    /// field. An entry replaces another unless `keep` finds the other stronger.
    Entry {
        /// The field that tells entries apart.
        by: &'static str,
        /// The entry.
        entry: Object,
        /// Which of two entries stays.
        keep: Keep,
    },
}

/// Which of two entries of a list stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The new one.
    Newer,
    /// The one whose field `strength` is larger without its sign; the old one when they are equal.
    Stronger,
}

/// One step of what an event does to the graph.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The row exists and holds.
    Upsert(Upsert),
    /// The row no longer holds. It must be known.
    Close {
        /// The row.
        row: RowId,
        /// What its end says of it.
        fields: Vec<(&'static str, Merge)>,
    },
    /// As `Close`, for a row that may never have been.
    CloseIfKnown(RowId),
    /// The event makes no sense unless this holds of the row before it.
    Require(RowId, Required),
    /// The change precedes every incident opened up to [`LEAD_MS`] later.
    LinkToIncidents {
        /// The `change` row.
        change: RowId,
        /// When it went live.
        at: Timestamp,
    },
    /// Every change up to [`LEAD_MS`] earlier precedes the incident.
    LinkToChanges {
        /// The `incident` row.
        incident: RowId,
        /// When it was opened.
        opened_at: Timestamp,
    },
}

/// What has to hold of a row before an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Required {
    /// It exists.
    Known,
    /// It does not have the field yet.
    Unset(&'static str),
    /// It exists, and its field says this.
    Says(&'static str, Value),
}

/// How long before an incident a change counts as preceding it.
pub const LEAD_MS: i64 = 30 * 60 * 1000;

/// How much later something has to be seen again for its row to say so: telemetry that arrives
/// every few seconds would otherwise make a new version of every component and call with each
/// window. `last_seen` is at most so far behind.
pub const LAST_SEEN_STEP_MS: i64 = 10 * 60 * 1000;

/// A row and what is said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Upsert {
    /// The row.
    pub row: RowId,
    /// What it joins, for an edge.
    pub ends: Option<(RowId, RowId)>,
    /// Whether the row cannot exist before this event, because its key is the event's.
    pub fresh: bool,
    /// What is said of it.
    pub fields: Vec<(&'static str, Merge)>,
}

impl Upsert {
    /// The node with this id.
    pub fn node(table: Table, id: impl std::fmt::Display) -> Self {
        Self { row: RowId::node(table, id), ends: None, fresh: false, fields: Vec::new() }
    }

    /// The node that stands for an event, in the order of time.
    pub fn timed(table: Table, at: Timestamp, id: impl std::fmt::Display) -> Self {
        let row = RowId::timed(table, at, id);
        Self { row, ends: None, fresh: true, fields: Vec::new() }
    }

    /// The edge between two nodes, drawn once however often it is said.
    pub fn edge(table: Table, from: RowId, to: RowId) -> Self {
        let parts = vec![from.id(), to.id()];
        Self::edge_with_key(table, parts, from, to)
    }

    /// As [`Self::edge`], for an edge that is told apart by something else than its ends.
    pub fn edge_with_key(table: Table, parts: Vec<String>, from: RowId, to: RowId) -> Self {
        Self {
            row: RowId::edge(table, parts),
            ends: Some((from, to)),
            fresh: false,
            fields: Vec::new(),
        }
    }

    /// Nothing else writes this row: its key has the event's id in it.
    pub fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// Adds a field.
    pub fn with(mut self, field: &'static str, merge: Merge) -> Self {
        self.fields.push((field, merge));
        self
    }

    /// Adds a field that the last event sets.
    pub fn set(self, field: &'static str, value: Value) -> Self {
        self.with(field, Merge::Set(value))
    }

    /// Adds a field that the event of the latest time sets.
    pub fn newest(self, at: Timestamp, field: &'static str, value: Value) -> Self {
        self.with(field, Merge::Newest(at, value))
    }

    /// As [`Self::newest`], unless the event does not say it.
    pub fn newest_said(self, at: Timestamp, field: &'static str, value: Value) -> Self {
        if matches!(value, Value::None) { self } else { self.newest(at, field, value) }
    }

    /// The change.
    pub fn into_change(self) -> Change {
        Change::Upsert(self)
    }
}

impl From<Upsert> for Change {
    fn from(upsert: Upsert) -> Self {
        Self::Upsert(upsert)
    }
}

impl Change {
    /// The row that has to be known before the change can be made.
    pub fn reads(&self) -> Option<&RowId> {
        match self {
            Self::Upsert(upsert) => (!upsert.fresh).then_some(&upsert.row),
            Self::Close { row, .. } | Self::CloseIfKnown(row) | Self::Require(row, _) => Some(row),
            Self::LinkToIncidents { .. } | Self::LinkToChanges { .. } => None,
        }
    }
}

/// The component with this name, seen at `at`.
pub fn component_seen(name: &events::ComponentName, at: Timestamp) -> Upsert {
    Upsert::node(Table::Component, name)
        .with("first_seen", Merge::Earliest(at))
        .with("last_seen", Merge::LatestInSteps(at))
}

/// One step of an incident, as its timeline tells it.
pub fn timeline_entry(
    recorded: &events::RecordedEvent,
    incident: &events::IncidentId,
    summary: String,
) -> Upsert {
    let position = i64::try_from(recorded.position).unwrap_or(i64::MAX);
    Upsert::node(Table::TimelineEntry, recorded.event.id)
        .fresh()
        .set("incident", text(incident.as_str()))
        .set("at", time(recorded.event.time))
        .set("position", Value::Number(position.into()))
        .set("event_type", text(recorded.event.data.event_type()))
        .set("summary", text(summary))
}
