//! Reads the rows that the store has when an index is started.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use surrealdb::Surreal;
use surrealdb::engine::any::Any;
use surrealdb::method::StreamItem;
use surrealdb::types::{Object, Value};
use tokio::sync::Mutex;

use super::fact::{COLUMNS, Fact, FactKey, facts_of};
use super::state::{IndexFault, Phase, Shared};
use crate::table::{RowId, Table};

/// How many facts are handed over at once.
const BATCH: usize = 1_000;
/// So few are put while the writer waits; of more, only those that come meanwhile.
const FEW: usize = 1_000;
/// Before a load that failed is tried again. The pause doubles each time.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Where an index is loaded from.
pub(super) struct Source {
    pub(super) db: Surreal<Any>,
    pub(super) committing: Arc<Mutex<()>>,
    /// Whether another server writes the graph.
    pub(super) follows: bool,
}

/// Loads everything, however often that fails.
pub(super) async fn load(from: Source, shared: Arc<Shared>) {
    let (started, mut pause) = (Instant::now(), PAUSE);
    loop {
        let filled = async {
            match from.follows {
                true => fill_up_to_now(&from.db, &shared).await,
                false => fill(&from.db, &from.committing, &shared).await,
            }
        };
        let filled = AssertUnwindSafe(filled).catch_unwind().await;
        match filled.unwrap_or_else(|panic| Err(IndexFault::of_panic(&*panic))) {
            Ok(count) => {
                tracing::info!(
                    index.facts = count,
                    index.duration_ms =
                        u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "index loaded",
                );
                return;
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the index could not be loaded; trying again"
            ),
        }
        shared.clear();
        shared.turn(Phase::Failed);
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(2 * pause);
    }
}

/// Gathers what is stored and puts it; answers how many facts that was.
async fn fill(
    db: &Surreal<Any>,
    committing: &Arc<Mutex<()>>,
    shared: &Arc<Shared>,
) -> Result<usize, IndexFault> {
    gather(db, shared).await?;
    let mut count = 0;
    loop {
        // Nothing is committed and not fed: all later facts stand behind those that were gathered.
        let committing = committing.clone().lock_owned().await;
        let facts = shared.gathered();
        count += facts.len();
        let last = (facts.len() <= FEW).then_some(committing);
        let (is_last, filled) = (last.is_some(), shared.clone());
        let putting = tokio::task::spawn_blocking(move || {
            filled.put(facts)?;
            if let Some(committing) = last {
                filled.gathered_all();
                drop(committing);
            }
            Ok(())
        });
        putting.await.unwrap_or_else(|error| Err(IndexFault::of_task(error)))?;
        if is_last {
            return Ok(count);
        }
    }
}

/// The same where another server commits meanwhile. What it commits behind the position at which
/// this begins is left to [`super::Index::follow`]: without it, everything is as of that position,
/// because what a row was there is read after the row.
async fn fill_up_to_now(db: &Surreal<Any>, shared: &Arc<Shared>) -> Result<usize, IndexFault> {
    let mut answer =
        db.query("SELECT VALUE position FROM checkpoint:graph").await.map_err(Box::new)?;
    let position = answer.take::<Vec<i64>>(0).map_err(Box::new)?.pop();
    let position = position.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
    gather(db, shared).await?;
    let mut facts = shared.gathered();
    facts.retain(|key, _| key.position <= position);
    let (count, filled) = (facts.len(), shared.clone());
    let putting = tokio::task::spawn_blocking(move || {
        filled.put(facts)?;
        filled.holds_up_to(position);
        filled.gathered_all();
        Ok(())
    });
    putting.await.unwrap_or_else(|error| Err(IndexFault::of_task(error)))?;
    Ok(count)
}

/// Reads the rows as they are, then what they were before: a version that is superseded
/// meanwhile is met at least once. Facts are told by their position, so twice does not matter.
async fn gather(db: &Surreal<Any>, shared: &Shared) -> Result<(), IndexFault> {
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
) -> Result<(), IndexFault> {
    let statement = format!("SELECT {columns}, since, until, changed FROM {name}");
    let mut items = db.query(statement).stream_items().map_err(Box::new)?;
    let mut facts: BTreeMap<FactKey, Fact> = BTreeMap::new();
    // Every window tells its templates anew; only the first telling of each is news.
    let mut first: HashMap<String, (FactKey, Fact)> = HashMap::new();
    while let Some(item) = items.next().await {
        match item.map_err(Box::new)? {
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
            StreamItem::StatementEnd { result, .. } => result.map_err(Box::new)?,
        }
        if facts.len() >= BATCH {
            shared.take(std::mem::take(&mut facts))?;
        }
    }
    facts.extend(first.into_values());
    shared.take(facts)
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
pub(super) fn key_of(row: &Object) -> Option<String> {
    match row.get("original") {
        Some(Value::RecordId(record)) => RowId::from_record(record).map(|row| row.id()),
        _ => None,
    }
}
