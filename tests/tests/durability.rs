//! What the server acknowledged survives SIGKILL (EL-1), a retry gets the first answer (EL-4),
//! and nothing is projected or decided twice (PR-2, PR-3), however often it is killed.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use events::{Event, EventId, Timestamp};
use serde_json::{Value, json};
use tests::cli::faultline;
use tests::server::Server;
use tests::shop_history::History;

/// Clients that post at the same time.
const CLIENTS: usize = 4;
/// Kills in a row.
const KILLS: usize = 50;
/// How long a round may take on a busy machine.
const LOAD_LIMIT: Duration = Duration::from_secs(120);
/// How long the reactors may take behind the last round.
const SETTLE_LIMIT: Duration = Duration::from_secs(120);

/// A client that posts one batch after the other, and sends again what was not acknowledged.
struct Poster {
    client: usize,
    posted: usize,
    unanswered: Option<Vec<Value>>,
    acknowledged: Vec<(Vec<Value>, Value)>,
    /// What the first client posts: telemetry with a fault in it, which has consequences.
    telemetry: Arc<Vec<Event>>,
}

impl Poster {
    fn new(client: usize, telemetry: Arc<Vec<Event>>) -> Self {
        Self { client, posted: 0, unanswered: None, acknowledged: Vec::new(), telemetry }
    }

    fn next(&mut self) -> Vec<Value> {
        let number = self.posted;
        self.posted += 1;
        if self.client == 0
            && let Some(window) = self.telemetry.chunks(10).nth(number)
        {
            return window.iter().map(Event::to_cloud_event).collect();
        }
        by_people(self.client, number)
    }

    /// Posts until the server is gone.
    async fn post(mut self, server: Arc<Server>, answered: Arc<AtomicUsize>) -> Self {
        loop {
            let batch = self.unanswered.take().unwrap_or_else(|| self.next());
            match server.post(&batch).await {
                Ok((200, answer)) => {
                    self.acknowledged.push((batch, answer));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok((status, answer)) => panic!("unexpected answer {status}: {answer}"),
                Err(_) => {
                    self.unanswered = Some(batch);
                    return self;
                }
            }
        }
    }
}

fn event(event_type: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": EventId::generate(),
        "source": "/tests",
        "type": format!("io.faultline.{event_type}.v1"),
        "time": Timestamp::now(),
        "data": data,
    })
}

/// Components, and now and then an incident that someone opens and labels.
fn by_people(client: usize, number: usize) -> Vec<Value> {
    let component = |index: usize| format!("component-{client}-{index}");
    let described = |index: usize| {
        event(
            "component.described",
            json!({
                "component": component(index),
                "description": format!("as told by batch {number}"),
            }),
        )
    };
    let mut batch: Vec<Value> = (0..3).map(described).collect();
    if number.is_multiple_of(4) {
        let incident = format!("inc-{client}-{number}");
        batch.push(event(
            "incident.opened",
            json!({
                "incident": incident,
                "title": "checkout is slow",
                "component": component(0),
                "severity": "error",
                "opened_by": "ada",
            }),
        ));
        batch.push(event(
            "label.assigned",
            json!({
                "label": EventId::generate(),
                "incident": incident,
                "claim": { "claim": "root_cause", "component": component(1) },
                "by": "ada",
                "confidence": 0.8,
            }),
        ));
    }
    batch
}

/// A fault that begins and ends while the server is killed again and again.
fn telemetry() -> Vec<Event> {
    History {
        start: "2026-03-01T12:00:00Z".parse().unwrap(),
        windows: 80,
        slow: "payments",
        from: 30,
        to: 45,
    }
    .events()
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_survive_sigkill_under_load() {
    let data = tempfile::tempdir().unwrap();
    let telemetry = Arc::new(telemetry());
    let mut posters: Vec<Poster> =
        (0..CLIENTS).map(|client| Poster::new(client, telemetry.clone())).collect();
    let mut slowest_start = Duration::ZERO;
    for round in 0..KILLS {
        let starting = Instant::now();
        let server = Arc::new(Server::start(data.path()).await);
        slowest_start = slowest_start.max(starting.elapsed());
        let answered = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = posters
            .drain(..)
            .map(|poster| tokio::spawn(poster.post(server.clone(), answered.clone())))
            .collect();
        // Not at the same point of the work each time.
        let enough = 4 + round * 7 % 13;
        let started = Instant::now();
        while answered.load(Ordering::Relaxed) < enough {
            assert!(started.elapsed() < LOAD_LIMIT, "the load takes too long");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.sigkill();
        for client in clients {
            posters.push(client.await.unwrap());
        }
    }
    println!("{KILLS} kills, slowest start to readiness {} ms", slowest_start.as_millis());

    let server = Server::start(data.path()).await;
    let mut acknowledged = 0;
    for poster in &posters {
        for (batch, answer) in &poster.acknowledged {
            acknowledged += batch.len();
            is_stored(&server, batch, answer).await;
        }
        if let Some((batch, answer)) = poster.acknowledged.last() {
            assert_eq!(server.post(batch).await.unwrap(), (200, answer.clone()));
        }
    }
    assert!(acknowledged > KILLS * 4 * 3, "the load reached the server");
    // The rest of the telemetry, and what was never answered.
    for poster in &mut posters {
        let unanswered = poster.unanswered.take().into_iter();
        let first = poster.client == 0;
        let rest = telemetry.chunks(10).skip(if first { poster.posted } else { usize::MAX });
        let rest = rest.map(|window| window.iter().map(Event::to_cloud_event).collect());
        for batch in unanswered.chain(rest) {
            let (status, answer) = server.post(&batch).await.unwrap();
            assert_eq!(status, 200, "{answer}");
        }
    }
    server.settled(SETTLE_LIMIT).await;
    server.sigkill();
    drop(server);
    nothing_is_there_twice(data.path());
}

async fn is_stored(server: &Server, batch: &[Value], answer: &Value) {
    for (event, appended) in batch.iter().zip(answer["events"].as_array().unwrap()) {
        let id = event["id"].as_str().unwrap();
        let (status, found) = server.get(&format!("/v1/events/{id}")).await.unwrap();
        assert_eq!(status, 200, "acknowledged event {id} is gone");
        assert_eq!(found["position"], appended["position"]);
        assert_eq!(found["data"], event["data"]);
    }
}

/// The log holds, each event and each decision is in it once, and the graph that grew through all
/// the kills is the one that is made of the log at once.
fn nothing_is_there_twice(data: &Path) {
    let said = faultline(data, &["verify", "--graph"]).ok();
    let exported = faultline(data, &["export"]).ok();
    let events: Vec<Value> =
        exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(said.contains(&format!("graph: sound up to position {}", events.len())), "{said}");
    let mut ids = HashSet::new();
    let mut revisions: HashMap<&str, u64> = HashMap::new();
    for (event, position) in events.iter().zip(1u64..) {
        assert_eq!(event["position"], position);
        assert!(ids.insert(event["id"].as_str().unwrap()), "{event}");
        let next = revisions.entry(event["stream"].as_str().unwrap()).or_default();
        assert_eq!(event["revision"], *next, "{event}");
        *next += 1;
    }
    let of_detector = |event: &&Value| {
        event["type"] == "io.faultline.incident.opened.v1"
            && event["source"] == "/faultline/detector"
    };
    assert_eq!(events.iter().filter(of_detector).count(), 1, "one fault, one incident");
    let diagnosed =
        events.iter().any(|event| event["type"] == "io.faultline.diagnosis.proposed.v1");
    assert!(diagnosed, "it was diagnosed between two kills");
}

#[test]
fn the_batches_of_this_test_are_valid() {
    for event in by_people(0, 0) {
        Event::from_cloud_event(event, Timestamp::now()).unwrap();
    }
}
