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
mod request;
mod said;
mod schemas;
mod socket;
mod steps;

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
use crate::projection::Progress;
use crate::rate::Rate;
use crate::reactors::Reacted;
use crate::rebuilding::Rebuilds;
use crate::retention::Retention;
use error::ApiError;
pub(crate) use guard::Peer;

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
}

/// All routes, with what stands before each: the last layer is the outermost.
pub(crate) fn router(app: App) -> Router {
    routes()
        .router
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(RequestDecompressionLayer::new().gzip(true))
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
        let served: BTreeSet<_> = routes().listed.into_iter().collect();
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
