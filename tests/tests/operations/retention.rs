//! Old telemetry loses its measurements, what incidents need does not, and the graph says so.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use events::log::{EmbeddedLog, EventLog, ExpectedRevision, Options};
use events::{Event, Timestamp};
use serde_json::{Value, json};
use tests::cli::faultline;
use tests::server::Server;
use tests::shop_history::History;

use crate::LIMIT;

/// Long before the incident, so that it is of no interest to it.
const QUIET: &str = "2026-03-01T06:00:00Z";
/// When the history with the incident begins.
const EVENTFUL: &str = "2026-03-01T12:00:00Z";
const MONTH: &str = "[retention]\nmetrics_max_age_days = 30\ntraces_max_age_days = 30\n";

/// Hours of nothing, then a fault.
fn history() -> Vec<Event> {
    let of = |start: &str, windows, from, to| {
        let start = start.parse().unwrap();
        History { start, windows, slow: "payments", from, to }
    };
    let mut quiet = of(QUIET, 300, 0, 0).telemetry();
    for event in &mut quiet {
        event.id = event.id.derived("quiet");
    }
    quiet.extend(of(EVENTFUL, 45, 25, 34).events());
    quiet
}

/// A log of that history in small segments, as it was recorded in March.
async fn recorded_in_march(data: &Path) {
    let march: Timestamp = "2026-03-01T13:00:00Z".parse().unwrap();
    let options = Options {
        segment_bytes: 64 << 10,
        max_batch_bytes: 32 << 10,
        clock: Arc::new(move || march),
        ..Options::default()
    };
    let log = EmbeddedLog::open(&data.join("log"), options).unwrap();
    for event in history() {
        log.append(event.data.stream(), ExpectedRevision::Any, vec![event]).await.unwrap();
    }
}

async fn retained(server: &Server, dry_run: bool) -> Value {
    let path = format!("/v1/admin/retention?dry_run={dry_run}");
    let (status, answer) = server.post_to(&path).await.unwrap();
    assert_eq!(status, 202, "{answer}");
    let started = Instant::now();
    loop {
        let (_, state) = server.get("/v1/admin/retention").await.unwrap();
        if state["status"] == "done" || state["status"] == "failed" {
            return state;
        }
        assert!(started.elapsed() < LIMIT, "{state}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn signals(from: &str, to: &str) -> String {
    format!(
        "{{ goldenSignals(component: \"payments\", from: \"{from}\", to: \"{to}\") {{ \
         prunedUntil points {{ at requests events }} incoming {{ points {{ at }} }} }} }}"
    )
}

const INCIDENTS: &str = "{ incidents(first: 10) { edges { node { key status \
     diagnoses(first: 5) { edges { node { suspects { score terms { name contribution evidence } \
     } } } } } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn old_telemetry_is_pruned_and_what_incidents_need_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    recorded_in_march(data).await;
    let server = Server::start_set(data, MONTH).await;
    server.settled(LIMIT).await;
    let quiet = signals(QUIET, "2026-03-01T06:05:00Z");
    let eventful = signals("2026-03-01T12:00:00Z", "2026-03-01T12:01:00Z");
    let incidents = server.graphql(INCIDENTS).await;
    assert!(incidents.to_string().contains("contribution"), "{incidents}");
    let measured = server.graphql(&eventful).await;
    let then = server.graphql(&quiet).await;
    let old = then["goldenSignals"]["points"][0]["events"][0].as_str().unwrap().to_owned();
    assert_eq!(then["goldenSignals"]["prunedUntil"], Value::Null);

    let survey = retained(&server, true).await;
    let kinds = survey["kinds"].as_array().unwrap();
    assert_eq!(kinds.len(), 2, "{survey}");
    for kind in kinds {
        assert!(kind["pruned_events"].as_u64().unwrap() > 1_000, "{survey}");
        assert!(kind["pinned_events"].as_u64().unwrap() > 100, "{survey}");
    }
    let whole = server.get(&format!("/v1/events/{old}")).await.unwrap().1;
    assert_eq!(whole["data"]["component"], "payments", "a dry run changes nothing: {whole}");
    assert_eq!(server.graphql("{ retentions { edges { node { id } } } }").await, none());

    let done = retained(&server, false).await;
    assert_eq!(done["status"], "done", "{done}");
    assert_eq!(done["kinds"], survey["kinds"]);
    assert!(done["bytes_after"].as_u64() < done["bytes_before"].as_u64(), "{done}");
    server.settled(LIMIT).await;
    let pruned = server.get(&format!("/v1/events/{old}")).await.unwrap().1;
    assert!(pruned["prunedhash"].is_string(), "{pruned}");
    let now = server.graphql(&quiet).await;
    assert_eq!(now["goldenSignals"]["points"], json!([]), "{now}");
    assert_eq!(now["goldenSignals"]["incoming"], json!([]), "{now}");
    assert_eq!(now["goldenSignals"]["prunedUntil"], "2026-03-01T13:00:00Z");
    assert_eq!(server.graphql(INCIDENTS).await, incidents, "the incident is as it was");
    let points = |answer: &Value| answer["goldenSignals"]["points"].clone();
    assert_eq!(points(&server.graphql(&eventful).await), points(&measured));
    let told = "{ retentions { edges { node { pruned { kind events pinnedEvents } } } } }";
    let told = server.graphql(told).await;
    let kinds = &told["retentions"]["edges"][0]["node"]["pruned"];
    assert_eq!(kinds[0]["kind"], "METRICS", "{told}");
    assert_eq!(kinds[0]["events"].as_f64(), survey["kinds"][0]["pruned_events"].as_f64());
    let metrics = server.text("/metrics").await.unwrap();
    assert!(metrics.contains("faultline_retention_pruned_events_total"), "{metrics}");
    assert!(!data.join("retention.unfinished").exists());

    let again = retained(&server, false).await;
    assert_eq!((&again["status"], &again["segments"]), (&json!("done"), &json!(0)), "{again}");
    drop(server);
    let said = faultline(data, &["verify", "--graph"]).ok();
    assert!(said.contains("log: sound") && said.contains("graph: sound"), "{said}");
}

fn none() -> Value {
    json!({ "retentions": { "edges": [] } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_no_server_holds_is_pruned_and_what_was_begun_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    recorded_in_march(data).await;
    let file = data.join("retention.toml");
    std::fs::write(&file, MONTH).unwrap();
    let retain = |more: &[&str]| {
        let file = file.to_str().unwrap();
        faultline(data, &[&["retain", "--config", file], more].concat())
    };
    let refused = faultline(data, &["retain"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("no limit is set"), "{}", refused.err);

    let before = faultline(data, &["verify"]).ok();
    let head = before.lines().find_map(|line| line.strip_prefix("head: ")).unwrap().to_owned();
    let said = retain(&["--dry-run"]).ok();
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!(faultline(data, &["verify"]).ok(), before);

    let said = retain(&[]).ok();
    assert!(said.contains("pruned ") && said.contains("the graph holds the log"), "{said}");
    let proven = faultline(data, &["verify", "--graph", "--expect", &head]).ok();
    assert!(proven.contains("graph: sound"), "{proven}");
    let said = retain(&[]).ok();
    assert!(said.contains("there is nothing to prune"), "{said}");

    // As a crash would have left it; the limits were lifted since.
    let unfinished = data.join("retention.unfinished");
    std::fs::write(&unfinished, "").unwrap();
    let server = Server::start(data).await;
    let started = Instant::now();
    while unfinished.exists() {
        assert!(started.elapsed() < LIMIT, "a start does not end what was begun");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (_, state) = server.get("/v1/admin/rebuild").await.unwrap();
    assert_eq!(state["status"], "done", "{state}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_nothing_is_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let (status, refused) = server.post_to("/v1/admin/retention").await.unwrap();
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("retention_unlimited")));
    let (_, state) = server.get("/v1/admin/retention").await.unwrap();
    assert_eq!(state["status"], "idle");
}
