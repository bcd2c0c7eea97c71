//! Requests that a service answers: a server span and a point of the duration's histogram each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::{Histogram, UpDownCounter};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{FutureExt, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::Instruments;
use super::calls::SECONDS;

/// Paths below it are the supervisor's own and no requests of the shop.
const UNOBSERVED_PREFIX: &str = "/-/";

/// What the requests of a service are told by.
pub(crate) struct Served {
    tracer: Arc<BoxedTracer>,
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
    address: SocketAddr,
}

impl Served {
    /// For a service that listens at `address`.
    pub(crate) fn new(instruments: &Instruments, address: SocketAddr) -> Self {
        let meter = &instruments.meter;
        let duration = meter.f64_histogram("http.server.request.duration").with_unit("s");
        let active = meter.i64_up_down_counter("http.server.active_requests");
        Self {
            tracer: Arc::clone(&instruments.tracer),
            duration: duration.with_boundaries(SECONDS.to_vec()).build(),
            active: active.with_unit("{request}").build(),
            address,
        }
    }

    /// A request came in. The span's parent is what its headers say.
    fn begin(self: &Arc<Self>, request: &Request) -> Answering {
        let caller = TraceContextPropagator::new()
            .extract_with_context(&Context::new(), &HeaderExtractor(request.headers()));
        let method = request.method().clone();
        let route = request.extensions().get::<MatchedPath>().map(|it| it.as_str().to_owned());
        let name = match &route {
            Some(route) => format!("{method} {route}"),
            None => method.to_string(),
        };
        let mut attributes = common(&method, route.as_deref());
        attributes.extend([
            KeyValue::new("url.path", request.uri().path().to_owned()),
            KeyValue::new("server.address", self.address.ip().to_string()),
            KeyValue::new("server.port", i64::from(self.address.port())),
        ]);
        let span = self.tracer.span_builder(name).with_kind(SpanKind::Server);
        let span = span.with_attributes(attributes).start_with_context(&*self.tracer, &caller);
        self.active.add(1, &common(&method, None));
        Answering {
            served: Arc::clone(self),
            context: caller.with_span(span),
            began: Instant::now(),
            method,
            route,
            status: None,
        }
    }
}

fn common(method: &Method, route: Option<&str>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("http.request.method", method.to_string()),
        KeyValue::new("url.scheme", "http"),
    ];
    attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
    attributes
}

/// A request that is being answered. Dropped without an answer, its caller gave up.
struct Answering {
    served: Arc<Served>,
    context: Context,
    began: Instant,
    method: Method,
    route: Option<String>,
    status: Option<StatusCode>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        let span = self.context.span();
        let mut outcome = Vec::new();
        let error = match self.status {
            Some(status) => {
                let code = i64::from(status.as_u16());
                outcome.push(KeyValue::new("http.response.status_code", code));
                status.is_server_error().then(|| status.as_str().to_owned())
            }
            None => Some("cancelled".to_owned()),
        };
        if let Some(error) = error {
            outcome.push(KeyValue::new("error.type", error));
            span.set_status(Status::error(""));
        }
        span.set_attributes(outcome.clone());
        span.end();
        self.served.active.add(-1, &common(&self.method, None));
        outcome.extend(common(&self.method, self.route.as_deref()));
        self.served.duration.record(self.began.elapsed().as_secs_f64(), &outcome);
    }
}

/// Lets a request pass, and tells of it. What happens in it has its span as the parent.
pub(crate) async fn observe(
    State(served): State<Arc<Served>>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path().starts_with(UNOBSERVED_PREFIX) {
        return next.run(request).await;
    }
    let mut answering = served.begin(&request);
    let response = next.run(request).with_context(answering.context.clone()).await;
    answering.status = Some(response.status());
    response
}
