//! Where the generations of a graph are kept.
//!
//! A rebuild makes the next generation beside the one in use; a pointer, written whole or not at
//! all, says which one is used. Whatever else is there was left behind by a rebuild that did not
//! end and is removed at the next start.
//!
//! ```text
//! PATH/current     the number of the generation in use
//! PATH/⟨number⟩/   the store of a generation
//! ```
//!
//! On a SurrealDB server a generation is a database: `faultline`, `faultline_2`, …, and the
//! pointer is a record of `faultline_generations`. A store that stands in `PATH` itself, as all
//! did before there were generations, is generation 0.

mod databases;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use surrealdb::Surreal;
use surrealdb::engine::any::Any;

pub(crate) use databases::pointer_database;

use crate::graph::{self, Graph, OpenError, without_credentials};
use crate::lease::{FenceError, Tenure};

/// How long a store that was just closed may hold its lock.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

const POINTER: &str = "current";
/// What the store has in its folder.
const STORE_ENTRIES: [&str; 6] = ["LOCK", "manifest", "sstables", "versioned_index", "vlog", "wal"];

/// Why the generations of a graph could not be told, moved or removed.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// A file operation failed.
    #[error("{doing} {path:?} failed")]
    Io {
        /// What was done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// What stands in the pointer is no number.
    #[error("{path:?} should hold the number of a generation, it holds {found:?}")]
    Pointer {
        /// The pointer.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// The SurrealDB server failed.
    #[error("the generations of the graph store {url:?} could not be asked or changed")]
    Store {
        /// Where it is, without credentials.
        url: String,
        /// What it says.
        #[source]
        source: Box<surrealdb::Error>,
    },
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The lease went to another server.
    #[error(transparent)]
    Fence(#[from] Box<FenceError>),
}

/// All generations of one graph.
#[derive(Clone, Debug)]
pub(crate) enum Generations {
    /// Each generation has the memory to itself.
    Memory,
    /// Each generation has a folder.
    Folder {
        /// The folder of all.
        root: PathBuf,
        /// What follows the path in the URL, the question mark included.
        options: String,
    },
    /// Each generation has a database.
    Databases {
        /// Of the server, without credentials.
        url: String,
        /// A connection to it.
        server: Surreal<Any>,
        /// Under which they are changed.
        tenure: Tenure,
    },
}

impl Generations {
    /// Those of the graph at `url`.
    pub(crate) async fn of(url: &str) -> Result<Self, OpenError> {
        if let Some((root, options)) = folder_of(url) {
            return Ok(Self::Folder { root, options });
        }
        if graph::is_remote(url) {
            let server = graph::connect(url).await?;
            let url = without_credentials(url);
            // A session of its own database: those of generations come and go.
            let server = pointer_database(&server, &url).await;
            let server = server.map_err(|source| OpenError::Store {
                url: url.clone(),
                source: Box::new(source),
            })?;
            return Ok(Self::Databases { url, server, tenure: Tenure::ALONE });
        }
        if url != "mem://" {
            // Whatever it is, the engine says best what is wrong with it.
            graph::connect(url).await?;
        }
        Ok(Self::Memory)
    }

    /// Changed under this tenure from now on.
    pub(crate) fn held(self, tenure: Tenure) -> Self {
        match self {
            Self::Databases { url, server, .. } => Self::Databases { url, server, tenure },
            alone => alone,
        }
    }

    /// The generation in use.
    pub(crate) async fn current(&self) -> Result<u64, GenerationError> {
        match self {
            Self::Memory => Ok(1),
            Self::Folder { root, .. } => current_of_folder(root),
            Self::Databases { server, .. } => {
                databases::current(server).await.map_err(|source| self.store(source))
            }
        }
    }

    /// From the next opening on, `generation` is the one in use.
    pub(crate) async fn point_to(&self, generation: u64) -> Result<(), GenerationError> {
        match self {
            Self::Memory => Ok(()),
            Self::Folder { root, .. } => {
                write_pointer(root, generation).map_err(io("writing", &root.join(POINTER)))
            }
            Self::Databases { server, tenure, .. } => {
                let pointed = databases::point(server, *tenure, generation).await;
                pointed.map_err(|source| self.store(source))
            }
        }
    }

    /// Opens a generation.
    pub(crate) async fn open(&self, generation: u64) -> Result<Graph, OpenError> {
        match self {
            Self::Memory => Graph::open("mem://").await,
            Self::Folder { options, .. } => {
                let folder = self.folder(generation).unwrap_or_default();
                graph::released(&folder, CLOSE_TIMEOUT).await;
                Graph::open(&format!("surrealkv://{}{options}", folder.display())).await
            }
            Self::Databases { url, server, .. } => {
                let opened = self.session(server, generation).await?;
                Graph::over(opened, url).await
            }
        }
        .map(|graph| graph.numbered(generation))
    }

    /// Opens a generation that another server makes and writes.
    pub(crate) async fn open_of_another(&self, generation: u64) -> Result<Graph, OpenError> {
        let Self::Databases { url, server, .. } = self else { return self.open(generation).await };
        let opened = self.session(server, generation).await?;
        Ok(Graph::of_another(opened, url).await?.numbered(generation))
    }

    /// Opens a generation that is to be made, empty whatever was there.
    pub(crate) async fn begin(&self, generation: u64) -> Result<Graph, GenerationError> {
        self.remove(generation).await?;
        if let Some(folder) = self.folder(generation) {
            fs::create_dir_all(&folder).map_err(io("creating", &folder))?;
        }
        let graph = self.open(generation).await?;
        if let Self::Databases { tenure, .. } = self
            && tenure.is_shared()
        {
            graph.fence(*tenure).await.map_err(Box::new)?;
        }
        Ok(graph)
    }

    /// The number of a generation to be made beside `current`. On a server it is one that is not
    /// there: what a former holder left behind is removed later.
    pub(crate) async fn next(&self, current: u64) -> Result<u64, GenerationError> {
        Ok(match self {
            Self::Memory | Self::Folder { .. } => current + 1,
            Self::Databases { .. } => {
                self.existing().await?.into_iter().fold(current, u64::max) + 1
            }
        })
    }

    async fn session(
        &self,
        server: &Surreal<Any>,
        generation: u64,
    ) -> Result<Surreal<Any>, OpenError> {
        let opened = databases::open(server, &self.url(), generation).await;
        opened.map_err(|source| OpenError::Store { url: self.url(), source: Box::new(source) })
    }

    /// Removes a generation, of which this process holds nothing any more.
    pub(crate) async fn remove(&self, generation: u64) -> Result<(), GenerationError> {
        match self {
            Self::Memory => Ok(()),
            Self::Folder { root, .. } if generation == 0 => {
                graph::released(root, CLOSE_TIMEOUT).await;
                STORE_ENTRIES.iter().try_for_each(|name| removed(&root.join(name)))
            }
            Self::Folder { root, .. } => {
                let folder = root.join(generation.to_string());
                graph::released(&folder, CLOSE_TIMEOUT).await;
                removed(&folder)
            }
            Self::Databases { server, .. } => {
                databases::remove(server, generation).await.map_err(|source| self.store(source))
            }
        }
    }

    /// Removes every generation but `current`: leftovers of rebuilds that did not end.
    pub(crate) async fn sweep(&self, current: u64) -> Result<(), GenerationError> {
        for generation in self.others(current).await? {
            tracing::info!(graph.generation = generation, "removing an abandoned generation");
            self.remove(generation).await?;
        }
        Ok(())
    }

    /// Every generation but `current`.
    pub(crate) async fn others(&self, current: u64) -> Result<Vec<u64>, GenerationError> {
        let mut others = self.existing().await?;
        others.retain(|generation| *generation != current);
        Ok(others)
    }

    /// The folder of a generation.
    pub(crate) fn folder(&self, generation: u64) -> Option<PathBuf> {
        match self {
            Self::Folder { root, .. } if generation == 0 => Some(root.clone()),
            Self::Folder { root, .. } => Some(root.join(generation.to_string())),
            Self::Memory | Self::Databases { .. } => None,
        }
    }

    async fn existing(&self) -> Result<Vec<u64>, GenerationError> {
        match self {
            Self::Memory => Ok(Vec::new()),
            Self::Folder { root, .. } => {
                let names = names(root).map_err(io("listing", root))?;
                let mut found: Vec<u64> = names.iter().filter_map(|n| n.parse().ok()).collect();
                if names.iter().any(|name| STORE_ENTRIES.contains(&name.as_str())) {
                    found.push(0);
                }
                Ok(found)
            }
            Self::Databases { server, .. } => {
                databases::existing(server).await.map_err(|source| self.store(source))
            }
        }
    }

    fn store(&self, source: surrealdb::Error) -> GenerationError {
        GenerationError::Store { url: self.url(), source: Box::new(source) }
    }

    fn url(&self) -> String {
        match self {
            Self::Databases { url, .. } => url.clone(),
            Self::Memory | Self::Folder { .. } => String::new(),
        }
    }
}

/// Folder and options of a `surrealkv://` URL.
pub(crate) fn folder_of(url: &str) -> Option<(PathBuf, String)> {
    let path = url.strip_prefix("surrealkv://")?;
    let (path, options) = match path.find('?') {
        Some(at) => path.split_at(at),
        None => (path, ""),
    };
    (!path.is_empty()).then(|| (PathBuf::from(path), options.to_owned()))
}

fn current_of_folder(root: &Path) -> Result<u64, GenerationError> {
    let path = root.join(POINTER);
    if root.is_file() {
        return Ok(0);
    }
    match fs::read_to_string(&path) {
        Ok(found) => found
            .trim()
            .parse()
            .map_err(|_| GenerationError::Pointer { path, found: found.clone() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let names = names(root).map_err(io("listing", root))?;
            let bare = names.iter().any(|name| STORE_ENTRIES.contains(&name.as_str()));
            Ok(if bare { 0 } else { 1 })
        }
        Err(source) => Err(GenerationError::Io { doing: "reading", path, source }),
    }
}

/// Written whole or not at all, and durable before the generation before may be removed.
fn write_pointer(root: &Path, generation: u64) -> io::Result<()> {
    fs::create_dir_all(root)?;
    let unfinished = root.join("current.next");
    let mut file = File::create(&unfinished)?;
    writeln!(file, "{generation}")?;
    file.sync_all()?;
    fs::rename(&unfinished, root.join(POINTER))?;
    File::open(root)?.sync_all()
}

/// Names of what is in a folder; none when there is no folder.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn removed(path: &Path) -> Result<(), GenerationError> {
    let done = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(GenerationError::Io { doing: "removing", path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> GenerationError {
    move |source| GenerationError::Io { doing, path: path.to_owned(), source }
}
