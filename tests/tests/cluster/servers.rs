//! Real servers on one KurrentDB double and one SurrealDB server.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use events::Event;
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::kurrentdb::Double;
use tests::server::Server;
use tests::shop_history::History;
use tests::surreal::Surreal;

const LIMIT: Duration = Duration::from_secs(180);
/// Longer than a busy machine keeps the store from answering.
const LEASE_MS: u64 = 10_000;

fn history() -> Vec<Event> {
    History {
        start: "2026-03-01T12:00:00Z".parse().unwrap(),
        windows: 45,
        slow: "payments",
        from: 25,
        to: 34,
    }
    .events()
}

async fn started(data: &Path, log: &Double, graph: &Surreal) -> Server {
    let settings = format!(
        "[storage]\nlog = \"{}\"\ngraph = \"{}/shop\"\nlease_ms = {LEASE_MS}\n",
        log.url(),
        graph.url()
    );
    Server::start_set(data, &settings).await
}

async fn post(server: &Server, events: &[Event]) {
    for chunk in events.chunks(200) {
        let batch: Vec<Value> = chunk.iter().map(Event::to_cloud_event).collect();
        let (status, answer) = server.post(&batch).await.unwrap();
        assert_eq!(status, 200, "{answer}");
    }
}

async fn role(server: &Server) -> String {
    let (_, ready) = server.get("/readyz").await.unwrap();
    ready["role"].as_str().unwrap_or_default().to_owned()
}

async fn becomes(server: &Server, wanted: &str) {
    let started = Instant::now();
    while role(server).await != wanted {
        assert!(started.elapsed() < LIMIT, "the server is no {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Rebuilds on the holder, which holds the graph against the fold of the log.
async fn is_the_fold(server: &Server) {
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

/// Every event stands in the log once.
fn nothing_is_there_twice(log: &Double) {
    let ids: Vec<String> = log.records().iter().map(|it| format!("{:?}", it.id)).collect();
    let different: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(ids.len(), different.len());
}

const QUESTION: &str = "{ components(first: 50) { edges { node { name } } }
    incidents(first: 20) { edges { node { key status title
      diagnoses(first: 20) { edges { node { key suspects { score } } } } } } }
    search(query: \"payments\", first: 10) { score } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_holder_is_replaced_and_nothing_is_projected_or_decided_twice() {
    let (graph, log) = tokio::join!(Surreal::start(), Double::start());
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let holder = started(one.path(), &log, &graph).await;
    let follower = started(other.path(), &log, &graph).await;
    assert_eq!((role(&holder).await, role(&follower).await), ("holder".into(), "follower".into()));
    let (status, refused) = follower.post_to("/v1/admin/rebuild").await.unwrap();
    assert_eq!((status, &refused["error"]["code"]), (409, &"not_holder".into()), "{refused}");
    let metrics = follower.text("/metrics").await.unwrap();
    assert!(metrics.contains("faultline_lease_held 0"), "{metrics}");

    // Whoever is asked, it is the same base.
    let history = history();
    let (before, after) = history.split_at(history.len() * 3 / 4);
    post(&follower, before).await;
    holder.settled(LIMIT).await;
    follower.settled(LIMIT).await;
    let answer = follower.graphql(QUESTION).await;
    assert_eq!(holder.graphql(QUESTION).await, answer);
    assert_ne!(answer["incidents"]["edges"], serde_json::json!([]), "{answer}");
    is_the_fold(&holder).await;

    let (half, rest) = after.split_at(after.len() / 2);
    post(&holder, half).await;
    holder.sigkill();
    post(&follower, rest).await;
    becomes(&follower, "holder").await;
    follower.settled(LIMIT).await;
    drop(holder);
    nothing_is_there_twice(&log);
    is_the_fold(&follower).await;

    // The one that comes back follows, and takes over at once when the other one stops.
    let back = started(one.path(), &log, &graph).await;
    assert_eq!(role(&back).await, "follower");
    back.settled(LIMIT).await;
    assert_eq!(back.graphql(QUESTION).await, follower.graphql(QUESTION).await);
    follower.stop();
    becomes(&back, "holder").await;
    back.settled(LIMIT).await;
    is_the_fold(&back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_stopped_and_wakes_up_writes_nothing_and_follows() {
    let (graph, log) = tokio::join!(Surreal::start(), Double::start());
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let paused = started(one.path(), &log, &graph).await;
    let next = started(other.path(), &log, &graph).await;
    let history = history();
    let parts: Vec<&[Event]> = history.chunks(history.len().div_ceil(3)).collect();
    post(&paused, parts[0]).await;
    paused.settled(LIMIT).await;

    // With work in its hands.
    post(&next, &parts[1][..50]).await;
    paused.signal(Signal::SIGSTOP);
    post(&next, &parts[1][50..]).await;
    becomes(&next, "holder").await;
    next.settled(LIMIT).await;
    paused.signal(Signal::SIGCONT);
    becomes(&paused, "follower").await;
    post(&paused, parts[2]).await;
    next.settled(LIMIT).await;
    paused.settled(LIMIT).await;
    assert_eq!(role(&next).await, "holder");
    assert_eq!(paused.graphql(QUESTION).await, next.graphql(QUESTION).await);
    nothing_is_there_twice(&log);
    is_the_fold(&next).await;
}
