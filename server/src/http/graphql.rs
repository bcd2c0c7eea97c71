//! `POST /graphql`.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use events::envelope::in_json_words;
use schema::graphql::WithoutAudit;

use super::App;
use super::error::ApiError;
use super::guard::require;
use super::{json, media};
use crate::auth::{Caller, Scope, needed};

/// Executes one operation. An answer with GraphQL errors is still 200, as GraphQL over HTTP has
/// it for `application/json`; a body that is no GraphQL request is 400.
pub(super) async fn execute(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    media::require_json(&headers)?;
    let body = media::body(&headers, body, app.config.ingest.max_body_bytes).await?;
    let document = json::parse(&body)?;
    let mut request: async_graphql::Request =
        serde_json::from_value(document).map_err(|error| {
            let what = in_json_words(&error.to_string());
            ApiError::bad_request(
                "invalid_graphql_request",
                format!("expected {{\"query\", \"variables\"?, \"operationName\"?}}: {what}"),
            )
        })?;
    authorise(&app, &caller, &mut request)?;
    if !caller.may(Scope::Admin) {
        request = request.data(WithoutAudit);
    }
    Ok(Json(app.schema.execute(request).await).into_response())
}

/// Refuses an operation that the caller has not all scopes for, before anything is carried out.
pub(super) fn authorise(
    app: &App,
    caller: &Caller,
    request: &mut async_graphql::Request,
) -> Result<(), ApiError> {
    // What is too long or cannot be read is not carried out either; the schema says why.
    if request.query.len() > app.config.graphql.max_query_bytes {
        return Ok(());
    }
    let name = request.operation_name.clone();
    let Ok(document) = request.parsed_query() else { return Ok(()) };
    for (scope, field) in needed(document, name.as_deref()) {
        require(caller, scope).map_err(|error| error.with("field", field))?;
    }
    Ok(())
}
