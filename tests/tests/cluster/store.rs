//! Against a real SurrealDB server, with the log in this process.

use std::time::Duration;

use diagnosis::search::Query;
use events::log::EventLog;
use schema::executor::ApplyError;
use schema::graphql::{Base, Limits, schema};
use schema::rebuild::{RebuildError, RebuildProgress, check, rebuild_alone, rebuild_beside};
use schema::recovery::RecoverError;
use schema::{Decided, Graph, Lease, open_shared};
use tests::surreal::Surreal;
use tokio::sync::watch;

use crate::node::{LEASE, Node, PATIENCE, append, fold, folded, history, log_in};
use crate::pair::anew;

/// What full text finds, and how much there is.
async fn found(graph: &Graph, at: u64) -> Vec<String> {
    graph.index().loaded().await;
    let mut told = vec![format!("{:?}", graph.index().size())];
    for words in ["payments", "pool exhausted", "timeout", "restart the database", "error"] {
        let hits = graph.index().search(Query::read(words).unwrap(), vec![], at, 50).await;
        told.push(format!("{words}: {hits:?}"));
    }
    told
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_on_a_server_is_the_fold_of_the_log_and_is_rebuilt_beside_itself() {
    let surreal = Surreal::start().await;
    let url = surreal.url();
    let folder = tempfile::tempdir().unwrap();
    let log = log_in(folder.path());
    let history = history();
    let (before, after) = history.split_at(history.len() / 2);
    append(&log, before).await;
    let node = Node::start(&url, "ada", &log).await;
    assert!(node.is_holder());
    node.reaches_the_end_of(&*log).await;
    assert_eq!(node.hash().await, folded(&*log).await);

    let progress = watch::Sender::new(RebuildProgress::default());
    let (swapped, ()) = tokio::join!(
        rebuild_beside(&url, &*log, &node.successor, true, &progress),
        append(&log, after)
    );
    assert!(swapped.unwrap().difference.is_none());
    assert_eq!(progress.borrow().generation, 2);
    node.reaches_the_end_of(&*log).await;
    let expected = folded(&*log).await;
    assert_eq!(node.hash().await, expected);

    let now = || "2026-12-01T00:00:00Z".parse().unwrap();
    let projected = node.projected.clone();
    let base = Base::new(node.live.clone(), log.clone(), projected, now, Limits::default());
    let query = r#"{ components(first: 50) { edges { node { name } } }
        incidents(first: 5) { edges { node { key title } } }
        search(query: "payments", first: 5) { score } }"#;
    let answer = serde_json::to_value(schema(base).execute(query).await).unwrap();
    assert_eq!(answer.get("errors"), None, "{answer:#}");
    let lists = ["components", "incidents"].map(|list| answer["data"][list]["edges"].clone());
    assert!(
        lists.iter().all(|list| list.as_array().is_some_and(|it| !it.is_empty())),
        "{answer:#}"
    );

    // Commands take the lease like servers do.
    let refused = check(&url, &*log, &progress).await.unwrap_err();
    assert!(matches!(&refused, RebuildError::Held { holder } if holder == "ada"), "{refused:?}");
    node.stop().await;
    let checked = check(&url, &*log, &progress).await.unwrap();
    assert_eq!((checked.difference, checked.content), (None, expected));
    let rebuilt = rebuild_alone(&url, &*log, &progress).await.unwrap();
    assert_eq!(rebuilt.content_hash().await.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_sees_what_the_holder_makes_and_goes_on_where_it_crashed() {
    let surreal = Surreal::start().await;
    let url = surreal.url();
    let folder = tempfile::tempdir().unwrap();
    let log = log_in(folder.path());
    let history = history();
    let parts: Vec<_> = history.chunks(history.len().div_ceil(4)).collect();
    // Both at once, on a store that holds nothing.
    let (one, other) = tokio::join!(Node::start(&url, "ada", &log), Node::start(&url, "ben", &log));
    let (holder, follower) = if one.is_holder() { (one, other) } else { (other, one) };
    assert!(!follower.is_holder());
    follower.live.current().index().start();

    for part in &parts[..2] {
        append(&log, part).await;
        follower.reaches_the_end_of(&*log).await;
        let head = log.head();
        let expected = found(&fold(&*log).await, head).await;
        assert_eq!(found(&follower.live.current(), head).await, expected);
        assert_eq!(found(&holder.live.current(), head).await, expected);
    }

    // A rebuilt graph reaches the follower.
    let progress = watch::Sender::new(RebuildProgress::default());
    rebuild_beside(&url, &*log, &holder.successor, false, &progress).await.unwrap();
    let before = follower.live.current();
    append(&log, parts[2]).await;
    eventually("the follower has the rebuilt graph", async || {
        !std::sync::Arc::ptr_eq(&before, &follower.live.current())
    })
    .await;
    follower.reaches_the_end_of(&*log).await;
    assert_eq!(follower.hash().await, folded(&*log).await);
    let refused =
        rebuild_beside(&url, &*log, &follower.successor, false, &progress).await.unwrap_err();
    assert!(matches!(refused, RebuildError::Lost), "a follower does not rebuild: {refused:?}");

    // The holder is gone while events come in.
    let abandoned = holder.crash().await;
    append(&log, parts[3]).await;
    follower.takes_over().await;
    follower.reaches_the_end_of(&*log).await;
    let expected = fold(&*log).await;
    assert_eq!(follower.hash().await, expected.content_hash().await.unwrap());
    let head = log.head();
    assert_eq!(found(&follower.live.current(), head).await, found(&expected, head).await);

    // What wakes up too late writes nothing.
    let more: Vec<_> = history[..3].iter().cloned().map(anew).collect();
    append(&log, &more).await;
    follower.reaches_the_end_of(&*log).await;
    let late = abandoned.current().apply(&log.read_all(0, 100_000).await.unwrap()).await;
    assert!(matches!(late, Err(ApplyError::Fenced { .. })), "{late:?}");
    assert_eq!(follower.hash().await, folded(&*log).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fence_stands_before_the_new_holder_has_projected_anything() {
    let surreal = Surreal::start().await;
    let url = surreal.url();
    let folder = tempfile::tempdir().unwrap();
    let log = log_in(folder.path());
    let history = history();
    append(&log, &history[..50]).await;
    let node = Node::start(&url, "ada", &log).await;
    node.reaches_the_end_of(&*log).await;
    let (tenure, lease) = (node.lease.role().borrow().tenure().unwrap(), node.lease.clone());
    assert!(lease.decide(tenure, &Decided { position: 40, ..Decided::default() }).await.unwrap());
    let paused = node.crash().await;
    append(&log, &history[50..60]).await;
    let events = log.read_all(0, 1_000).await.unwrap();

    // A new holder that has entered the graph and done nothing else.
    let next = Lease::of(&url, "ben", LEASE).await.unwrap().unwrap();
    let keeping = async { next.keep().await };
    let entering = async {
        let mut role = next.role();
        role.wait_for(|role| role.tenure().is_some()).await.unwrap();
        open_shared(&url, &*log, &next).await.unwrap()
    };
    let entered = tokio::select! {
        () = keeping => unreachable!("it is kept until it is dropped"),
        entered = entering => entered,
    };
    assert_eq!(entered.checkpoint().await.position, 50);
    let late = paused.current().apply(&events).await;
    assert!(matches!(late, Err(ApplyError::Fenced { .. })), "{late:?}");
    assert!(!lease.decide(tenure, &Decided::default()).await.unwrap(), "the reactors' too");
    assert_eq!(next.decided().await.unwrap().unwrap().position, 40);
    entered.apply(&events).await.unwrap();
    assert_eq!(entered.content_hash().await.unwrap(), folded(&*log).await);
    next.release().await;
    let freed = Lease::of(&url, "cyd", LEASE).await.unwrap().unwrap();
    assert!(freed.role().borrow().tenure().is_some(), "what is given back is free at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_holds_the_graph_of_another_log_is_refused() {
    let surreal = Surreal::start().await;
    let url = surreal.url();
    let folder = tempfile::tempdir().unwrap();
    let (log, foreign) = (log_in(&folder.path().join("a")), log_in(&folder.path().join("b")));
    let history = history();
    append(&log, &history[..20]).await;
    let other: Vec<_> = history[..30].iter().cloned().map(anew).collect();
    append(&foreign, &other).await;
    let node = Node::start(&url, "ada", &log).await;
    node.reaches_the_end_of(&*log).await;

    let lease = Lease::of(&url, "ben", LEASE).await.unwrap().unwrap();
    let refused = open_shared(&url, &*foreign, &lease).await.unwrap_err();
    assert!(matches!(refused, RecoverError::Foreign { .. }), "as a follower: {refused:?}");
    node.stop().await;
    let lease = Lease::of(&url, "ben", LEASE).await.unwrap().unwrap();
    let refused = open_shared(&url, &*foreign, &lease).await.unwrap_err();
    assert!(matches!(refused, RecoverError::Foreign { .. }), "as the holder: {refused:?}");
    assert!(!refused.to_string().contains("root:root"), "{refused}");
    lease.release().await;

    let node = Node::start(&url, "ada", &log).await;
    assert_eq!(node.hash().await, folded(&*log).await, "nothing happened to it");
}
