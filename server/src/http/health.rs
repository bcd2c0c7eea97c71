//! What orchestrators and dashboards ask.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::ApiError;
use super::{App, Final};
use crate::metrics::Levels;

/// `GET /healthz`: the process answers. Whether it can do its work is `/readyz`.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: 200 when the graph has caught up with the log to within the configured lag.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let state = app.progress.state(app.log.head(), app.config.projection.ready_max_lag_events);
    let status = if state.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = (status, Json(state)).into_response();
    response.extensions_mut().insert(Final);
    response
}

/// `GET /metrics`: Prometheus text.
pub(super) async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    // A graph that cannot be asked leaves its own number out, not all of them.
    let set_aside = Some(0);
    let levels = Levels {
        head: app.log.head(),
        projected: app.progress.projected(),
        set_aside,
        incidents_open: 0,
    };
    let text = app.metrics.render(levels).map_err(|error| ApiError::internal(&error))?;
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, format)], text).into_response())
}
