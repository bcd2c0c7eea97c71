//! What a server recorded, and how fast its graph is made again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::Event;
use events::log::{EmbeddedLog, EventLog, Options};
use schema::{Graph, Projector};
use tests::measure::Progress;
use tests::server::Server;

/// How long a server may take to decide about everything.
const LIMIT: Duration = Duration::from_secs(1_800);

/// Waits until the server has decided about everything that is in its log.
pub async fn decided(server: &Server) {
    let started = Instant::now();
    loop {
        let metrics = server.text("/metrics").await.unwrap();
        let value = |name: &str| {
            let line = metrics.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().last()?.parse::<f64>().ok()
        };
        let reacted = value("faultline_reactor_position");
        if reacted.is_some() && reacted == value("faultline_log_head_position") {
            return;
        }
        assert!(started.elapsed() < LIMIT, "the server did not decide in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Makes the graph of a log again in an empty store; the events and how long it took.
pub async fn rebuilt(log: &Path) -> (Vec<Event>, Duration) {
    let log = Arc::new(EmbeddedLog::open(log, Options::default()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let url = format!("surrealkv://{}", folder.path().join("graph").display());
    let graph = Arc::new(Graph::open(&url).await.unwrap());
    let projector = Projector::new(graph, log.clone()).await;
    let started = Instant::now();
    projector.catch_up().await.unwrap();
    let time = started.elapsed();
    let mut events = Vec::new();
    let mut progress = Progress::new("read back", log.head() as usize);
    let mut after = 0;
    loop {
        let read = log.read_all(after, 1_000).await.unwrap();
        let Some(last) = read.last() else { return (events, time) };
        after = last.position;
        progress.add(read.len());
        events.extend(read.into_iter().map(|recorded| recorded.event));
    }
}
