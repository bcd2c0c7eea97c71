//! The tables of the graph and how their rows are named.

use std::fmt;

use events::Timestamp;
use surrealdb::types::{Array, RecordId, RecordIdKey, Value};

use crate::value::{text, time, timestamp};

macro_rules! tables {
    ($($variant:ident = $name:literal $kind:ident,)*) => {
        /// A table that projections write.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum Table {
            $($variant,)*
        }

        impl Table {
            /// Every table: nodes first, then edges.
            pub const ALL: &'static [Table] = &[$(Table::$variant,)*];

            /// Its name in the database.
            pub fn name(self) -> &'static str {
                match self {
                    $(Table::$variant => $name,)*
                }
            }

            /// Whether its rows join two others.
            pub fn is_edge(self) -> bool {
                match self {
                    $(Table::$variant => tables!(@edge $kind),)*
                }
            }
        }
    };
    (@edge node) => { false };
    (@edge edge) => { true };
}

tables! {
    Alert = "alert" node,
    Anomaly = "anomaly" node,
    Audit = "audit" node,
    Change = "change" node,
    Component = "component" node,
    Diagnosis = "diagnosis" node,
    EdgeWindow = "edge_window" node,
    Evidence = "evidence" node,
    Experiment = "experiment" node,
    Fault = "fault" node,
    FaultKind = "fault_kind" node,
    Feedback = "feedback" node,
    Incident = "incident" node,
    Label = "label" node,
    LogPattern = "log_pattern" node,
    Maintenance = "maintenance" node,
    Mitigation = "mitigation" node,
    Model = "model" node,
    Prediction = "prediction" node,
    Runbook = "runbook" node,
    Slo = "slo" node,
    Snapshot = "snapshot" node,
    TimelineEntry = "timeline_entry" node,
    Affects = "affects" edge,
    Calls = "calls" edge,
    Cites = "cites" edge,
    FixedBy = "fixed_by" edge,
    InjectedInto = "injected_into" edge,
    Labelled = "labelled" edge,
    PartOf = "part_of" edge,
    Preceded = "preceded" edge,
    Resembles = "resembles" edge,
    Suspects = "suspects" edge,
    Triggered = "triggered" edge,
}

/// The key of a row in its table: the catalogue's id of a node, the parts that make an edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A node's.
    Id(String),
    /// A node's in a table that is read by time: its rows lie in the order of time, and a span of
    /// them is read without an index.
    Timed(Timestamp, String),
    /// An edge's.
    Parts(Vec<String>),
}

impl From<&Key> for RecordIdKey {
    fn from(key: &Key) -> Self {
        match key {
            Key::Id(id) => Self::String(id.clone()),
            Key::Timed(at, id) => Self::Array(Array::from(vec![time(*at), text(id.as_str())])),
            Key::Parts(parts) => Self::Array(Array::from(parts.clone())),
        }
    }
}

/// A row of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId {
    /// Where it is.
    pub table: Table,
    /// Which it is.
    pub key: Key,
}

impl RowId {
    /// The node of `table` with this id.
    pub fn node(table: Table, id: impl fmt::Display) -> Self {
        debug_assert!(!table.is_edge(), "{} joins rows", table.name());
        Self { table, key: Key::Id(id.to_string()) }
    }

    /// The node of `table` with this id, in the order of time.
    pub fn timed(table: Table, at: Timestamp, id: impl fmt::Display) -> Self {
        debug_assert!(!table.is_edge(), "{} joins rows", table.name());
        Self { table, key: Key::Timed(at, id.to_string()) }
    }

    /// The edge of `table` that `parts` make.
    pub fn edge(table: Table, parts: Vec<String>) -> Self {
        debug_assert!(table.is_edge(), "{} joins nothing", table.name());
        Self { table, key: Key::Parts(parts) }
    }

    /// A node's id, as it stands in fields that name the node.
    pub fn id(&self) -> String {
        match &self.key {
            Key::Id(id) | Key::Timed(_, id) => id.clone(),
            Key::Parts(parts) => parts.join(" "),
        }
    }

    /// The row's name in the database.
    pub fn record(&self) -> RecordId {
        RecordId::new(self.table.name(), RecordIdKey::from(&self.key))
    }

    /// The row that the database calls `record`, when it is one of the graph's.
    pub fn from_record(record: &RecordId) -> Option<Self> {
        let name = record.table.as_str();
        let table = *Table::ALL.iter().find(|table| table.name() == name)?;
        let key = match &record.key {
            RecordIdKey::String(id) => Key::Id(id.clone()),
            RecordIdKey::Array(parts) => match parts.as_slice() {
                [Value::Datetime(at), Value::String(id)] => Key::Timed(timestamp(*at), id.clone()),
                parts => Key::Parts(parts.iter().map(part).collect::<Option<_>>()?),
            },
            _ => return None,
        };
        Some(Self { table, key })
    }
}

fn part(part: &Value) -> Option<String> {
    match part {
        Value::String(part) => Some(part.clone()),
        _ => None,
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.table.name(), self.id())
    }
}
