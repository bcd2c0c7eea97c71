//! What operators ask of a running server.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use serde::Deserialize;

use super::App;
use super::error::ApiError;
use super::media;
use crate::auth::Caller;
use crate::observed::did;
use crate::rebuilding::{self, Refused};
use crate::retention;

/// Query of a rebuild.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RebuildQuery {
    #[serde(default)]
    compare: bool,
}

/// `POST /v1/admin/rebuild?compare=`: begins a rebuild beside the graph in use.
pub(super) async fn rebuild(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<RebuildQuery>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<rebuilding::State>), ApiError> {
    // No body is read, but a foreign page cannot send this type without asking first.
    media::require_json(&headers)?;
    match app.rebuilds.begin(query.compare) {
        Ok(state) => {
            did(&*app.log, &caller, "rebuild", "graph", (app.clock)()).await?;
            Ok((StatusCode::ACCEPTED, Json(state)))
        }
        Err(Refused::Running) => Err(ApiError::new(
            StatusCode::CONFLICT,
            "rebuild_running",
            "a rebuild runs already; GET /v1/admin/rebuild tells how far it is",
        )),
        Err(Refused::NotHolder(holder)) => {
            let holder = holder.unwrap_or_else(|| "another server".to_owned());
            let message = format!("the graph is written by {holder}; ask that one for a rebuild");
            Err(ApiError::new(StatusCode::CONFLICT, "not_holder", message).with("holder", holder))
        }
    }
}

/// `GET /v1/admin/rebuild`: where the last rebuild is.
pub(super) async fn rebuild_state(State(app): State<App>) -> Json<rebuilding::State> {
    Json(app.rebuilds.state())
}

/// Query of a run of retention.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionQuery {
    #[serde(default)]
    dry_run: bool,
}

/// `POST /v1/admin/retention?dry_run=`: applies the limits of `[retention]` now.
pub(super) async fn retain(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<RetentionQuery>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<retention::State>), ApiError> {
    // As for a rebuild.
    media::require_json(&headers)?;
    match app.retention.begin(query.dry_run) {
        Ok(state) => {
            if !query.dry_run {
                did(&*app.log, &caller, "retention", "telemetry", (app.clock)()).await?;
            }
            Ok((StatusCode::ACCEPTED, Json(state)))
        }
        Err(retention::Refused::Running) => Err(ApiError::new(
            StatusCode::CONFLICT,
            "retention_running",
            "retention is being applied; GET /v1/admin/retention tells how far it is",
        )),
        Err(retention::Refused::Unlimited) => Err(ApiError::new(
            StatusCode::CONFLICT,
            "retention_unlimited",
            "no limit is set in the section [retention] of the configuration, so everything is kept",
        )),
    }
}

/// `GET /v1/admin/retention`: where the last run is.
pub(super) async fn retention_state(State(app): State<App>) -> Json<retention::State> {
    Json(app.retention.state())
}
