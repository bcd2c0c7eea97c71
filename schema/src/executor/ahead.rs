//! The next batch, folded while the one before it is written.
//!
//! What a batch makes of the graph is in memory before the store has it. So the batch behind it
//! need not wait for the store: it takes the rows of the one before from there, and all others
//! from the store, where they are the same before that commit and after it.

use std::sync::{Arc, Mutex, PoisonError};

use events::RecordedEvent;
use surrealdb::Surreal;
use surrealdb::engine::any::Any;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::{ApplyError, Folded, fold};
use crate::fold::Rows;

/// Events in the order of the log, to be read by a task of its own.
pub type Batch = Arc<Vec<RecordedEvent>>;

/// The batch that is expected next, if it is folded already.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Mutex<Option<Next>>);

/// A batch that is folded, or being folded, on a task of its own.
#[derive(Debug)]
pub(super) struct Next {
    /// Position of the last event of the batch before it.
    behind: u64,
    events: Batch,
    folding: AbortOnDropHandle<Result<Folded, ApplyError>>,
}

impl Next {
    /// Begins to fold `events` behind those up to position `behind`, which make `before`.
    pub(super) fn begin(db: &Surreal<Any>, events: &Batch, behind: u64, before: Arc<Rows>) -> Self {
        let (db, batch) = (db.clone(), events.clone());
        let folding = async move { fold(&db, &batch, &before).await };
        let folding = AbortOnDropHandle::new(tokio::spawn(folding.in_current_span()));
        Self { behind, events: events.clone(), folding }
    }

    fn is(&self, behind: u64, events: &[RecordedEvent]) -> bool {
        let same = |of: fn(&[RecordedEvent]) -> Option<&RecordedEvent>| {
            let place = |events| of(events).map(|event| (event.position, event.event.id));
            place(&self.events) == place(events)
        };
        self.behind == behind
            && self.events.len() == events.len()
            && same(<[_]>::first)
            && same(<[_]>::last)
    }
}

impl Ahead {
    /// Keeps what was folded: the batch before it is committed.
    pub(super) fn keep(&self, next: Option<Next>) {
        *self.lock() = next;
    }

    /// `events` as they were folded ahead, unless others were, or that failed.
    pub(super) async fn take(&self, behind: u64, events: &[RecordedEvent]) -> Option<Folded> {
        let next = self.lock().take()?;
        if !next.is(behind, events) {
            return None;
        }
        next.folding.await.ok()?.ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Next>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
