//! `POST /graphql`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::App;
use super::error::ApiError;
use super::{json, media};

/// Executes one operation. An answer with GraphQL errors is still 200, as GraphQL over HTTP has
/// it for `application/json`; a body that is no GraphQL request is 400.
pub(super) async fn execute(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    media::require_json(&headers)?;
    let body = media::body(&headers, body, app.config.ingest.max_body_bytes).await?;
    let document = json::parse(&body)?;
    let request: async_graphql::Request = serde_json::from_value(document).map_err(|error| {
        ApiError::bad_request(
            "invalid_graphql_request",
            format!("expected {{\"query\", \"variables\"?, \"operationName\"?}}: {error}"),
        )
    })?;
    Ok(Json(app.schema.execute(request).await).into_response())
}
