//! A rebuild: the next generation of the graph, made from the log beside the one in use, which
//! goes on answering and growing until the new one takes its place (PR-5).

use std::sync::Arc;
use std::time::{Duration, Instant};

use events::RecordedEvent;
use events::log::{EventLog, ReadError};
use tokio::sync::watch;

use crate::difference::Difference;
use crate::executor::ApplyError;
use crate::generation::{GenerationError, Generations};
use crate::graph::{self, Graph, OpenError};
use crate::lease::{Lease, Role, Tenure};
use crate::project_log::Successor;
use crate::recovery::GRACE;

/// Events that are read and applied at once.
const BATCH: usize = 4_000;
/// So near to the end of the log, the projector does the rest when it takes over.
const NEAR: u64 = 1_000;

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RebuildProgress {
    /// Number of the generation that is made.
    pub generation: u64,
    /// Position up to which it holds the log.
    pub position: u64,
    /// Where the log ended when last looked at.
    pub head: u64,
    /// Events a second so far.
    pub events_per_s: f64,
    /// How long it will still take at that pace.
    pub left: Option<Duration>,
}

/// A graph took the place of another.
#[derive(Debug)]
pub struct Swapped {
    /// The position at which it did.
    pub position: u64,
    /// Where the one before was not the fold of the log, if that was looked at.
    pub difference: Option<Difference>,
    /// The one before.
    pub(crate) before: Arc<Graph>,
}

/// Why a rebuild did not end in a swap. The graph in use is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The next generation could not be made or the one before not removed.
    #[error("the generations of the graph store cannot be told or changed")]
    Generation(#[from] GenerationError),
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log could not be read.
    #[error("the rebuild could not read the log")]
    Read(#[from] ReadError),
    /// The new graph could not be written.
    #[error("the rebuild could not write the new graph")]
    Apply(#[from] ApplyError),
    /// A graph could not be read.
    #[error("the graphs could not be compared")]
    Compare(#[from] Box<surrealdb::Error>),
    /// Another server writes the graph.
    #[error("the graph is written by {holder:?}: ask that one, or stop all servers")]
    Held {
        /// Its name.
        holder: String,
    },
    /// The lease is another server's.
    #[error("another server writes the graph, or took over before the rebuilt one was in use")]
    Lost,
    /// The projection ended: the server is stopping.
    #[error("the projection ended before the rebuilt graph was in use")]
    Ended,
}

/// Rebuilds the graph at `url` from `log` and hands it to the projector of the one in use. When
/// the last reader of that one is gone it is removed. With `compare` the two are held against
/// each other before the swap.
pub async fn rebuild_beside<L: EventLog + ?Sized>(
    url: &str,
    log: &L,
    successor: &Successor,
    compare: bool,
    progress: &watch::Sender<RebuildProgress>,
) -> Result<Swapped, RebuildError> {
    let tenure = match successor.tenure() {
        None => return Err(RebuildError::Ended),
        Some(Tenure::NONE) => return Err(RebuildError::Lost),
        Some(tenure) => tenure,
    };
    let generations = Generations::of(url).await?.held(tenure);
    let before = generations.current().await?;
    let generation = generations.next(before).await?;
    let next = Arc::new(generations.begin(generation).await?);
    if let Some(current) = successor.current() {
        next.index().understand_as(current.index());
    }
    // While it is empty: it is fed with all that follows and need not be loaded after the swap.
    next.index().start();
    let made = async {
        project(log, &next, generation, NEAR, progress).await?;
        let pointing = generations.clone();
        let point = Box::pin(async move { pointing.point_to(generation).await });
        successor.offer(next.clone(), compare, point).await
    };
    match made.await {
        Ok(swapped) => {
            let gone = swapped.before.gone();
            let grace = if graph::is_remote(url) { GRACE } else { Duration::ZERO };
            tokio::spawn(async move {
                // Other servers' readers are not seen from here.
                tokio::join!(gone, tokio::time::sleep(grace));
                if let Err(error) = generations.remove(before).await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        graph.generation = before,
                        "the graph before the rebuild was not removed; the next start tries again",
                    );
                }
            });
            Ok(swapped)
        }
        Err(error) => {
            drop(next);
            // Unless the answer was lost that it is in use. At the latest the next start, or the
            // next holder, removes it.
            if matches!(generations.current().await, Ok(current) if current != generation) {
                let _ = generations.remove(generation).await;
            }
            Err(error)
        }
    }
}

/// Rebuilds the graph at `url`, which nobody else writes, up to the end of `log`.
pub async fn rebuild_alone<L: EventLog + ?Sized>(
    url: &str,
    log: &L,
    progress: &watch::Sender<RebuildProgress>,
) -> Result<Graph, RebuildError> {
    with_lease(url, |generations| made_alone(generations, log, progress)).await
}

async fn made_alone<L: EventLog + ?Sized>(
    generations: Generations,
    log: &L,
    progress: &watch::Sender<RebuildProgress>,
) -> Result<Graph, RebuildError> {
    let before = generations.current().await?;
    let generation = generations.next(before).await?;
    let next = generations.begin(generation).await?;
    project(log, &next, generation, 0, progress).await?;
    generations.point_to(generation).await?;
    generations.sweep(generation).await?;
    Ok(next)
}

/// How long a command holds the lease of a shared store unless it renews it.
const LEASE: Duration = Duration::from_secs(10);

/// Does something about the generations at `url` that nobody else may do meanwhile.
async fn with_lease<T, F>(url: &str, work: impl FnOnce(Generations) -> F) -> Result<T, RebuildError>
where
    F: Future<Output = Result<T, RebuildError>>,
{
    let generations = Generations::of(url).await?;
    let Some(lease) = Lease::of(url, "a command", LEASE).await? else {
        return work(generations).await;
    };
    let role = lease.role().borrow().clone();
    let tenure = match role {
        Role::Holder(tenure) => tenure,
        Role::Follower { holder } => {
            return Err(RebuildError::Held { holder: holder.unwrap_or_default() });
        }
    };
    let done = tokio::select! {
        done = work(generations.held(tenure)) => done,
        () = lease.keep_until_lost() => Err(RebuildError::Lost),
    };
    lease.release().await;
    done
}

/// What a graph that is said to be the fold of a log looks like.
#[derive(Debug)]
pub struct Checked {
    /// Up to where it holds the log.
    pub position: u64,
    /// Digest of its content.
    pub content: crate::ContentHash,
    /// The first row in which it is not the fold of the log up to there.
    pub difference: Option<Difference>,
}

/// Folds `log` into a fresh store beside the graph at `url`, which nobody else has open, and holds
/// the two against each other. Neither is changed, and the fresh one is removed.
pub async fn check<L: EventLog + ?Sized>(
    url: &str,
    log: &L,
    progress: &watch::Sender<RebuildProgress>,
) -> Result<Checked, RebuildError> {
    with_lease(url, |generations| checked_against(generations, log, progress)).await
}

async fn checked_against<L: EventLog + ?Sized>(
    generations: Generations,
    log: &L,
    progress: &watch::Sender<RebuildProgress>,
) -> Result<Checked, RebuildError> {
    let current = generations.current().await?;
    let graph = generations.open(current).await?;
    let position = graph.checkpoint().await.position;
    let generation = generations.next(current).await?;
    let fresh = generations.begin(generation).await?;
    let upto = Upto { log, position };
    let checked = async {
        upto.project(&fresh, generation, progress).await?;
        let content = graph.content_hash().await.map_err(Box::new)?;
        let difference = graph.first_difference(&fresh).await.map_err(Box::new)?;
        Ok(Checked { position, content, difference })
    }
    .await;
    drop(fresh);
    generations.remove(generation).await?;
    checked
}

/// Projects until `graph` is within `near` of the end of the log.
async fn project<L: EventLog + ?Sized>(
    log: &L,
    graph: &Graph,
    generation: u64,
    near: u64,
    progress: &watch::Sender<RebuildProgress>,
) -> Result<(), RebuildError> {
    loop {
        let position = log.head();
        Upto { log, position }.project(graph, generation, progress).await?;
        if log.head().saturating_sub(position) <= near {
            return Ok(());
        }
    }
}

/// A log up to a position.
struct Upto<'a, L: ?Sized> {
    log: &'a L,
    position: u64,
}

impl<L: EventLog + ?Sized> Upto<'_, L> {
    async fn project(
        &self,
        graph: &Graph,
        generation: u64,
        progress: &watch::Sender<RebuildProgress>,
    ) -> Result<(), RebuildError> {
        let (started, begin) = (Instant::now(), graph.checkpoint().await.position);
        let mut events = self.page(begin).await?;
        while let Some(at) = events.last().map(|last| last.position) {
            let (applied, next) = tokio::join!(graph.apply_unread(&events), self.page(at));
            applied?;
            events = next?;
            let events_per_s = (at - begin) as f64 / started.elapsed().as_secs_f64().max(1e-6);
            let left = Duration::try_from_secs_f64((self.position - at) as f64 / events_per_s);
            progress.send_replace(RebuildProgress {
                generation,
                position: at,
                head: self.position,
                events_per_s,
                left: left.ok(),
            });
        }
        Ok(())
    }

    /// The next events behind `after`.
    async fn page(&self, after: u64) -> Result<Vec<RecordedEvent>, ReadError> {
        let lacks = usize::try_from(self.position.saturating_sub(after)).unwrap_or(usize::MAX);
        let mut events = self.log.read_all(after, lacks.min(BATCH)).await?;
        // Positions need not be dense: the page may go further.
        events.retain(|event| event.position <= self.position);
        Ok(events)
    }
}
