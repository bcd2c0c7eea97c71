//! A graph that several servers share: one of them projects, the others follow what it made.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use events::log::EventLog;
use tokio::sync::mpsc;

use crate::executor::ApplyError;
use crate::generation::{GenerationError, Generations};
use crate::graph::{Checkpoint, Graph, OpenError};
use crate::lease::{FenceError, Lease, Role, Tenure};
use crate::project_log::{Offer, ProjectLogError, Projector, decline};
use crate::recovery::{self, RecoverError, sweep_later};

/// How often a follower looks how far the holder is.
const LOOK: Duration = Duration::from_millis(100);
/// Before a store that failed is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// A look that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a generation that is to be used may load its index while the one before answers.
const LOADING: Duration = Duration::from_secs(20);

/// Why a server ended its part in a graph that it shares.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// The projection ended.
    #[error(transparent)]
    Project(#[from] ProjectLogError),
    /// The graph is not this server's to use.
    #[error(transparent)]
    Recover(#[from] RecoverError),
}

/// Why a follower does not see the graph for now.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Generation(#[from] GenerationError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error("the graph store did not answer in time")]
    Late,
}

impl<L: EventLog + ?Sized> Projector<L> {
    /// Projects for as long as this server holds the lease of the graph at `url`, and follows the
    /// one that does otherwise. Ends when the log closes.
    pub async fn run_shared(self, url: &str, lease: &Lease) -> Result<(), ShareError> {
        let mut role = lease.role();
        let mut offers = self.offers.lock().await;
        loop {
            let now = role.borrow_and_update().clone();
            let part = async {
                match &now {
                    Role::Holder(tenure) => {
                        tokio::select! {
                            ended = self.lead(url, *tenure, &mut offers) => ended,
                            never = sweeping(url, lease, *tenure) => match never {},
                        }
                    }
                    Role::Follower { .. } => {
                        self.follow(url, &mut offers).await.map(|never| match never {})
                    }
                }
            };
            let ended = tokio::select! {
                biased;
                // The part is dropped between two transactions, or its last one meets the fence.
                _ = role.wait_for(|role| role.tenure() != now.tenure()) => continue,
                ended = part => ended,
            };
            match (ended, now) {
                (Err(error), Role::Holder(tenure)) if is_over(&error) => lease.lost(tenure),
                (Err(error), _) if is_for_now(&error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the shared graph cannot be used for now; trying again"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
                (ended, _) => return ended,
            }
        }
    }

    /// Takes the graph over and projects.
    async fn lead(
        &self,
        url: &str,
        tenure: Tenure,
        offers: &mut mpsc::Receiver<Offer>,
    ) -> Result<(), ShareError> {
        let graph = self.graph.current();
        if graph.tenure() != tenure {
            let generations = Generations::of(url).await.map_err(RecoverError::from)?;
            let current = generations.current().await.map_err(RecoverError::from)?;
            let Checkpoint { position, .. } = if current == graph.generation {
                recovery::refuse_foreign(url, &graph, &*self.log).await?;
                let left = graph.fence(tenure).await.map_err(RecoverError::from)?;
                graph.index().lead_from(&*self.log, left.position).await;
                left
            } else {
                let next = Arc::new(recovery::lead(url, &*self.log, tenure).await?);
                next.index().understand_as(graph.index());
                let left = next.checkpoint().await;
                self.graph.replace(next);
                left
            };
            tracing::info!(graph.position = position, "took the graph over");
            self.position.send_replace(position);
        }
        Ok(self.project(offers).await?)
    }

    /// Publishes how far the holder is, for as long as it is one.
    async fn follow(
        &self,
        url: &str,
        offers: &mut mpsc::Receiver<Offer>,
    ) -> Result<Infallible, ShareError> {
        let graph = self.graph.current();
        if graph.tenure() != Tenure::NONE {
            graph.resign().await;
        }
        graph.index().start();
        let generations = Generations::of(url).await.map_err(RecoverError::from)?;
        let mut known = false;
        loop {
            let looked = async {
                self.look(&generations).await?;
                if !known {
                    known = recovery::is_of(url, &self.graph.current(), &*self.log).await?;
                }
                Ok::<_, FollowError>(())
            };
            let looked = tokio::time::timeout(PATIENCE, looked).await;
            match looked.unwrap_or(Err(FollowError::Late)) {
                Ok(()) => {}
                Err(FollowError::Open(error)) if error.is_of_another_version() => {
                    return Err(RecoverError::from(error).into());
                }
                Err(FollowError::Recover(error @ RecoverError::Foreign { .. })) => {
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the graph of the holder could not be read; trying again"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                Some(offer) = offers.recv() => decline(offer),
            }
        }
    }

    /// Takes in what the holder did since the last look.
    async fn look(&self, generations: &Generations) -> Result<(), FollowError> {
        let current = generations.current().await?;
        let graph = self.graph.current();
        let graph = if current == graph.generation {
            graph
        } else {
            let next = Arc::new(generations.open_of_another(current).await?);
            next.index().understand_as(graph.index());
            next.index().start();
            // Meanwhile the one before answers: it is there for longer than that.
            let _ = tokio::time::timeout(LOADING, next.index().loaded()).await;
            tracing::info!(graph.generation = current, "the holder's next graph is in use");
            self.graph.replace(next.clone());
            next
        };
        let stored = graph.stored_checkpoint().await?;
        // What another server appended may not have come here yet; who is told of a position
        // finds its event in the log.
        let position = stored.position.min(self.log.head());
        graph.seen_at(stored).await;
        if let Err(error) = graph.index().follow(&*self.log, position).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                graph.position = position,
                "the index could not follow the graph; it is loaded anew"
            );
        }
        self.position.send_if_modified(|at| std::mem::replace(at, position) != position);
        Ok(())
    }
}

impl Graph {
    /// Notes where another server has brought it.
    async fn seen_at(&self, stored: Checkpoint) {
        *self.checkpoint.lock().await = stored;
    }
}

/// Removes what earlier holders left behind.
async fn sweeping(url: &str, lease: &Lease, tenure: Tenure) -> Infallible {
    sweep_later(url.to_owned(), lease, tenure).await;
    std::future::pending().await
}

/// Whether another server holds the lease by now.
fn is_over(error: &ShareError) -> bool {
    matches!(
        error,
        ShareError::Project(ProjectLogError::Apply(ApplyError::Fenced { .. }))
            | ShareError::Recover(RecoverError::Fence(FenceError::Over))
    )
}

/// Whether the store may answer when it is asked again.
fn is_for_now(error: &ShareError) -> bool {
    matches!(
        error,
        ShareError::Recover(
            RecoverError::Open(OpenError::Store { .. })
                | RecoverError::Generation(_)
                | RecoverError::Fence(_)
        )
    )
}
