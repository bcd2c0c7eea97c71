//! A graph that cannot be used is not an outage: it is set aside and made again from the log.

use std::path::{Path, PathBuf};
use std::time::Duration;

use events::log::{EventLog, ReadError};

use crate::generation::{CLOSE_TIMEOUT, GenerationError, Generations};
use crate::graph::{self, Checkpoint, Graph, OpenError, without_credentials};
use crate::lease::{FenceError, Lease, Tenure};
use crate::migration::MigrateError;

/// Why there is no graph.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The store does not open, and there is nothing that could be set aside.
    #[error("the graph store cannot be used")]
    Open(#[from] OpenError),
    /// Which generation is in use is not known, or the others could not be removed.
    #[error("the generations of the graph store cannot be told or changed")]
    Generation(#[from] GenerationError),
    /// The log could not be compared with the graph.
    #[error("the graph could not be compared with the log")]
    Log(#[from] ReadError),
    /// Another process, or another graph of this one, has the store open: it is not damaged.
    #[error("the graph store {folder:?} is in use")]
    InUse {
        /// Where it is.
        folder: PathBuf,
    },
    /// The store is shared, and what it holds is not a projection of this log.
    #[error(
        "the graph store {url:?} holds the graph of another log ({why}): give each log a store of \
         its own, or, when the other one is given up, run `faultline rebuild`"
    )]
    Foreign {
        /// Where it is, without credentials.
        url: String,
        /// How that was seen.
        why: String,
    },
    /// The lease went to another server.
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// The damaged store could not be moved out of the way.
    #[error("the damaged graph store {from:?} could not be renamed to {to:?}")]
    Rename {
        /// Where it is.
        from: PathBuf,
        /// Where it should have gone.
        to: PathBuf,
        /// Why it did not.
        #[source]
        source: std::io::Error,
    },
}

impl RecoverError {
    /// Whether the holder of the lease has not made the graph yet, or makes it anew by another
    /// version.
    fn is_of_the_holder(&self) -> bool {
        match self {
            Self::Open(OpenError::Migrate { source, .. }) => {
                matches!(source, MigrateError::Missing { .. } | MigrateError::Foreign { .. })
            }
            Self::Open(OpenError::Projection { .. }) => true,
            _ => false,
        }
    }
}

/// How long this server's view of a shared log may be behind that of another one.
const LOG_PATIENCE: Duration = Duration::from_secs(10);
/// How often a server that starts looks whether the graph is there.
const LOOK: Duration = Duration::from_millis(200);
/// How long servers may still read from a generation that is no longer in use: longer than they
/// need to notice and their requests may take.
pub(crate) const GRACE: Duration = Duration::from_secs(60);

/// Opens the graph at `url`, which several servers share, as a projection of `log`: as the one
/// that writes it while `lease` is held here, else as the holder has it.
pub async fn open_shared<L: EventLog + ?Sized>(
    url: &str,
    log: &L,
    lease: &Lease,
) -> Result<Graph, RecoverError> {
    let mut role = lease.role();
    let mut told = false;
    loop {
        // Taken out first: nothing else can change it while it is looked at.
        let tenure = role.borrow_and_update().tenure();
        let mut changes = lease.role();
        let opening = async {
            match tenure {
                Some(tenure) => lead(url, log, tenure).await,
                None => open_of_another(url, log).await,
            }
        };
        let opened = tokio::select! {
            biased;
            // Two that make the graph at once are in each other's way.
            _ = changes.wait_for(|role| role.tenure() != tenure) => continue,
            opened = opening => opened,
        };
        match (opened, tenure) {
            (Err(RecoverError::Fence(FenceError::Over)), Some(tenure)) => lease.lost(tenure),
            (Err(error), None) if error.is_of_the_holder() => {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!(
                        error = &error as &dyn std::error::Error,
                        "waiting for the holder of the lease to make the graph"
                    );
                }
                let _ = tokio::time::timeout(LOOK, role.changed()).await;
            }
            (opened, _) => return opened,
        }
    }
}

/// Opens the graph that the holder of the lease writes.
pub(crate) async fn open_of_another<L: EventLog + ?Sized>(
    url: &str,
    log: &L,
) -> Result<Graph, RecoverError> {
    let generations = Generations::of(url).await?;
    let graph = generations.open_of_another(generations.current().await?).await?;
    refuse_foreign(url, &graph, log).await?;
    Ok(graph)
}

/// Opens the graph at `url` to write it in `tenure`. What an earlier holder left behind is removed
/// once nobody reads it any more.
pub(crate) async fn lead<L: EventLog + ?Sized>(
    url: &str,
    log: &L,
    tenure: Tenure,
) -> Result<Graph, RecoverError> {
    let generations = Generations::of(url).await?.held(tenure);
    let current = generations.current().await?;
    let graph = match generations.open(current).await {
        Ok(graph) => {
            refuse_foreign(url, &graph, log).await?;
            graph.fence(tenure).await?;
            generations.point_to(current).await?;
            graph
        }
        Err(error) if error.is_of_another_version() => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                graph.url = without_credentials(url),
                "the graph was made by another version; it is rebuilt"
            );
            emptied(&generations, current).await?
        }
        Err(error) => return Err(error.into()),
    };
    Ok(graph)
}

/// Removes generations that are not in use, once nobody reads them any more and while the lease
/// is held.
pub(crate) async fn sweep_later(url: String, lease: &Lease, tenure: Tenure) {
    let swept = async {
        let generations = Generations::of(&url).await?.held(tenure);
        let current = generations.current().await?;
        let left = generations.others(current).await?;
        if !left.is_empty() {
            tokio::time::sleep(GRACE).await;
        }
        for generation in left {
            if !matches!(lease.holds(tenure).await, Ok(true)) {
                break;
            }
            tracing::info!(graph.generation = generation, "removing an abandoned generation");
            generations.remove(generation).await?;
        }
        Ok::<_, RecoverError>(())
    };
    if let Err(error) = swept.await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "abandoned generations of the graph were not removed; the next holder tries again"
        );
    }
}

/// Refuses a graph of another log; false while that cannot be told, because the graph is empty or
/// ahead of what this server has seen of the log.
pub(crate) async fn is_of<L: EventLog + ?Sized>(
    url: &str,
    graph: &Graph,
    log: &L,
) -> Result<bool, RecoverError> {
    let position = graph.checkpoint().await.position;
    if position == 0 || position > log.head() {
        return Ok(false);
    }
    refuse_foreign(url, graph, log).await?;
    Ok(true)
}

pub(crate) async fn refuse_foreign<L: EventLog + ?Sized>(
    url: &str,
    graph: &Graph,
    log: &L,
) -> Result<(), RecoverError> {
    let position = graph.checkpoint().await.position;
    let seen = async {
        while log.head() < position {
            tokio::time::sleep(LOOK).await;
        }
    };
    // What another server projected may not have come here yet.
    let _ = tokio::time::timeout(LOG_PATIENCE, seen).await;
    match foreign_to(graph, log).await? {
        None => Ok(()),
        Some(why) => Err(RecoverError::Foreign { url: without_credentials(url), why }),
    }
}

/// Opens the graph at `url` as a projection of `log`.
///
/// A store on disk that does not open is renamed to `….set-aside-N` and an empty one opened in
/// its place. A store that opens and holds something else than a beginning of this log, or was
/// made by other projections, is given up for an empty one. The projector fills it again. What a
/// rebuild left behind that did not end is removed.
pub async fn open_or_rebuild<L: EventLog + ?Sized>(
    url: &str,
    log: &L,
) -> Result<Graph, RecoverError> {
    let generations = Generations::of(url).await?;
    let current = generations.current().await?;
    if let Some(folder) = generations.folder(current)
        && !graph::released(&folder, CLOSE_TIMEOUT).await
    {
        return Err(RecoverError::InUse { folder });
    }
    let graph = match generations.open(current).await {
        Ok(graph) => match foreign_to(&graph, log).await? {
            None => {
                if current > 0 {
                    generations.point_to(current).await?;
                }
                graph
            }
            Some(why) if graph::is_remote(url) => {
                return Err(RecoverError::Foreign { url: without_credentials(url), why });
            }
            Some(why) => {
                tracing::warn!(
                    graph.url = without_credentials(url),
                    "the graph is not of this log ({why}); it is rebuilt"
                );
                drop(graph);
                emptied(&generations, current).await?
            }
        },
        Err(error) if error.is_of_another_version() => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                graph.url = without_credentials(url),
                "the graph was made by another version; it is rebuilt"
            );
            emptied(&generations, current).await?
        }
        Err(error) => without_damaged(&generations, current, error).await?,
    };
    generations.sweep(generations.current().await?).await?;
    Ok(graph)
}

/// A next generation without anything in it, in place of one that is of no use.
async fn emptied(generations: &Generations, current: u64) -> Result<Graph, RecoverError> {
    let next = generations.next(current).await?;
    let graph = generations.begin(next).await?;
    generations.point_to(next).await?;
    Ok(graph)
}

/// A next generation in place of a store that does not open, which is kept under another name.
async fn without_damaged(
    generations: &Generations,
    current: u64,
    error: OpenError,
) -> Result<Graph, RecoverError> {
    let Some(path) = generations.folder(current).filter(|path| path.exists()) else {
        return Err(error.into());
    };
    let aside = set_aside(&path)?;
    tracing::warn!(
        error = &error as &dyn std::error::Error,
        graph.store = %path.display(),
        graph.set_aside = %aside.display(),
        "the graph store does not open; it was set aside and is rebuilt from the log"
    );
    emptied(generations, current).await
}

/// Why the graph is not a projection of a beginning of `log`, if it is not.
async fn foreign_to<L: EventLog + ?Sized>(
    graph: &Graph,
    log: &L,
) -> Result<Option<String>, ReadError> {
    let Checkpoint { position, event: Some(event) } = graph.checkpoint().await else {
        return Ok(None);
    };
    let head = log.head();
    if position > head {
        return Ok(Some(format!("it is at position {position}, the log ends at {head}")));
    }
    let at = log.read_all(position.saturating_sub(1), 1).await?;
    Ok(match at.first() {
        Some(found) if found.position == position && found.event.id == event => None,
        _ => Some(format!("event {event} is not at position {position} of the log")),
    })
}

/// Renames the store; nothing has it open.
fn set_aside(path: &Path) -> Result<PathBuf, RecoverError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| "graph".to_owned());
    let free = (1..).map(|n| path.with_file_name(format!("{name}.set-aside-{n}")));
    let aside = free
        .into_iter()
        .find(|candidate| !candidate.exists())
        .expect("a folder has fewer entries than there are numbers");
    std::fs::rename(path, &aside).map_err(|source| RecoverError::Rename {
        from: path.to_owned(),
        to: aside.clone(),
        source,
    })?;
    Ok(aside)
}
