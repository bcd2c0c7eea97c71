//! What a sender cannot make us spend: memory for a body is bounded whatever its bytes are, and
//! what is kept does not grow with time, however much of what comes is new. Memory is that of
//! the process, so all of it is one test.

use std::io::Write;

use events::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;
use receivers::aggregate::{Limits, Settings};
use receivers::body::{BodyLimits, Content, Encoding, Media};
use receivers::otlp::decode;
use receivers::wire::collector::logs::v1::ExportLogsServiceRequest;
use receivers::wire::collector::metrics::v1::ExportMetricsServiceRequest;
use receivers::wire::collector::trace::v1::ExportTraceServiceRequest;
use receivers::{Aggregator, Refusal};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A line of `/proc/self/status`, in MiB.
fn status_mb(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line is there");
    let kb = line.trim_start_matches(':').trim().trim_end_matches("kB").trim();
    kb.parse::<f64>().expect("it is a number") / 1_024.0
}

/// The most memory that was used in between, above what was used before.
fn peak_mb<T>(of: impl FnOnce() -> T) -> (T, f64) {
    // 5 sets the peak back to what is used now.
    std::fs::write("/proc/self/clear_refs", "5").expect("a process may reset its own peak");
    let before = status_mb("VmRSS");
    let result = of();
    (result, status_mb("VmHWM") - before)
}

/// A field of a message that holds bytes.
fn field(tag: u8, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    prost_otlp::encoding::encode_varint(inner.len() as u64, &mut bytes);
    bytes.extend(inner);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[test]
fn memory_is_bounded_by_the_limits_and_not_by_who_sends() {
    for (media, encoding, body, code) in bodies() {
        let content = Content { media, encoding };
        let limits = BodyLimits::default();
        let read = || decode::<ExportTraceServiceRequest>(content, &body, &limits);
        let (refused, peak) = peak_mb(|| read().map_err(|refusal: Refusal| refusal.code()).err());
        assert_eq!(refused, Some(code));
        assert!(peak < 64.0, "{code}: {peak:.0} MiB for a body of {} bytes", body.len());
    }
    what_is_kept_does_not_grow();
}

/// Bodies that would take much more memory than they have bytes, each with its refusal.
fn bodies() -> Vec<(Media, Encoding, Vec<u8>, &'static str)> {
    let spans = |bytes: Vec<u8>| field(0x0a, &field(0x12, &bytes));
    let empty_spans = spans([0x12_u8, 0].repeat(7 << 20));
    let one_span = spans(field(0x12, &[0x4a_u8, 0].repeat(7 << 20)));
    let list = |of: &str| [of].repeat(4 << 20).join(",");
    let json =
        format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{}]}}]}}]}}", list("{}"));
    let bomb = gzip(&vec![0; 512 << 20]);
    vec![
        (Media::Protobuf, Encoding::Identity, empty_spans, "decoded_too_large"),
        (Media::Protobuf, Encoding::Identity, one_span, "decoded_too_large"),
        (Media::Json, Encoding::Identity, json.into_bytes(), "decoded_too_large"),
        (Media::Json, Encoding::Gzip, bomb.clone(), "body_too_large"),
        (Media::Protobuf, Encoding::Gzip, bomb, "body_too_large"),
        (Media::Protobuf, Encoding::Identity, vec![0; 64 << 20], "body_too_large"),
    ]
}

/// Sixty windows in which every span, series, line, peer and resource is one that never was.
fn what_is_kept_does_not_grow() {
    let limits = Limits {
        components: 50,
        edges: 100,
        spans: 5_000,
        series: 2_000,
        resources: 500,
        shapes: 200,
        templates: 100,
        requests: 100,
        ..Limits::default()
    };
    let mut aggregator =
        Aggregator::new(Settings { limits, ..Settings::default() }, second(0), None);
    let mut halfway = 0.0;
    for window in 0..60 {
        let of = |part: usize| New { window, part };
        for part in 0..20 {
            let mut traces: receivers::otlp::Received<_> = of(part).traces().into();
            traces.fingerprint = Some((window * 20 + part) as u128);
            aggregator.traces(&traces);
            aggregator.metrics(&of(part).metrics().into());
            aggregator.logs(&of(part).logs().into());
        }
        aggregator.advance(second(window * 10 + 17));
        if window == 30 {
            halfway = status_mb("VmRSS");
        }
    }
    let grown = status_mb("VmRSS") - halfway;
    assert!(grown < 8.0, "{grown:.1} MiB more in the second half");
    let dropped = &aggregator.totals().dropped;
    assert!(dropped.len() >= 4, "most of it had no room: {dropped:?}");
}

fn second(after: usize) -> Timestamp {
    let after = i64::try_from(after).expect("it is small");
    Timestamp::from_second(1_767_225_600 + after).expect("a moment of this century")
}

/// Telemetry of which nothing was seen before.
struct New {
    window: usize,
    part: usize,
}

impl New {
    fn name(&self, what: &str, n: usize) -> String {
        format!("{what}-{}-{}-{n}", self.window, self.part)
    }

    fn nanos(&self) -> String {
        ((1_767_225_600 + self.window as u64 * 10 + 5) * 1_000_000_000).to_string()
    }

    fn resource(&self) -> Value {
        let of = self.part % 5;
        let text = |key: &str, value: String| json!({"key": key, "value": {"stringValue": value}});
        json!({"attributes": [
            text("service.name", if of == 0 { self.name("s", 0) } else { format!("service-{of}") }),
            text("service.version", self.name("v", 0)),
            text("service.instance.id", self.name("i", 0)),
            text("k8s.node.name", self.name("n", 0)),
        ]})
    }

    fn read<T: DeserializeOwned>(document: Value) -> T {
        serde_json::from_value(document).expect("it is a request")
    }

    fn traces(&self) -> ExportTraceServiceRequest {
        let span = |n: usize| {
            let id = (self.window * 20 + self.part) * 100 + n + 1;
            json!({
                "traceId": format!("{id:032x}"), "spanId": format!("{id:016x}"),
                "parentSpanId": format!("{:016x}", id + 7), "kind": 2 + n % 2,
                "startTimeUnixNano": self.nanos(), "endTimeUnixNano": self.nanos(),
                "attributes": [
                    {"key": "server.address", "value": {"stringValue": self.name("h.example", n)}},
                ],
            })
        };
        let spans: Vec<Value> = (0..50).map(span).collect();
        Self::read(json!({"resourceSpans": [
            {"resource": self.resource(), "scopeSpans": [{"spans": spans}]},
        ]}))
    }

    fn metrics(&self) -> ExportMetricsServiceRequest {
        let point = |n: usize| {
            json!({
                "timeUnixNano": self.nanos(), "asInt": "7",
                "attributes": [{"key": "k", "value": {"stringValue": self.name("k", n)}}],
            })
        };
        let points: Vec<Value> = (0..50).map(point).collect();
        let histogram = |n: usize| {
            let bound = ((self.window * 20 + self.part) * 10 + n) as f64 + 0.5;
            json!({
                "timeUnixNano": self.nanos(), "count": "9", "sum": 1.5,
                "explicitBounds": [bound, bound + 0.1], "bucketCounts": ["2", "3", "4"],
                "attributes": [{"key": "h", "value": {"stringValue": self.name("h", n)}}],
            })
        };
        let histograms: Vec<Value> = (0..10).map(histogram).collect();
        let histograms = json!({"dataPoints": histograms, "aggregationTemporality": 2});
        Self::read(json!({"resourceMetrics": [{"resource": self.resource(), "scopeMetrics": [
            {"metrics": [
                {"name": "http.server.request.duration", "histogram": histograms},
                {"name": "process.memory.usage", "gauge": {"dataPoints": points}},
            ]},
        ]}]}))
    }

    fn logs(&self) -> ExportLogsServiceRequest {
        let letters = |mut n: usize| {
            let mut word = String::new();
            while n > 0 {
                word.push(char::from(b'a' + (n % 26) as u8));
                n /= 26;
            }
            word
        };
        let record = |n: usize| {
            let word = letters((self.window * 20 + self.part) * 100 + n + 1);
            json!({
                "timeUnixNano": self.nanos(), "severityNumber": 9,
                "body": {"stringValue": format!("{word} is {word} of {word}")},
            })
        };
        let records: Vec<Value> = (0..50).map(record).collect();
        Self::read(json!({"resourceLogs": [
            {"resource": self.resource(), "scopeLogs": [{"logRecords": records}]},
        ]}))
    }
}
