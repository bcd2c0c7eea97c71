//! `/v1/events`: what happened, in and out.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use events::log::ExpectedRevision;
use events::{EventId, RecordedEvent};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::Instrument;

use super::App;
use super::error::ApiError;
use super::media::{self, Documents};
use crate::ingest::{self, IngestError, Rejected};

/// Query of an append.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppendQuery {
    #[serde(rename = "expectedRevision")]
    expected_revision: Option<String>,
}

/// `POST /v1/events`: appends one event or a batch and answers where they are.
pub(super) async fn append(
    State(app): State<App>,
    Query(query): Query<AppendQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let expected = expected_revision(query.expected_revision.as_deref())?;
    let body = media::body(&headers, body, app.config.ingest.max_body_bytes).await?;
    let Documents { list, batch } = media::documents(&headers, &body)?;
    if list.is_empty() {
        return Err(ApiError::bad_request("empty_batch", "a batch needs at least one event").at(""));
    }
    let max = app.config.ingest.max_batch_events;
    if list.len() > max {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "batch_too_large",
            format!("a batch takes at most {max} events, got {}", list.len()),
        )
        .with("max_events", max));
    }
    let ahead = i64::try_from(app.config.ingest.max_future_ms).unwrap_or(i64::MAX);
    let events = ingest::read(list, (app.clock)(), SignedDuration::from_millis(ahead))
        .map_err(|error| refused(error, batch))?;
    let types: Vec<&'static str> = events.iter().map(|event| event.data.event_type()).collect();
    let span = tracing::info_span!("append", events.count = events.len());
    let started = std::time::Instant::now();
    let recorded = ingest::record(app.log.as_ref(), events, expected)
        .instrument(span)
        .await
        .map_err(|error| refused(error, batch))?;
    app.metrics.appended(&types, started.elapsed());
    let position = recorded.iter().map(|event| event.position).max();
    Ok(Json(json!({ "events": recorded, "position": position })))
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

fn refused(error: IngestError, batch: bool) -> ApiError {
    match error {
        IngestError::Invalid { rejected, of } => invalid(&rejected, of, batch),
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
    #[serde(default = "default_limit")]
    limit: usize,
}

fn default_limit() -> usize {
    100
}

/// `GET /v1/events?after=&limit=`: recorded events in order; `next` is the `after` of the next
/// page, and the page is the last one when it is shorter than `limit`.
pub(super) async fn page(
    State(app): State<App>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Value>, ApiError> {
    let max = app.config.ingest.max_page_events;
    if !(1..=max).contains(&query.limit) {
        return Err(ApiError::bad_request(
            "invalid_parameter",
            format!("limit: expected 1 to {max}, got {}", query.limit),
        ));
    }
    let events = app.log.read_all(query.after, query.limit).await?;
    let next = events.last().map_or(query.after, |event| event.position);
    let events: Vec<Value> = events.iter().map(RecordedEvent::to_cloud_event).collect();
    Ok(Json(json!({ "events": events, "next": next, "head": app.log.head() })))
}

/// `GET /v1/events/{id}`: one recorded event.
pub(super) async fn one(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let id: EventId = id.parse().map_err(|_| {
        ApiError::bad_request("invalid_parameter", format!("expected a UUID, got {id:?}"))
    })?;
    match app.log.find(id).await? {
        Some(event) => Ok(Json(event.to_cloud_event())),
        None => Err(ApiError::not_found("unknown_event", format!("no event has the id {id}"))),
    }
}
