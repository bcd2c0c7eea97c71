//! `/v1/incidents/{id}/…` and `/v1/diagnoses/{id}/feedback`: how incidents go on, and whether a
//! diagnosis was right.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use schema::commands::Command;
use serde_json::{Value, json};

use super::App;
use super::error::ApiError;
use super::said;

/// `POST /v1/diagnoses/{id}/feedback`: `incident`, `by`, `right_rank` (absent when no suspect was
/// right), and where wanted `confidence` (default 1), `comment` and `event_id`.
pub(super) async fn feedback(
    State(app): State<App>,
    Path(diagnosis): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let document = said::body(&app, &headers, body).await?;
    let mut fields = said::fields(document, &[("diagnosis", &diagnosis)])?;
    fields.entry("confidence").or_insert_with(|| json!(1));
    let event_id = said::event_id(&mut fields)?;
    let data = said::data("io.faultline.feedback.given.v1", fields)?;
    let at = said::record(&app, Command { event_id, data }).await?;
    Ok(Json(json!({ "diagnosis": diagnosis, "event": at.event_id, "position": at.position,
                    "projected": at.projected })))
}

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident = $event:literal;)*) => {$(
        $(#[$doc])*
        pub(super) async fn $name(
            State(app): State<App>,
            Path(incident): Path<String>,
            headers: HeaderMap,
            body: Body,
        ) -> Result<Json<Value>, ApiError> {
            let event_type = concat!("io.faultline.incident.", $event, ".v1");
            step(&app, event_type, &incident, said::body(&app, &headers, body).await?).await
        }
    )*};
}

steps! {
    /// Someone takes care of it: `by`.
    acknowledge = "acknowledged";
    /// Users no longer notice: `by`.
    mitigate = "mitigated";
    /// It is over: `by`, and where wanted `resolution`.
    resolve = "resolved";
    /// It was not over: `by` and `reason`.
    reopen = "reopened";
    /// It is part of another, which goes on: `by` and `into`.
    merge = "merged";
    /// What was learned: `title`, `text` (Markdown) and `author`.
    postmortem = "postmortempublished";
}

/// Any of them takes an `event_id` of the client's own.
async fn step(
    app: &App,
    event_type: &str,
    incident: &str,
    document: Value,
) -> Result<Json<Value>, ApiError> {
    let mut fields = said::fields(document, &[("incident", incident)])?;
    let event_id = said::event_id(&mut fields)?;
    let data = said::data(event_type, fields)?;
    let at = said::record(app, Command { event_id, data }).await?;
    Ok(Json(json!({ "incident": incident, "event": at.event_id, "position": at.position,
                    "projected": at.projected })))
}
