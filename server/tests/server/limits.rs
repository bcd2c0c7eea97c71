//! Past a limit, or when the log cannot take more, the answer is clear and nothing is written.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use events::log::{
    AppendError, Appended, EmbeddedLog, EventLog, ExpectedRevision, Options, ReadError,
};
use events::{Event, EventId, RecordedEvent, StreamId, Timestamp};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use futures::stream::BoxStream;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Handle};
use tokio::sync::Semaphore;

use crate::harness::{JSON, Server, discovered, eventually, settings};
use crate::otlp::{a_call, calls, quick};
use crate::webhooks::{ALERTMANAGER, group, notification};

#[tokio::test]
async fn too_much_is_413() {
    let server = Server::start_with(|config| {
        config.ingest.max_body_bytes = 10_000;
        config.ingest.max_batch_events = 3;
    })
    .await;
    let batch: Vec<Value> = (0..4).map(|_| discovered("a")).collect();
    let answer = server.append(&json!(batch)).await;
    assert_eq!(answer.code(), (413, "batch_too_large"));
    for size in [10_001, 30_000] {
        let answer = server.post("/v1/events", JSON, vec![b' '; size]).await;
        assert_eq!(answer.code(), (413, "body_too_large"));
        assert_eq!(answer.body["error"]["max_bytes"], 10_000);
    }
    // Without a length announced, the bytes themselves are counted.
    let chunks = futures::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1_000])));
    let answer = server
        .client
        .post(server.url("/v1/events"))
        .header("content-type", JSON)
        .body(reqwest::Body::wrap_stream(chunks))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 413);
    assert_eq!(server.running.log().head(), 0);
}

#[tokio::test]
async fn a_full_or_poisoned_log_is_503() {
    for (error, code, retry) in [
        (Refusal::Overloaded, "overloaded", true),
        (Refusal::DiskFull, "disk_full", true),
        (Refusal::Poisoned, "log_poisoned", false),
    ] {
        let refuses = Arc::new(AtomicBool::new(true));
        let server =
            Server::start_on(|log| Refusing { refuses, ..Refusing::new(log, error) }, |_| {}).await;
        let answer = server.append(&discovered("a")).await;
        assert_eq!(answer.code(), (503, code));
        assert_eq!(answer.headers.contains_key("retry-after"), retry);
    }
}

#[tokio::test]
async fn telemetry_waits_for_a_full_disk_up_to_a_limit_and_none_that_was_taken_is_lost() {
    let refuses = Arc::new(AtomicBool::new(true));
    let make = |log| Refusing { refuses: refuses.clone(), ..Refusing::new(log, Refusal::DiskFull) };
    let server = Server::start_on(make, |config| {
        quick(config);
        config.otlp.windows.lateness_ms = 0;
        config.otlp.max_waiting_events = 10;
    })
    .await;
    let taken = AtomicU64::new(0);
    let declined = eventually("no room for more", async || {
        let answer = server.post("/v1/traces", JSON, a_call().to_string()).await;
        if answer.status == 200 {
            taken.fetch_add(1, Ordering::Relaxed);
            return Err("it was taken".to_owned());
        }
        Ok(answer)
    })
    .await;
    let taken = taken.into_inner();
    assert_eq!(declined.code(), (503, "overloaded"));
    assert!(declined.headers.contains_key("retry-after"));
    let metrics = server.get("/metrics").await.text;
    let waiting = metrics.lines().find_map(|it| it.strip_prefix("faultline_otlp_waiting_events "));
    assert!(waiting.is_some_and(|count| count.parse::<u64>().unwrap() > 10), "{metrics}");

    refuses.store(false, Ordering::Relaxed);
    eventually("all that was taken", async || match calls(&server).await {
        count if count == taken => Ok(()),
        count => Err(format!("{count} of {taken}")),
    })
    .await;
    let answer = server.post("/v1/traces", JSON, a_call().to_string()).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_another_sender_told_in_between_is_known_and_the_rest_is_recorded() {
    let overlooks = Arc::new(AtomicU64::new(0));
    let make =
        |log| Refusing { overlooks: overlooks.clone(), ..Refusing::new(log, Refusal::Poisoned) };
    let server = Server::start_on(make, |_| {}).await;
    let now = Timestamp::now();
    let told = notification("firing", "cart", now).to_string();
    assert_eq!(server.post(ALERTMANAGER, JSON, told).await.body["recorded"], 1);
    overlooks.store(1, Ordering::Relaxed);
    let both = ["cart".to_owned(), "gateway".to_owned()];
    let told = group("firing", &both, now).to_string().replace("answers", "still answers");
    let answer = server.post(ALERTMANAGER, JSON, told).await;
    assert_eq!((&answer.body["recorded"], &answer.body["known"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn the_server_answers_but_is_not_ready_while_the_graph_catches_up() {
    let (mut config, data) = settings();
    config.projection.ready_max_lag_events = 1;
    config.reactors.enabled = false;
    let log = EmbeddedLog::open(&data.path().join("log"), Options::default()).expect("it opens");
    for name in ["a", "b"] {
        let event = Event::from_cloud_event(discovered(name), Timestamp::now()).expect("valid");
        let stream = event.data.stream();
        log.append(stream, ExpectedRevision::Any, vec![event]).await.expect("appended");
    }
    let gate = Arc::new(Semaphore::new(0));
    let gated = Gated { log, gate: gate.clone(), readers: Arc::default() };
    let running = server::run_on(Arc::new(gated), config, Timestamp::now, &Handle::current())
        .await
        .expect("starts");
    let ask = async || {
        let answer = reqwest::get(format!("{}/readyz", running.url())).await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.expect("JSON"))
    };
    let (status, body) = ask().await;
    assert_eq!(status, 503);
    assert_eq!(
        body,
        json!({ "ready": false, "status": "catching_up", "head": 2, "projected": 0, "lag": 2,
                "max_lag": 1 })
    );
    gate.add_permits(1_000);
    eventually("readiness", async || match ask().await {
        (200, body) => Ok(body),
        (_, body) => Err(body.to_string()),
    })
    .await;
}

/// ADR 30.
#[tokio::test]
async fn what_follows_the_log_has_threads_of_its_own() {
    let behind = Builder::new_multi_thread().thread_name("behind").enable_all().build();
    let behind = behind.expect("a runtime");
    let (config, data) = settings();
    let log = EmbeddedLog::open(&data.path().join("log"), Options::default()).expect("it opens");
    let readers = Arc::<Mutex<BTreeSet<String>>>::default();
    let gated = Gated { log, gate: Arc::new(Semaphore::new(1_000)), readers: readers.clone() };
    let running = server::run_on(Arc::new(gated), config, Timestamp::now, behind.handle())
        .await
        .expect("starts");
    let body = discovered("a").to_string();
    let posted = reqwest::Client::new()
        .post(format!("{}/v1/events", running.url()))
        .header("content-type", JSON)
        .body(body);
    assert_eq!(posted.send().await.expect("an answer").status(), 200);
    eventually("the reactors at the head", async || match running.reacted() {
        1 => Ok(()),
        reacted => Err(reacted.to_string()),
    })
    .await;
    running.stop().await.expect("it drains");
    behind.shutdown_background();
    let readers = readers.lock().expect("nothing panics with the lock").clone();
    assert_eq!(readers, ["behind".to_owned()].into());
}

#[tokio::test]
async fn a_request_past_its_time_is_503() {
    let server = Server::start_with(|config| config.http.request_timeout_ms = 200).await;
    let endless = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let answer = server
        .client
        .post(server.url("/v1/events"))
        .header("content-type", JSON)
        .body(reqwest::Body::wrap_stream(endless))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 503);
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["error"]["code"], "timeout");
}

/// A log that is read as slowly as its gate opens, and knows by which threads.
struct Gated {
    log: EmbeddedLog,
    gate: Arc<Semaphore>,
    readers: Arc<Mutex<BTreeSet<String>>>,
}

impl Gated {
    fn note_reader(&self) {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        self.readers.lock().expect("nothing panics with the lock").insert(name);
    }
}

impl EventLog for Gated {
    fn append(
        &self,
        stream: StreamId,
        expected: ExpectedRevision,
        events: Vec<Event>,
    ) -> BoxFuture<'_, Result<Vec<Appended>, AppendError>> {
        self.log.append(stream, expected, events)
    }

    fn read_stream(
        &self,
        stream: StreamId,
        from_revision: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        self.log.read_stream(stream, from_revision, limit)
    }

    fn read_all(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        async move {
            self.note_reader();
            let _permit = self.gate.acquire().await.expect("the gate stays");
            self.log.read_all(after, limit).await
        }
        .boxed()
    }

    fn find_each(&self, ids: Vec<EventId>) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        self.log.find_each(ids)
    }

    fn subscribe(&self, after: u64) -> BoxStream<'static, Result<RecordedEvent, ReadError>> {
        self.note_reader();
        self.log.subscribe(after)
    }

    fn head(&self) -> u64 {
        self.log.head()
    }
}

#[derive(Clone, Copy)]
enum Refusal {
    Overloaded,
    DiskFull,
    Poisoned,
}

/// A log in the state that its writer reports when the disk is slow or failed, for as long as it
/// refuses.
struct Refusing {
    log: EmbeddedLog,
    error: Refusal,
    refuses: Arc<AtomicBool>,
    /// So many more looks for events find none, as if they came a moment later.
    overlooks: Arc<AtomicU64>,
}

impl Refusing {
    fn new(log: EmbeddedLog, error: Refusal) -> Self {
        Self { log, error, refuses: Arc::default(), overlooks: Arc::default() }
    }
}

impl EventLog for Refusing {
    fn append(
        &self,
        stream: StreamId,
        expected: ExpectedRevision,
        events: Vec<Event>,
    ) -> BoxFuture<'_, Result<Vec<Appended>, AppendError>> {
        if !self.refuses.load(Ordering::Relaxed) {
            return self.log.append(stream, expected, events);
        }
        ready(Err(match self.error {
            Refusal::Overloaded => AppendError::Overloaded,
            Refusal::DiskFull => AppendError::DiskFull,
            Refusal::Poisoned => AppendError::Poisoned("the medium is gone".to_owned()),
        }))
        .boxed()
    }

    fn read_stream(
        &self,
        stream: StreamId,
        from_revision: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        self.log.read_stream(stream, from_revision, limit)
    }

    fn read_all(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        self.log.read_all(after, limit)
    }

    fn find_each(&self, ids: Vec<EventId>) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        let less = |left: u64| left.checked_sub(1);
        match self.overlooks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => ready(Ok(Vec::new())).boxed(),
            Err(_) => self.log.find_each(ids),
        }
    }

    fn subscribe(&self, after: u64) -> BoxStream<'static, Result<RecordedEvent, ReadError>> {
        self.log.subscribe(after)
    }

    fn head(&self) -> u64 {
        self.log.head()
    }
}
