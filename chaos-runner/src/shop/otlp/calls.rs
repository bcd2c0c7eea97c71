//! Calls that a component makes by HTTP: a client span each, and its context for the callee.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::http::{HeaderMap, Method, StatusCode};
use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::Histogram;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderInjector;
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::Instruments;

/// The bounds that the conventions advise for durations of HTTP.
pub(super) const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What the calls to one callee are told by. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Calls {
    tracer: Arc<BoxedTracer>,
    duration: Histogram<f64>,
    callee: &'static str,
    address: SocketAddr,
}

impl Calls {
    /// For calls to `callee`, reached at `address`.
    pub(crate) fn new(
        instruments: &Instruments,
        callee: &'static str,
        address: SocketAddr,
    ) -> Self {
        let duration = instruments.meter.f64_histogram("http.client.request.duration");
        Self {
            tracer: Arc::clone(&instruments.tracer),
            duration: duration.with_unit("s").with_boundaries(SECONDS.to_vec()).build(),
            callee,
            address,
        }
    }

    /// A call begins, within the span that is the current one.
    pub(crate) fn begin(&self, method: &Method, path: &str) -> Calling {
        let common = vec![
            KeyValue::new("http.request.method", method.to_string()),
            KeyValue::new("server.address", self.address.ip().to_string()),
            KeyValue::new("server.port", i64::from(self.address.port())),
        ];
        let mut attributes = common.clone();
        attributes.extend([
            KeyValue::new("url.full", format!("http://{}{path}", self.address)),
            // Every callee is behind a proxy of its own; this is who answers there.
            KeyValue::new("peer.service", self.callee),
        ]);
        let span = self.tracer.span_builder(method.to_string()).with_kind(SpanKind::Client);
        let span = span.with_attributes(attributes).start(&*self.tracer);
        Calling {
            duration: self.duration.clone(),
            context: Context::current_with_span(span),
            began: Instant::now(),
            common,
            outcome: Err("cancelled"),
        }
    }
}

/// A call that goes on. Dropped before it ended, the caller gave it up.
pub(crate) struct Calling {
    duration: Histogram<f64>,
    context: Context,
    began: Instant,
    common: Vec<KeyValue>,
    outcome: Result<StatusCode, &'static str>,
}

impl Calling {
    /// Tells the callee which call it answers.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        let mut headers = HeaderInjector(headers);
        TraceContextPropagator::new().inject_context(&self.context, &mut headers);
    }

    /// The callee answered.
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.outcome = Ok(status);
    }

    /// There was no answer.
    pub(crate) fn failed(mut self, error_type: &'static str) {
        self.outcome = Err(error_type);
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        let span = self.context.span();
        let mut outcome = Vec::new();
        let error = match self.outcome {
            Ok(status) => {
                let code = i64::from(status.as_u16());
                outcome.push(KeyValue::new("http.response.status_code", code));
                (status.as_u16() >= 400).then(|| status.as_str().to_owned())
            }
            Err(error_type) => Some(error_type.to_owned()),
        };
        if let Some(error) = error {
            outcome.push(KeyValue::new("error.type", error));
            span.set_status(Status::error(""));
        }
        span.set_attributes(outcome.clone());
        span.end();
        outcome.append(&mut self.common);
        self.duration.record(self.began.elapsed().as_secs_f64(), &outcome);
    }
}
