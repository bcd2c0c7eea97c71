//! What orchestrators and dashboards ask.

use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
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
    let mut state = app.progress.state(&*app.log, app.config.projection.ready_max_lag_events);
    if let Some(lease) = &app.lease {
        state.of(lease);
    }
    let status = if state.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = (status, Json(state)).into_response();
    response.extensions_mut().insert(Final);
    response
}

/// How far the server is at this moment.
async fn levels(app: &App) -> Levels {
    // A graph that cannot be asked leaves its own number out, not all of them.
    let set_aside = app.graph.current().set_aside_count().await.ok();
    let projected = app.progress.projected();
    Levels {
        head: app.log.head(),
        projected,
        lag: app.log.count_behind(projected),
        set_aside,
        reacted: app.reacted.position(),
        incidents_open: app.reacted.open_incidents(),
        holds_lease: app.lease.as_ref().is_none_or(|it| it.role().borrow().tenure().is_some()),
    }
}

/// How often levels are taken for an exporter, which sends them once a minute.
const LEVELS_EVERY: Duration = Duration::from_secs(15);

/// Takes the levels from time to time, for those who do not ask for them.
pub(crate) async fn keep_levels(app: App) {
    loop {
        app.metrics.record(levels(&app).await);
        tokio::time::sleep(LEVELS_EVERY).await;
    }
}

/// `GET /metrics`: Prometheus text.
pub(super) async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    app.metrics.record(levels(&app).await);
    let text = app.metrics.text().map_err(|error| ApiError::internal(&error))?;
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, format)], text).into_response())
}

/// Most events in an answer of `GET /v1/set-aside`.
const PAGE: usize = 1_000;

/// Query of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetAsideQuery {
    #[serde(default)]
    after: u64,
}

/// `GET /v1/set-aside?after=`: events that could not be projected, and why, by position.
pub(super) async fn set_aside(
    State(app): State<App>,
    Query(query): Query<SetAsideQuery>,
) -> Result<Json<Value>, ApiError> {
    let graph = app.graph.current();
    let page = graph.set_aside(query.after, PAGE).await;
    let page: Vec<Value> = page
        .map_err(|error| ApiError::internal(&error))?
        .into_iter()
        .map(|event| {
            json!({
                "event": event.event,
                "position": event.position,
                "type": event.event_type,
                "stream": event.stream,
                "code": event.code,
                "error": event.error,
                "recordedtime": event.recorded_at,
            })
        })
        .collect();
    let total = graph.set_aside_count().await.map_err(|error| ApiError::internal(&error))?;
    Ok(Json(json!({ "events": page, "total": total })))
}
