//! The server's own telemetry goes where it is configured to, and follows an event from the
//! request that brought it to the diagnosis that came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use axum::routing::post;
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost_otlp::Message;
use receivers::wire::collector::logs::v1::ExportLogsServiceRequest;
use receivers::wire::collector::metrics::v1::ExportMetricsServiceRequest;
use receivers::wire::collector::trace::v1::ExportTraceServiceRequest;
use serde_json::json;

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What was exported: the names of spans by their trace, of metrics, and of whoever logged.
#[derive(Debug, Default)]
struct Exported {
    spans: BTreeMap<String, BTreeSet<String>>,
    metrics: BTreeSet<String>,
    records: usize,
}

impl Exported {
    /// Whether all steps from the request to the diagnosis are in the trace, with numbers and
    /// log records beside.
    fn is_whole(&self) -> bool {
        let Some(spans) = self.spans.get(TRACE) else { return false };
        let metrics = ["faultline.events.appended", "faultline.log.head.position"];
        ["request", "append", "project", "diagnose"].iter().all(|it| spans.contains(*it))
            && metrics.iter().all(|it| self.metrics.contains(*it))
            && self.records > 0
    }
}

type Sink = Arc<Mutex<Exported>>;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The message of a unary call, behind a flag and its length.
fn message<M: Message + Default>(body: &Bytes) -> M {
    M::decode(&body[5..]).unwrap()
}

/// An empty message, and the status OK.
fn taken() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)];
    let body = StreamBody::new(futures::stream::iter(frames.map(Ok::<_, std::io::Error>)));
    let answer = Response::builder().header(header::CONTENT_TYPE, "application/grpc");
    answer.body(Body::new(body)).unwrap()
}

/// A receiver of OTLP over gRPC; where it listens.
async fn sink(exported: Sink) -> String {
    let [traces, metrics, logs] = [exported.clone(), exported.clone(), exported];
    let take_traces = async move |body: Bytes| {
        let request: ExportTraceServiceRequest = message(&body);
        let scopes = request.resource_spans.into_iter().flat_map(|it| it.scope_spans);
        let mut exported = traces.lock().unwrap();
        for span in scopes.flat_map(|scope| scope.spans) {
            let of = exported.spans.entry(hex(&span.trace_id)).or_default();
            of.insert(span.name.clone());
            let links: Vec<String> = span.links.iter().map(|link| hex(&link.trace_id)).collect();
            for trace in links {
                exported.spans.entry(trace).or_default().insert(span.name.clone());
            }
        }
        taken()
    };
    let take_metrics = async move |body: Bytes| {
        let request: ExportMetricsServiceRequest = message(&body);
        let scopes = request.resource_metrics.into_iter().flat_map(|it| it.scope_metrics);
        let names = scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name);
        metrics.lock().unwrap().metrics.extend(names);
        taken()
    };
    let take_logs = async move |body: Bytes| {
        let request: ExportLogsServiceRequest = message(&body);
        let scopes = request.resource_logs.into_iter().flat_map(|it| it.scope_logs);
        logs.lock().unwrap().records += scopes.map(|scope| scope.log_records.len()).sum::<usize>();
        taken()
    };
    let service = |of: &str, name: &str| {
        format!("/opentelemetry.proto.collector.{of}.v1.{name}Service/Export")
    };
    let router = Router::new()
        .route(&service("trace", "Trace"), post(take_traces))
        .route(&service("metrics", "Metrics"), post(take_metrics))
        .route(&service("logs", "Logs"), post(take_logs));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_is_told_where_it_shall_be_and_in_the_trace_of_the_event() {
    let exported = Sink::default();
    let endpoint = sink(exported.clone()).await;
    let data = tempfile::tempdir().unwrap();
    let settings = format!("[telemetry]\notlp_endpoint = \"{endpoint}\"\n");
    let server = Server::start_set(data.path(), &settings).await;
    let opened = json!({
        "specversion": "1.0", "id": "0198c0de-0000-7000-8000-000000000001", "source": "/test",
        "type": "io.faultline.incident.opened.v1", "time": "2026-03-01T12:00:00Z",
        "data": { "incident": "i-1", "title": "customers complain", "component": "cart",
                  "severity": "error", "opened_by": "alice" },
    });
    let answer = reqwest::Client::new()
        .post(format!("{}/v1/events", server.url()))
        .header("content-type", "application/cloudevents+json")
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .body(opened.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    server.settled(LIMIT).await;
    let (_, page) = server.get("/v1/events").await.unwrap();
    for kind in ["incident.opened", "diagnosis.proposed"] {
        let kind = format!("io.faultline.{kind}.v1");
        let event = page["events"].as_array().unwrap().iter().find(|it| it["type"] == kind);
        let traceparent = event.and_then(|it| it["traceparent"].as_str()).unwrap_or_default();
        assert!(traceparent.contains(TRACE), "{kind}: {page}");
    }
    // What is left is exported when it stops.
    server.stop();
    let began = Instant::now();
    while !exported.lock().unwrap().is_whole() {
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", exported.lock().unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
