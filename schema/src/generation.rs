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

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use surrealdb::Surreal;
use surrealdb::engine::any::Any;

use crate::graph::{self, Graph, OpenError, without_credentials};

/// How long a store that was just closed may hold its lock.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

const POINTER: &str = "current";
/// On a server, the database that holds it.
const POINTER_DATABASE: &str = "faultline_generations";
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
    },
}

impl Generations {
    /// Those of the graph at `url`.
    pub(crate) async fn of(url: &str) -> Result<Self, OpenError> {
        if let Some((root, options)) = folder_of(url) {
            return Ok(Self::Folder { root, options });
        }
        if url.starts_with("ws") {
            let server = graph::connect(url).await?;
            let url = without_credentials(url);
            // A session of its own database: those of generations come and go.
            let server = database(&server, POINTER_DATABASE).await;
            let server = server.map_err(|source| OpenError::Store {
                url: url.clone(),
                source: Box::new(source),
            })?;
            return Ok(Self::Databases { url, server });
        }
        if url != "mem://" {
            // Whatever it is, the engine says best what is wrong with it.
            graph::connect(url).await?;
        }
        Ok(Self::Memory)
    }

    /// The generation in use.
    pub(crate) async fn current(&self) -> Result<u64, GenerationError> {
        match self {
            Self::Memory => Ok(1),
            Self::Folder { root, .. } => current_of_folder(root),
            Self::Databases { server, .. } => {
                let pointer = database(server, POINTER_DATABASE).await;
                let numbers: Result<Vec<i64>, _> = async {
                    let text = "SELECT VALUE number FROM generation:current";
                    let mut answer = match pointer?.query(text).await?.check() {
                        Ok(answer) => answer,
                        // There is no table before the first rebuild.
                        Err(error) if error.is_not_found() => return Ok(Vec::new()),
                        Err(error) => return Err(error),
                    };
                    answer.take(0)
                }
                .await;
                let number = numbers.map_err(|source| self.store(source))?.pop();
                Ok(number.and_then(|number| u64::try_from(number).ok()).unwrap_or(1))
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
            Self::Databases { server, .. } => async {
                let pointer = database(server, POINTER_DATABASE).await?;
                let number = i64::try_from(generation).unwrap_or(i64::MAX);
                let text = "UPSERT generation:current SET number = $number RETURN NONE";
                pointer.query(text).bind(("number", number)).await?.check().map(drop)
            }
            .await
            .map_err(|source| self.store(source)),
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
            Self::Databases { url, server } => {
                let name = database_name(generation);
                let opened = database(server, &name).await.map_err(|source| OpenError::Store {
                    url: url.clone(),
                    source: Box::new(source),
                })?;
                Graph::over(opened, url).await
            }
        }
    }

    /// Opens a generation that is to be made, empty whatever was there.
    pub(crate) async fn begin(&self, generation: u64) -> Result<Graph, GenerationError> {
        self.remove(generation).await?;
        if let Some(folder) = self.folder(generation) {
            fs::create_dir_all(&folder).map_err(io("creating", &folder))?;
        }
        Ok(self.open(generation).await?)
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
            Self::Databases { server, .. } => async {
                let name = database_name(generation);
                let text = format!("REMOVE DATABASE IF EXISTS {name}");
                server.query(text).await?.check().map(drop)
            }
            .await
            .map_err(|source| self.store(source)),
        }
    }

    /// Removes every generation but `current`: leftovers of rebuilds that did not end.
    pub(crate) async fn sweep(&self, current: u64) -> Result<(), GenerationError> {
        for generation in self.existing().await? {
            if generation != current {
                tracing::info!(graph.generation = generation, "removing an abandoned generation");
                self.remove(generation).await?;
            }
        }
        Ok(())
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
                let names: Result<Vec<String>, surrealdb::Error> = async {
                    let text = "RETURN object::keys((INFO FOR NS).databases)";
                    let mut answer = server.query(text).await?.check()?;
                    answer.take::<Vec<String>>(0)
                }
                .await;
                let names = names.map_err(|source| self.store(source))?;
                Ok(names.iter().filter_map(|name| generation_of(name)).collect())
            }
        }
    }

    fn store(&self, source: surrealdb::Error) -> GenerationError {
        let url = match self {
            Self::Databases { url, .. } => url.clone(),
            Self::Memory | Self::Folder { .. } => String::new(),
        };
        GenerationError::Store { url, source: Box::new(source) }
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

fn database_name(generation: u64) -> String {
    match generation {
        0 | 1 => "faultline".to_owned(),
        later => format!("faultline_{later}"),
    }
}

fn generation_of(database: &str) -> Option<u64> {
    match database {
        "faultline" => Some(1),
        other => other.strip_prefix("faultline_")?.parse().ok(),
    }
}

/// A session of its own with the database selected.
async fn database(server: &Surreal<Any>, name: &str) -> Result<Surreal<Any>, surrealdb::Error> {
    let session = server.clone();
    session.query(format!("DEFINE DATABASE IF NOT EXISTS {name}")).await?.check()?;
    session.use_ns(graph::NAMESPACE).use_db(name).await?;
    Ok(session)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(folder: &Path) -> Generations {
        Generations::Folder { root: folder.to_owned(), options: String::new() }
    }

    #[tokio::test]
    async fn the_pointer_says_which_folder_is_used_and_the_others_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let generations = at(&folder.path().join("graph"));
        assert_eq!(generations.current().await.unwrap(), 1, "of a new base");
        for number in ["1", "2", "3"] {
            fs::create_dir_all(folder.path().join("graph").join(number).join("wal")).unwrap();
        }
        fs::create_dir_all(folder.path().join("graph/lost+found")).unwrap();
        generations.point_to(2).await.unwrap();
        assert_eq!(generations.current().await.unwrap(), 2);
        generations.sweep(2).await.unwrap();
        let mut left = names(&folder.path().join("graph")).unwrap();
        left.sort();
        assert_eq!(left, ["2", "current", "lost+found"], "what is not ours stays");
        fs::write(folder.path().join("graph/current"), "two").unwrap();
        assert!(generations.current().await.is_err());
    }

    #[tokio::test]
    async fn a_store_in_the_folder_itself_is_generation_0_and_can_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["wal", "manifest", "1.set-aside-1"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("LOCK"), "7").unwrap();
        let generations = at(folder.path());
        assert_eq!(generations.current().await.unwrap(), 0);
        assert_eq!(generations.folder(0).as_deref(), Some(folder.path()));
        generations.point_to(1).await.unwrap();
        fs::create_dir_all(folder.path().join("1")).unwrap();
        generations.sweep(1).await.unwrap();
        let mut left = names(folder.path()).unwrap();
        left.sort();
        assert_eq!(left, ["1", "1.set-aside-1", "current"]);
    }

    #[tokio::test]
    async fn on_a_server_a_generation_is_a_database() {
        let server = graph::connect("mem://").await.unwrap();
        let server = database(&server, POINTER_DATABASE).await.unwrap();
        let generations = Generations::Databases { url: "mem://".to_owned(), server };
        assert_eq!(generations.current().await.unwrap(), 1);
        let first = generations.open(1).await.unwrap();
        let next = generations.begin(2).await.unwrap();
        first.db.query("CREATE fault_kind:a").await.unwrap().check().unwrap();
        let hash = next.content_hash().await.unwrap();
        assert_ne!(first.content_hash().await.unwrap(), hash, "they have rows of their own");
        generations.point_to(2).await.unwrap();
        assert_eq!(generations.current().await.unwrap(), 2);
        assert_eq!(generations.existing().await.unwrap(), [1, 2]);
        generations.sweep(2).await.unwrap();
        assert_eq!(generations.existing().await.unwrap(), [2]);
        assert_eq!(next.content_hash().await.unwrap(), hash);
        let emptied = generations.begin(2).await.unwrap();
        assert_eq!(emptied.content_hash().await.unwrap(), hash);
    }
}
