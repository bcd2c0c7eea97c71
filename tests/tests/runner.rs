//! The runner as a client of a real server.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tests::process::binary;
use tests::server::Server;

/// A journal as Chaos Toolkit writes it.
fn journal(start: &str, end: &str) -> Value {
    json!({
        "experiment": {"title": "A pod of payments dies", "description": "It is replaced."},
        "node": "worker-7", "status": "completed", "deviated": true,
        "start": start, "end": end,
        "steady_states": {"before": {"steady_state_met": true, "probes": []}},
        "run": [{
            "activity": {"type": "action", "name": "kill", "provider": {
                "type": "python", "module": "chaosk8s.pod.actions", "func": "terminate_pods",
                "arguments": {"label_selector": "app=payments"},
            }},
            "status": "succeeded", "start": start, "end": end,
        }],
    })
}

fn runner(folder: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(binary("chaos-runner"))
        .args(arguments)
        .arg("--json")
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn events_of_runner(server: &Server) -> Vec<Value> {
    let (_, page) = server.get("/v1/events?limit=1000").await.unwrap();
    let events = page["events"].as_array().unwrap().iter();
    events.filter(|event| event["source"] == "/chaos-runner").cloned().collect()
}

#[tokio::test]
async fn a_journal_imported_twice_is_once_and_what_is_partly_there_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data")).await;
    for (name, start, end) in [
        ("first.json", "2026-03-01T10:00:00", "2026-03-01T10:01:00"),
        ("rerun.json", "2026-03-02T10:00:00", "2026-03-02T10:01:00"),
    ] {
        std::fs::write(folder.path().join(name), journal(start, end).to_string()).unwrap();
    }
    let import =
        |file: &str| runner(folder.path(), &["journal", "import", file, "--server", server.url()]);
    let first = import("first.json");
    let told = events_of_runner(&server).await;
    assert_eq!(Some(told.len() as u64), first["events"].as_u64());
    assert_eq!(import("first.json")["experiment"], first["experiment"]);
    assert_eq!(events_of_runner(&server).await, told, "the second import adds nothing");

    // On another server, one of the events is there already.
    let other = Server::start(&folder.path().join("other")).await;
    let events = events_of_runner(&server).await;
    let (status, answer) = other.post(&events[..1]).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    runner(folder.path(), &["journal", "import", "first.json", "--server", other.url()]);
    let ids = |events: &[Value]| {
        let ids = events.iter().map(|event| event["id"].as_str().unwrap().to_owned());
        ids.collect::<BTreeSet<_>>()
    };
    assert_eq!(ids(&events_of_runner(&other).await), ids(&events));

    let rerun = import("rerun.json");
    assert_ne!(rerun["experiment"], first["experiment"], "a rerun is another run");
    assert_eq!(events_of_runner(&server).await.len(), 2 * told.len());
}
