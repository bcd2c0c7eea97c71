//! Taking over the history of another log, places and times included.

use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::record::{Draft, chained_hash};
use super::writer::{Historic, Work};
use super::{EmbeddedLog, stopped};
use crate::envelope::{RecordHash, RecordedEvent};
use crate::log::{Appended, EventLog, Restore, RestoreError};

impl Restore for EmbeddedLog {
    fn restore(&self, events: Vec<RecordedEvent>) -> BoxFuture<'_, Result<usize, RestoreError>> {
        Box::pin(async move {
            let head = self.head();
            let known = events.partition_point(|event| event.position <= head);
            let (known, new) = events.split_at(known);
            self.compare(known).await?;
            if new.is_empty() {
                return Ok(0);
            }
            let events: Vec<Historic> = new.iter().map(Historic::of).collect();
            let bytes = events.iter().map(|event| event.draft.len()).sum();
            let (reply, answer) = oneshot::channel();
            self.queue_work(Work::Restore { events, reply }, bytes)?;
            answer.await.unwrap_or_else(|_| Err(stopped().into()))?;
            Ok(new.len())
        })
    }
}

impl EmbeddedLog {
    /// Holds events of a history against what the log has at their places.
    async fn compare(&self, known: &[RecordedEvent]) -> Result<(), RestoreError> {
        let Some(first) = known.first() else { return Ok(()) };
        let found = self.read_all(first.position.saturating_sub(1), known.len()).await?;
        for (given, found) in known.iter().zip(&found) {
            let position = found.position;
            if given.position != position {
                let got = given.position;
                return Err(RestoreError::Position { expected: position, got });
            }
            let (expected, id) = (given.event.id, found.event.id);
            if expected != id {
                return Err(RestoreError::Diverges { position, found: id, expected });
            }
            if !same(given, found) {
                return Err(RestoreError::Differs { position, id });
            }
        }
        Ok(())
    }
}

/// Whether a given event is the one that the log has, of which it may have lost the measurements.
fn same(given: &RecordedEvent, found: &RecordedEvent) -> bool {
    given == found || found.pruned.is_some_and(|hash| given.record_hash() == hash)
}

impl RecordedEvent {
    /// What stands for the event in the hash chain of a log.
    pub fn record_hash(&self) -> RecordHash {
        let hashed = || {
            let mut draft = Draft::new(&self.event, &self.stream);
            // Neither salt nor position are hashed.
            chained_hash(draft.place(0, 0, self.revision, self.recorded_at))
        };
        self.pruned.unwrap_or_else(hashed)
    }
}

impl Historic {
    fn of(recorded: &RecordedEvent) -> Self {
        let RecordedEvent { event, stream, revision, position, recorded_at, pruned } = recorded;
        Self {
            draft: Draft::encode(event, stream, *pruned),
            stream: stream.clone(),
            at: Appended { id: event.id, revision: *revision, position: *position },
            recorded_at: *recorded_at,
        }
    }
}
