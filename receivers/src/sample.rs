//! Requests for tests, built field by field as a client would.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// 2026-01-01T00:00:00Z.
pub const START_S: i64 = 1_767_225_600;

/// A moment after the start.
pub fn at(ms: i64) -> events::Timestamp {
    events::Timestamp::from_millisecond(START_S * 1_000 + ms).unwrap()
}

/// A moment after the start, as OTLP tells it.
pub fn nanos(ms: i64) -> u64 {
    u64::try_from((START_S * 1_000 + ms) * 1_000_000).unwrap()
}

pub fn attribute(key: &str, value: impl Into<Value>) -> KeyValue {
    let value = Some(AnyValue { value: Some(value.into()) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

pub fn said(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

pub fn resource(service: &str) -> Resource {
    Resource { attributes: vec![said("service.name", service)], ..Resource::default() }
}

/// A span of trace `trace` that takes 5 ms and ends at `end_ms`.
pub fn span(kind: SpanKind, trace: u128, id: u64, parent: u64, end_ms: i64) -> Span {
    Span {
        trace_id: trace.to_be_bytes().into(),
        span_id: id.to_be_bytes().into(),
        parent_span_id: if parent == 0 { Vec::new() } else { parent.to_be_bytes().into() },
        name: "GET /".to_owned(),
        kind: kind.into(),
        start_time_unix_nano: nanos(end_ms - 5),
        end_time_unix_nano: nanos(end_ms),
        ..Span::default()
    }
}

pub trait Spanning {
    fn with(self, attribute: KeyValue) -> Self;
    fn failed(self) -> Self;
    fn linked(self, trace: u128, span: u64) -> Self;
}

impl Spanning for Span {
    fn with(mut self, attribute: KeyValue) -> Self {
        self.attributes.push(attribute);
        self
    }

    fn failed(mut self) -> Self {
        self.status = Some(Status { code: StatusCode::Error.into(), message: String::new() });
        self
    }

    fn linked(mut self, trace: u128, span: u64) -> Self {
        let (trace_id, span_id) = (trace.to_be_bytes().into(), span.to_be_bytes().into());
        self.links.push(Link { trace_id, span_id, ..Link::default() });
        self
    }
}

pub fn traces(of: Vec<(Resource, Vec<Span>)>) -> ExportTraceServiceRequest {
    let of_resource = |(resource, spans): (Resource, Vec<Span>)| ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: of.into_iter().map(of_resource).collect() }
}

pub fn metrics(of: Vec<(Resource, Vec<Metric>)>) -> ExportMetricsServiceRequest {
    let of_resource = |(resource, metrics): (Resource, Vec<Metric>)| ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: of.into_iter().map(of_resource).collect() }
}

pub fn line(ms: i64, severity_number: i32, text: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: nanos(ms),
        severity_number,
        body: Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) }),
        ..LogRecord::default()
    }
}

pub fn logs(of: Vec<(Resource, Vec<LogRecord>)>) -> ExportLogsServiceRequest {
    let of_resource = |(resource, log_records): (Resource, Vec<LogRecord>)| ResourceLogs {
        resource: Some(resource),
        scope_logs: vec![ScopeLogs { log_records, ..ScopeLogs::default() }],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest { resource_logs: of.into_iter().map(of_resource).collect() }
}
