//! Taking over the history of another log, places and times included.

use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::record::Draft;
use super::writer::{Historic, Work};
use super::{EmbeddedLog, stopped};
use crate::envelope::RecordedEvent;
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
            if given != found {
                return Err(RestoreError::Differs { position, id });
            }
        }
        Ok(())
    }
}

impl Historic {
    fn of(recorded: &RecordedEvent) -> Self {
        let RecordedEvent { event, stream, revision, position, recorded_at } = recorded;
        Self {
            draft: Draft::new(event, stream),
            stream: stream.clone(),
            at: Appended { id: event.id, revision: *revision, position: *position },
            recorded_at: *recorded_at,
        }
    }
}
