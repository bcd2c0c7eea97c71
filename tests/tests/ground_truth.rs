//! DI-3: the ground truth of an experiment never reaches the diagnosis of its own incident.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::{Duration, Instant};

use events::Event;
use serde_json::{Value, json};
use tests::server::Server;
use tests::shop_history::History;

const LIMIT: Duration = Duration::from_secs(60);

fn history() -> History {
    History {
        start: "2026-03-01T12:00:00Z".parse().unwrap(),
        windows: 50,
        slow: "payments",
        from: 25,
        to: 38,
    }
}

/// What one server makes of the events.
struct Made {
    diagnoses: Vec<Value>,
    labels: usize,
}

async fn diagnosed(events: &[Event]) -> Made {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    // Window by window, so that each decision sees the same telemetry whatever else was posted.
    for moment in events.chunk_by(|a, b| a.time == b.time) {
        let batch: Vec<Value> = moment.iter().map(Event::to_cloud_event).collect();
        let (status, answer) = server.post(&batch).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        let started = Instant::now();
        while !has_decided_everything(&server).await {
            assert!(started.elapsed() < LIMIT, "the server did not decide in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let all = all_events(&server).await;
    let of_type = |suffix: &str| -> Vec<&Value> {
        all.iter().filter(|one| one["type"].as_str().unwrap().ends_with(suffix)).collect()
    };
    assert_eq!(of_type("incident.resolved.v1").len(), 1, "one incident, and it ends");
    Made {
        diagnoses: of_type("diagnosis.proposed.v1").into_iter().map(without_place).collect(),
        labels: of_type("label.assigned.v1").len(),
    }
}

/// Whether everything that was posted has had its consequences.
async fn has_decided_everything(server: &Server) -> bool {
    let metrics = server.text("/metrics").await.unwrap();
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().last()?.parse::<f64>().ok()
    };
    let reacted = value("faultline_reactor_position");
    reacted.is_some() && reacted == value("faultline_log_head_position")
}

async fn all_events(server: &Server) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all.last().map_or(json!(0), |last| last["position"].clone());
        let (_, page) = server.get(&format!("/v1/events?after={after}&limit=500")).await.unwrap();
        let events = page["events"].as_array().expect("a page has events").clone();
        if events.is_empty() {
            return all;
        }
        all.extend(events);
    }
}

/// The ranking itself: positions differ because one log has more events than the other.
fn without_place(diagnosis: &Value) -> Value {
    let data = &diagnosis["data"];
    json!({
        "incident": data["incident"],
        "method": data["method"],
        "suspects": data["suspects"],
        "abstained": data["abstained"],
        "fingerprint": data["fingerprint"],
        "similar": data["similar"],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_is_the_same_without_the_fault_and_its_labels() {
    let history = history();
    let telemetry = history.telemetry();
    let mut with_truth = telemetry.clone();
    with_truth.extend(history.truth());
    with_truth.sort_by_key(|event| event.time);

    let blind = diagnosed(&telemetry).await;
    let sighted = diagnosed(&with_truth).await;

    assert!(!blind.diagnoses.is_empty(), "the history holds an incident");
    assert_eq!(blind.labels, 0);
    assert!(sighted.labels > 0, "the experiment's labels did arrive where they were to be ignored");
    assert_eq!(
        serde_json::to_string_pretty(&blind.diagnoses).unwrap(),
        serde_json::to_string_pretty(&sighted.diagnoses).unwrap(),
    );
    let last = blind.diagnoses.last().unwrap();
    assert_eq!(last["suspects"][0]["component"], "payments");
}
