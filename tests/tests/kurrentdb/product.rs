//! The whole product on a KurrentDB.

use std::time::Duration;

use events::Event;
use serde_json::json;
use tests::cli::faultline;
use tests::kurrentdb::{Double, Fault};
use tests::server::Server;
use tests::shop_history::History;

const LIMIT: Duration = Duration::from_secs(120);
const QUESTION: &str = "{ components(first: 50) { edges { node { name } } } \
     incidents(first: 10) { edges { node { key } } } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_keeps_everything_in_kurrentdb() {
    let (double, data) = (Double::start().await, tempfile::tempdir().unwrap());
    let server = Server::start_on_log(data.path(), &double.url()).await;
    let history = History {
        start: "2026-01-31T12:00:00Z".parse().unwrap(),
        windows: 60,
        slow: "payments",
        from: 30,
        to: 40,
    };
    let history: Vec<_> = history.telemetry().iter().map(Event::to_cloud_event).collect();
    for (n, batch) in history.chunks(100).enumerate() {
        if n == 1 {
            double.faults().on_append(Fault::CutAfterWrite);
        }
        let (status, answer) = server.post(batch).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        // The same again is the same answer.
        let (status, again) = server.post(batch).await.unwrap();
        assert_eq!((status, &again), (200, &answer));
    }
    server.settled(LIMIT).await;
    let before = server.graphql(QUESTION).await;
    assert_ne!(before["components"]["edges"], json!([]), "{before}");
    assert_ne!(before["incidents"]["edges"], json!([]), "{before}");
    let written = double.records().len();
    assert!(!data.path().join("log").exists(), "nothing is kept in an embedded log");
    server.sigkill();
    drop(server);

    // The graph and the index are derived: without them it is the same base.
    for derived in ["graph", "log-index"] {
        std::fs::remove_dir_all(data.path().join(derived)).unwrap();
    }
    let server = Server::start_on_log(data.path(), &double.url()).await;
    server.settled(LIMIT).await;
    assert_eq!(server.graphql(QUESTION).await, before);
    assert_eq!(double.records().len(), written, "nothing was decided or written twice");
    server.stop();

    let log = ["--log", &double.url()];
    let export = faultline(data.path(), &[&["export"], &log[..]].concat()).ok();
    assert!(export.lines().count() >= history.len());
    let refused = faultline(data.path(), &[&["verify"], &log[..]].concat());
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("embedded log only"), "{}", refused.err);
}
