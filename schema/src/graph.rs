//! The graph's store: opened, brought up to date, and the position up to which it is folded.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events::{EventId, RecordedEvent};
use surrealdb::Surreal;
use surrealdb::engine::any::{self, Any};
use surrealdb::opt::auth::Root;
use surrealdb::types::{Object, QueryError, Value};
use tokio::sync::{Mutex, watch};

use crate::executor::Ahead;
use crate::index::Index;
use crate::lease::Tenure;
use crate::migration::{self, MigrateError};
use crate::projection::PROJECTION_VERSION;

const NAMESPACE: &str = "faultline";
const DATABASE: &str = "faultline";
/// How often statements are tried that met others at the same moment.
const ATTEMPTS: u32 = 8;

/// The last event that the graph contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its position in the log; 0 when the graph contains nothing.
    pub position: u64,
    /// Its id, by which another log with as many events is told from this one.
    pub event: Option<EventId>,
}

/// Why a graph could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store does not open, or does not answer.
    #[error("the graph store {url:?} does not open")]
    Store {
        /// Where it is, without credentials.
        url: String,
        /// What the store says.
        #[source]
        source: Box<surrealdb::Error>,
    },
    /// The store's definitions could not be brought up to date.
    #[error("the graph store {url:?} cannot be brought up to date")]
    Migrate {
        /// Where it is, without credentials.
        url: String,
        /// Why.
        #[source]
        source: MigrateError,
    },
    /// Opening the store ended in a panic.
    #[error("the graph store {url:?} ended in a panic when it was opened: {message}")]
    Panicked {
        /// Where it is, without credentials.
        url: String,
        /// What it said.
        message: String,
    },
    /// The graph was made by other projections.
    #[error("the graph was made by projections of version {found}, this is version {known}")]
    Projection {
        /// The graph's.
        found: i64,
        /// This program's.
        known: u32,
    },
    /// What stands for the checkpoint is not one.
    #[error("the graph's checkpoint is not one: {what}")]
    Checkpoint {
        /// What is wrong.
        what: String,
    },
}

impl OpenError {
    /// Whether the store is sound and only made by another version of Faultline.
    pub(crate) fn is_of_another_version(&self) -> bool {
        matches!(
            self,
            Self::Projection { .. } | Self::Migrate { source: MigrateError::Foreign { .. }, .. }
        )
    }
}

/// The SurrealDB graph. Reads are free to run beside the one writer.
#[derive(Debug)]
pub struct Graph {
    pub(crate) db: Surreal<Any>,
    /// Held while a batch is written: the graph has one writer.
    pub(crate) checkpoint: Mutex<Checkpoint>,
    /// What is to be written next.
    pub(crate) ahead: Ahead,
    /// Under which it is written, [`Tenure::NONE`] while another server writes it.
    pub(crate) tenure: AtomicU64,
    /// Its number among the generations.
    pub(crate) generation: u64,
    /// Closes with the graph.
    pub(crate) alive: watch::Sender<()>,
    pub(crate) index: Index,
}

impl Graph {
    /// Opens `mem://`, `surrealkv://PATH`, or `ws://[USER:PASSWORD@]HOST:PORT[/NAMESPACE]` (and
    /// `wss://`), and applies the migrations it lacks.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let db = connect(url).await?;
        select(&db, url).await?;
        Self::over(db, url).await
    }

    pub(crate) async fn over(db: Surreal<Any>, url: &str) -> Result<Self, OpenError> {
        let url = without_credentials(url);
        migration::migrate(&db)
            .await
            .map_err(|source| OpenError::Migrate { url: url.clone(), source })?;
        Self::read_from(db, &url, Tenure::ALONE).await
    }

    /// A graph that another server made and writes: nothing is defined or changed.
    pub(crate) async fn of_another(db: Surreal<Any>, url: &str) -> Result<Self, OpenError> {
        let url = without_credentials(url);
        migration::verify(&db)
            .await
            .map_err(|source| OpenError::Migrate { url: url.clone(), source })?;
        let graph = Self::read_from(db, &url, Tenure::NONE).await?;
        graph.index.follows(true);
        Ok(graph)
    }

    async fn read_from(db: Surreal<Any>, url: &str, tenure: Tenure) -> Result<Self, OpenError> {
        let checkpoint = read_checkpoint(&db, url).await?;
        let (alive, index) = (watch::Sender::new(()), Index::of(&db));
        let tenure = AtomicU64::new(tenure.number());
        let (checkpoint, ahead) = (Mutex::new(checkpoint), Ahead::default());
        Ok(Self { db, index, checkpoint, ahead, tenure, generation: 1, alive })
    }

    /// As which generation it was opened.
    pub(crate) fn numbered(self, generation: u64) -> Self {
        Self { generation, ..self }
    }

    /// Under which it is written.
    pub(crate) fn tenure(&self) -> Tenure {
        Tenure::of(self.tenure.load(Ordering::Acquire))
    }

    /// Returns once nobody holds this graph any more.
    pub(crate) fn gone(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut alive = self.alive.subscribe();
        async move { while alive.changed().await.is_ok() {} }
    }

    /// Full text and fingerprints of this graph, in memory.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The checkpoint as the store has it.
    pub(crate) async fn stored_checkpoint(&self) -> Result<Checkpoint, OpenError> {
        read_checkpoint(&self.db, "the graph").await
    }

    /// The last event that the graph contains.
    pub async fn checkpoint(&self) -> Checkpoint {
        *self.checkpoint.lock().await
    }
}

/// Whether several servers can use the store at `url` at once.
pub(crate) fn is_remote(url: &str) -> bool {
    url.starts_with("ws://") || url.starts_with("wss://")
}

/// Whether a transaction was only in the way of another one.
pub(crate) fn is_conflict(error: &surrealdb::Error) -> bool {
    matches!(error.query_details(), Some(QueryError::TransactionConflict))
        || error.to_string().contains("can be retried")
}

/// Runs statements that define what may be there already, which several servers do at once when
/// they start together.
pub(crate) async fn made(db: &Surreal<Any>, statements: &str) -> Result<(), surrealdb::Error> {
    let mut done = db.query(statements).await?.check().map(drop);
    for attempt in 0..ATTEMPTS {
        if !done.as_ref().is_err_and(is_conflict) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1 << attempt)).await;
        done = db.query(statements).await?.check().map(drop);
    }
    done
}

/// A connection to the store with its namespace selected.
pub(crate) async fn connect(url: &str) -> Result<Surreal<Any>, OpenError> {
    let shown = without_credentials(url);
    let failed = |source| OpenError::Store { url: shown.clone(), source: Box::new(source) };
    let (address, namespace) = place_of(&shown);
    // A damaged store can end in a panic; as a task it is only this store's end.
    let db = tokio::spawn(async move { any::connect(address).await })
        .await
        .map_err(|error| OpenError::Panicked { url: shown.clone(), message: error.to_string() })?
        .map_err(failed)?;
    if let Some((username, password)) = credentials(url) {
        db.signin(Root { username, password }).await.map_err(failed)?;
    }
    made(&db, &format!("DEFINE NAMESPACE IF NOT EXISTS `{namespace}`")).await.map_err(failed)?;
    db.use_ns(&namespace).await.map_err(failed)?;
    Ok(db)
}

/// Selects the database of a store that has one.
async fn select(db: &Surreal<Any>, url: &str) -> Result<(), OpenError> {
    let selected = async {
        made(db, &format!("DEFINE DATABASE IF NOT EXISTS {DATABASE}")).await?;
        db.use_ns(namespace_of(url)).use_db(DATABASE).await
    };
    selected.await.map(drop).map_err(|source| OpenError::Store {
        url: without_credentials(url),
        source: Box::new(source),
    })
}

/// Waits until no store of this process holds the folder any more: the engine closes in the
/// background when its last handle is dropped. Answers whether it came to that within `timeout`.
pub(crate) async fn released(folder: &Path, timeout: Duration) -> bool {
    let free = async {
        loop {
            match File::open(folder.join("LOCK")).map(|lock| lock.try_lock()) {
                Ok(Err(TryLockError::WouldBlock)) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                _ => return,
            }
        }
    };
    tokio::time::timeout(timeout, free).await.is_ok()
}

async fn read_checkpoint(db: &Surreal<Any>, url: &str) -> Result<Checkpoint, OpenError> {
    let mut response = db
        .query("SELECT position, event, projection FROM checkpoint:graph")
        .await
        .and_then(|response| response.check())
        .map_err(|source| OpenError::Store { url: url.to_owned(), source: Box::new(source) })?;
    let rows: Vec<Value> = response
        .take(0)
        .map_err(|source| OpenError::Store { url: url.to_owned(), source: Box::new(source) })?;
    let Some(row) = rows.into_iter().next() else {
        return Ok(Checkpoint { position: 0, event: None });
    };
    #[derive(serde::Deserialize)]
    struct Stored {
        position: u64,
        event: EventId,
        projection: i64,
    }
    let stored: Stored = crate::value::decode(row)
        .map_err(|error| OpenError::Checkpoint { what: error.to_string() })?;
    if stored.projection != i64::from(PROJECTION_VERSION) {
        return Err(OpenError::Projection { found: stored.projection, known: PROJECTION_VERSION });
    }
    Ok(Checkpoint { position: stored.position, event: Some(stored.event) })
}

impl Checkpoint {
    /// The checkpoint behind `recorded`.
    pub(crate) fn at(recorded: &RecordedEvent) -> Self {
        Self { position: recorded.position, event: Some(recorded.event.id) }
    }

    /// The row that stands for it.
    pub(crate) fn row(self) -> Value {
        let position = i64::try_from(self.position).unwrap_or(i64::MAX);
        let event = self.event.map(|event| event.to_string()).unwrap_or_default();
        let fields = BTreeMap::from([
            ("position", Value::Number(position.into())),
            ("event", Value::String(event)),
            ("projection", Value::Number(i64::from(PROJECTION_VERSION).into())),
        ]);
        Value::Object(Object::from(fields))
    }
}

/// The address of a store as the client takes it, and its namespace, which a server's URL may have
/// as its path.
fn place_of(url: &str) -> (String, String) {
    let own = || (url.to_owned(), NAMESPACE.to_owned());
    if !is_remote(url) {
        return own();
    }
    let Some((scheme, rest)) = url.split_once("://") else { return own() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let namespace = match path.trim_matches('/') {
        // The path of the protocol, which some write.
        "" | "rpc" => NAMESPACE,
        namespace => namespace,
    };
    (format!("{scheme}://{host}"), namespace.to_owned())
}

/// The namespace of a store on a server.
pub(crate) fn namespace_of(url: &str) -> String {
    place_of(url).1
}

/// `USER:PASSWORD` of a URL.
fn credentials(url: &str) -> Option<(String, String)> {
    let (_, rest) = url.split_once("://")?;
    let (userinfo, _) = rest.split_once('@')?;
    let (user, password) = userinfo.split_once(':')?;
    url.starts_with("ws").then(|| (user.to_owned(), password.to_owned()))
}

/// The URL as it may be logged and as the client takes it.
pub(crate) fn without_credentials(url: &str) -> String {
    match (url.starts_with("ws"), url.split_once("://")) {
        (true, Some((scheme, rest))) => {
            let host = rest.split_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}://{host}")
        }
        _ => url.to_owned(),
    }
}
