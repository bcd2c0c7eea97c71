//! The index of a graph that another server writes.
//!
//! The log says which rows an event changed; they are read, and what they were in between with
//! them, and they give the facts that the other server's index was fed with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use events::RecordedEvent;
use events::log::EventLog;
use surrealdb::types::{Object, RecordId, Value};

use super::Index;
use super::fact::{COLUMNS, Fact, FactKey, facts_of};
use super::load::key_of;
use super::state::{IndexFault, Phase, Shared};
use crate::change::Change;
use crate::projection::project;
use crate::table::{RowId, Table};

/// Events whose rows are read at once.
const BATCH: usize = 1_000;
/// Behind by more positions than so many, it is loaded anew.
const FAR: usize = 20_000;

impl Index {
    /// Whether another server writes the graph; to be said before the index is started.
    pub(crate) fn follows(&self, another: bool) {
        self.follows.store(another, Ordering::Release);
    }

    /// Another server writes the graph from now on; everything up to `position` was fed.
    pub(crate) async fn follow_from(&self, position: u64) {
        // Whatever was committed is fed once this is held.
        let _fed = self.committing().await;
        self.follows(true);
        match self.begun() {
            Some(shared) if shared.phase() == Phase::Loaded => shared.holds_up_to(position),
            _ => self.reload(),
        }
    }

    /// This server writes the graph from now on, behind `position`.
    pub(crate) async fn lead_from<L: EventLog + ?Sized>(&self, log: &L, position: u64) {
        let followed = self.follow(log, position).await;
        let _fed = self.committing().await;
        self.follows(false);
        let loaded =
            self.begun().is_some_and(|it| it.phase() == Phase::Loaded && it.upto() == position);
        if let Err(error) = &followed {
            tracing::warn!(error = error as &dyn std::error::Error, "the index is loaded anew");
        }
        if !loaded {
            self.reload();
        }
    }

    /// Takes in what another server made of the log up to `position`, which the graph contains.
    pub(crate) async fn follow<L: EventLog + ?Sized>(
        &self,
        log: &L,
        position: u64,
    ) -> Result<(), IndexFault> {
        // One that is being loaded comes to it by itself, and is asked to follow next time.
        let Some(shared) = self.begun().filter(|it| it.phase() == Phase::Loaded) else {
            return Ok(());
        };
        let followed = self.follow_with(&shared, log, position).await;
        if followed.is_err() {
            shared.turn(Phase::GivenUp);
            self.start();
        }
        followed
    }

    async fn follow_with<L: EventLog + ?Sized>(
        &self,
        shared: &Arc<Shared>,
        log: &L,
        position: u64,
    ) -> Result<(), IndexFault> {
        let mut read = 0;
        loop {
            let after = shared.upto();
            if after >= position {
                return Ok(());
            }
            let mut events = log.read_all(after, BATCH).await?;
            let whole = events.len() < BATCH;
            events.retain(|event| event.position <= position);
            let upto = match events.last() {
                Some(last) if !whole => last.position,
                _ => position,
            };
            read += events.len();
            if read > FAR {
                shared.turn(Phase::GivenUp);
                self.start();
                return Ok(());
            }
            let mut facts = self.facts_behind(after, &events).await?;
            facts.retain(|key, _| key.position > after && key.position <= upto);
            let put = shared.clone();
            let putting = tokio::task::spawn_blocking(move || {
                put.put(facts)?;
                put.holds_up_to(upto);
                Ok(())
            });
            putting.await.unwrap_or_else(|error| Err(IndexFault::of_task(error)))?;
        }
    }

    /// The facts that stand in the rows that `events` changed, and in what those rows were.
    async fn facts_behind(
        &self,
        after: u64,
        events: &[RecordedEvent],
    ) -> Result<BTreeMap<FactKey, Fact>, IndexFault> {
        let (mut texts, mut tables, mut binds) = (Vec::new(), Vec::new(), Object::new());
        binds.insert("after", i64::try_from(after).unwrap_or(i64::MAX));
        let changed = changed(events);
        for (table, columns) in COLUMNS {
            let Some(rows) = changed.get(table) else { continue };
            let name = table.name();
            let ids: Vec<RecordId> = rows.iter().map(RowId::record).collect();
            binds.insert(name, ids);
            let said = format!("{columns}, since, until, changed");
            texts.push(format!("SELECT id AS original, {said} FROM ${name}"));
            tables.push(*table);
        }
        // Behind all rows: a version that is superseded meanwhile is met at least once.
        for table in tables.clone() {
            let Some(former) = table.former() else { continue };
            let columns = COLUMNS.iter().find(|(it, _)| *it == table).map_or("", |it| it.1);
            let said = format!("{columns}, since, until, changed");
            texts.push(format!("SELECT original, {said} FROM {former} WHERE superseded > $after"));
            tables.push(table);
        }
        let mut facts = BTreeMap::new();
        if texts.is_empty() {
            return Ok(facts);
        }
        let query = self.db.query(texts.join(";")).bind(Value::Object(binds));
        let mut answer = query.await.and_then(|it| it.check()).map_err(Box::new)?;
        for (index, table) in tables.into_iter().enumerate() {
            for row in answer.take::<Vec<Value>>(index).map_err(Box::new)? {
                let Value::Object(row) = row else { continue };
                if let Some(key) = key_of(&row) {
                    facts.extend(facts_of(table, &key, &row));
                }
            }
        }
        Ok(facts)
    }
}

/// The rows that the events change, of the tables that state facts.
fn changed(events: &[RecordedEvent]) -> BTreeMap<Table, BTreeSet<RowId>> {
    let mut changed: BTreeMap<Table, BTreeSet<RowId>> = BTreeMap::new();
    // What cannot be projected changes nothing.
    for change in events.iter().flat_map(|event| project(event).unwrap_or_default()) {
        let row = match change {
            Change::Upsert(upsert) => upsert.row,
            Change::Close { row, .. } | Change::CloseIfKnown(row) => row,
            Change::Require(..) | Change::LinkToIncidents { .. } | Change::LinkToChanges { .. } => {
                continue;
            }
        };
        if COLUMNS.iter().any(|(table, _)| *table == row.table) {
            changed.entry(row.table).or_default().insert(row);
        }
    }
    changed
}
