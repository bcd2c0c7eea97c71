//! A server of one test, and how it is asked.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::log::{EmbeddedLog, EventLog, Options};
use events::{EventId, Timestamp};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use server::RunningServer;
use server::config::{Config, Listen};
use tempfile::TempDir;
use tokio::runtime::Handle;

pub struct Server {
    pub running: RunningServer,
    pub client: Client,
    config: Config,
    data: TempDir,
}

pub const SINGLE: &str = "application/cloudevents+json";
pub const BATCH: &str = "application/cloudevents-batch+json";
pub const JSON: &str = "application/json";

/// A configuration with its own folder and a port of the system's choice.
pub fn settings() -> (Config, TempDir) {
    let data = tempfile::tempdir().expect("a temporary folder");
    let mut config = Config::default();
    let any_port = ([127, 0, 0, 1], 0).into();
    config.http.listen = any_port;
    config.otlp.http_listen = Listen::At(any_port);
    config.otlp.grpc_listen = Listen::At(any_port);
    config.storage.data = data.path().to_owned();
    config.storage.graph = "mem://".to_owned();
    (config, data)
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let (mut config, data) = settings();
        change(&mut config);
        let running =
            server::run(config.clone(), &Handle::current()).await.expect("the server starts");
        Self { running, client: Client::new(), config, data }
    }

    /// On a log that is made of one in the server's folder.
    pub async fn start_on<L: EventLog>(
        make: impl FnOnce(EmbeddedLog) -> L,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let (mut config, data) = settings();
        change(&mut config);
        let log = EmbeddedLog::open(&data.path().join("log"), Options::default());
        let log = Arc::new(make(log.expect("the log opens")));
        let running = server::run_on(log, config.clone(), Timestamp::now, &Handle::current()).await;
        let running = running.expect("the server starts");
        Self { running, client: Client::new(), config, data }
    }

    /// Stops the server, lets `between` see its folder, and starts it again.
    pub async fn restart(self, between: impl FnOnce(&Path)) -> Self {
        let Self { running, client, config, data } = self;
        running.stop().await.expect("it drains");
        between(data.path());
        let running =
            server::run(config.clone(), &Handle::current()).await.expect("the server starts again");
        Self { running, client, config, data }
    }

    /// As [`Self::restart`], with other settings.
    pub async fn restart_with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self.restart(|_| {}).await
    }

    /// The folder of everything that is kept.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.url())
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(self.url(path)).send().await.expect("an answer")).await
    }

    pub async fn post(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let request = self.client.post(self.url(path)).header("content-type", content_type);
        Answer::of(request.body(body.into()).send().await.expect("an answer")).await
    }

    pub async fn append(&self, events: &Value) -> Answer {
        self.post("/v1/events", JSON, events.to_string()).await
    }

    pub async fn graphql(&self, query: &str) -> Value {
        let answer = self.post("/graphql", JSON, json!({ "query": query }).to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        assert_eq!(answer.body["errors"], Value::Null, "{}", answer.body);
        answer.body["data"].clone()
    }

    /// The data of every event of a type, in order.
    pub async fn recorded(&self, event_type: &str) -> Vec<Value> {
        let events = self.running.log().read_all(0, usize::MAX).await.expect("the log reads");
        events
            .iter()
            .filter(|event| event.event.data.event_type() == event_type)
            .map(|event| event.to_cloud_event())
            .collect()
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let status = response.status();
        let headers = response.headers().clone();
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, headers, body, text }
    }

    /// Asserts the one form of every error answer, and gives its code.
    #[track_caller]
    pub fn code(&self) -> (u16, &str) {
        let error = &self.body["error"];
        let id = error["request_id"].as_str().expect("an error answer has a request id");
        assert_eq!(self.headers["x-request-id"], id);
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{}", self.body);
        (self.status.as_u16(), error["code"].as_str().expect("an error answer has a code"))
    }

    #[track_caller]
    pub fn pointer(&self) -> &str {
        self.body["error"]["pointer"].as_str().expect("the error has a pointer")
    }
}

/// A valid event of a type.
pub fn event(event_type: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": EventId::generate().to_string(),
        "source": "/test",
        "type": format!("io.faultline.{event_type}.v1"),
        "time": "2026-01-31T12:00:00Z",
        "data": data,
    })
}

pub fn discovered(component: &str) -> Value {
    event("component.discovered", json!({ "component": component, "discovered_by": "test" }))
}

/// Asks until the answer is there; panics with the last one after a minute.
pub async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(last) if Instant::now() > deadline => panic!("no {what} in time; last: {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
