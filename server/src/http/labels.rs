//! `/v1/incidents/{id}/labels` and `/v1/labels`: what people say incidents were.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use events::{EventData, EventId};
use schema::commands::{Command, MAX_BULK, Recorded};
use serde_json::{Value, json};

use super::App;
use super::error::ApiError;
use super::said;

const LABEL_ASSIGNED: &str = "io.faultline.label.assigned.v1";
const LABEL_RETRACTED: &str = "io.faultline.label.retracted.v1";

/// `POST /v1/incidents/{id}/labels` takes one label or a list: `claim` and `by`, and where wanted
/// `confidence` (default 1), `comment` and `label` (the label's id). The same `label` sent again
/// is the same label.
pub(super) async fn assign(
    State(app): State<App>,
    Path(incident): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let labels = record(&app, said::body(&app, &headers, body).await?, Some(&incident)).await?;
    let position = labels.iter().map(|(_, at)| at.position).max();
    let labels: Vec<Value> = labels.iter().map(|(label, at)| answer(label, at)).collect();
    let answer = json!({ "incident": incident, "labels": labels, "position": position });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `POST /v1/labels` takes a session of labels, each with its `incident`.
pub(super) async fn assign_all(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let labels = record(&app, said::body(&app, &headers, body).await?, None).await?;
    let position = labels.iter().map(|(_, at)| at.position).max();
    let with_incident = |(data, at): &(EventData, Recorded)| {
        let mut answer = answer(data, at);
        if let EventData::LabelAssigned(data) = data {
            answer["incident"] = json!(data.incident);
        }
        answer
    };
    let labels: Vec<Value> = labels.iter().map(with_incident).collect();
    Ok((StatusCode::CREATED, Json(json!({ "labels": labels, "position": position }))))
}

/// `POST /v1/incidents/{id}/labels/{label}/retract` takes a label back: `by`, and where wanted
/// `reason` and `event_id`.
pub(super) async fn retract(
    State(app): State<App>,
    Path((incident, label)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let document = said::body(&app, &headers, body).await?;
    let by_path = [("incident", incident.as_str()), ("label", label.as_str())];
    let mut fields = said::fields(document, &by_path)?;
    let event_id = said::event_id(&mut fields)?;
    let data = said::data(LABEL_RETRACTED, fields)?;
    let at = said::record(&app, Command { event_id, data }).await?;
    Ok(Json(json!({ "incident": incident, "label": label, "event": at.event_id,
                    "position": at.position })))
}

async fn record(
    app: &App,
    document: Value,
    incident: Option<&str>,
) -> Result<Vec<(EventData, Recorded)>, ApiError> {
    let (documents, list) = match document {
        Value::Array(labels) => (labels, true),
        one => (vec![one], false),
    };
    if !(1..=MAX_BULK).contains(&documents.len()) {
        return Err(ApiError::bad_request(
            "invalid_list",
            format!("expected 1 to {MAX_BULK} labels, got {}", documents.len()),
        ));
    }
    let pointer = |index: usize, within: &str| {
        // The event of a label has its id from the label's.
        let within = if within == "/event_id" { "/label" } else { within };
        if list { format!("/{index}{within}") } else { within.to_owned() }
    };
    let (mut commands, mut malformed) = (Vec::with_capacity(documents.len()), Vec::new());
    for (index, document) in documents.into_iter().enumerate() {
        match command(document, incident) {
            Ok(command) => commands.push(command),
            Err(error) => {
                let at = pointer(index, error.pointer().unwrap_or_default());
                malformed.push((index, error.at(at)));
            }
        }
    }
    if let Some(refused) = said::refused_all(malformed) {
        return Err(refused);
    }
    let said: Vec<EventData> = commands.iter().map(|command| command.data.clone()).collect();
    let recorded = said::record_all(app, commands, pointer).await?;
    Ok(said.into_iter().zip(recorded).collect())
}

fn command(document: Value, incident: Option<&str>) -> Result<Command, ApiError> {
    let by_path: Vec<(&str, &str)> = incident.map(|it| ("incident", it)).into_iter().collect();
    let mut fields = said::fields(document, &by_path)?;
    fields.entry("confidence").or_insert_with(|| json!(1));
    fields.entry("label").or_insert_with(|| json!(EventId::generate().to_string()));
    let data = said::data(LABEL_ASSIGNED, fields)?;
    let event_id = match &data {
        // By the label alone: one id stands for one label, whatever the incident.
        EventData::LabelAssigned(data) => {
            EventId(uuid::Uuid::NAMESPACE_URL).derived(data.label.as_str())
        }
        _ => EventId::generate(),
    };
    Ok(Command { event_id, data })
}

fn answer(data: &EventData, at: &Recorded) -> Value {
    let label = match data {
        EventData::LabelAssigned(data) => json!(data.label),
        _ => Value::Null,
    };
    json!({ "label": label, "event": at.event_id, "position": at.position })
}
