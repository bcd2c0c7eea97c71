//! Applies events to the graph: one transaction a batch, the checkpoint in it.
//!
//! - PR-1: rows are loaded, folded in memory in the order of the log and written whole, so the
//!   graph does not depend on how events were batched.
//! - PR-2: rows and checkpoint commit together, and only on the checkpoint that they were folded
//!   from.
//! - PR-3: events at or before the checkpoint are passed over.
//! - PR-4: an event that cannot be projected is written to `set_aside` with its error, in the same
//!   transaction, and the next one follows. When the store refuses a batch, the batch is halved
//!   until the event at fault stands alone.

mod ahead;
mod load;
mod set_aside;
#[cfg(test)]
mod tests;
mod traced;
mod unread;
mod write;

use std::sync::Arc;
use std::time::Duration;

use events::RecordedEvent;
use futures::FutureExt;
use futures::future::BoxFuture;
use surrealdb::Surreal;
use surrealdb::engine::any::Any;
use tracing::Instrument;

use crate::fold::Rows;
use crate::graph::{Checkpoint, Graph, OpenError};
use crate::projection::{ProjectError, project};

pub(crate) use ahead::Ahead;
pub use ahead::Batch;
use ahead::Next;
pub use set_aside::{SetAside, SetAsideError};
use write::{Part, WriteError};

/// Why a batch was not applied. Nothing of it is in the graph, or a first part of it with the
/// checkpoint behind that part: to apply it again is right in both cases.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The store failed.
    #[error("the graph store failed behind position {position}")]
    Store {
        /// The checkpoint.
        position: u64,
        /// What the store says.
        #[source]
        source: Box<surrealdb::Error>,
    },
    /// A row of the graph is not what projections write.
    #[error("the graph holds something foreign: {what}")]
    Foreign {
        /// What and where.
        what: String,
    },
    /// Another writer moved the checkpoint.
    #[error("the graph is no longer at position {expected}: another writer moved it")]
    Moved {
        /// Where this writer left it.
        expected: u64,
    },
    /// Another server holds the lease; nothing was written.
    #[error("the graph is written by another server since position {position}")]
    Fenced {
        /// The checkpoint.
        position: u64,
    },
    /// Another transaction was in the way again and again.
    #[error("the graph store reported conflicts {attempts} times behind position {position}")]
    Contended {
        /// The checkpoint.
        position: u64,
        /// How often it was tried.
        attempts: u32,
    },
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Events that are new in the graph.
    pub applied: usize,
    /// Those of them that were set aside.
    pub set_aside: usize,
}

const ATTEMPTS: u32 = 8;

/// Why the checkpoint that another writer left behind `position` is not known: a store that
/// fails is asked again, a checkpoint that is none stays one.
fn unreadable(error: OpenError, position: u64) -> ApplyError {
    match error {
        OpenError::Store { source, .. } => ApplyError::Store { position, source },
        foreign => ApplyError::Foreign { what: format!("checkpoint behind {position}: {foreign}") },
    }
}

/// What events make of the graph.
#[derive(Debug)]
struct Folded {
    rows: Arc<Rows>,
    /// Those that make nothing of it.
    refused: Vec<SetAside>,
}

impl Graph {
    /// Applies `events`, which stand in the order of the log, and moves the checkpoint behind
    /// them. Events that the graph contains are passed over.
    pub async fn apply(&self, events: &[RecordedEvent]) -> Result<Applied, ApplyError> {
        self.apply_before(events, None).await
    }

    /// As [`Self::apply`], and folds `next` meanwhile: the events that are to be applied behind
    /// them, which are passed again then.
    pub async fn apply_before(
        &self,
        events: &[RecordedEvent],
        next: Option<&Batch>,
    ) -> Result<Applied, ApplyError> {
        let mut checkpoint = self.checkpoint.lock().await;
        match self.apply_behind(&mut checkpoint, events, next).await {
            // Another writer, or this one when it was dropped after it committed.
            Err(ApplyError::Moved { expected }) => {
                let stored = self.stored_checkpoint().await;
                *checkpoint = stored.map_err(|error| unreadable(error, expected))?;
                // What was committed there was not fed.
                self.index.reload();
                self.apply_behind(&mut checkpoint, events, next).await
            }
            done => done,
        }
    }

    async fn apply_behind(
        &self,
        checkpoint: &mut Checkpoint,
        events: &[RecordedEvent],
        next: Option<&Batch>,
    ) -> Result<Applied, ApplyError> {
        let known = events.partition_point(|event| event.position <= checkpoint.position);
        let events = &events[known..];
        debug_assert!(events.is_sorted_by_key(|event| event.position), "in the order of the log");
        if events.is_empty() {
            return Ok(Applied::default());
        }
        self.apply_new(checkpoint, events, next).instrument(traced::span(events)).await
    }

    fn apply_new<'a>(
        &'a self,
        checkpoint: &'a mut Checkpoint,
        events: &'a [RecordedEvent],
        next: Option<&'a Batch>,
    ) -> BoxFuture<'a, Result<Applied, ApplyError>> {
        async move {
            let Some(last) = events.last() else { return Ok(Applied::default()) };
            let position = checkpoint.position;
            for attempt in 0..ATTEMPTS {
                let Folded { rows, refused } = match self.ahead.take(position, events).await {
                    Some(folded) => folded,
                    None => fold(&self.db, events, &Rows::default()).await?,
                };
                let next = next
                    .filter(|next| !next.is_empty())
                    .map(|next| Next::begin(&self.db, next, last.position, Arc::clone(&rows)));
                let committing = self.index.committing().await;
                match self
                    .write(*checkpoint, &rows, &refused, Checkpoint::at(last), Part::All)
                    .await
                {
                    Ok(()) => {
                        *checkpoint = Checkpoint::at(last);
                        self.index.feed(committing, position, &rows).await;
                        self.ahead.keep(next);
                        return Ok(Applied { applied: events.len(), set_aside: refused.len() });
                    }
                    Err(WriteError::Conflict) => {
                        drop(committing);
                        tokio::time::sleep(Duration::from_millis(1 << attempt)).await;
                    }
                    Err(WriteError::Moved) => {
                        return Err(ApplyError::Moved { expected: position });
                    }
                    Err(WriteError::Fenced) => return Err(ApplyError::Fenced { position }),
                    Err(WriteError::Store(source)) => {
                        return Err(ApplyError::Store { position, source });
                    }
                    Err(WriteError::Refused(message)) => {
                        drop(committing);
                        return self.apply_refused(checkpoint, events, message).await;
                    }
                }
            }
            Err(ApplyError::Contended { position, attempts: ATTEMPTS })
        }
        .boxed()
    }

    /// The store refused a batch: it is halved, and an event that is refused alone set aside.
    async fn apply_refused(
        &self,
        checkpoint: &mut Checkpoint,
        events: &[RecordedEvent],
        message: String,
    ) -> Result<Applied, ApplyError> {
        if let [event] = events {
            let position = checkpoint.position;
            let refused = [SetAside::new(event, &ProjectError::Refused { message })];
            let behind = Checkpoint::at(event);
            let mut rows = Rows::default();
            rows.note_effect(event);
            self.write(*checkpoint, &rows, &refused, behind, Part::All)
                .await
                .map_err(|error| error.into_apply_error(position))?;
            *checkpoint = behind;
            return Ok(Applied { applied: 1, set_aside: 1 });
        }
        let (first, second) = events.split_at(events.len() / 2);
        let first = self.apply_new(checkpoint, first, None).await?;
        let second = self.apply_new(checkpoint, second, None).await?;
        Ok(Applied {
            applied: first.applied + second.applied,
            set_aside: first.set_aside + second.set_aside,
        })
    }
}

/// What `events` make of the stored rows and of `before`, those of the events before them that may
/// not be stored yet.
async fn fold(
    db: &Surreal<Any>,
    events: &[RecordedEvent],
    before: &Rows,
) -> Result<Folded, ApplyError> {
    let projected: Vec<_> = events.iter().map(project).collect();
    let mut rows = load::load(db, projected.iter().flatten().flatten(), before).await?;
    let mut refused = Vec::new();
    for (recorded, changes) in events.iter().zip(projected) {
        rows.note_effect(recorded);
        if let Err(error) = changes.and_then(|changes| rows.apply(recorded, changes)) {
            tracing::warn!(
                event.id = %recorded.event.id,
                event.r#type = recorded.event.data.event_type(),
                event.position = recorded.position,
                error.code = error.code(),
                "event set aside: {error}",
            );
            refused.push(SetAside::new(recorded, &error));
        }
    }
    Ok(Folded { rows: Arc::new(rows), refused })
}
