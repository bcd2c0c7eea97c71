//! The part of a server that has to do with the graph, of which a test can have several.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use events::log::{EmbeddedLog, EventLog, ExpectedRevision, Options};
use events::{Event, RecordedEvent};
use schema::{
    ContentHash, Graph, Lease, LiveGraph, Projected, Projector, Role, Successor, open_shared,
};
use tokio::task::JoinSet;

/// Longer than a busy machine keeps the store from answering.
pub const LEASE: Duration = Duration::from_secs(10);
/// Enough for some incidents that are over.
const EVENTS: usize = 500;
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The beginning of the recorded history of the demo shop, with little of its telemetry.
pub fn history() -> Vec<Event> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seed-data/shop.ndjson");
    let text = std::fs::read_to_string(path).unwrap();
    let events = text.lines().map(|line| {
        let document = serde_json::from_str(line).unwrap();
        RecordedEvent::from_cloud_event(document).unwrap().event
    });
    let mut telemetry = 0_usize;
    events
        .filter(|event| {
            let name = event.data.event_type();
            let is_telemetry = name.contains(".metrics.") || name.contains(".traces.");
            telemetry += usize::from(is_telemetry);
            !is_telemetry || telemetry.is_multiple_of(40)
        })
        .take(EVENTS)
        .collect()
}

pub fn log_in(folder: &Path) -> Arc<EmbeddedLog> {
    Arc::new(EmbeddedLog::open(folder, Options::default()).unwrap())
}

pub async fn append(log: &EmbeddedLog, events: &[Event]) {
    for event in events {
        let stream = event.data.stream();
        log.append(stream, ExpectedRevision::Any, vec![event.clone()]).await.unwrap();
    }
}

/// What the log comes to in a graph that nobody shares.
pub async fn fold(log: &dyn EventLog) -> Graph {
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&log.read_all(0, 100_000).await.unwrap()).await.unwrap();
    graph
}

/// What the log comes to.
pub async fn folded(log: &dyn EventLog) -> ContentHash {
    fold(log).await.content_hash().await.unwrap()
}

pub struct Node {
    pub lease: Arc<Lease>,
    pub live: LiveGraph,
    pub projected: Projected,
    pub successor: Successor,
    tasks: JoinSet<()>,
}

impl Node {
    pub async fn start(url: &str, name: &str, log: &Arc<EmbeddedLog>) -> Self {
        let lease = Arc::new(Lease::of(url, name, LEASE).await.unwrap().unwrap());
        let mut tasks = JoinSet::new();
        let keeping = lease.clone();
        tasks.spawn(async move { keeping.keep().await });
        let graph = open_shared(url, &**log, &lease).await.unwrap();
        let live = LiveGraph::from(Arc::new(graph));
        let projector = Projector::new(live.clone(), log.clone()).await;
        let (projected, successor) = (projector.projected(), projector.successor());
        let (url, sharing) = (url.to_owned(), lease.clone());
        tasks.spawn(async move { projector.run_shared(&url, &sharing).await.unwrap() });
        Self { lease, live, projected, successor, tasks }
    }

    pub fn is_holder(&self) -> bool {
        self.lease.role().borrow().tenure().is_some()
    }

    /// Waits until it holds the lease.
    pub async fn takes_over(&self) {
        let mut role = self.lease.role();
        let taken = role.wait_for(|role| matches!(role, Role::Holder(_)));
        tokio::time::timeout(PATIENCE, taken).await.unwrap().unwrap();
    }

    /// Waits until its graph has all of the log.
    pub async fn reaches_the_end_of(&self, log: &dyn EventLog) {
        self.projected.wait_for(log.head(), PATIENCE).await.unwrap();
    }

    pub async fn hash(&self) -> ContentHash {
        self.live.current().content_hash().await.unwrap()
    }

    /// Ends everything at once; the lease runs out.
    pub async fn crash(mut self) -> LiveGraph {
        self.tasks.shutdown().await;
        self.live
    }

    /// Ends everything and gives the lease back.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.lease.release().await;
    }
}
