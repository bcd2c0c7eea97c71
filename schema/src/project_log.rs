//! Keeps the graph behind the log: first what it lacks, in large batches, then what is appended,
//! as it comes. A graph that a rebuild made beside it takes its place between two batches.

use std::sync::Arc;
use std::time::Duration;

use events::RecordedEvent;
use events::log::{EventLog, ReadError};
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::executor::{Applied, ApplyError, Batch};
use crate::generation::GenerationError;
use crate::graph::Graph;
use crate::lease::Tenure;
use crate::live::{LiveGraph, WeakLiveGraph};
use crate::rebuild::{RebuildError, Swapped};

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

/// A graph that is to take the place of the one in use.
pub(crate) struct Offer {
    next: Arc<Graph>,
    /// Whether the two are to be held against each other first.
    compare: bool,
    /// Makes the next one the one that is opened from now on.
    point: BoxFuture<'static, Result<(), GenerationError>>,
    answer: oneshot::Sender<Result<Swapped, RebuildError>>,
}

/// Where a rebuilt graph is handed over to the projector.
#[derive(Clone, Debug)]
pub struct Successor {
    offers: mpsc::Sender<Offer>,
    graph: WeakLiveGraph,
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

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offer").field("compare", &self.compare).finish_non_exhaustive()
    }
}

impl Successor {
    /// Offers `next` and waits until it is in use.
    pub(crate) async fn offer(
        &self,
        next: Arc<Graph>,
        compare: bool,
        point: BoxFuture<'static, Result<(), GenerationError>>,
    ) -> Result<Swapped, RebuildError> {
        let (answer, swapped) = oneshot::channel();
        let offer = Offer { next, compare, point, answer };
        self.offers.send(offer).await.map_err(|_| RebuildError::Ended)?;
        swapped.await.map_err(|_| RebuildError::Ended)?
    }

    /// The graph in use; nothing once none is.
    pub(crate) fn current(&self) -> Option<Arc<Graph>> {
        self.graph.current()
    }

    /// Under which the graph in use is written; nothing once none is in use.
    pub(crate) fn tenure(&self) -> Option<Tenure> {
        self.current().map(|graph| graph.tenure())
    }
}

/// Tells who offers a graph that it is not for this server to put it into use.
pub(crate) fn decline(offer: Offer) {
    let _ = offer.answer.send(Err(RebuildError::Lost));
}

/// Why the projector no longer takes events as they come.
enum Live {
    /// The log closed.
    Closed,
    /// It is faster in large batches, of which the next is read while one is written.
    FellBehind,
}

/// The one writer of the graph in use.
#[derive(Debug)]
pub struct Projector<L: ?Sized> {
    pub(crate) graph: LiveGraph,
    pub(crate) log: Arc<L>,
    pub(crate) position: watch::Sender<u64>,
    pub(crate) offers: Mutex<mpsc::Receiver<Offer>>,
    successor: Successor,
}

impl<L: EventLog + ?Sized> Projector<L> {
    /// A projector of `log` into `graph`, at the graph's checkpoint.
    pub async fn new(graph: impl Into<LiveGraph>, log: Arc<L>) -> Self {
        let graph = graph.into();
        let position = watch::Sender::new(graph.current().checkpoint().await.position);
        let (sender, offers) = mpsc::channel(1);
        let successor = Successor { offers: sender, graph: graph.downgrade() };
        Self { graph, log, position, offers: Mutex::new(offers), successor }
    }

    /// The position that is published after every batch.
    pub fn projected(&self) -> Projected {
        Projected(self.position.subscribe())
    }

    /// Where a rebuilt graph is handed over.
    pub fn successor(&self) -> Successor {
        self.successor.clone()
    }

    /// Applies what the log has now and answers the position that the graph reached.
    pub async fn catch_up(&self) -> Result<u64, ProjectLogError> {
        let mut offers = self.offers.lock().await;
        self.catch_up_or_succeed(&mut offers).await
    }

    /// Catches up, then follows the log until it closes. To drop the future stops the projection
    /// between two transactions.
    pub async fn run(self) -> Result<(), ProjectLogError> {
        let mut offers = self.offers.lock().await;
        self.project(&mut offers).await
    }

    /// As [`Self::run`], from where the graph is.
    pub(crate) async fn project(
        &self,
        offers: &mut mpsc::Receiver<Offer>,
    ) -> Result<(), ProjectLogError> {
        // Now, so that the first question need not wait for it.
        self.graph.current().index().start();
        loop {
            let after = self.catch_up_or_succeed(offers).await?;
            tracing::debug!(graph.position = after, "graph has caught up with the log");
            if let Live::Closed = self.live(after, offers).await? {
                return Ok(());
            }
        }
    }

    async fn catch_up_or_succeed(
        &self,
        offers: &mut mpsc::Receiver<Offer>,
    ) -> Result<u64, ProjectLogError> {
        let mut after = *self.position.borrow();
        let mut events = self.page(after).await?;
        let mut next = self.page(end(&events, after)).await?;
        while !events.is_empty() {
            after = end(&events, after);
            let read = self.page(end(&next, after));
            let (applied, read) =
                tokio::join!(self.apply_or_succeed(&events, Some(&next), offers), read);
            applied?;
            events = std::mem::replace(&mut next, read?);
        }
        Ok(after)
    }

    /// The next events behind `after`.
    async fn page(&self, after: u64) -> Result<Batch, ReadError> {
        Ok(Batch::new(self.log.read_all(after, CATCH_UP_BATCH).await?))
    }

    /// Applies what is appended, as it comes, until more comes at once than that can be done with.
    async fn live(
        &self,
        after: u64,
        offers: &mut mpsc::Receiver<Offer>,
    ) -> Result<Live, ProjectLogError> {
        let mut batches = self.log.subscribe(after).ready_chunks(LIVE_BATCH);
        loop {
            tokio::select! {
                batch = batches.next() => {
                    let Some(batch) = batch else { return Ok(Live::Closed) };
                    let events = batch.into_iter().collect::<Result<Vec<_>, _>>()?;
                    self.apply_or_succeed(&events, None, offers).await?;
                    if events.len() == LIVE_BATCH {
                        return Ok(Live::FellBehind);
                    }
                }
                Some(offer) = offers.recv() => self.succeed(offer).await,
            }
        }
    }

    /// Applies events; a store that fails again and again gives way to a rebuilt one meanwhile.
    async fn apply_or_succeed(
        &self,
        events: &[RecordedEvent],
        next: Option<&Batch>,
        offers: &mut mpsc::Receiver<Offer>,
    ) -> Result<(), ApplyError> {
        loop {
            tokio::select! {
                applied = self.apply(events, next) => return applied,
                Some(offer) = offers.recv() => self.succeed(offer).await,
            }
        }
    }

    /// Puts a rebuilt graph in place of the one in use, unless it cannot be brought as far.
    async fn succeed(&self, Offer { next, compare, point, answer }: Offer) {
        let swapped = self.swap(next, compare, point).await;
        // Whoever asked may have gone; the graph is swapped all the same.
        let _ = answer.send(swapped);
    }

    async fn swap(
        &self,
        next: Arc<Graph>,
        compare: bool,
        point: BoxFuture<'static, Result<(), GenerationError>>,
    ) -> Result<Swapped, RebuildError> {
        let published = *self.position.borrow();
        let position = published.max(next.checkpoint().await.position);
        self.bring(&next, position).await?;
        let difference = match compare {
            true => {
                let live = self.graph.current();
                self.bring(&live, position).await?;
                live.first_difference(&next).await.map_err(Box::new)?
            }
            false => None,
        };
        if let Some(difference) = &difference {
            tracing::error!(
                graph.position = position,
                "the graph in use was not the fold of the log: {difference}; the rebuilt one is"
            );
        }
        point.await?;
        let before = self.graph.replace(next);
        self.position.send_replace(position);
        tracing::info!(graph.position = position, "the rebuilt graph is in use");
        Ok(Swapped { position, difference, before })
    }

    /// Applies what `graph` lacks up to `position`, which it does not pass.
    async fn bring(&self, graph: &Graph, position: u64) -> Result<(), RebuildError> {
        loop {
            let at = graph.checkpoint().await.position;
            let lacks = usize::try_from(position.saturating_sub(at)).unwrap_or(usize::MAX);
            let mut events = self.log.read_all(at, lacks.min(CATCH_UP_BATCH)).await?;
            // Positions need not be dense: the page may go further.
            events.retain(|event| event.position <= position);
            if events.is_empty() {
                return Ok(());
            }
            graph.apply(&events).await?;
        }
    }

    async fn apply(
        &self,
        events: &[RecordedEvent],
        next: Option<&Batch>,
    ) -> Result<(), ApplyError> {
        let mut pause = Duration::from_millis(100);
        for attempt in 1.. {
            match self.graph.current().apply_before(events, next).await {
                Ok(applied) => {
                    self.publish(events, applied);
                    break;
                }
                Err(error @ (ApplyError::Foreign { .. } | ApplyError::Fenced { .. })) => {
                    return Err(error);
                }
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
            // A rebuilt graph may have been further.
            self.position
                .send_if_modified(|at| std::mem::replace(at, last.position.max(*at)) < *at);
        }
        tracing::debug!(
            graph.applied = applied.applied,
            graph.set_aside = applied.set_aside,
            graph.position = *self.position.borrow(),
            "events projected",
        );
    }
}

/// The position of the last of `events`, which are behind `after`.
fn end(events: &[RecordedEvent], after: u64) -> u64 {
    events.last().map_or(after, |last| last.position)
}
