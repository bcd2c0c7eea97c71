//! `/v1/events`: what happened, in and out.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use events::log::ExpectedRevision;
use events::{Event, EventData, EventId, RecordedEvent};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::Instrument;

use super::App;
use super::error::ApiError;
use super::guard::require;
use super::media::{self, Documents};
use crate::auth::{Caller, Scope, scope_of_event};
use crate::ingest::{self, IngestError, Recorded, Rejected};
use crate::observed::on_nobodys_behalf;

/// Query of an append.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppendQuery {
    #[serde(rename = "expectedRevision")]
    expected_revision: Option<String>,
}

/// Where the events of an append are.
#[derive(Serialize)]
pub(super) struct Answer {
    events: Vec<Recorded>,
    position: Option<u64>,
}

/// `POST /v1/events`: appends one event or a batch and answers where they are.
pub(super) async fn append(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<AppendQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, ApiError> {
    let expected = expected_revision(query.expected_revision.as_deref())?;
    let body = media::body(&headers, body, app.config.ingest.max_body_bytes).await?;
    let (events, batch) = read(&app, &headers, &body)?;
    for event in &events {
        let what = event.data.event_type();
        require(&caller, scope_of_event(&event.data)).map_err(|error| error.with("type", what))?;
    }
    let span = tracing::info_span!("append", events.count = events.len());
    let append = ingest::record(app.log.as_ref(), events, expected).instrument(span);
    let recorded = if caller.may(Scope::Admin) {
        // The transfer of a log, whose own audit is part of it.
        on_nobodys_behalf(append).await
    } else {
        append.await
    };
    let recorded = recorded.map_err(|error| refused(error, batch))?;
    let position = recorded.iter().map(|event| event.position).max();
    Ok(Json(Answer { events: recorded, position }))
}

/// The events of a body, and whether it is a list.
fn read(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<(Vec<Event>, bool), ApiError> {
    let now = (app.clock)();
    let ahead = i64::try_from(app.config.ingest.max_future_ms).unwrap_or(i64::MAX);
    let ahead = SignedDuration::from_millis(ahead);
    let max = app.config.ingest.max_batch_events;
    if let Some((events, batch)) = media::right_events(headers, body, now)
        && (1..=max).contains(&events.len())
    {
        let read = ingest::read(events.into_iter().map(Ok), now, ahead);
        return Ok((read.map_err(|error| refused(error, batch))?, batch));
    }
    let Documents { list, batch } = media::documents(headers, body)?;
    if list.is_empty() {
        return Err(ApiError::bad_request("empty_batch", "a batch needs at least one event").at(""));
    }
    if list.len() > max {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "batch_too_large",
            format!("a batch takes at most {max} events, got {}", list.len()),
        )
        .with("max_events", max));
    }
    let events = list.into_iter().map(|document| Event::from_cloud_event(document, now));
    Ok((ingest::read(events, now, ahead).map_err(|error| refused(error, batch))?, batch))
}

fn expected_revision(text: Option<&str>) -> Result<ExpectedRevision, ApiError> {
    match text {
        None => Ok(ExpectedRevision::Any),
        Some("none") => Ok(ExpectedRevision::NoStream),
        Some(text) => text.parse().map(ExpectedRevision::Exact).map_err(|_| {
            ApiError::bad_request(
                "invalid_parameter",
                format!("expectedRevision: expected a revision from 0 or \"none\", got {text:?}"),
            )
        }),
    }
}

pub(super) fn refused(error: IngestError, batch: bool) -> ApiError {
    match error {
        IngestError::Invalid { rejected, of } => invalid(&rejected, of, batch),
        IngestError::IdTaken { id, field } => {
            ApiError::new(StatusCode::CONFLICT, "event_id_taken", error.to_string())
                .with("id", id.to_string())
                .with("differs", field)
        }
        IngestError::MixedStreams { .. } => {
            ApiError::bad_request("mixed_streams", error.to_string())
        }
        IngestError::Append(error) => error.into(),
        IngestError::Read(error) => error.into(),
    }
}

/// The error speaks of the first invalid event; the list beside it has all of them.
fn invalid(rejected: &[Rejected], of: usize, batch: bool) -> ApiError {
    let Some(first) = rejected.first() else {
        return ApiError::internal_without_cause();
    };
    let (pointer, message) = if batch {
        let message = format!(
            "{} of {of} events are invalid and nothing was written; first, event {}: {}",
            rejected.len(),
            first.index,
            first.message
        );
        (format!("/{}{}", first.index, first.pointer), message)
    } else {
        (first.pointer.clone(), first.message.clone())
    };
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, first.code, message)
        .at(pointer)
        .beside("events", json!(rejected))
}

/// Query of an export.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

/// Events of a page when the client does not say.
const DEFAULT_LIMIT: usize = 100;

/// Who did what is for those who administer.
fn visible(caller: &Caller, event: &RecordedEvent) -> bool {
    !matches!(event.event.data, EventData::AuditRecorded(_)) || caller.may(Scope::Admin)
}

/// `GET /v1/events?after=&limit=`: recorded events in order; `next` is the `after` of the next
/// page, and the page is the last one when `next` is `head`; `limit` goes up to `max_limit`;
/// `withheld` events between are not for this caller.
pub(super) async fn page(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Value>, ApiError> {
    let max = app.config.ingest.max_page_events;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT.min(max));
    if !(1..=max).contains(&limit) {
        return Err(ApiError::bad_request(
            "invalid_parameter",
            format!("limit: expected 1 to {max}, got {limit}"),
        ));
    }
    let events = app.log.read_all(query.after, limit).await?;
    let head = app.log.head();
    // Behind the end there is nothing yet: whoever asked goes on at the end.
    let next = events.last().map_or(query.after.min(head), |event| event.position);
    let read = events.len();
    let events: Vec<Value> = events
        .iter()
        .filter(|event| visible(&caller, event))
        .map(RecordedEvent::to_cloud_event)
        .collect();
    let withheld = read - events.len();
    Ok(Json(json!({
        "events": events,
        "withheld": withheld,
        "next": next,
        "head": head,
        "max_limit": max,
    })))
}

/// `GET /v1/events/{id}`: one recorded event.
pub(super) async fn one(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let id: EventId = id.parse().map_err(|_| {
        ApiError::bad_request("invalid_parameter", format!("expected a UUID, got {id:?}"))
    })?;
    match app.log.find(id).await?.filter(|event| visible(&caller, event)) {
        Some(event) => Ok(Json(event.to_cloud_event())),
        None => Err(ApiError::not_found("unknown_event", format!("no event has the id {id}"))),
    }
}
