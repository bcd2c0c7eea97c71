//! Servers that share a base: a KurrentDB double and a SurrealDB server.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use events::log::{KurrentLog, KurrentOptions};
use events::{Event, EventId};
use schema::{ContentHash, Graph};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::kurrentdb::Double;
use tests::server::Server;
use tests::shop_history::History;
use tests::surreal::Surreal;

use crate::node;

/// How long a busy machine may take.
pub const LIMIT: Duration = Duration::from_secs(180);

pub const QUESTION: &str = "{ components(first: 50) { edges { node { name } } }
    incidents(first: 20) { edges { node { key status title
      diagnoses(first: 20) { edges { node { key suspects { score } } } } } } }
    setAsideEvents(first: 1) { edges { node { position } } }
    search(query: \"payments\", first: 10) { score } }";

/// What the servers share, and a folder for each of them.
pub struct Base {
    pub log: Double,
    pub graph: Surreal,
    lease_ms: u64,
    folder: TempDir,
}

impl Base {
    pub async fn with_lease_of(lease_ms: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stored = folder.path().join("surreal");
        let (log, graph) = tokio::join!(Double::start(), Surreal::start_in(&stored, None));
        Self { log, graph, lease_ms, folder }
    }

    /// The namespace of this base on the SurrealDB server.
    fn graph_url(&self) -> String {
        format!("{}/shop", self.graph.url())
    }

    /// Starts the server of this name. It learns nothing: what a base at rest comes to is compared,
    /// and models are recorded some time after everything else.
    pub async fn server(&self, name: &str) -> Server {
        let data = self.folder.path().join(name);
        std::fs::create_dir_all(&data).unwrap();
        let settings = format!(
            "[storage]\nlog = \"{}\"\ngraph = \"{}\"\nlease_ms = {}\n[reactors]\nlearn = false\n",
            self.log.url(),
            self.graph_url(),
            self.lease_ms
        );
        Server::start_set(&data, &settings).await
    }

    /// Stops the SurrealDB server, and starts it again where it was once `meanwhile` is done.
    pub async fn without_the_graph(&mut self, meanwhile: impl AsyncFnOnce()) {
        let (stored, address) = (self.stored(), self.graph.address());
        self.graph.end();
        meanwhile().await;
        self.graph = Surreal::start_in(&stored, Some(address)).await;
    }

    fn stored(&self) -> PathBuf {
        self.folder.path().join("surreal")
    }

    /// The ids of all events in the log, each of which stands there once.
    pub fn recorded(&self) -> BTreeSet<EventId> {
        let records = self.log.records();
        let ours = records.iter().filter(|it| it.metadata["type"].starts_with("io.faultline."));
        let ids: Vec<EventId> = ours.map(|it| EventId(it.id)).collect();
        let different: BTreeSet<EventId> = ids.iter().copied().collect();
        assert_eq!(ids.len(), different.len(), "an event is in the log twice");
        different
    }

    /// The graph as it stands in the store, read past all servers, before any rebuild.
    pub async fn stored_hash(&self) -> ContentHash {
        Graph::open(&self.graph_url()).await.unwrap().content_hash().await.unwrap()
    }

    /// What the log comes to in a graph that no server has touched.
    pub async fn folded_hash(&self) -> ContentHash {
        let index = tempfile::tempdir().unwrap();
        let options = KurrentOptions::new(self.log.url(), index.path().join("log-index"));
        node::folded(&KurrentLog::open(options).await.unwrap()).await
    }
}

/// Telemetry from `hour` o'clock on, with a fault in it, and ids of its own.
pub fn history(hour: u8, windows: u64, slow: &'static str) -> Vec<Event> {
    let start = format!("2026-03-01T{hour:02}:00:00Z").parse().unwrap();
    let history = History { start, windows, slow, from: 25, to: 34 };
    history.events().into_iter().map(anew).collect()
}

/// The same said by another event.
pub fn anew(mut event: Event) -> Event {
    event.id = EventId::generate();
    event
}

pub fn batch(events: &[Event]) -> Vec<Value> {
    events.iter().map(Event::to_cloud_event).collect()
}

/// Appends the events through one server, again when a connection is lost, as clients do; answers
/// the position of the last.
pub async fn post(server: &Server, events: &[Event]) -> u64 {
    let (started, mut position) = (Instant::now(), 0);
    for chunk in events.chunks(200) {
        let (status, answer) = loop {
            match server.post(&batch(chunk)).await {
                Ok(answer) => break answer,
                Err(error) => assert!(started.elapsed() < LIMIT, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(status, 200, "{answer}");
        position = answer["position"].as_u64().unwrap();
    }
    position
}

pub async fn role(server: &Server) -> String {
    let (_, ready) = server.get("/readyz").await.unwrap();
    ready["role"].as_str().unwrap_or_default().to_owned()
}

pub async fn becomes(server: &Server, wanted: &str) {
    let started = Instant::now();
    while role(server).await != wanted {
        assert!(started.elapsed() < LIMIT, "the server is no {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until both have everything, and holds their answers against each other.
pub async fn agree(one: &Server, other: &Server) -> Value {
    // Only the holder appends by itself: what is settled there is the end of it.
    for server in [one, other, one, other] {
        server.settled(LIMIT).await;
    }
    let answer = one.graphql(QUESTION).await;
    assert_eq!(other.graphql(QUESTION).await, answer);
    assert_eq!(answer["setAsideEvents"]["edges"], json!([]), "{answer}");
    answer
}

/// Rebuilds on the holder, which holds the graph against the fold of the log.
pub async fn is_the_fold(server: &Server) {
    let (status, answer) = server.post_to("/v1/admin/rebuild?compare=true").await.unwrap();
    assert_eq!(status, 202, "{answer}");
    let started = Instant::now();
    loop {
        let (_, state) = server.get("/v1/admin/rebuild").await.unwrap();
        if state["status"] != "running" {
            assert_eq!(state["status"], "done", "{state}");
            assert_eq!(state.get("difference"), None, "{state}");
            return;
        }
        assert!(started.elapsed() < LIMIT, "{state}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
