//! A knowledge base over a short history: log, projection, graph and schema.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_graphql::Request;
use events::log::{EmbeddedLog, EventLog, ExpectedRevision, Options};
use events::{Event, EventId, Timestamp};
use schema::graphql::{Base, FaultlineSchema, Limits};
use schema::{Graph, Projector};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Every clock of the tests stands still here.
pub const NOW: &str = "2026-03-01T12:00:00Z";

pub struct TestBase {
    pub schema: FaultlineSchema,
    pub log: Arc<EmbeddedLog>,
    pub graph: Arc<Graph>,
    folder: Arc<TempDir>,
}

/// The id of the history's event with this number.
pub fn id(number: u128) -> EventId {
    EventId(uuid::Uuid::from_u128(number))
}

/// Event `number` of type `io.faultline.⟨name⟩.v1`, `second` seconds into 10:00.
pub fn event(number: u128, second: i64, name: &str, data: Value) -> Event {
    let start: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
    let time = start + jiff::SignedDuration::from_secs(second);
    let document = json!({
        "specversion": "1.0",
        "id": id(number),
        "source": "/test",
        "type": format!("io.faultline.{name}.v1"),
        "time": time,
        "data": data,
    });
    Event::from_cloud_event(document, time).unwrap()
}

impl TestBase {
    pub async fn of(history: Vec<Event>) -> Self {
        Self::with_limits(history, Limits::default()).await
    }

    pub async fn with_limits(history: Vec<Event>, limits: Limits) -> Self {
        let now: Timestamp = NOW.parse().unwrap();
        Self::recorded_by(move || now, history, limits).await
    }

    /// Recorded one event a second from 11:00:01 on.
    pub async fn recorded_by_the_second(history: Vec<Event>) -> Self {
        let start: Timestamp = "2026-03-01T11:00:00Z".parse().unwrap();
        let seconds = AtomicI64::new(0);
        let clock = move || {
            let second = seconds.fetch_add(1, Ordering::Relaxed) + 1;
            start + jiff::SignedDuration::from_secs(second)
        };
        Self::recorded_by(clock, history, Limits::default()).await
    }

    async fn recorded_by(
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        history: Vec<Event>,
        limits: Limits,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options =
            Options { segment_bytes: 1 << 20, clock: Arc::new(clock), ..Options::default() };
        let log = Arc::new(EmbeddedLog::open(folder.path(), options).unwrap());
        for event in history {
            let stream = event.data.stream();
            log.append(stream, ExpectedRevision::Any, vec![event]).await.unwrap();
        }
        Self::over(log, Arc::new(folder), limits).await
    }

    async fn over(log: Arc<EmbeddedLog>, folder: Arc<TempDir>, limits: Limits) -> Self {
        let now: Timestamp = NOW.parse().unwrap();
        let graph = Arc::new(Graph::open("mem://").await.unwrap());
        let projector = Projector::new(graph.clone(), log.clone()).await;
        projector.catch_up().await.unwrap();
        let projected = projector.projected();
        tokio::spawn(projector.run());
        let base = Base::new(graph.clone(), log.clone(), projected, move || now, limits);
        Self { schema: schema::graphql::schema(base), log, graph, folder }
    }

    /// The same log with a graph of its own, made anew.
    pub async fn rebuilt(&self) -> Self {
        Self::over(self.log.clone(), self.folder.clone(), Limits::default()).await
    }

    /// Appends an event and waits until the graph contains it; answers its position.
    pub async fn record(&self, event: Event) -> u64 {
        let stream = event.data.stream();
        let appended = self.log.append(stream, ExpectedRevision::Any, vec![event]).await.unwrap();
        let position = appended[0].position;
        self.data(&format!("{{ projectedPosition(waitFor: {position}) }}")).await;
        position
    }

    /// The answer to `query` as a client sees it.
    pub async fn ask(&self, query: &str) -> Value {
        self.ask_with(query, json!({})).await
    }

    pub async fn ask_with(&self, query: &str, variables: Value) -> Value {
        let variables = async_graphql::Variables::from_json(variables);
        let request = Request::new(query).variables(variables);
        serde_json::to_value(self.schema.execute(request).await).unwrap()
    }

    /// The `data` of the answer, which must be without errors.
    pub async fn data(&self, query: &str) -> Value {
        let mut answer = self.ask(query).await;
        assert_eq!(answer.get("errors"), None, "{answer:#}");
        answer["data"].take()
    }

    /// Code and field of the only error of the answer.
    pub async fn refusal(&self, query: &str) -> (String, Option<String>) {
        let answer = self.ask(query).await;
        let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("{answer:#}"));
        assert_eq!(errors.len(), 1, "{answer:#}");
        let text = |name: &str| errors[0]["extensions"][name].as_str().map(str::to_owned);
        (text("code").unwrap_or_else(|| panic!("no code: {answer:#}")), text("field"))
    }

    /// How many statements `query` puts to the graph.
    pub async fn statements(&self, query: &str) -> u64 {
        let base = self.schema.data::<Base>().unwrap();
        let before = base.statements();
        self.data(query).await;
        base.statements() - before
    }
}
