//! Events on their way into the log.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use events::Event;
use events::log::{AppendError, EventLog};

use crate::http::error::chain;
use crate::ingest::{IngestError, record_new};

/// Events that are appended together.
const BATCH: usize = 500;

/// Events of closed windows, the oldest first. One task appends them.
#[derive(Default)]
pub(super) struct Waiting(Mutex<VecDeque<Event>>);

impl Waiting {
    pub(super) fn extend(&self, events: Vec<Event>) {
        self.queue().extend(events);
    }

    pub(super) fn len(&self) -> usize {
        self.queue().len()
    }

    /// Appends as much as the log takes. What it may take later keeps waiting.
    pub(super) async fn append(&self, log: &dyn EventLog) {
        loop {
            let batch: Vec<Event> = self.queue().iter().take(BATCH).cloned().collect();
            if batch.is_empty() {
                return;
            }
            let count = batch.len();
            match record_new(log, batch).await {
                Ok(_) => {}
                Err(error) if may_pass(&error) => {
                    let waiting = self.len();
                    tracing::warn!(error = chain(&error), waiting, "telemetry waits for the log");
                    return;
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), count, "telemetry was lost");
                }
            }
            self.queue().drain(..count);
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // A queue is whole between two of its calls, whoever panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the log may take the same events later, or after a restart of this server.
fn may_pass(error: &IngestError) -> bool {
    match error {
        IngestError::Append(error) => !matches!(
            error,
            AppendError::TooLarge { .. } | AppendError::RepeatedId { .. } | AppendError::Empty
        ),
        IngestError::Read(_) => true,
        IngestError::Invalid { .. }
        | IngestError::IdTaken { .. }
        | IngestError::MixedStreams { .. } => false,
    }
}
