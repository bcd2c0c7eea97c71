//! A receiver of OTLP: what comes is read and summarised as a server does.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chaos_runner::shop::otlp::{Receiver, ReceiverArgs};
use events::{Event, Timestamp};
use receivers::aggregate::{Settings, Totals};
use receivers::otlp::{self, Received, Request};
use receivers::wire::collector::logs::v1::ExportLogsServiceRequest;
use receivers::wire::collector::metrics::v1::ExportMetricsServiceRequest;
use receivers::wire::collector::trace::v1::ExportTraceServiceRequest;
use receivers::wire::common::v1::KeyValue;
use receivers::wire::common::v1::any_value::Value;
use receivers::wire::logs::v1::LogRecord;
use receivers::wire::metrics::v1::Metric;
use receivers::wire::resource::v1::Resource;
use receivers::wire::trace::v1::Span;
use receivers::{Absorbed, Aggregator, BodyLimits, Content};

use crate::harness::PATIENCE;

pub struct Otlp {
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    aggregator: Aggregator,
    token: Option<&'static str>,
    told: Told,
}

/// What was received, as it came and as it was summarised.
#[derive(Clone, Default)]
pub struct Told {
    pub events: Vec<Event>,
    pub spans: Vec<(Resource, Span)>,
    pub lines: Vec<(Resource, LogRecord)>,
    /// By `service.name` and the metric's name.
    pub metrics: BTreeSet<(String, String)>,
    /// Requests without the right token.
    pub refused: usize,
}

impl Otlp {
    /// Takes everything, or only what comes with a token.
    pub async fn start(token: Option<&'static str>) -> Self {
        // Late enough for a machine that is busy with other tests.
        let settings = Settings { window_ms: 2_000, lateness_ms: 10_000, ..Settings::default() };
        let aggregator = Aggregator::new(settings, Timestamp::now(), None);
        let shared = Shared { aggregator, token, told: Told::default() };
        let shared = Arc::new(Mutex::new(shared));
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .route("/v1/logs", post(logs))
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared }
    }

    pub fn receiver(&self) -> Option<Receiver> {
        receiver(self.address)
    }

    /// Lets time pass, and waits until what was told fits.
    pub async fn told(&self, what: &str, fits: impl Fn(&Told) -> bool) -> Told {
        let began = Instant::now();
        loop {
            {
                let mut shared = self.shared.lock().unwrap();
                let events = shared.aggregator.advance(Timestamp::now());
                shared.told.events.extend(events);
                if fits(&shared.told) {
                    return shared.told.clone();
                }
                let events = &shared.told.events;
                assert!(began.elapsed() < PATIENCE, "{what} was not told: {events:#?}");
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Closes every window, when nothing comes any more.
    pub fn close(&self) -> Told {
        let mut shared = self.shared.lock().unwrap();
        let events = shared.aggregator.close();
        shared.told.events.extend(events);
        shared.told.clone()
    }

    /// What was taken and dropped.
    pub fn totals(&self) -> Totals {
        self.shared.lock().unwrap().aggregator.totals().clone()
    }
}

pub fn receiver(address: SocketAddr) -> Option<Receiver> {
    let otlp = Some(format!("http://{address}"));
    ReceiverArgs { otlp, ..ReceiverArgs::default() }.receiver().unwrap()
}

/// An attribute's text; empty where there is none.
pub fn text<'a>(attributes: &'a [KeyValue], name: &str) -> &'a str {
    let found = attributes.iter().find(|it| it.key == name);
    match found.and_then(|it| it.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}

/// The `service.name` of a resource.
pub fn service(resource: &Resource) -> &str {
    text(&resource.attributes, "service.name")
}

type Shop = State<Arc<Mutex<Shared>>>;

async fn traces(State(shop): Shop, headers: HeaderMap, body: Bytes) -> Response {
    take(&shop, &headers, &body, |shared, received: Received<ExportTraceServiceRequest>| {
        for of in &received.request.resource_spans {
            let resource = of.resource.clone().unwrap();
            let spans = of.scope_spans.iter().flat_map(|scope| scope.spans.iter().cloned());
            shared.told.spans.extend(spans.map(|span| (resource.clone(), span)));
        }
        shared.aggregator.traces(&received)
    })
}

async fn metrics(State(shop): Shop, headers: HeaderMap, body: Bytes) -> Response {
    take(&shop, &headers, &body, |shared, received: Received<ExportMetricsServiceRequest>| {
        for of in &received.request.resource_metrics {
            let service = service(of.resource.as_ref().unwrap());
            let metrics = of.scope_metrics.iter().flat_map(|scope| &scope.metrics);
            let named = |metric: &Metric| (service.to_owned(), metric.name.clone());
            shared.told.metrics.extend(metrics.map(named));
        }
        shared.aggregator.metrics(&received)
    })
}

async fn logs(State(shop): Shop, headers: HeaderMap, body: Bytes) -> Response {
    take(&shop, &headers, &body, |shared, received: Received<ExportLogsServiceRequest>| {
        for of in &received.request.resource_logs {
            let resource = of.resource.clone().unwrap();
            let lines = of.scope_logs.iter().flat_map(|scope| scope.log_records.iter().cloned());
            shared.told.lines.extend(lines.map(|line| (resource.clone(), line)));
        }
        shared.aggregator.logs(&received)
    })
}

fn take<R: Request>(
    shop: &Mutex<Shared>,
    headers: &HeaderMap,
    body: &[u8],
    absorb: impl FnOnce(&mut Shared, Received<R>) -> Absorbed,
) -> Response {
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap());
    let mut shared = shop.lock().unwrap();
    let wanted = shared.token.map(|token| format!("Bearer {token}"));
    if wanted.is_some() && header(header::AUTHORIZATION) != wanted.as_deref() {
        shared.told.refused += 1;
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let content =
        Content::read(header(header::CONTENT_TYPE), header(header::CONTENT_ENCODING)).unwrap();
    let received = otlp::decode(content, body, &BodyLimits::default()).unwrap();
    let absorbed = absorb(&mut shared, received);
    let content_type = [(header::CONTENT_TYPE, content.media.content_type())];
    let answer = otlp::answer::<R>(content.media, absorbed.rejected());
    (content_type, answer).into_response()
}
