//! What the server acknowledged survives SIGKILL (EL-1), and a retry gets the first answer (EL-4).

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use events::{Event, EventId, Timestamp};
use serde_json::{Value, json};
use tests::server::Server;

/// Clients that post at the same time.
const CLIENTS: usize = 4;
/// Events in a batch.
const BATCH: usize = 5;
/// Kills in a row.
const ROUNDS: usize = 3;
/// How long a round may take on a busy machine.
const LOAD_LIMIT: Duration = Duration::from_secs(120);
/// Acknowledged batches of a round after which the server is killed.
const BATCHES_BEFORE_KILL: usize = 40;

fn batch(client: usize, number: usize) -> Vec<Value> {
    (0..BATCH)
        .map(|index| {
            json!({
                "specversion": "1.0",
                "id": EventId::generate(),
                "source": "/tests",
                "type": "io.faultline.component.described.v1",
                "time": Timestamp::now(),
                "data": {
                    "component": format!("component-{client}-{index}"),
                    "description": format!("as told by batch {number}"),
                },
            })
        })
        .collect()
}

/// Posts until the server is gone; the batches that were acknowledged, with their answers.
async fn load(server: Arc<Server>, client: usize) -> Vec<(Vec<Value>, Value)> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let batch = batch(client, number);
        match server.post(&batch).await {
            Ok((200, answer)) => acknowledged.push((batch, answer)),
            Ok((status, answer)) => panic!("unexpected answer {status}: {answer}"),
            Err(_) => break,
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_survive_sigkill_under_load() {
    let data = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(Vec<Value>, Value)> = Vec::new();
    for round in 0..ROUNDS {
        let server = Arc::new(Server::start(data.path()).await);
        let clients: Vec<_> =
            (0..CLIENTS).map(|client| tokio::spawn(load(server.clone(), client))).collect();
        let enough = (BATCHES_BEFORE_KILL * CLIENTS * BATCH) as u64;
        let before = acknowledged.iter().map(|(batch, _)| batch.len() as u64).sum::<u64>();
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < LOAD_LIMIT, "the load takes too long");
            assert!(!clients.iter().any(|client| client.is_finished()), "a client gave up");
            let head = server.graphql("{ head }").await["head"].clone();
            let head = head.as_u64().or_else(|| head.as_str()?.parse().ok()).expect("a position");
            if head >= before + enough {
                break;
            }
        }
        server.sigkill();
        for client in clients {
            acknowledged.extend(client.await.unwrap());
        }
        assert!(acknowledged.len() >= (round + 1) * CLIENTS, "the load reached the server");
    }

    let server = Server::start(data.path()).await;
    for (batch, answer) in &acknowledged {
        for (event, appended) in batch.iter().zip(answer["events"].as_array().unwrap()) {
            let id = event["id"].as_str().unwrap();
            let (status, found) = server.get(&format!("/v1/events/{id}")).await.unwrap();
            assert_eq!(status, 200, "acknowledged event {id} is gone");
            assert_eq!(found["position"], appended["position"]);
            assert_eq!(found["data"], event["data"]);
        }
    }
    let (batch, answer) = &acknowledged[acknowledged.len() / 2];
    assert_eq!(server.post(batch).await.unwrap(), (200, answer.clone()));
}

#[test]
fn the_batches_of_this_test_are_valid() {
    for event in batch(0, 0) {
        Event::from_cloud_event(event, Timestamp::now()).unwrap();
    }
}
