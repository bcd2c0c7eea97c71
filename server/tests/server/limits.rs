//! Past a limit, or when the log cannot take more, the answer is clear and nothing is written.

use std::sync::Arc;

use events::log::{
    AppendError, Appended, EmbeddedLog, EventLog, ExpectedRevision, Options, ReadError,
};
use events::{Event, EventId, RecordedEvent, StreamId, Timestamp};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use futures::stream::BoxStream;
use reqwest::Client;
use serde_json::{Value, json};

use crate::harness::{JSON, Server, discovered, settings};

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
    for (error, code, retry) in
        [(Refusal::Overloaded, "overloaded", true), (Refusal::Poisoned, "log_poisoned", false)]
    {
        let (config, data) = settings();
        let log =
            EmbeddedLog::open(&data.path().join("log"), Options::default()).expect("the log opens");
        let log: Arc<dyn EventLog> = Arc::new(Refusing { log, error });
        let running = server::run_on(log, config, Timestamp::now).await.expect("the server starts");
        let answer = Client::new()
            .post(format!("{}/v1/events", running.url()))
            .header("content-type", JSON)
            .body(discovered("a").to_string())
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers().contains_key("retry-after"), retry);
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["error"]["code"], code);
    }
}

#[derive(Clone, Copy)]
enum Refusal {
    Overloaded,
    Poisoned,
}

/// A log in the state that its writer reports when the disk is slow or failed.
struct Refusing {
    log: EmbeddedLog,
    error: Refusal,
}

impl EventLog for Refusing {
    fn append(
        &self,
        _: StreamId,
        _: ExpectedRevision,
        _: Vec<Event>,
    ) -> BoxFuture<'_, Result<Vec<Appended>, AppendError>> {
        ready(Err(match self.error {
            Refusal::Overloaded => AppendError::Overloaded,
            Refusal::Poisoned => AppendError::Poisoned("no space left on device".to_owned()),
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

    fn find(&self, id: EventId) -> BoxFuture<'_, Result<Option<RecordedEvent>, ReadError>> {
        self.log.find(id)
    }

    fn subscribe(&self, after: u64) -> BoxStream<'static, Result<RecordedEvent, ReadError>> {
        self.log.subscribe(after)
    }

    fn head(&self) -> u64 {
        self.log.head()
    }
}
