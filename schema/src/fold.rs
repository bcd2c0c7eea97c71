//! The graph as a fold over the log: rows in memory, changed one event at a time.
//!
//! The executor loads the rows that a batch touches, folds the batch and writes the rows back, so
//! what the graph becomes depends on the order of events and not on how they were batched.

mod merge;

use std::collections::{BTreeMap, BTreeSet};

use events::{RecordedEvent, Timestamp};
use jiff::SignedDuration;
use surrealdb::types::{Array, Number, Object, Value};

use crate::change::{Change, LEAD_MS, Merge, Required, Upsert};
use crate::projection::ProjectError;
use crate::rows::Provenance;
use crate::table::{RowId, Table};
use crate::value::text;

/// A row as it is or will be stored. A field that is [`Value::None`] was cleared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// What it joins, for an edge.
    pub ends: Option<(RowId, RowId)>,
    /// Its fields.
    pub fields: Object,
}

impl Row {
    /// Whether `other` is stored the same.
    pub fn same_as(&self, other: &Self) -> bool {
        let present = |row: &Self| -> Vec<(String, Value)> {
            row.fields
                .iter()
                .filter(|(_, value)| !matches!(value, Value::None))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        };
        self.ends == other.ends && present(self) == present(other)
    }

    fn is_set(&self, field: &str) -> bool {
        !matches!(self.fields.get(field), None | Some(Value::None))
    }
}

/// Rows in memory and which of them changed.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    rows: BTreeMap<RowId, Row>,
    stored: BTreeSet<RowId>,
    changed: BTreeSet<RowId>,
    deployed: BTreeSet<(Timestamp, RowId)>,
    opened: BTreeSet<(Timestamp, RowId)>,
}

impl Rows {
    /// Takes a row as it is stored.
    pub fn load(&mut self, id: RowId, row: Row) {
        self.stored.insert(id.clone());
        self.rows.insert(id, row);
    }

    /// Whether the row was loaded, and so exists in the store.
    pub fn is_stored(&self, id: &RowId) -> bool {
        self.stored.contains(id)
    }

    /// Takes a stored `change` row that may precede an incident of the batch.
    pub fn load_deployed(&mut self, at: Timestamp, change: RowId) {
        self.deployed.insert((at, change));
    }

    /// Takes a stored `incident` row that a change of the batch may precede.
    pub fn load_opened(&mut self, at: Timestamp, incident: RowId) {
        self.opened.insert((at, incident));
    }

    /// Makes the changes of one event, all or none.
    pub fn apply(
        &mut self,
        recorded: &RecordedEvent,
        changes: Vec<Change>,
    ) -> Result<(), ProjectError> {
        for change in &changes {
            self.check(change)?;
        }
        for change in changes {
            self.make(recorded, change);
        }
        Ok(())
    }

    /// The rows that changed, by table and key.
    pub fn changed(&self) -> impl Iterator<Item = (&RowId, &Row)> {
        self.changed.iter().filter_map(|id| self.rows.get_key_value(id))
    }

    fn check(&self, change: &Change) -> Result<(), ProjectError> {
        let (id, required) = match change {
            Change::Require(id, required) => (id, required),
            Change::Close { row, .. } => (row, &Required::Known),
            _ => return Ok(()),
        };
        let row = self.rows.get(id);
        match required {
            Required::Known if row.is_none() => Err(ProjectError::Unknown { row: id.to_string() }),
            Required::Unset(field) if row.is_some_and(|row| row.is_set(field)) => {
                Err(ProjectError::AlreadyKnown { row: id.to_string(), field })
            }
            Required::Says(field, expected) => match row {
                None => Err(ProjectError::Unknown { row: id.to_string() }),
                Some(row) if row.fields.get(*field) != Some(expected) => {
                    Err(ProjectError::Contradicts {
                        row: id.to_string(),
                        field,
                        expected: match expected {
                            Value::String(expected) => expected.clone(),
                            other => format!("{other:?}"),
                        },
                    })
                }
                Some(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn make(&mut self, recorded: &RecordedEvent, change: Change) {
        match change {
            Change::Upsert(upsert) => self.upsert(recorded, upsert),
            Change::Close { row, fields } => self.close(recorded, row, fields),
            Change::CloseIfKnown(row) => {
                if self.rows.contains_key(&row) {
                    self.close(recorded, row, Vec::new());
                }
            }
            Change::Require(..) => {}
            Change::LinkToIncidents { change, at } => {
                let until = shifted(at, LEAD_MS);
                let incidents: Vec<_> = within(&self.opened, at, until).cloned().collect();
                for (opened_at, incident) in incidents {
                    self.upsert(recorded, preceded(change.clone(), at, incident, opened_at));
                }
                self.deployed.insert((at, change));
            }
            Change::LinkToChanges { incident, opened_at } => {
                let from = shifted(opened_at, -LEAD_MS);
                let changes: Vec<_> = within(&self.deployed, from, opened_at).cloned().collect();
                for (at, change) in changes {
                    self.upsert(recorded, preceded(change, at, incident.clone(), opened_at));
                }
                self.opened.insert((opened_at, incident));
            }
        }
    }

    fn upsert(&mut self, recorded: &RecordedEvent, upsert: Upsert) {
        let row = self.rows.entry(upsert.row.clone()).or_default();
        debug_assert!(row.ends.is_none() || row.ends == upsert.ends, "an edge never moves");
        row.ends = upsert.ends;
        touch(row, recorded);
        row.fields.insert("until", Value::None);
        for (field, merge) in upsert.fields {
            merge::into(&mut row.fields, field, merge);
        }
        self.changed.insert(upsert.row);
    }

    fn close(&mut self, recorded: &RecordedEvent, id: RowId, fields: Vec<(&'static str, Merge)>) {
        let row = self.rows.entry(id.clone()).or_default();
        touch(row, recorded);
        row.fields.insert("until", position(recorded));
        for (field, merge) in fields {
            merge::into(&mut row.fields, field, merge);
        }
        self.changed.insert(id);
    }
}

fn preceded(change: RowId, at: Timestamp, incident: RowId, opened_at: Timestamp) -> Upsert {
    let lead_ms = opened_at.as_millisecond() - at.as_millisecond();
    Upsert::edge(Table::Preceded, change, incident)
        .fresh()
        .set("lead_ms", Value::Number(Number::Int(lead_ms)))
}

fn within(
    rows: &BTreeSet<(Timestamp, RowId)>,
    from: Timestamp,
    to: Timestamp,
) -> impl Iterator<Item = &(Timestamp, RowId)> {
    rows.iter().skip_while(move |(at, _)| *at < from).take_while(move |(at, _)| *at <= to)
}

/// `at` moved by so many milliseconds, as far as there is time.
pub(crate) fn shifted(at: Timestamp, by_ms: i64) -> Timestamp {
    let end = if by_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(SignedDuration::from_millis(by_ms)).unwrap_or(end)
}

fn position(recorded: &RecordedEvent) -> Value {
    Value::Number(Number::Int(i64::try_from(recorded.position).unwrap_or(i64::MAX)))
}

/// Notes that the event made or changed the row.
fn touch(row: &mut Row, recorded: &RecordedEvent) {
    let event = text(recorded.event.id.to_string());
    let fields = &mut row.fields;
    if !fields.contains_key("since") {
        fields.insert("since", position(recorded));
    }
    let mut events = match fields.remove("events") {
        Some(Value::Array(events)) => events.into_inner(),
        _ => Vec::new(),
    };
    // One event can change a row in several steps.
    if events.last() != Some(&event) {
        events.push(event);
        if events.len() > 2 * Provenance::KEPT {
            events.remove(Provenance::KEPT);
        }
        let count = match fields.get("event_count") {
            Some(Value::Number(Number::Int(count))) => *count,
            _ => 0,
        };
        fields.insert("event_count", Value::Number(Number::Int(count + 1)));
    }
    fields.insert("events", Value::Array(Array::from(events)));
}
