//! Valid documents, damaged at random from a seed: every decoder answers, none of them panics,
//! and what was accepted can be summarised. The seed of a failure is in its message.

use std::panic::{AssertUnwindSafe, catch_unwind};

use events::{Event, Timestamp};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use receivers::aggregate::{Limits, Settings};
use receivers::alerts::LabelRules;
use receivers::body::{BodyLimits, Content, Encoding, Media};
use receivers::otlp::{Request, decode};
use receivers::{Aggregator, alerts, chaos, slo};
use serde_json::{Value, json};

/// Damaged documents of each kind; a few seconds in all.
const SEEDS: u64 = 4_000;

/// SplitMix64: the same numbers from the same seed, everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).expect("it is below a length")
    }
}

/// Flips, cuts, repeats, inserts and swaps a few stretches of bytes.
fn damaged(bytes: &[u8], seed: u64) -> Vec<u8> {
    let (mut bytes, mut random) = (bytes.to_vec(), Random(seed));
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        let length = (1 + random.below(16)).min(bytes.len() - at.min(bytes.len()));
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 0xff, 0x80, 0x7f][random.below(4)],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let again = bytes[at..at + length].to_vec();
                (0..1 + random.below(50)).for_each(|_| {
                    bytes.splice(at..at, again.iter().copied()).for_each(drop);
                });
            }
            5 => {
                let new: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
                bytes.splice(at..at, new).for_each(drop);
            }
            _ => {
                let other = random.below(bytes.len());
                if !bytes.is_empty() {
                    bytes.swap(at, other);
                }
            }
        }
    }
    bytes
}

/// Gives every damaged form of a document to a decoder, and counts what it accepted.
fn each(document: &[u8], mut decoder: impl FnMut(&[u8]) -> bool) {
    let mut accepted = 0;
    assert!(decoder(document), "the document is valid as it is");
    for seed in 0..SEEDS {
        let bytes = damaged(document, seed);
        let answer = catch_unwind(AssertUnwindSafe(|| decoder(&bytes)));
        accepted += u64::from(answer.unwrap_or_else(|_| panic!("it panicked at seed {seed}")));
    }
    assert!(accepted > 0 && accepted < SEEDS, "{accepted} of {SEEDS} were accepted");
}

fn now() -> Timestamp {
    "2026-01-01T00:00:05Z".parse().expect("it is a moment")
}

fn check(events: &[Event]) {
    for event in events {
        let read = Event::from_cloud_event(event.to_cloud_event(), now());
        assert_eq!(read.as_ref(), Ok(event));
    }
}

/// A request of telemetry in both encodings, summarised if it is accepted.
fn telemetry<R: Request>(document: &Value, take: impl Fn(&mut Aggregator, R)) {
    let request: R = serde_json::from_value(document.clone()).expect("it is valid");
    let json = document.to_string().into_bytes();
    let limits = Limits { spans: 500, series: 500, components: 50, ..Limits::default() };
    for (media, bytes) in [(Media::Protobuf, request.encode_to_vec()), (Media::Json, json)] {
        let content = Content { media, encoding: Encoding::Identity };
        let settings = Settings { limits: limits.clone(), ..Settings::default() };
        let mut aggregator = Aggregator::new(settings, now(), None);
        each(&bytes, |bytes| {
            let body = BodyLimits { max_bytes: 1 << 20, max_decoded_bytes: 4 << 20 };
            let Ok(received) = decode::<R>(content, bytes, &body) else { return false };
            take(&mut aggregator, received.request);
            true
        });
        let held = aggregator.held();
        assert!(held.spans <= 500 && held.series <= 500, "{held:?}");
        let later = "2026-01-01T00:02:00Z".parse().expect("it is a moment");
        check(&aggregator.advance(later));
        check(&aggregator.close());
    }
}

fn resource() -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    json!({"attributes": [text("service.name", "cart"), text("service.version", "1.0")]})
}

const NANOS: u64 = 1_767_225_603_000_000_000;

#[test]
fn damaged_traces() {
    let span = |kind: u64, id: &str, parent: &str| {
        json!({
            "traceId": "5b8efff798038103d269b633813fc60c", "spanId": id, "parentSpanId": parent,
            "name": "GET", "kind": kind, "startTimeUnixNano": NANOS.to_string(),
            "endTimeUnixNano": (NANOS + 5_000_000).to_string(), "status": {"code": 2},
            "attributes": [
                {"key": "server.address", "value": {"stringValue": "stock.example.com"}},
                {"key": "http.response.status_code", "value": {"intValue": "503"}},
                {"key": "messaging.system", "value": {"stringValue": "kafka"}},
                {"key": "list", "value": {"arrayValue": {"values": [{"doubleValue": 1.5}]}}},
            ],
            "links": [{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": id}],
        })
    };
    let spans = [
        span(2, "00f067aa0ba902b7", ""),
        span(3, "00f067aa0ba902b8", "00f067aa0ba902b7"),
        span(4, "00f067aa0ba902b9", "00f067aa0ba902b7"),
        span(5, "00f067aa0ba902ba", "00f067aa0ba902b9"),
    ];
    let document = json!({"resourceSpans": [
        {"resource": resource(), "scopeSpans": [{"scope": {"name": "s"}, "spans": spans}]},
    ]});
    telemetry(&document, |aggregator, request: ExportTraceServiceRequest| {
        aggregator.traces(&request.into());
    });
}

#[test]
fn damaged_metrics() {
    let (start, time) = ((NANOS - 1_000_000_000).to_string(), NANOS.to_string());
    let number = json!({"startTimeUnixNano": start, "timeUnixNano": time, "asDouble": 3.5});
    let histogram = json!({
        "startTimeUnixNano": start, "timeUnixNano": time, "count": "6", "sum": 0.6,
        "bucketCounts": ["1", "2", "3"], "explicitBounds": [0.1, 0.2],
        "attributes": [{"key": "error.type", "value": {"stringValue": "500"}}],
    });
    let exponential = json!({
        "startTimeUnixNano": start, "timeUnixNano": time, "count": "3", "sum": 0.3, "scale": 2,
        "zeroCount": "1", "positive": {"offset": -3, "bucketCounts": ["1", "1"]},
    });
    let summary = json!({
        "startTimeUnixNano": start, "timeUnixNano": time, "count": "3", "sum": 0.3,
        "quantileValues": [{"quantile": 0.5, "value": 0.1}, {"quantile": 0.99, "value": 0.2}],
    });
    let metrics = json!([
        {"name": "process.memory.usage", "gauge": {"dataPoints": [number]}},
        {"name": "process.cpu.time",
         "sum": {"dataPoints": [number], "aggregationTemporality": 2, "isMonotonic": true}},
        {"name": "http.server.request.duration",
         "histogram": {"dataPoints": [histogram], "aggregationTemporality": 2}},
        {"name": "rpc.server.duration",
         "exponentialHistogram": {"dataPoints": [exponential], "aggregationTemporality": 1}},
        {"name": "messaging.process.duration", "summary": {"dataPoints": [summary]}},
    ]);
    let document = json!({"resourceMetrics": [
        {"resource": resource(), "scopeMetrics": [{"scope": {"name": "s"}, "metrics": metrics}]},
    ]});
    telemetry(&document, |aggregator, request: ExportMetricsServiceRequest| {
        aggregator.metrics(&request.into());
    });
}

#[test]
fn damaged_logs() {
    let record = |body: Value| {
        json!({
            "timeUnixNano": NANOS.to_string(), "severityNumber": 17, "severityText": "ERROR",
            "body": body, "traceId": "5b8efff798038103d269b633813fc60c",
            "spanId": "00f067aa0ba902b7",
        })
    };
    let text = json!({"stringValue": "order 17 of user=42 failed after 3 ms: connection refused"});
    let map = json!({"kvlistValue": {"values": [{"key": "message", "value": text}]}});
    let document = json!({"resourceLogs": [
        {"resource": resource(), "scopeLogs": [{"logRecords": [record(text), record(map)]}]},
    ]});
    telemetry(&document, |aggregator, request: ExportLogsServiceRequest| {
        aggregator.logs(&request.into());
    });
}

#[test]
fn damaged_alerts_and_changes() {
    let rules = LabelRules::default();
    let notification = json!({
        "version": "4", "truncatedAlerts": 0, "status": "firing", "commonAnnotations": {},
        "alerts": [{
            "status": "firing", "fingerprint": "a1b2c3d4e5f60718",
            "labels": {"alertname": "HighErrorRate", "service": "cart", "severity": "page"},
            "annotations": {"summary": "too many errors"},
            "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
        }],
    });
    each(notification.to_string().as_bytes(), |bytes| {
        let told = alerts::notification(bytes, &rules, now());
        told.map(|told| check(&told.events)).is_ok()
    });
    let enqueued = json!({
        "routing_key": "k", "event_action": "trigger", "dedup_key": "d",
        "payload": {"summary": "s", "source": "h", "severity": "error", "component": "cart",
                    "timestamp": "2026-01-01T00:00:00Z", "custom_details": {"version": "1"}},
    });
    let enqueued = enqueued.to_string();
    each(enqueued.as_bytes(), |bytes| {
        let told = alerts::enqueued(bytes, &rules, now());
        told.map(|told| check(told.event.as_slice())).is_ok()
    });
    each(enqueued.as_bytes(), |bytes| {
        alerts::change(bytes, &rules, now()).map(|told| check(&[told.event])).is_ok()
    });
}

#[test]
fn damaged_chaos_objects() {
    let rules = LabelRules::default();
    let mesh = json!({
        "apiVersion": "chaos-mesh.org/v1alpha1", "kind": "NetworkChaos",
        "metadata": {"name": "n", "namespace": "shop", "uid": "u",
                     "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"action": "delay", "duration": "60s", "delay": {"latency": "200ms"},
                 "selector": {"labelSelectors": {"app": "cart"}}},
        "status": {"conditions": [{"type": "AllRecovered", "status": "True"}],
            "experiment": {"desiredPhase": "Stop", "containerRecords": [{"id": "shop/cart-0",
                "events": [
                    {"type": "Succeeded", "operation": "Apply", "timestamp": "2026-01-01T00:00:01Z"},
                    {"type": "Succeeded", "operation": "Recover", "timestamp": "2026-01-01T00:01:01Z"},
                ]}]}},
    });
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    each(mesh.to_string().as_bytes(), |bytes| {
        let told = read(bytes).and_then(|document| chaos::object(&document, &rules).ok());
        told.map(|told| check(&told.events)).is_some()
    });
    let litmus = json!({
        "kind": "ChaosResult", "metadata": {"name": "r", "namespace": "shop", "uid": "u"},
        "spec": {"engine": "e", "experiment": "pod-delete"},
        "status": {"experimentStatus": {"phase": "Completed", "verdict": "Fail"},
            "probeStatuses": [{"name": "p", "mode": "EOT", "status": {"verdict": "Failed"}}],
            "history": {"passedRuns": 1, "failedRuns": 2, "stoppedRuns": 0,
                "targets": [{"name": "cart-0", "kind": "pod", "chaosStatus": "reverted"}]}},
    });
    each(litmus.to_string().as_bytes(), |bytes| {
        let told = read(bytes).and_then(|it| chaos::results(&it, &rules, now()).ok());
        told.map(|told| told.iter().for_each(|told| check(&told.events))).is_some()
    });
}

#[test]
fn damaged_objectives() {
    let file = "apiVersion: openslo/v1\nkind: SLO\nmetadata:\n  name: up\n  annotations: {faultline.io/indicator: availability}\nspec:\n  service: cart\n  timeWindow: [{duration: 30d, isRolling: true}]\n  objectives: [{target: 0.999}]\n";
    each(file.as_bytes(), |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return false };
        slo::objectives(text, now()).map(|events| check(&events)).is_ok()
    });
}
