//! A graph that cannot be used is not an outage: it is set aside and made again from the log.

use std::path::{Path, PathBuf};

use events::log::{EventLog, ReadError};

use crate::generation::{CLOSE_TIMEOUT, GenerationError, Generations};
use crate::graph::{self, Checkpoint, Graph, OpenError, without_credentials};

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
    let graph = generations.begin(current + 1).await?;
    generations.point_to(current + 1).await?;
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
