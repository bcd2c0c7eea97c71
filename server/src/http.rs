//! The server's face: routes, and what all of them share.

pub(crate) mod error;
mod events;
mod explorer;
mod graphql;
mod health;
mod json;
mod labels;
mod media;
mod request;
mod schemas;

use std::sync::Arc;

use ::events::Timestamp;
use ::events::log::EventLog;
use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{get, post};
use schema::LiveGraph;
use schema::graphql::FaultlineSchema;
use tower_http::catch_panic::CatchPanicLayer;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::projection::Progress;
use crate::reactors::Reacted;
use error::ApiError;

/// What the handlers share.
pub(crate) type App = Arc<Shared>;

/// See [`App`].
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) graph: LiveGraph,
    pub(crate) schema: FaultlineSchema,
    pub(crate) progress: Progress,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) reacted: Reacted,
    pub(crate) clock: Clock,
}

/// Where the time comes from, so that tests can set it.
pub type Clock = fn() -> Timestamp;

/// All routes.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(explorer::index))
        .route("/assets/{*path}", get(explorer::asset))
        .route("/graphql", get(explorer::page).post(graphql::execute))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/v1/events", get(events::page).post(events::append))
        .route("/v1/events/{id}", get(events::one))
        .route("/v1/schemas", get(schemas::list))
        .route("/v1/schemas/{type}", get(schemas::one))
        .route("/v1/incidents/{id}/labels", post(labels::assign))
        .route("/v1/set-aside", get(health::set_aside))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
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
    if status.is_server_error() {
        tracing::error!(%status, %reason, "a layer failed");
        return ApiError::internal_without_cause().into_response();
    }
    ApiError::new(status, "invalid_request", reason).into_response()
}

/// Marks an error answer whose body is already what the client shall see (`/readyz`).
#[derive(Clone, Copy)]
pub(crate) struct Final;
