//! Writes a folded batch in one transaction, one statement a table, and one for what its rows
//! were before.

use std::collections::{BTreeMap, BTreeSet};

use surrealdb::types::{Array, Object, QueryError, Value};

use super::{ApplyError, SetAside};
use crate::fold::{Former, Row, Rows};
use crate::graph::{Checkpoint, Graph, is_conflict};
use crate::lease::{self, OVER};
use crate::table::{RowId, Table};

/// Why a transaction did not commit.
#[derive(Debug)]
pub(super) enum WriteError {
    /// Another transaction was in the way; nothing was written.
    Conflict,
    /// The checkpoint is not where it was expected.
    Moved,
    /// Another server holds the lease.
    Fenced,
    /// The store does not take these rows.
    Refused(String),
    /// The store failed, whatever the rows are.
    Store(Box<surrealdb::Error>),
}

impl WriteError {
    pub(super) fn into_apply_error(self, position: u64) -> ApplyError {
        match self {
            Self::Conflict => ApplyError::Contended { position, attempts: 1 },
            Self::Moved => ApplyError::Moved { expected: position },
            Self::Fenced => ApplyError::Fenced { position },
            Self::Refused(message) => {
                let source = Box::new(surrealdb::Error::internal(message));
                ApplyError::Store { position, source }
            }
            Self::Store(source) => ApplyError::Store { position, source },
        }
    }
}

const MOVED: &str = "the checkpoint moved";

impl Graph {
    /// Writes the changed rows, or part of them, and those set aside, and moves the checkpoint from
    /// `held` to `behind`, all or nothing. A shared graph is only written in the tenure that was
    /// entered last.
    pub(super) async fn write(
        &self,
        held: Checkpoint,
        rows: &Rows,
        refused: &[SetAside],
        behind: Checkpoint,
        part: Part,
    ) -> Result<(), WriteError> {
        let mut statements = vec!["BEGIN".to_owned()];
        let mut binds = Object::new();
        let tenure = self.tenure();
        if let Some(fence) = lease::statements(tenure) {
            statements.extend(fence);
            binds.insert("tenure", tenure.stored());
        }
        statements.push(format!(
            "IF ((SELECT VALUE position FROM ONLY checkpoint:graph) ?? 0) != $held \
             {{ THROW '{MOVED}' }}"
        ));
        binds.insert("held", i64::try_from(held.position).unwrap_or(i64::MAX));
        binds.insert("behind", behind.row());
        for ((table, stored), batch) in batches(rows, part) {
            statements.push(batch.statement(table, stored));
            binds.insert(variable(table, stored), Value::Array(Array::from(batch.rows)));
        }
        if part == Part::All {
            for (name, table, former) in former_versions(rows) {
                statements.push(insertion(name, table.is_edge(), name));
                binds.insert(name, Value::Array(Array::from(former)));
            }
        }
        if !refused.is_empty() {
            statements.push("INSERT INTO set_aside $set_aside RETURN NONE".to_owned());
            let rows: Vec<Value> = refused.iter().map(SetAside::row).collect();
            binds.insert("set_aside", Value::Array(Array::from(rows)));
        }
        statements.push("UPSERT checkpoint:graph CONTENT $behind RETURN NONE".to_owned());
        statements.push("COMMIT".to_owned());
        let mut response = self
            .db
            .query(statements.join(";"))
            .bind(Value::Object(binds))
            .await
            .map_err(classified)?;
        let errors = response.take_errors();
        match errors.into_values().min_by_key(is_consequence) {
            None => Ok(()),
            Some(error) => Err(classified(error)),
        }
    }
}

/// Whether a statement failed only because another one did.
fn is_consequence(error: &surrealdb::Error) -> bool {
    matches!(error.query_details(), Some(QueryError::NotExecuted | QueryError::Cancelled))
}

pub(super) fn classified(error: surrealdb::Error) -> WriteError {
    let text = error.to_string();
    if is_conflict(&error) {
        WriteError::Conflict
    } else if text.contains(OVER) {
        WriteError::Fenced
    } else if text.contains(MOVED) {
        WriteError::Moved
    } else if error.is_connection()
        || error.is_configuration()
        || error.is_not_allowed()
        || is_consequence(&error)
    {
        WriteError::Store(Box::new(error))
    } else {
        WriteError::Refused(text)
    }
}

/// Which of the changed rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them, and what they were before.
    All,
    /// Those that the store does not have.
    New,
    /// Those that it has.
    Stored,
}

impl Part {
    fn has(self, stored: bool) -> bool {
        match self {
            Self::All => true,
            Self::New => !stored,
            Self::Stored => stored,
        }
    }
}

/// The statement that inserts the rows in a variable.
pub(super) fn insertion(table: &str, edges: bool, variable: &str) -> String {
    let relation = if edges { "RELATION " } else { "" };
    format!("INSERT {relation}INTO {table} ${variable} RETURN NONE")
}

/// Changed rows of one table.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rows: Vec<Value>,
    columns: BTreeSet<String>,
}

impl Batch {
    fn push(&mut self, id: &RowId, row: &Row) {
        let mut object = row.fields.clone();
        self.columns.extend(row.fields.keys().cloned());
        object.insert("id", id.record());
        if let Some((from, to)) = &row.ends {
            object.insert("in", from.record());
            object.insert("out", to.record());
        }
        self.rows.push(Value::Object(object));
    }

    /// Rows are written whole. A stored row takes every column that any row of the batch has, and
    /// loses those that its new form does not have. New rows go the short way: the update of
    /// duplicates is paid for by every row, whether it is one or not.
    fn statement(&self, table: Table, stored: bool) -> String {
        let (name, edges, rows) = (table.name(), table.is_edge(), variable(table, stored));
        if !stored {
            return insertion(name, edges, &rows);
        }
        let updates: Vec<String> =
            self.columns.iter().map(|column| format!("{column} = $input.{column}")).collect();
        let relation = if edges { "RELATION " } else { "" };
        format!(
            "INSERT {relation}INTO {name} ${rows} ON DUPLICATE KEY UPDATE {} RETURN NONE",
            updates.join(", ")
        )
    }
}

/// What rows were before the events that changed them, with the name of the table that keeps it.
/// Never updated: an event supersedes a version once.
pub(super) fn former_versions(
    rows: &Rows,
) -> impl Iterator<Item = (&'static str, Table, Vec<Value>)> {
    let mut versions: BTreeMap<Table, Vec<Value>> = BTreeMap::new();
    for Former { id, row, superseded } in rows.former() {
        let Some(record) = id.former_record(row.version()) else { continue };
        let said = row.fields.iter().filter(|(_, value)| !matches!(value, Value::None));
        let mut object: Object = said.map(|(name, value)| (name.clone(), value.clone())).collect();
        object.insert("id", record);
        object.insert("original", id.record());
        object.insert("superseded", *superseded);
        if let Some((from, to)) = &row.ends {
            object.insert("in", from.record());
            object.insert("out", to.record());
        }
        versions.entry(id.table).or_default().push(Value::Object(object));
    }
    versions.into_iter().filter_map(|(table, rows)| Some((table.former()?, table, rows)))
}

fn variable(table: Table, stored: bool) -> String {
    format!("{}_{}", if stored { "stored" } else { "new" }, table.name())
}

pub(super) fn batches(rows: &Rows, part: Part) -> BTreeMap<(Table, bool), Batch> {
    let mut batches: BTreeMap<(Table, bool), Batch> = BTreeMap::new();
    for (id, row) in rows.changed() {
        let stored = rows.is_stored(id);
        if part.has(stored) {
            batches.entry((id.table, stored)).or_default().push(id, row);
        }
    }
    batches
}
