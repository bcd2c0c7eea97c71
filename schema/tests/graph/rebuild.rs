//! A rebuild runs beside the graph in use and takes its place (PR-5).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use events::log::EventLog;
use schema::rebuild::{RebuildProgress, check, rebuild_alone, rebuild_beside};
use schema::{Graph, LiveGraph, Projector, open_or_rebuild};
use tokio::sync::watch;

use crate::follow::log_of;
use crate::history::{History, everything};

const PATIENCE: Duration = Duration::from_secs(60);

fn url_of(folder: &Path) -> String {
    format!("surrealkv://{}", folder.join("graph").display())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("{what}"));
}

/// Projects the log but for one event, which a graph that is not the fold of it has lost.
async fn all_but_one(graph: &Graph, log: &impl EventLog) {
    let mut events = log.read_all(0, 10_000).await.unwrap();
    events.remove(12);
    graph.apply(&events).await.unwrap();
}

async fn expected(log: &impl EventLog) -> schema::ContentHash {
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&log.read_all(0, 10_000).await.unwrap()).await.unwrap();
    graph.content_hash().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuilt_graph_takes_the_place_of_one_that_was_altered_while_the_log_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let history = everything();
    let (before, after) = history.0.split_at(25);
    let log = log_of(&History(before.to_vec()), &folder.path().join("log")).await;
    let url = url_of(folder.path());
    let live = LiveGraph::from(Arc::new(open_or_rebuild(&url, &*log).await.unwrap()));
    all_but_one(&live.current(), &*log).await;
    let projector = Projector::new(live.clone(), log.clone()).await;
    let (projected, successor) = (projector.projected(), projector.successor());
    let running = tokio::spawn(projector.run());
    assert_eq!(projected.position(), log.head());

    let reader = live.current();
    let progress = watch::Sender::new(RebuildProgress::default());
    let (rebuilt, ()) =
        tokio::join!(rebuild_beside(&url, &*log, &successor, true, &progress), async {
            for recorded in after {
                let event = vec![recorded.event.clone()];
                let expected = events::log::ExpectedRevision::Any;
                log.append(recorded.stream.clone(), expected, event).await.unwrap();
            }
        });
    assert!(rebuilt.unwrap().difference.is_some(), "the loss was found");
    projected.wait_for(log.head(), PATIENCE).await.unwrap();
    assert_eq!(live.current().content_hash().await.unwrap(), expected(&*log).await);
    assert_eq!(progress.borrow().generation, 2);

    // Whoever began to read before goes on reading what it began with.
    assert_ne!(reader.content_hash().await.unwrap(), expected(&*log).await);
    assert_eq!(names(&folder.path().join("graph")), ["1", "2", "current"]);
    drop(reader);
    let graphs = folder.path().join("graph");
    eventually("the graph before is removed", || names(&graphs) == ["2", "current"]).await;

    // The next start opens the rebuilt one.
    running.abort();
    let _ = running.await;
    let hash = live.current().content_hash().await.unwrap();
    drop(live);
    let again = open_or_rebuild(&url, &*log).await.unwrap();
    assert_eq!(again.checkpoint().await.position, log.head());
    assert_eq!(again.content_hash().await.unwrap(), hash);
}

#[tokio::test]
async fn what_an_interrupted_rebuild_left_is_removed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_of(&everything(), &folder.path().join("log")).await;
    let url = url_of(folder.path());
    let graph = Arc::new(open_or_rebuild(&url, &*log).await.unwrap());
    Projector::new(graph.clone(), log.clone()).await.catch_up().await.unwrap();
    let hash = graph.content_hash().await.unwrap();
    drop(graph);
    std::fs::create_dir_all(folder.path().join("graph/2/wal")).unwrap();
    let again = open_or_rebuild(&url, &*log).await.unwrap();
    assert_eq!(names(&folder.path().join("graph")), ["1", "current"]);
    assert_eq!(again.content_hash().await.unwrap(), hash);
}

#[tokio::test]
async fn a_graph_from_before_there_were_generations_opens_and_can_be_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_of(&everything(), &folder.path().join("log")).await;
    let url = url_of(folder.path());
    let old = Graph::open(&url).await.unwrap();
    old.apply(&log.read_all(0, 1_000).await.unwrap()).await.unwrap();
    let hash = old.content_hash().await.unwrap();
    drop(old);
    let graph = open_or_rebuild(&url, &*log).await.unwrap();
    assert_eq!(graph.checkpoint().await.position, log.head(), "nothing was rebuilt");
    drop(graph);

    let progress = watch::Sender::new(RebuildProgress::default());
    let rebuilt = rebuild_alone(&url, &*log, &progress).await.unwrap();
    assert_eq!(rebuilt.content_hash().await.unwrap(), hash);
    assert_eq!(names(&folder.path().join("graph")), ["1", "current"]);
    assert_eq!((progress.borrow().position, progress.borrow().head), (log.head(), log.head()));
    drop(rebuilt);
    let again = open_or_rebuild(&url, &*log).await.unwrap();
    assert_eq!(again.content_hash().await.unwrap(), hash);
}

#[tokio::test]
async fn a_check_names_the_first_row_that_the_log_does_not_explain() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_of(&everything(), &folder.path().join("log")).await;
    let url = url_of(folder.path());
    let graph = Arc::new(open_or_rebuild(&url, &*log).await.unwrap());
    Projector::new(graph.clone(), log.clone()).await.catch_up().await.unwrap();
    let hash = graph.content_hash().await.unwrap();
    drop(graph);
    let progress = watch::Sender::new(RebuildProgress::default());
    let sound = check(&url, &*log, &progress).await.unwrap();
    assert_eq!((sound.position, sound.content), (log.head(), hash));
    assert_eq!(sound.difference, None);

    assert_eq!(names(&folder.path().join("graph")), ["1", "current"]);

    let other = tempfile::tempdir().unwrap();
    let url = url_of(other.path());
    let graph = open_or_rebuild(&url, &*log).await.unwrap();
    all_but_one(&graph, &*log).await;
    drop(graph);
    let altered = check(&url, &*log, &progress).await.unwrap();
    assert_ne!(altered.content, hash);
    assert!(altered.difference.is_some());
}
