//! The tables of the graph and how their rows are named.

use std::fmt;

use events::Timestamp;
use surrealdb::types::{Array, Number, RecordId, RecordIdKey, SurrealValue, Value};

use crate::value::{text, time, timestamp};

macro_rules! tables {
    ($($variant:ident = $name:literal $kind:ident $kept:ident,)*) => {
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

            /// Where the former versions of its rows are kept; none for a table whose rows say
            /// the same for good.
            pub fn former(self) -> Option<&'static str> {
                match self {
                    $(Table::$variant => tables!(@former $kept $name),)*
                }
            }

            /// The table of this name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|table| table.name() == name)
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
    (@former versions $name:literal) => { Some(concat!("was_", $name)) };
    (@former once $name:literal) => { None };
}

tables! {
    Alert = "alert" node versions,
    Anomaly = "anomaly" node once,
    Audit = "audit" node once,
    Change = "change" node once,
    Component = "component" node versions,
    Diagnosis = "diagnosis" node versions,
    EdgeWindow = "edge_window" node once,
    Effect = "effect" node once,
    Evidence = "evidence" node once,
    Experiment = "experiment" node versions,
    Fault = "fault" node versions,
    FaultKind = "fault_kind" node once,
    Feedback = "feedback" node once,
    Incident = "incident" node versions,
    Label = "label" node versions,
    LogPattern = "log_pattern" node once,
    Maintenance = "maintenance" node versions,
    Mitigation = "mitigation" node once,
    Model = "model" node versions,
    ModelSelection = "model_selection" node once,
    Prediction = "prediction" node once,
    Retention = "retention" node once,
    Runbook = "runbook" node versions,
    Slo = "slo" node versions,
    Snapshot = "snapshot" node once,
    TimelineEntry = "timeline_entry" node once,
    Affects = "affects" edge versions,
    Calls = "calls" edge versions,
    Cites = "cites" edge once,
    FixedBy = "fixed_by" edge versions,
    InjectedInto = "injected_into" edge versions,
    Labelled = "labelled" edge versions,
    PartOf = "part_of" edge once,
    Preceded = "preceded" edge once,
    Resembles = "resembles" edge versions,
    Suspects = "suspects" edge versions,
    Triggered = "triggered" edge versions,
}

/// The key of a row in its table: the catalogue's id of a node, the parts that make an edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A node's.
    Id(String),
    /// A node's in a table that is read by time: its rows lie in the order of time, and a span of
    /// them is read without an index.
    Timed(Timestamp, String),
    /// An edge's, and any other that is made of several parts.
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

    /// The row that says that `effect`, recorded at `position`, was caused by `cause`. The effects
    /// of an event lie together, in the order of the log.
    pub fn effect(cause: impl fmt::Display, position: u64, effect: impl fmt::Display) -> Self {
        let parts = vec![cause.to_string(), format!("{position:020}"), effect.to_string()];
        Self { table: Table::Effect, key: Key::Parts(parts) }
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

    /// The name of a former version of the row in the database: its key with the version behind,
    /// so that the versions of a row lie together and in order.
    pub fn former_record(&self, version: i64) -> Option<RecordId> {
        let mut key = match RecordIdKey::from(&self.key) {
            RecordIdKey::Array(parts) => parts.into_inner(),
            key => vec![key.into_value()],
        };
        key.push(Value::Number(Number::Int(version)));
        Some(RecordId::new(self.table.former()?, RecordIdKey::Array(Array::from(key))))
    }

    /// The row that the database calls `record`, when it is one of the graph's.
    pub fn from_record(record: &RecordId) -> Option<Self> {
        let table = Table::named(record.table.as_str())?;
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
