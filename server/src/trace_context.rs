//! Trace context, as the W3C specifies it, from a request over its events to what follows from
//! them. Without an exporter there are no contexts of our own, and nothing is added to events.

use std::collections::HashMap;

use axum::http::HeaderMap;
use events::value::Line;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Makes a span part of the trace that a request comes from.
pub(crate) fn follow_request(span: &Span, headers: &HeaderMap) {
    let said = |name: &str| Some((name.to_owned(), headers.get(name)?.to_str().ok()?.to_owned()));
    follow(span, [TRACEPARENT, TRACESTATE].into_iter().filter_map(said).collect());
}

/// Makes a span part of the trace that an event belongs to.
pub(crate) fn follow_event(span: &Span, traceparent: Option<&Line>) {
    let told = traceparent.map(|it| (TRACEPARENT.to_owned(), it.as_str().to_owned()));
    follow(span, told.into_iter().collect());
}

fn follow(span: &Span, carrier: HashMap<String, String>) {
    if carrier.is_empty() {
        return;
    }
    // Refused where nobody listens to spans, and then there is no trace to be part of.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
}

/// The context of what is going on, for an event that comes of it.
pub(crate) fn current() -> Option<Line> {
    let context = Span::current().context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.get(TRACEPARENT).map(|it| Line::clipped(it))
}
