use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;

use super::*;
use crate::body::Encoding;
use crate::sample::{Spanning, resource, said, span, traces};

const PROTOBUF: Content = Content { media: Media::Protobuf, encoding: Encoding::Identity };
const JSON: Content = Content { media: Media::Json, encoding: Encoding::Identity };

fn request() -> ExportTraceServiceRequest {
    let span = span(SpanKind::Server, 1, 2, 3, 1_000).with(said("http.route", "/carts/{id}"));
    traces(vec![(resource("cart"), vec![span])])
}

fn read<R: Request>(content: Content, bytes: &[u8]) -> Result<R, Refusal> {
    decode(content, bytes, &BodyLimits::default()).map(|received| received.request)
}

#[test]
fn both_encodings_plain_and_compressed_give_the_same_request() {
    let protobuf = request().encode_to_vec();
    let json = serde_json::to_vec(&request()).unwrap();
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    for (content, bytes) in [(PROTOBUF, &protobuf), (JSON, &json)] {
        let plain: Received<ExportTraceServiceRequest> =
            decode(content, bytes, &BodyLimits::default()).unwrap();
        assert_eq!(plain.request, request());
        let content = Content { encoding: Encoding::Gzip, ..content };
        let packed = decode(content, &gzip(bytes), &BodyLimits::default()).unwrap();
        assert_eq!(packed, plain, "a retry with another compression is the same request");
    }
}

#[test]
fn json_is_read_as_the_specification_writes_it() {
    let document = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]},
        "scopeSpans": [{"spans": [{
            "traceId": "5B8EFFF798038103D269B633813FC60C",
            "spanId": "EEE19B7EC3C1B174",
            "name": "a", "kind": 2,
            "startTimeUnixNano": "1544712660000000000",
            "endTimeUnixNano": 1544712661000000000_u64,
            "attributes": [{"key": "n", "value": {"intValue": "7"}}],
            "inTheFuture": {"unknown": [1, 2]},
        }]}],
    }]});
    let read: ExportTraceServiceRequest = read(JSON, document.to_string().as_bytes()).unwrap();
    let span = &read.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
    assert_eq!(span.kind(), SpanKind::Server);
    assert_eq!(attributes::whole(&span.attributes[0]), Some(7));
}

#[test]
fn what_is_no_request_is_refused_and_says_what_would_be_right() {
    let bytes = request().encode_to_vec();
    let cut = &bytes[..bytes.len() - 3];
    // A name that is not UTF-8.
    let mut text = traces(vec![(resource("cart"), vec![span(SpanKind::Server, 1, 2, 3, 5)])]);
    text.resource_spans[0].schema_url = "name".to_owned();
    let mut text = text.encode_to_vec();
    let at = text.windows(4).position(|it| it == b"name").unwrap();
    text[at] = 0xff;
    for (content, bytes) in [
        (PROTOBUF, cut),
        (PROTOBUF, &text[..]),
        (PROTOBUF, &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..]),
        (JSON, b"{\"resourceSpans\": [".as_slice()),
        (JSON, b"[]".as_slice()),
        (JSON, b"{\"resourceSpans\": [{\"scopeSpans\": [{\"spans\": [{\"traceId\": \"xy\"}]}]}]}"),
        (JSON, b"{\"resourceSpans\": \"\xff\"}"),
    ] {
        let refusal = read::<ExportTraceServiceRequest>(content, bytes).unwrap_err();
        assert_eq!((refusal.code(), refusal.http_status()), ("malformed", 400), "{bytes:?}");
        assert!(refusal.to_string().starts_with("expected ExportTraceServiceRequest: "));
    }
}

#[test]
fn what_would_grow_in_memory_is_refused_before_it_does() {
    let limits = BodyLimits { max_bytes: 16 << 20, max_decoded_bytes: 8 << 20 };
    // A resource and a scope that hold nothing but empty spans, of two bytes each.
    let field = |tag: u8, inner: &[u8]| {
        let mut bytes = vec![tag];
        prost_otlp::encoding::encode_varint(inner.len() as u64, &mut bytes);
        bytes.extend(inner);
        bytes
    };
    let spans = [0x12_u8, 0].repeat(200_000);
    let bomb = field(0x0a, &field(0x12, &spans));
    let refusal = decode::<ExportTraceServiceRequest>(PROTOBUF, &bomb, &limits).unwrap_err();
    assert_eq!((refusal.code(), refusal.http_status()), ("decoded_too_large", 413));
    let json = format!(
        "{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{}]}}]}}]}}",
        ["{}"; 50_000].join(",")
    );
    let refusal = decode::<ExportTraceServiceRequest>(JSON, json.as_bytes(), &limits).unwrap_err();
    assert_eq!(refusal.code(), "decoded_too_large");
    // Values within values, deeper than any client nests them.
    let mut value = vec![];
    (0..5_000).for_each(|_| value = field(0x2a, &field(0x0a, &value)));
    let deep = field(0x0a, &field(0x0a, &field(0x0a, &field(0x12, &value))));
    let refusal = decode::<ExportTraceServiceRequest>(PROTOBUF, &deep, &limits).unwrap_err();
    assert_eq!(refusal.code(), "malformed");
}

#[test]
fn the_estimate_is_not_far_from_what_a_request_takes() {
    let spans = (1..=1_000).map(|id| {
        (0..10).fold(span(SpanKind::Server, 1, id, 0, 1_000), |span, n| {
            span.with(said(&format!("attribute.{n}"), "some value"))
        })
    });
    let bytes = traces(vec![(resource("cart"), spans.collect())]).encode_to_vec();
    let estimated = budget::of_protobuf(Shape::Traces, &bytes).unwrap();
    assert!(estimated < bytes.len() * budget::MOST_PER_BYTE);
    let span = size_of::<opentelemetry_proto::tonic::trace::v1::Span>();
    let attribute = size_of::<opentelemetry_proto::tonic::common::v1::KeyValue>();
    let structures = 1_000 * (span + 10 * attribute);
    assert!(estimated > structures, "{estimated} for structures of {structures}");
    assert!(estimated < 2 * structures, "{estimated} for structures of {structures}");
}

#[test]
fn answers_come_in_the_encoding_of_the_request() {
    type Traces = ExportTraceServiceRequest;
    assert_eq!(answer::<Traces>(Media::Protobuf, None), b"");
    assert_eq!(answer::<Traces>(Media::Json, None), b"{}");
    let rejected = Rejected { count: 3, message: "3 late".to_owned() };
    let bytes = answer::<Traces>(Media::Protobuf, Some(rejected.clone()));
    let partial = ExportTraceServiceResponse::decode(&*bytes).unwrap().partial_success.unwrap();
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (3, "3 late"));
    let json: serde_json::Value =
        serde_json::from_slice(&answer::<ExportMetricsServiceRequest>(Media::Json, Some(rejected)))
            .unwrap();
    assert_eq!(json["partialSuccess"]["errorMessage"], "3 late");
    let json = serde_json::to_string(&json["partialSuccess"]["rejectedDataPoints"]).unwrap();
    assert_eq!(json.trim_matches('"'), "3");
}

#[test]
fn a_refusal_is_a_status_in_the_encoding_of_the_request() {
    let refusal = Refusal::Gzip;
    let json: serde_json::Value = serde_json::from_slice(&status(Media::Json, &refusal)).unwrap();
    assert_eq!(json["code"], 3);
    assert!(json["message"].as_str().unwrap().starts_with("invalid_gzip: "), "{json}");
    // Field 1, a varint of 3; field 2, a text.
    assert_eq!(&status(Media::Protobuf, &refusal)[..3], [0x08, 3, 0x12]);
}
