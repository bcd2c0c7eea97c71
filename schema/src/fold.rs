//! The graph as a fold over the log: rows in memory, changed one event at a time.
//!
//! The executor loads the rows that a batch touches, folds the batch and writes the rows back, so
//! what the graph becomes depends on the order of events and not on how they were batched.
//!
//! A row is touched by an event that changes what it says, and by no other. What it said before is
//! kept as a former version, which is how the graph answers as of an earlier position (QU-2).

mod merge;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use events::{RecordedEvent, Timestamp};
use jiff::SignedDuration;
use surrealdb::types::{Array, Number, Object, Value};

use crate::change::{Change, LEAD_MS, Merge, Required, Upsert};
use crate::projection::ProjectError;
use crate::reads::at_position;
use crate::rows::Provenance;
use crate::table::{RowId, Table};
use crate::value::text;
use merge::Effect;

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

    /// Position of the event that made the row what it is.
    pub fn version(&self) -> i64 {
        match self.fields.get("changed") {
            Some(Value::Number(Number::Int(version))) => *version,
            _ => 0,
        }
    }

    fn effect_of(&self, fields: &[(&'static str, Merge)]) -> Effect {
        let effects = fields.iter().map(|(name, merge)| merge::effect(&self.fields, name, merge));
        effects.max().unwrap_or(Effect::None)
    }
}

/// What a row was, until an event changed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Former {
    /// The row.
    pub id: RowId,
    /// What it was.
    pub row: Row,
    /// Position of the event that changed it.
    pub superseded: i64,
}

/// Rows by the time that they are looked for by.
pub type Moments = BTreeSet<(Timestamp, RowId)>;

/// Rows in memory and which of them changed.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    rows: BTreeMap<RowId, Row>,
    stored: BTreeSet<RowId>,
    changed: BTreeSet<RowId>,
    former: Vec<Former>,
    deployed: Moments,
    opened: Moments,
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

    /// The row as it is now, if it is in memory.
    pub fn row(&self, id: &RowId) -> Option<&Row> {
        self.rows.get(id)
    }

    /// The `change` rows in memory, by the time of the change.
    pub fn deployed(&self) -> &Moments {
        &self.deployed
    }

    /// The `incident` rows in memory, by the time they opened.
    pub fn opened(&self) -> &Moments {
        &self.opened
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

    /// Notes what caused the event, so that its cause knows it. It does so also when it cannot
    /// be projected: it is in the log all the same.
    pub fn note_effect(&mut self, recorded: &RecordedEvent) {
        if let Some(cause) = recorded.event.causation_id {
            let row = RowId::effect(cause, recorded.position, recorded.event.id);
            let fields = vec![("cause", Merge::Set(text(cause.to_string())))];
            self.upsert(recorded, Upsert { row, ends: None, fresh: true, fields });
        }
    }

    /// The rows that changed, by table and key.
    pub fn changed(&self) -> impl Iterator<Item = (&RowId, &Row)> {
        self.changed.iter().filter_map(|id| self.rows.get_key_value(id))
    }

    /// What rows were before the events that changed them, in the order of the log.
    pub fn former(&self) -> &[Former] {
        &self.former
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
        let effect = match self.rows.get(&upsert.row) {
            None => Effect::Says,
            Some(row) if row.is_set("until") => Effect::Says,
            Some(row) => row.effect_of(&upsert.fields),
        };
        if effect == Effect::None {
            return;
        }
        let row = self.row_for(recorded, &upsert.row, effect);
        debug_assert!(row.ends.is_none() || row.ends == upsert.ends, "an edge never moves");
        row.ends = upsert.ends;
        if effect == Effect::Says {
            row.fields.insert("until", Value::None);
        }
        for (field, merge) in upsert.fields {
            merge::into(&mut row.fields, field, merge);
        }
        self.changed.insert(upsert.row);
    }

    /// What ends twice ended the first time.
    fn close(&mut self, recorded: &RecordedEvent, id: RowId, fields: Vec<(&'static str, Merge)>) {
        let ends = self.rows.get(&id).is_none_or(|row| !row.is_set("until"));
        let row = self.row_for(recorded, &id, Effect::Says);
        if ends {
            row.fields.insert("until", position(recorded));
        }
        for (field, merge) in fields {
            merge::into(&mut row.fields, field, merge);
        }
        self.changed.insert(id);
    }

    /// The row, to be changed. When that changes what it says, what it was is kept: once an
    /// event, however many steps the event takes.
    fn row_for(&mut self, recorded: &RecordedEvent, id: &RowId, effect: Effect) -> &mut Row {
        let superseded = at_position(recorded.position);
        if effect == Effect::Says
            && let Some(row) = self.rows.get(id)
            && row.version() != superseded
        {
            debug_assert!(id.table.former().is_some(), "{id} says something else");
            self.former.push(Former { id: id.clone(), row: row.clone(), superseded });
        }
        let row = self.rows.entry(id.clone()).or_default();
        if effect == Effect::Says {
            touch(row, recorded);
        }
        row
    }
}

fn preceded(change: RowId, at: Timestamp, incident: RowId, opened_at: Timestamp) -> Upsert {
    let lead_ms = opened_at.as_millisecond() - at.as_millisecond();
    Upsert::edge(Table::Preceded, change, incident)
        .fresh()
        .set("lead_ms", Value::Number(Number::Int(lead_ms)))
}

/// Those from `from` to `to`, both included.
pub(crate) fn within(
    rows: &Moments,
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
    Value::Number(Number::Int(at_position(recorded.position)))
}

/// Notes that the event made the row what it is now.
fn touch(row: &mut Row, recorded: &RecordedEvent) {
    let event = text(recorded.event.id.to_string());
    let fields = &mut row.fields;
    if !fields.contains_key("since") {
        fields.insert("since", position(recorded));
    }
    fields.insert("changed", position(recorded));
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
