//! Reads the rows that a batch changes, one statement a table.

use std::collections::{BTreeMap, BTreeSet};

use events::Timestamp;
use surrealdb::Surreal;
use surrealdb::engine::any::Any;
use surrealdb::types::{Object, RecordId, Value};

use super::ApplyError;
use crate::change::{Change, LEAD_MS};
use crate::fold::{Moments, Row, Rows, shifted, within};
use crate::table::{RowId, Table};
use crate::value::{time, timestamp};

/// The statements of one load, and what the answer to each is.
#[derive(Default)]
struct Statements {
    texts: Vec<String>,
    binds: Object,
    answers: Vec<Answer>,
}

#[derive(Clone, Copy)]
enum Answer {
    Rows,
    Opened,
    Deployed,
}

/// The rows that `changes` read: as `before` has them, else as they are stored.
pub(super) async fn load<'a>(
    db: &Surreal<Any>,
    changes: impl Iterator<Item = &'a Change>,
    before: &Rows,
) -> Result<Rows, ApplyError> {
    let mut rows = Rows::default();
    let statements = Statements::of(changes, before, &mut rows);
    if statements.texts.is_empty() {
        return Ok(rows);
    }
    let failed = |source| ApplyError::Store { position: 0, source: Box::new(source) };
    let mut response = db
        .query(statements.texts.join(";"))
        .bind(Value::Object(statements.binds))
        .await
        .and_then(|response| response.check())
        .map_err(failed)?;
    for (index, answer) in statements.answers.into_iter().enumerate() {
        for stored in response.take::<Vec<Value>>(index).map_err(failed)? {
            match answer {
                Answer::Rows => {
                    let (id, row) = from_stored(stored)?;
                    rows.load(id, row);
                }
                Answer::Opened => {
                    let (at, id) = moment_of(stored)?;
                    rows.load_opened(at, id);
                }
                Answer::Deployed => {
                    let (at, id) = moment_of(stored)?;
                    rows.load_deployed(at, id);
                }
            }
        }
    }
    Ok(rows)
}

impl Statements {
    /// What is to be asked of the store; what `before` knows goes into `rows`.
    fn of<'a>(changes: impl Iterator<Item = &'a Change>, before: &Rows, rows: &mut Rows) -> Self {
        let mut wanted: BTreeMap<Table, BTreeSet<&RowId>> = BTreeMap::new();
        let mut opened = Span::default();
        let mut deployed = Span::default();
        for change in changes {
            match change.reads().map(|id| (id, before.row(id))) {
                Some((id, Some(row))) => rows.load(id.clone(), row.clone()),
                Some((id, None)) => {
                    wanted.entry(id.table).or_default().insert(id);
                }
                None => {}
            }
            match change {
                Change::LinkToIncidents { at, .. } => opened.cover(*at, shifted(*at, LEAD_MS)),
                Change::LinkToChanges { opened_at, .. } => {
                    deployed.cover(shifted(*opened_at, -LEAD_MS), *opened_at);
                }
                _ => {}
            }
        }
        let mut statements = Self::default();
        for (table, ids) in wanted {
            let name = table.name();
            let ids: Vec<RecordId> = ids.into_iter().map(RowId::record).collect();
            statements.add(format!("SELECT * FROM ${name}"), Answer::Rows);
            statements.binds.insert(name, ids);
        }
        for (at, id) in opened.of(before.opened()) {
            rows.load_opened(*at, id.clone());
        }
        for (at, id) in deployed.of(before.deployed()) {
            rows.load_deployed(*at, id.clone());
        }
        statements.add_span(opened, "incident", "opened_at", Answer::Opened);
        statements.add_span(deployed, "change", "at", Answer::Deployed);
        statements
    }

    fn add(&mut self, text: String, answer: Answer) {
        self.texts.push(text);
        self.answers.push(answer);
    }

    fn add_span(&mut self, span: Span, table: &str, field: &str, answer: Answer) {
        let Some((from, to)) = span.0 else { return };
        let text = format!(
            "SELECT id, {field} AS at FROM {table} \
             WHERE {field} >= ${table}_from AND {field} <= ${table}_to"
        );
        self.add(text, answer);
        self.binds.insert(format!("{table}_from"), time(from));
        self.binds.insert(format!("{table}_to"), time(to));
    }
}

/// The time that a batch's changes and incidents reach back and forth over.
#[derive(Clone, Copy, Default)]
struct Span(Option<(Timestamp, Timestamp)>);

impl Span {
    fn cover(&mut self, from: Timestamp, to: Timestamp) {
        let (first, last) = self.0.unwrap_or((from, to));
        self.0 = Some((first.min(from), last.max(to)));
    }

    /// Those of `moments` that are within it.
    fn of(self, moments: &Moments) -> impl Iterator<Item = &(Timestamp, RowId)> {
        self.0.into_iter().flat_map(|(from, to)| within(moments, from, to))
    }
}

fn foreign(what: impl Into<String>) -> ApplyError {
    ApplyError::Foreign { what: what.into() }
}

fn row_id(value: Option<Value>) -> Result<RowId, ApplyError> {
    match value {
        Some(Value::RecordId(record)) => {
            RowId::from_record(&record).ok_or_else(|| foreign(format!("record {record:?}")))
        }
        other => Err(foreign(format!("{other:?} in place of a record id"))),
    }
}

fn from_stored(stored: Value) -> Result<(RowId, Row), ApplyError> {
    let Value::Object(mut fields) = stored else {
        return Err(foreign("a row that is not an object"));
    };
    let id = row_id(fields.remove("id"))?;
    let ends = if id.table.is_edge() {
        Some((row_id(fields.remove("in"))?, row_id(fields.remove("out"))?))
    } else {
        None
    };
    Ok((id, Row { ends, fields }))
}

fn moment_of(stored: Value) -> Result<(Timestamp, RowId), ApplyError> {
    let Value::Object(mut fields) = stored else {
        return Err(foreign("a row that is not an object"));
    };
    let id = row_id(fields.remove("id"))?;
    match fields.remove("at") {
        Some(Value::Datetime(at)) => Ok((timestamp(at), id)),
        other => Err(foreign(format!("{other:?} as the time of {id}"))),
    }
}
