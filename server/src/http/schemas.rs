//! `/v1/schemas`: the JSON Schema of the `data` of every event type.

use axum::Json;
use axum::extract::Path;
use events::EventData;
use serde_json::{Value, json};

use super::error::ApiError;

/// `GET /v1/schemas`: every type and where its schema is.
pub(super) async fn list() -> Json<Value> {
    let schemas: Vec<Value> = EventData::TYPES
        .iter()
        .map(|name| json!({ "type": name, "schema": format!("/v1/schemas/{name}") }))
        .collect();
    Json(json!({ "schemas": schemas }))
}

/// `GET /v1/schemas/{type}`.
pub(super) async fn one(Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    EventData::schemas()
        .into_iter()
        .find(|(event_type, _)| *event_type == name)
        .map(|(_, schema)| Json(schema.to_value()))
        .ok_or_else(|| {
            ApiError::not_found(
                "unknown_event_type",
                format!("no event type is called {name:?}; GET /v1/schemas lists them"),
            )
        })
}
