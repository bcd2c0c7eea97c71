//! The projector behind a real log.

use std::sync::Arc;
use std::time::Duration;

use events::log::{EmbeddedLog, EventLog, ExpectedRevision, Options};
use schema::project_log::WaitError;
use schema::{Graph, Projector};

use crate::history::{History, everything};

const PATIENCE: Duration = Duration::from_secs(30);

/// A log that holds `history`, event by event.
pub async fn log_of(history: &History, folder: &std::path::Path) -> Arc<EmbeddedLog> {
    let log = Arc::new(EmbeddedLog::open(folder, Options::default()).unwrap());
    append(&log, history).await;
    log
}

async fn append(log: &EmbeddedLog, history: &History) -> u64 {
    let mut position = 0;
    for recorded in &history.0 {
        let events = vec![recorded.event.clone()];
        let appended =
            log.append(recorded.stream.clone(), ExpectedRevision::Any, events).await.unwrap();
        position = appended[0].position;
    }
    position
}

#[tokio::test]
async fn qu_1_catches_up_then_follows_and_publishes_the_position() {
    let folder = tempfile::tempdir().unwrap();
    let history = everything();
    let (before, after) = history.0.split_at(20);
    let log = log_of(&History(before.to_vec()), folder.path()).await;
    let graph = Arc::new(Graph::open("mem://").await.unwrap());
    let projector = Projector::new(graph.clone(), log.clone()).await;
    let projected = projector.projected();
    assert_eq!(projected.position(), 0);
    let head = log.head();
    let running = tokio::spawn(projector.run());
    projected.wait_for(head, PATIENCE).await.unwrap();

    let head = append(&log, &History(after.to_vec())).await;
    projected.wait_for(head, PATIENCE).await.unwrap();
    let rebuilt = Graph::open("mem://").await.unwrap();
    rebuilt.apply(&log.read_all(0, 1_000).await.unwrap()).await.unwrap();
    assert_eq!(graph.content_hash().await.unwrap(), rebuilt.content_hash().await.unwrap());

    let late = projected.wait_for(head + 1, Duration::from_millis(1)).await;
    assert_eq!(late, Err(WaitError::TimedOut { at: head, wanted: head + 1 }));
    running.abort();
    let ended = projected.wait_for(head + 1, PATIENCE).await;
    assert_eq!(ended, Err(WaitError::Ended { at: head, wanted: head + 1 }));
}

#[tokio::test]
async fn a_graph_on_disk_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("surrealkv://{}", folder.path().join("graph").display());
    let history = everything();
    let (before, after) = history.0.split_at(30);
    let log = log_of(&History(before.to_vec()), &folder.path().join("log")).await;
    let first = {
        let graph = Arc::new(schema::open_or_rebuild(&url, &*log).await.unwrap());
        let reached = Projector::new(graph.clone(), log.clone()).await.catch_up().await.unwrap();
        assert_eq!(reached, log.head());
        graph.content_hash().await.unwrap()
    };
    let graph = Arc::new(schema::open_or_rebuild(&url, &*log).await.unwrap());
    assert_eq!(graph.content_hash().await.unwrap(), first, "nothing was rebuilt");
    append(&log, &History(after.to_vec())).await;
    Projector::new(graph.clone(), log.clone()).await.catch_up().await.unwrap();

    let rebuilt = Graph::open("mem://").await.unwrap();
    rebuilt.apply(&log.read_all(0, 1_000).await.unwrap()).await.unwrap();
    assert_eq!(graph.content_hash().await.unwrap(), rebuilt.content_hash().await.unwrap());
}
