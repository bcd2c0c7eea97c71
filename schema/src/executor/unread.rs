//! Applying events to a graph that nobody reads yet.
//!
//! A rebuild that does not come to its end is thrown away as a whole. So its new rows need not be
//! in the transaction of the checkpoint, and are inserted before it, each table by a task of its
//! own: the store works on one transaction with one processor.

use events::RecordedEvent;
use surrealdb::types::{Array, Object, RecordId, Value};
use tokio::task::JoinSet;

use super::write::{Part, WriteError, batches, classified, former_versions, insertion};
use super::{Applied, ApplyError, Folded, fold, unreadable};
use crate::fold::Rows;
use crate::graph::{Checkpoint, Graph};

impl Graph {
    /// As [`Graph::apply`], for a graph that is thrown away unless all of the log gets into it:
    /// after a crash, new rows may be in it without the checkpoint behind them.
    #[doc(hidden)]
    pub async fn apply_unread(&self, events: &[RecordedEvent]) -> Result<Applied, ApplyError> {
        // A writer that lost a shared graph is stopped by the transaction of the checkpoint alone.
        if !self.tenure().is_shared()
            && let Some(applied) = self.apply_at_once(events).await?
        {
            return Ok(applied);
        }
        // In one transaction, which finds the event that the store refuses.
        self.apply(events).await
    }

    /// `None`, and the graph as it was, when the store did not take it. After another error new
    /// rows may be in it, and it is of no more use.
    pub(super) async fn apply_at_once(
        &self,
        events: &[RecordedEvent],
    ) -> Result<Option<Applied>, ApplyError> {
        let mut checkpoint = self.checkpoint.lock().await;
        let held = checkpoint.position;
        let stored = self.stored_checkpoint().await.map_err(|error| unreadable(error, held))?;
        if stored.position != held {
            return Err(ApplyError::Moved { expected: held });
        }
        let events = &events[events.partition_point(|event| event.position <= held)..];
        let Some(last) = events.last() else { return Ok(Some(Applied::default())) };
        let Folded { rows, refused } = fold(&self.db, events, &Rows::default()).await?;
        let committing = self.index.committing().await;
        let mut written = self.insert_new(&rows).await;
        if written.is_ok() {
            let behind = Checkpoint::at(last);
            written = self.write(*checkpoint, &rows, &refused, behind, Part::Stored).await;
        }
        match written {
            Ok(()) => {
                *checkpoint = Checkpoint::at(last);
                self.index.feed(committing, held, &rows).await;
                Ok(Some(Applied { applied: events.len(), set_aside: refused.len() }))
            }
            Err(error @ (WriteError::Refused(_) | WriteError::Conflict)) => {
                tracing::debug!(
                    graph.position = held,
                    "the store did not take a batch in parts, it is written as one: {error:?}"
                );
                self.remove_new(&rows).await.map_err(|error| error.into_apply_error(held))?;
                Ok(None)
            }
            // It may have committed: what it wrote must not be taken back.
            Err(error) => Err(error.into_apply_error(held)),
        }
    }

    /// Inserts what was not there before, each table beside the others.
    async fn insert_new(&self, rows: &Rows) -> Result<(), WriteError> {
        let new = batches(rows, Part::New).into_iter();
        let new = new.map(|((table, _), batch)| (table.name(), table.is_edge(), batch.rows));
        let former = former_versions(rows);
        let former = former.map(|(name, table, rows)| (name, table.is_edge(), rows));
        let mut inserting = JoinSet::new();
        for (name, edges, rows) in new.chain(former) {
            let mut binds = Object::new();
            binds.insert("rows", Value::Array(Array::from(rows)));
            let query = self.db.query(insertion(name, edges, "rows")).bind(Value::Object(binds));
            let query = query.into_owned();
            inserting.spawn(async move { query.await?.check() });
        }
        // All of them end before anything is taken back.
        let mut refused = None;
        while let Some(inserted) = inserting.join_next().await {
            match inserted {
                Ok(Ok(_)) => {}
                // A store that failed outweighs one that refused: nothing is taken back then.
                Ok(Err(error)) if !matches!(refused, Some(WriteError::Store(_))) => {
                    refused = Some(classified(error));
                }
                Ok(Err(_)) => {}
                Err(ended) => std::panic::resume_unwind(ended.into_panic()),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Takes out again what [`Self::insert_new`] inserted.
    async fn remove_new(&self, rows: &Rows) -> Result<(), WriteError> {
        let new = rows.changed().filter(|(id, _)| !rows.is_stored(id)).map(|(id, _)| id.record());
        let former = rows.former().iter();
        let former = former.filter_map(|former| former.id.former_record(former.row.version()));
        let ids: Vec<RecordId> = new.chain(former).collect();
        let mut binds = Object::new();
        binds.insert("ids", ids);
        let removed = self.db.query("DELETE $ids RETURN NONE").bind(Value::Object(binds)).await;
        removed.and_then(|response| response.check()).map_err(classified)?;
        Ok(())
    }
}
