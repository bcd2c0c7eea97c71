//! `POST /v1/incidents/{id}/labels`: what people say an incident was.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use events::envelope::InvalidEvent;
use events::log::ExpectedRevision;
use events::value::Line;
use events::{Event, EventData, EventId, IncidentId, RecordedEvent};
use serde_json::{Map, Value, json};

use super::App;
use super::error::ApiError;
use super::{json as strict, media};
use crate::ingest;

const LABEL_ASSIGNED: &str = "io.faultline.label.assigned.v1";

/// Events of a stream among which an incident's opening is looked for: others may arrive before.
const FIRST_EVENTS: usize = 100;
/// Most labels in a request.
const MAX_LABELS: usize = 100;

/// Takes one label or a list: `claim` and `by`, and where wanted `confidence` (default 1),
/// `comment` and `label` (the label's id). The same `label` sent again is the same label.
pub(super) async fn assign(
    State(app): State<App>,
    Path(incident): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let incident = known_incident(&app, &incident).await?;
    media::require_json(&headers)?;
    let body = media::body(&headers, body, app.config.ingest.max_body_bytes).await?;
    let (labels, list) = match strict::parse(&body)? {
        Value::Array(labels) => (labels, true),
        one => (vec![one], false),
    };
    if labels.is_empty() || labels.len() > MAX_LABELS {
        return Err(ApiError::bad_request(
            "invalid_list",
            format!("expected 1 to {MAX_LABELS} labels, got {}", labels.len()),
        ));
    }
    let mut events = Vec::with_capacity(labels.len());
    for (index, label) in labels.into_iter().enumerate() {
        let event = labelled(&app, &incident, label).map_err(|error| {
            let pointer = error.pointer.strip_prefix("/data").unwrap_or(&error.pointer);
            let at = if list { format!("/{index}{pointer}") } else { pointer.to_owned() };
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error.code.as_str(), error.message)
                .at(at)
        })?;
        refuse_other_content(&app, &event).await?;
        events.push(event);
    }
    let ids: Vec<Value> = events.iter().map(label_id).collect();
    let types = vec![LABEL_ASSIGNED; events.len()];
    let started = std::time::Instant::now();
    let recorded =
        ingest::record(app.log.as_ref(), events, ExpectedRevision::Any).await.map_err(|error| {
            match error {
                ingest::IngestError::Append(error) => ApiError::from(error),
                ingest::IngestError::Read(error) => error.into(),
                other => ApiError::internal(&other),
            }
        })?;
    app.metrics.appended(&types, started.elapsed());
    let labels: Vec<Value> = ids
        .into_iter()
        .zip(&recorded)
        .map(|(label, at)| json!({ "label": label, "event": at.id, "position": at.position }))
        .collect();
    let position = recorded.iter().map(|at| at.position).max();
    let answer = json!({ "incident": incident, "labels": labels, "position": position });
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn known_incident(app: &App, text: &str) -> Result<IncidentId, ApiError> {
    let unknown =
        || ApiError::not_found("unknown_incident", format!("no incident has the id {text:?}"));
    let incident = IncidentId::new(text).map_err(|_| unknown())?;
    let stream = events::StreamId::new(format!("incident-{incident}")).map_err(|_| unknown())?;
    // The log, not the graph: an incident is known as soon as it is recorded.
    let first = app.log.read_stream(stream, 0, FIRST_EVENTS).await?;
    let opened = |known: &RecordedEvent| matches!(known.event.data, EventData::IncidentOpened(_));
    if first.iter().any(opened) { Ok(incident) } else { Err(unknown()) }
}

fn labelled(app: &App, incident: &IncidentId, label: Value) -> Result<Event, InvalidEvent> {
    let data = match label {
        Value::Object(mut fields) => {
            complete(&mut fields, incident);
            Value::Object(fields)
        }
        other => other,
    };
    let data = EventData::from_json(LABEL_ASSIGNED, data)?;
    let id = match &data {
        // By the label alone: one id stands for one label, whatever the incident.
        EventData::LabelAssigned(data) => {
            EventId(uuid::Uuid::NAMESPACE_URL).derived(data.label.as_str())
        }
        _ => EventId::generate(),
    };
    Ok(Event::with_id(id, Line::clipped("/api"), (app.clock)(), data))
}

fn complete(fields: &mut Map<String, Value>, incident: &IncidentId) {
    fields.insert("incident".to_owned(), json!(incident));
    fields.entry("confidence").or_insert_with(|| json!(1));
    fields.entry("label").or_insert_with(|| json!(EventId::generate().to_string()));
}

async fn refuse_other_content(app: &App, event: &Event) -> Result<(), ApiError> {
    match app.log.find(event.id).await? {
        Some(known) if known.event.data != event.data => Err(ApiError::new(
            StatusCode::CONFLICT,
            "label_exists",
            "a label with this id says something else, or of another incident",
        )
        .at("/label")),
        _ => Ok(()),
    }
}

fn label_id(event: &Event) -> Value {
    match &event.data {
        EventData::LabelAssigned(data) => json!(data.label),
        _ => Value::Null,
    }
}
