//! What operators ask of a running server.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::App;
use super::error::ApiError;
use crate::rebuilding;

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
    Query(query): Query<RebuildQuery>,
) -> Result<(StatusCode, Json<rebuilding::State>), ApiError> {
    match app.rebuilds.begin(query.compare) {
        Ok(state) => Ok((StatusCode::ACCEPTED, Json(state))),
        Err(rebuilding::Running) => Err(ApiError::new(
            StatusCode::CONFLICT,
            "rebuild_running",
            "a rebuild runs already; GET /v1/admin/rebuild tells how far it is",
        )),
    }
}

/// `GET /v1/admin/rebuild`: where the last rebuild is.
pub(super) async fn rebuild_state(State(app): State<App>) -> Json<rebuilding::State> {
    Json(app.rebuilds.state())
}
