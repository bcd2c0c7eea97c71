//! The server's face: routes, and what all of them share.

mod admin;
pub(crate) mod error;
mod events;
mod explorer;
mod graphql;
mod guard;
mod health;
mod json;
mod labels;
mod media;
mod otlp;
mod request;
mod said;
mod schemas;
mod socket;
mod steps;
mod webhooks;

use std::sync::Arc;

use ::events::Timestamp;
use ::events::envelope::in_json_words;
use ::events::log::EventLog;
use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::Uri;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use receivers::wire::collector::logs::v1::ExportLogsServiceRequest as Logs;
use receivers::wire::collector::metrics::v1::ExportMetricsServiceRequest as Measurements;
use receivers::wire::collector::trace::v1::ExportTraceServiceRequest as Traces;
use schema::commands::Commands;
use schema::graphql::FaultlineSchema;
use schema::{Lease, LiveGraph};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::RequestDecompressionLayer;

use crate::auth::Tokens;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::otlp::Otlp;
use crate::projection::Progress;
use crate::rate::Rate;
use crate::reactors::Reacted;
use crate::rebuilding::Rebuilds;
use crate::retention::Retention;
use error::ApiError;
pub(crate) use guard::Peer;
pub(crate) use health::keep_levels;

/// What the handlers share.
pub(crate) type App = Arc<Shared>;

/// See [`App`].
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) graph: LiveGraph,
    pub(crate) schema: FaultlineSchema,
    pub(crate) commands: Commands,
    pub(crate) progress: Progress,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) reacted: Reacted,
    pub(crate) rebuilds: Rebuilds,
    pub(crate) retention: Retention,
    pub(crate) otlp: Arc<Otlp>,
    /// Of a graph that several servers share.
    pub(crate) lease: Option<Arc<Lease>>,
    pub(crate) clock: Clock,
    pub(crate) tokens: Arc<Tokens>,
    /// Whether requests without a token are refused.
    pub(crate) auth_required: bool,
    pub(crate) rate: Rate,
    /// Cancelled when the server stops.
    pub(crate) draining: CancellationToken,
    /// Places for WebSocket connections, and those that are open.
    pub(crate) sockets: Arc<Semaphore>,
    pub(crate) open_sockets: TaskTracker,
}

/// Where the time comes from, so that tests can set it.
pub type Clock = fn() -> Timestamp;

/// The routes, and which there are: a test holds the list against the table of scopes.
pub(crate) struct Routes {
    router: Router<App>,
    listed: Vec<(&'static str, &'static str)>,
}

impl Routes {
    fn get<H: Handler<T, App>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.add("GET", path, get(handler))
    }

    fn post<H: Handler<T, App>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.add("POST", path, post(handler))
    }

    fn add(mut self, method: &'static str, path: &'static str, to: MethodRouter<App>) -> Self {
        self.listed.push((method, path));
        Self { router: self.router.route(path, to), listed: self.listed }
    }
}

fn routes() -> Routes {
    Routes { router: Router::new(), listed: Vec::new() }
        .get("/", explorer::index)
        .get("/assets/{*path}", explorer::asset)
        .get("/graphql", explorer::page)
        .post("/graphql", graphql::execute)
        .get("/graphql/ws", socket::connect)
        .get("/healthz", health::alive)
        .get("/readyz", health::ready)
        .get("/metrics", health::metrics)
        .get("/v1/events", events::page)
        .post("/v1/events", events::append)
        .get("/v1/events/{id}", events::one)
        .get("/v1/schemas", schemas::list)
        .get("/v1/schemas/{type}", schemas::one)
        .get("/v1/set-aside", health::set_aside)
        .get("/v1/admin/rebuild", admin::rebuild_state)
        .post("/v1/admin/rebuild", admin::rebuild)
        .get("/v1/admin/retention", admin::retention_state)
        .post("/v1/admin/retention", admin::retain)
        .post("/v1/incidents/{id}/labels", labels::assign)
        .post("/v1/incidents/{id}/labels/{label}/retract", labels::retract)
        .post("/v1/labels", labels::assign_all)
        .post("/v1/diagnoses/{id}/feedback", steps::feedback)
        .post("/v1/incidents/{id}/acknowledge", steps::acknowledge)
        .post("/v1/incidents/{id}/mitigate", steps::mitigate)
        .post("/v1/incidents/{id}/resolve", steps::resolve)
        .post("/v1/incidents/{id}/reopen", steps::reopen)
        .post("/v1/incidents/{id}/merge", steps::merge)
        .post("/v1/incidents/{id}/postmortem", steps::postmortem)
        .post("/v1/webhooks/alertmanager", webhooks::alertmanager)
        .post("/v1/webhooks/pagerduty/v2/enqueue", webhooks::pagerduty)
        .post("/v1/webhooks/pagerduty/v2/change/enqueue", webhooks::pagerduty_change)
        .post("/v1/webhooks/chaos-mesh", webhooks::chaos_mesh)
        .post("/v1/webhooks/litmus", webhooks::litmus)
        .post("/v1/slos", webhooks::objectives)
}

/// OTLP over HTTP, which unpacks bodies itself.
fn otlp_routes() -> Routes {
    Routes { router: Router::new(), listed: Vec::new() }
        .post("/v1/traces", otlp::export::<Traces>)
        .post("/v1/metrics", otlp::export::<Measurements>)
        .post("/v1/logs", otlp::export::<Logs>)
}

/// OTLP over gRPC, whose paths are those of its services.
fn grpc_routes() -> Routes {
    const SERVICES: [&str; 3] = [
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    ];
    Routes { router: Router::new(), listed: Vec::new() }
        .post(SERVICES[0], otlp::export_grpc::<Traces>)
        .post(SERVICES[1], otlp::export_grpc::<Measurements>)
        .post(SERVICES[2], otlp::export_grpc::<Logs>)
}

/// The interface of the server; it takes OTLP over HTTP too.
pub(crate) fn router(app: App) -> Router {
    let unpacking = RequestDecompressionLayer::new().gzip(true);
    guarded(routes().router.layer(unpacking).merge(otlp_routes().router), app)
}

/// What the port of OTLP over HTTP serves.
pub(crate) fn otlp_router(app: App) -> Router {
    guarded(otlp_routes().router, app)
}

/// What the port of OTLP over gRPC serves.
pub(crate) fn grpc_router(app: App) -> Router {
    guarded(grpc_routes().router, app)
}

/// Routes, with what stands before each: the last layer is the outermost.
fn guarded(routes: Router<App>, app: App) -> Router {
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(app.clone(), guard::guard))
        .layer(from_fn_with_state(app.clone(), request::time_limit))
        .layer(CatchPanicLayer::custom(request::panicked))
        .layer(map_response(one_error_form))
        .layer(from_fn_with_state(app.clone(), request::observe))
        .with_state(app)
}

async fn no_route(uri: Uri) -> ApiError {
    ApiError::not_found("not_found", format!("nothing is at {}; GET / lists what is", uri.path()))
}

async fn no_method(request: Request) -> ApiError {
    ApiError::new(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} does not take {}", request.uri().path(), request.method()),
    )
}

/// An extractor's own refusal (a path or a query that cannot be read) in the common form.
async fn one_error_form(response: Response) -> Response {
    use axum::response::IntoResponse;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error())
        || response.extensions().get::<ApiError>().is_some()
        || response.extensions().get::<Final>().is_some()
    {
        return response;
    }
    let reason = axum::body::to_bytes(response.into_body(), 4_096).await.unwrap_or_default();
    let reason = String::from_utf8_lossy(&reason);
    if status == axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE && reason.is_empty() {
        let expected = "expected a body as it is, or Content-Encoding: gzip";
        return ApiError::new(status, "unsupported_encoding", expected).into_response();
    }
    if status.is_server_error() {
        tracing::error!(%status, %reason, "a layer failed");
        return ApiError::internal_without_cause().into_response();
    }
    match reason.strip_prefix("Failed to deserialize query string: ") {
        Some(reason) => ApiError::new(status, "invalid_request", in_words(reason)).into_response(),
        None => ApiError::new(status, "invalid_request", reason).into_response(),
    }
}

/// What is wrong with a query parameter, without the words of the library.
fn in_words(reason: &str) -> String {
    match reason.split_once(": ") {
        Some((parameter, "invalid digit found in string")) => {
            format!("{parameter}: expected a whole number from 0")
        }
        Some((parameter, what)) if !parameter.contains(' ') => {
            format!("{parameter}: {}", in_json_words(what))
        }
        _ => in_json_words(reason),
    }
}

/// Marks an error answer whose body is already what the client shall see (`/readyz`).
#[derive(Clone, Copy)]
pub(crate) struct Final;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::auth::ROUTES;

    #[test]
    fn every_route_is_in_the_table_of_scopes_and_nothing_else() {
        let all = [routes(), otlp_routes(), grpc_routes()];
        let served: BTreeSet<_> = all.into_iter().flat_map(|routes| routes.listed).collect();
        let known: BTreeSet<_> = ROUTES.iter().map(|(method, path, _)| (*method, *path)).collect();
        assert_eq!(served, known);
    }

    #[test]
    fn parameters_are_refused_in_plain_words() {
        assert_eq!(
            in_words("after: invalid digit found in string"),
            "after: expected a whole number from 0"
        );
        assert_eq!(
            in_words("unknown field `x`, expected `after` or `limit`"),
            "unknown field \"x\"; known here: \"after\", \"limit\""
        );
    }
}
