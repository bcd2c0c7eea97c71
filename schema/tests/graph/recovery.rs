//! A graph that cannot be used is made again from the log.

use std::path::Path;
use std::sync::Arc;

use events::log::EventLog;
use schema::recovery::RecoverError;
use schema::{ContentHash, Graph, Projector, open_or_rebuild};

use crate::follow::log_of;
use crate::history::{History, everything};

async fn projected<L: EventLog>(url: &str, log: &Arc<L>) -> ContentHash {
    let graph = Arc::new(open_or_rebuild(url, &**log).await.unwrap());
    Projector::new(graph.clone(), log.clone()).await.catch_up().await.unwrap();
    graph.content_hash().await.unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Waits until the store is closed, which it is behind the last handle.
async fn closed(store: &Path) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while std::fs::File::open(store.join("LOCK")).is_ok_and(|lock| lock.try_lock().is_err()) {
        assert!(std::time::Instant::now() < deadline, "the store stays open");
        tokio::task::yield_now().await;
    }
}

fn fill_with_garbage(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fill_with_garbage(&path);
        } else {
            std::fs::write(&path, b"this is not a store".repeat(400)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_store_that_does_not_open_is_set_aside_and_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("graph");
    let url = format!("surrealkv://{}", store.display());
    let log = log_of(&everything(), &folder.path().join("log")).await;
    let sound = projected(&url, &log).await;

    closed(&store.join("1")).await;
    fill_with_garbage(&store.join("1"));
    assert_eq!(projected(&url, &log).await, sound);
    assert_eq!(names(&store), ["1.set-aside-1", "2", "current"]);
}

#[tokio::test]
async fn a_store_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("surrealkv://{}", folder.path().join("graph").display());
    let log = log_of(&everything(), &folder.path().join("log")).await;
    let held = open_or_rebuild(&url, &*log).await.unwrap();
    let second = open_or_rebuild(&url, &*log).await;
    assert!(matches!(second, Err(RecoverError::InUse { .. })), "{second:?}");
    assert_eq!(names(folder.path()), ["graph", "log"]);
    drop(held);
}

#[tokio::test]
async fn a_folder_of_something_else_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("graph");
    let url = format!("surrealkv://{}", store.display());
    std::fs::write(&store, b"a file where a folder should be").unwrap();
    let log = log_of(&everything(), &folder.path().join("log")).await;
    projected(&url, &log).await;
    assert_eq!(names(folder.path()), ["graph", "graph.set-aside-1", "log"]);
}

#[tokio::test]
async fn a_graph_of_another_log_is_emptied_and_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("surrealkv://{}", folder.path().join("graph").display());
    let long = log_of(&everything(), &folder.path().join("long")).await;
    projected(&url, &long).await;

    // Shorter than the graph: a log that was restored from an older copy.
    let shorter = History(everything().0[..10].to_vec());
    let shorter = log_of(&shorter, &folder.path().join("shorter")).await;
    let expected = projected("mem://", &shorter).await;
    assert_eq!(projected(&url, &shorter).await, expected);

    // As long as the graph, with other events.
    let mut other = History::default();
    for n in 0..10 {
        other.snapshot(100 + n, "orders", 1.0);
    }
    for (event, n) in other.0.iter_mut().zip(1_000..) {
        event.event.id = crate::history::id_at(n);
    }
    let other = log_of(&other, &folder.path().join("other")).await;
    let expected = projected("mem://", &other).await;
    assert_eq!(projected(&url, &other).await, expected);
    assert_eq!(names(folder.path()), ["graph", "long", "other", "shorter"]);
}

#[tokio::test]
async fn a_store_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_of(&History::default(), folder.path()).await;
    assert!(open_or_rebuild("ws://127.0.0.1:1", &*log).await.is_err());
    assert!(Graph::open("nonsense://").await.is_err());
}
