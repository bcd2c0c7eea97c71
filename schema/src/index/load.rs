//! Reads the rows that the store has when a graph is opened.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use surrealdb::Surreal;
use surrealdb::engine::any::Any;
use surrealdb::method::StreamItem;
use surrealdb::types::{Object, Value};

use super::Shared;
use super::fact::{COLUMNS, Fact, FactKey, facts_of};
use crate::table::{RowId, Table};

/// How many facts are handed over at once.
const BATCH: usize = 1_000;
/// Before a store that failed is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Loads everything, however often the store fails meanwhile.
pub(super) async fn load(db: Surreal<Any>, shared: Arc<Shared>) {
    let started = std::time::Instant::now();
    while let Err(error) = gather(&db, &shared).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the index could not be loaded; trying again"
        );
        tokio::time::sleep(PAUSE).await;
    }
    // Nothing is committed and not fed: all later facts stand behind those that were gathered.
    let committing = shared.committing.lock().await;
    let put = {
        let shared = shared.clone();
        tokio::task::spawn_blocking(move || {
            let mut state = shared.write();
            let gathered = state.gathered.take().unwrap_or_default();
            let count = gathered.len();
            state.put(gathered);
            count
        })
    };
    let count = put.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    drop(committing);
    shared.loaded.send_replace(true);
    tracing::info!(
        index.facts = count,
        index.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "index loaded",
    );
}

/// Reads the rows as they are, then what they were before: a version that is superseded
/// meanwhile is met at least once. Facts are told by their position, so twice does not matter.
async fn gather(db: &Surreal<Any>, shared: &Shared) -> Result<(), surrealdb::Error> {
    for (table, columns) in COLUMNS {
        gather_from(db, shared, *table, &format!("id AS original, {columns}"), table.name())
            .await?;
    }
    for (table, columns) in COLUMNS {
        if let Some(former) = table.former() {
            gather_from(db, shared, *table, &format!("original, {columns}"), former).await?;
        }
    }
    Ok(())
}

async fn gather_from(
    db: &Surreal<Any>,
    shared: &Shared,
    table: Table,
    columns: &str,
    name: &str,
) -> Result<(), surrealdb::Error> {
    let statement = format!("SELECT {columns}, since, until, changed FROM {name}");
    let mut items = db.query(statement).stream_items()?;
    let mut facts: BTreeMap<FactKey, Fact> = BTreeMap::new();
    // Every window tells its templates anew; only the first telling of each is news.
    let mut first: HashMap<String, (FactKey, Fact)> = HashMap::new();
    while let Some(item) = items.next().await {
        match item? {
            StreamItem::Row { value: Value::Object(row), .. } => {
                if let Some(key) = key_of(&row) {
                    let found = facts_of(table, &key, &row);
                    if table == Table::LogPattern {
                        found.into_iter().for_each(|fact| keep_first(&mut first, fact));
                    } else {
                        facts.extend(found);
                    }
                }
            }
            StreamItem::Row { .. } => {}
            StreamItem::StatementEnd { result, .. } => result?,
        }
        if facts.len() >= BATCH {
            shared.write().take(std::mem::take(&mut facts));
        }
    }
    facts.extend(first.into_values());
    shared.write().take(facts);
    Ok(())
}

fn keep_first(first: &mut HashMap<String, (FactKey, Fact)>, fact: (FactKey, Fact)) {
    match first.get_mut(&fact.0.key) {
        Some(known) if known.0.position <= fact.0.position => {}
        Some(known) => *known = fact,
        None => {
            first.insert(fact.0.key.clone(), fact);
        }
    }
}

/// The key of the row, as [`RowId::id`] gives it.
fn key_of(row: &Object) -> Option<String> {
    match row.get("original") {
        Some(Value::RecordId(record)) => RowId::from_record(record).map(|row| row.id()),
        _ => None,
    }
}
