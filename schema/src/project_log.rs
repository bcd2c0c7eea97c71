//! Keeps the graph behind the log: first what it lacks, in large batches, then what is appended,
//! as it comes.

use std::sync::Arc;
use std::time::Duration;

use events::RecordedEvent;
use events::log::{EventLog, ReadError};
use futures::StreamExt;
use tokio::sync::watch;

use crate::executor::{Applied, ApplyError};
use crate::live::LiveGraph;

/// Events read from the log and applied at once while catching up.
const CATCH_UP_BATCH: usize = 1_000;
/// Most events applied at once when live: what has piled up, without waiting for more.
const LIVE_BATCH: usize = 256;
/// Longest pause before a failing store is asked again. The log goes on meanwhile: a graph that
/// cannot be reached is a lag, not an outage.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why the projection ended before the log did.
#[derive(Debug, thiserror::Error)]
pub enum ProjectLogError {
    /// The log could not be read.
    #[error("the projection could not read the log")]
    Read(#[from] ReadError),
    /// The graph could not be written.
    #[error("the projection could not write the graph")]
    Apply(#[from] ApplyError),
}

/// Why a wait for a position ended without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The time was up.
    #[error("the graph is at position {at}, position {wanted} took longer than the wait")]
    TimedOut {
        /// Where the graph is.
        at: u64,
        /// What was waited for.
        wanted: u64,
    },
    /// The projection ended.
    #[error("the projection ended at position {at}, before {wanted}")]
    Ended {
        /// Where the graph is.
        at: u64,
        /// What was waited for.
        wanted: u64,
    },
}

/// The position up to which the graph contains the log, as it moves.
#[derive(Clone, Debug)]
pub struct Projected(watch::Receiver<u64>);

impl Projected {
    /// The position now.
    pub fn position(&self) -> u64 {
        *self.0.borrow()
    }

    /// The channel itself, for those who select over several.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.clone()
    }

    /// Waits until the graph contains `position`, at most for `timeout` (QU-1).
    pub async fn wait_for(&self, position: u64, timeout: Duration) -> Result<(), WaitError> {
        let mut positions = self.0.clone();
        let reached = positions.wait_for(|at| *at >= position);
        match tokio::time::timeout(timeout, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(WaitError::Ended { at: self.position(), wanted: position }),
            Err(_) => Err(WaitError::TimedOut { at: self.position(), wanted: position }),
        }
    }
}

/// The one writer of the graph in use.
#[derive(Debug)]
pub struct Projector<L: ?Sized> {
    graph: LiveGraph,
    log: Arc<L>,
    position: watch::Sender<u64>,
}

impl<L: EventLog + ?Sized> Projector<L> {
    /// A projector of `log` into `graph`, at the graph's checkpoint.
    pub async fn new(graph: impl Into<LiveGraph>, log: Arc<L>) -> Self {
        let graph = graph.into();
        let position = watch::Sender::new(graph.current().checkpoint().await.position);
        Self { graph, log, position }
    }

    /// The position that is published after every batch.
    pub fn projected(&self) -> Projected {
        Projected(self.position.subscribe())
    }

    /// Applies what the log has now and answers the position that the graph reached.
    pub async fn catch_up(&self) -> Result<u64, ProjectLogError> {
        loop {
            let after = *self.position.borrow();
            let events = self.log.read_all(after, CATCH_UP_BATCH).await?;
            if events.is_empty() {
                return Ok(after);
            }
            self.apply(&events).await?;
        }
    }

    /// Catches up, then follows the log until it closes. To drop the future stops the projection
    /// between two transactions.
    pub async fn run(self) -> Result<(), ProjectLogError> {
        let after = self.catch_up().await?;
        tracing::info!(graph.position = after, "graph has caught up with the log");
        let mut batches = self.log.subscribe(after).ready_chunks(LIVE_BATCH);
        while let Some(batch) = batches.next().await {
            let events = batch.into_iter().collect::<Result<Vec<_>, _>>()?;
            self.apply(&events).await?;
        }
        Ok(())
    }

    async fn apply(&self, events: &[RecordedEvent]) -> Result<(), ApplyError> {
        let mut pause = Duration::from_millis(100);
        for attempt in 1.. {
            match self.graph.current().apply(events).await {
                Ok(applied) => {
                    self.publish(events, applied);
                    break;
                }
                Err(error @ ApplyError::Foreign { .. }) => return Err(error),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        attempt,
                        "graph store failed; trying again",
                    );
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        Ok(())
    }

    fn publish(&self, events: &[RecordedEvent], applied: Applied) {
        if let Some(last) = events.last() {
            self.position.send_replace(last.position);
        }
        tracing::debug!(
            graph.applied = applied.applied,
            graph.set_aside = applied.set_aside,
            graph.position = *self.position.borrow(),
            "events projected",
        );
    }
}
