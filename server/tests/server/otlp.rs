//! Telemetry by OTLP: taken over HTTP and gRPC, summarised, appended; or refused as specified.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use events::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry::trace::{SpanKind, Tracer, TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter as _};
use receivers::wire::collector::trace::v1::ExportTraceServiceRequest;
use serde_json::{Value, json};
use server::config::Config;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{Answer, JSON, Server, eventually};
use crate::security::create;

const PROTOBUF: &str = "application/x-protobuf";

/// Windows of a second. What a busy machine sends late is not too late.
pub fn quick(config: &mut Config) {
    config.otlp.windows.window_ms = 1_000;
    config.otlp.windows.lateness_ms = 5_000;
}

/// A request of OTLP in JSON in which `frontend` calls `cart` in a trace of its own.
pub fn a_call() -> Value {
    static TRACES: AtomicU64 = AtomicU64::new(1);
    let number = TRACES.fetch_add(1, Ordering::Relaxed);
    let (trace, client, server) = (
        format!("{number:032x}"),
        format!("{number:016x}"),
        format!("{:016x}", number + (1 << 32)),
    );
    let end = Timestamp::now().as_nanosecond();
    let span = |id: &str, parent: &str, kind: u32| {
        json!({
            "traceId": trace, "spanId": id, "parentSpanId": parent, "name": "GET /cart", "kind": kind,
            "startTimeUnixNano": (end - 20_000_000).to_string(),
            "endTimeUnixNano": end.to_string(),
        })
    };
    let of = |service: &str, span: Value| {
        let name = json!({ "key": "service.name", "value": { "stringValue": service } });
        json!({ "resource": { "attributes": [name] }, "scopeSpans": [{ "spans": [span] }] })
    };
    json!({ "resourceSpans": [
        of("frontend", span(&client, "", 3)),
        of("cart", span(&server, &client, 2)),
    ]})
}

fn protobuf(request: &Value) -> Vec<u8> {
    let request: ExportTraceServiceRequest = serde_json::from_value(request.clone()).unwrap();
    prost_otlp::Message::encode_to_vec(&request)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn send(server: &Server, path: &str, form: &str, packed: bool, body: Vec<u8>) -> Answer {
    let url = format!("http://{}{path}", server.running.otlp_http().unwrap());
    let mut request = server.client.post(url).header("content-type", form);
    if packed {
        request = request.header("content-encoding", "gzip");
    }
    Answer::of(request.body(body).send().await.unwrap()).await
}

const EDGES: &str = "io.faultline.traces.edgesrecorded.v1";

/// The calls of `frontend` to `cart` that the log tells of.
pub async fn calls(server: &Server) -> u64 {
    let of = |event: Value| {
        assert_eq!(event["data"]["caller"], "frontend");
        assert_eq!(event["data"]["edges"][0]["callee"], "cart");
        event["data"]["edges"][0]["calls"].as_u64().unwrap()
    };
    server.recorded(EDGES).await.into_iter().map(of).sum()
}

#[tokio::test]
async fn every_form_of_a_request_is_counted_and_told_once() {
    let server = Server::start_with(quick).await;
    let requests: Vec<Value> = (0..4).map(|_| a_call()).collect();
    let json = |request: &Value| request.to_string().into_bytes();
    let forms = [
        (JSON, false, json(&requests[0])),
        (JSON, true, gzip(&json(&requests[1]))),
        (PROTOBUF, false, protobuf(&requests[2])),
        (PROTOBUF, true, gzip(&protobuf(&requests[3]))),
    ];
    for (form, packed, body) in &forms {
        for _ in 0..2 {
            let answer = send(&server, "/v1/traces", form, *packed, body.clone()).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert_eq!(answer.headers["content-type"], *form);
            assert!(matches!(answer.text.as_str(), "" | "{}"), "{:?}", answer.text);
        }
    }
    eventually("four calls, each of which was sent twice", async || match calls(&server).await {
        4 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
    let metrics = server.get("/metrics").await.text;
    for line in ["faultline_otlp_spans_total 8", "faultline_otlp_repeated_total 8"] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let components =
        server.graphql("{ components { nodes { name calls { nodes { callee { name } } } } } }");
    let expected = json!([
        { "name": "cart", "calls": { "nodes": [] } },
        { "name": "frontend", "calls": { "nodes": [{ "callee": { "name": "cart" } }] } },
    ]);
    assert_eq!(components.await["components"]["nodes"], expected);
    // The port of the interface takes it too, for those who open one port only.
    let answer = server.post("/v1/traces", JSON, a_call().to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "{}"));
}

#[tokio::test]
async fn what_is_dropped_of_a_request_is_said_and_counted() {
    let server = Server::start_with(quick).await;
    let mut request = a_call();
    request["resourceSpans"][0]["resource"] = json!({});
    request["resourceSpans"][1]["scopeSpans"][0]["spans"][0]["endTimeUnixNano"] = json!("17");
    let answer = send(&server, "/v1/traces", JSON, false, request.to_string().into()).await;
    assert_eq!(answer.status, 200);
    let partial = &answer.body["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], 2, "{}", answer.text);
    let message = partial["errorMessage"].as_str().unwrap();
    assert!(message.contains("set service.name") && message.contains("invalid_time"), "{message}");
    let metrics = server.get("/metrics").await.text;
    assert!(metrics.contains("faultline_otlp_dropped_total{reason=\"no_service_name\"} 1"));
}

#[tokio::test]
async fn garbage_is_refused_as_the_specification_says_and_the_server_goes_on() {
    let server = Server::start_with(|config| {
        quick(config);
        config.otlp.max_body_bytes = 1 << 20;
        config.otlp.max_decoded_bytes = 4 << 20;
    })
    .await;
    let bomb = gzip(&vec![0; 64 << 20]);
    let whole = protobuf(&a_call());
    let cut = whole[..whole.len() - 3].to_vec();
    let many = json!({ "resourceSpans": vec![json!({ "scopeSpans": [{}] }); 20_000] });
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        let long = format!("{{\"x\":\"{}\"}}", "y".repeat(2 << 20)).into_bytes();
        for (form, packed, body, status, code) in [
            ("text/plain", false, b"{}".to_vec(), 415, 3),
            (JSON, false, b"[]".to_vec(), 400, 3),
            (JSON, false, b"{\"resourceSpans\":".to_vec(), 400, 3),
            (JSON, false, vec![0xff, 0xfe, b'{', b'}'], 400, 3),
            (PROTOBUF, false, cut.clone(), 400, 3),
            (PROTOBUF, false, vec![0xff; 100], 400, 3),
            (PROTOBUF, true, b"no gzip".to_vec(), 400, 3),
            (PROTOBUF, true, bomb.clone(), 413, 3),
            (JSON, false, many.to_string().into_bytes(), 413, 3),
        ] {
            if path != "/v1/traces" && (body == cut || body.len() > 100_000 && form == JSON) {
                continue;
            }
            let of = format!("{path} {form} {packed} {}", body.len());
            let answer = send(&server, path, form, packed, body).await;
            assert_eq!(answer.status.as_u16(), status, "{of}: {}", answer.text);
            if form == PROTOBUF {
                // `google.rpc.Status`: field 1 is the code.
                assert_eq!(answer.text.as_bytes()[..2], [8, code], "{of}: {}", answer.text);
            } else {
                assert_eq!(answer.body["code"], code, "{of}: {}", answer.text);
            }
        }
        let answer = send(&server, path, JSON, false, long).await;
        assert_eq!(answer.code(), (413, "body_too_large"));
        let url = format!("http://{}{path}", server.running.otlp_http().unwrap());
        let answer = Answer::of(server.client.get(url).send().await.unwrap()).await;
        assert_eq!(answer.code(), (405, "method_not_allowed"));
    }
    let elsewhere = format!("http://{}/v1/events", server.running.otlp_http().unwrap());
    let answer = Answer::of(server.client.get(elsewhere).send().await.unwrap()).await;
    assert_eq!(answer.code(), (404, "not_found"));
    let answer = send(&server, "/v1/traces", PROTOBUF, false, whole).await;
    assert_eq!(answer.status, 200);
}

fn exporter(server: &Server, token: Option<&str>) -> SpanExporter {
    let address = server.running.otlp_grpc().unwrap();
    let mut metadata = tonic_otlp::metadata::MetadataMap::new();
    if let Some(token) = token {
        metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let builder = SpanExporter::builder().with_tonic().with_endpoint(format!("http://{address}"));
    builder.with_metadata(metadata).build().unwrap()
}

/// Keeps what a tracer of the SDK made.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl opentelemetry_sdk::trace::SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// A span of the SDK, and what it is of.
fn a_span_of(service: &'static str) -> (Vec<SpanData>, Resource) {
    let kept = Kept::default();
    let resource = Resource::builder().with_service_name(service).build();
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    let tracer = provider.tracer("test");
    drop(tracer.span_builder("GET /").with_kind(SpanKind::Server).start(&tracer));
    let spans = kept.0.lock().unwrap().clone();
    (spans, resource)
}

#[tokio::test]
async fn the_sdk_exports_over_grpc_with_a_token_only() {
    let server = Server::start_with(|config| {
        quick(config);
        config.auth.required = Some(true);
    })
    .await;
    let token = create(&server, "ingest", &[]);
    let (spans, resource) = a_span_of("frontend");
    let mut nobody = exporter(&server, None);
    nobody.set_resource(&resource);
    let refused = nobody.export(spans.clone()).await.unwrap_err();
    let OTelSdkError::InternalFailure(why) = &refused else { panic!("{refused:?}") };
    assert!(why.contains("nauthenticated"), "{why}");
    let reader = create(&server, "read", &[]);
    let metrics = format!("{}/metrics", server.running.url());
    let metrics = server.client.get(metrics).bearer_auth(reader).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let mut counts = metrics.lines().filter(|it| it.starts_with("faultline_http_requests_total"));
    assert!(counts.any(|it| it.contains(r#"status="401""#)), "{metrics}");
    let mut somebody = exporter(&server, Some(&token));
    somebody.set_resource(&resource);
    somebody.export(spans).await.unwrap();
    eventually("the component of the span", async || {
        let recorded = server.recorded("io.faultline.component.discovered.v1").await;
        match recorded.first() {
            Some(event) if event["data"]["component"] == "frontend" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_too_large_is_not_to_be_sent_again_over_grpc_either() {
    let server = Server::start_with(|config| config.otlp.max_body_bytes = 1_024).await;
    let (spans, resource) = a_span_of("frontend");
    let mut exporter = exporter(&server, None);
    exporter.set_resource(&resource);
    let many = (0..50).flat_map(|_| spans.clone()).collect();
    let refused = exporter.export(many).await.unwrap_err();
    let OTelSdkError::InternalFailure(why) = &refused else { panic!("{refused:?}") };
    assert!(why.contains("InvalidArgument"), "{why}");
    exporter.export(spans).await.unwrap();
}

#[tokio::test]
async fn bodies_that_take_too_much_memory_together_wait_their_turn() {
    let server = Server::start_with(|config| {
        quick(config);
        config.otlp.max_body_bytes = 1 << 20;
        config.otlp.max_pending_bytes = 1 << 20;
    })
    .await;
    let mut slow = TcpStream::connect(server.running.address()).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/x-protobuf\r\ncontent-length: 1048576\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    let ask = async || {
        let body = protobuf(&a_call());
        send(&server, "/v1/traces", PROTOBUF, false, body).await
    };
    let full = eventually("a server without room", async || match ask().await {
        full if full.status == 503 => Ok(full),
        other => Err(other.text),
    })
    .await;
    assert_eq!(full.code().1, "overloaded");
    assert!(full.headers.contains_key("retry-after"), "{:?}", full.headers);
    drop(slow);
    eventually("room", async || match ask().await.status.as_u16() {
        200 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
}

#[tokio::test]
async fn a_stop_tells_what_the_open_windows_hold_and_the_next_start_tells_nothing_twice() {
    // Windows of an hour are not closed by the clock.
    let server = Server::start_with(|config| config.otlp.windows.window_ms = 3_600_000).await;
    let answer = send(&server, "/v1/traces", JSON, false, a_call().to_string().into()).await;
    assert_eq!(answer.status, 200);
    let server = server.restart(|_| {}).await;
    assert_eq!(calls(&server).await, 1);
    // Its window was told: what comes now is too late, and is said to be.
    let answer = send(&server, "/v1/traces", JSON, false, a_call().to_string().into()).await;
    let message = answer.body["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(message.contains("late"), "{message}");
    let server = server.restart(|_| {}).await;
    assert_eq!(calls(&server).await, 1);
}
