//! What other systems post by themselves: alerts, changes, experiments, objectives.
//!
//! They repeat what they said for as long as it holds, sometimes in other words. The ids of the
//! events derive from the thing and the moment, so what is known is left as it is.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use events::{Event, EventData, RecordedEvent};
use jiff::SignedDuration;
use receivers::document::InvalidDocument;
use receivers::{alerts, chaos, slo};
use serde_json::{Value, json};

use super::error::ApiError;
use super::events::refused;
use super::{App, json, media};
use crate::ingest;

/// Most objects of one request.
const MOST_OBJECTS: usize = 1_000;

/// `POST /v1/webhooks/alertmanager`: a notification of Alertmanager, or of Grafana.
pub(super) async fn alertmanager(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let body = read(&app, &headers, body).await?;
    let told = alerts::notification(&body, &app.config.alerts.rules, (app.clock)());
    let told = told.map_err(invalid)?;
    let mut events = not_ahead(&app, told.events);
    for event in &mut events {
        as_news(&app, event).await?;
    }
    let mut answer = record(&app, events).await?;
    answer["unmapped"] = told.unmapped.into();
    answer["truncated"] = told.truncated.into();
    Ok(Json(answer))
}

/// `POST /v1/webhooks/pagerduty/v2/enqueue`: PagerDuty's Events API, for clients whose address of
/// it can be set.
pub(super) async fn pagerduty(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let body = read(&app, &headers, body).await?;
    let told = alerts::enqueued(&body, &app.config.alerts.rules, (app.clock)()).map_err(invalid)?;
    let mut events = not_ahead(&app, told.event.into_iter().collect());
    for event in &mut events {
        as_news(&app, event).await?;
    }
    let mut answer = record(&app, events).await?;
    answer["status"] = "success".into();
    answer["message"] = "Event processed".into();
    answer["dedup_key"] = told.dedup_key.into();
    answer["alert"] = json!(told.alert);
    answer["mapped"] = told.mapped.into();
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// PagerDuty's events tell no times of their own, and Prometheus tells the same beginning of an alert
/// that was taken for over: one that is sent again and one that is new may look alike. What turns an
/// alert over is new, and is not older than what it turns.
async fn as_news(app: &App, event: &mut Event) -> Result<(), ApiError> {
    let known = app.log.find(event.id).await?;
    if known.is_some()
        && let Some(last) = last_in(app, event, |_| true).await?
        && last.event.data.event_type() != event.data.event_type()
    {
        event.id = event.id.derived(&format!("after {}", last.position));
        event.time = event.time.max(last.event.time);
    }
    Ok(())
}

/// `POST /v1/webhooks/pagerduty/v2/change/enqueue`: its changes.
pub(super) async fn pagerduty_change(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let body = read(&app, &headers, body).await?;
    let told = alerts::change(&body, &app.config.alerts.rules, (app.clock)()).map_err(invalid)?;
    let mut answer = record(&app, not_ahead(&app, vec![told.event])).await?;
    answer["status"] = "success".into();
    answer["message"] = "Change event processed".into();
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// `POST /v1/webhooks/chaos-mesh`: an object of Chaos Mesh as its cluster shows it, or a `List`.
pub(super) async fn chaos_mesh(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let document = json::parse(&read(&app, &headers, body).await?)?;
    let rules = &app.config.alerts.rules;
    let told = match document["items"].as_array() {
        None => vec![chaos::object(&document, rules).map_err(invalid)?],
        Some(objects) if objects.len() > MOST_OBJECTS => {
            let expected = format!("expected at most {MOST_OBJECTS} objects");
            return Err(ApiError::bad_request("invalid_field", expected).at("/items"));
        }
        Some(objects) => {
            let object = |(index, object)| {
                chaos::object(object, rules)
                    .map_err(|error| invalid(error.within(&format!("/items/{index}"))))
            };
            objects.iter().enumerate().map(object).collect::<Result<_, _>>()?
        }
    };
    experiments(&app, told).await
}

/// `POST /v1/webhooks/litmus`: a `ChaosResult`, or a `List` of results and their engines.
pub(super) async fn litmus(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let document = json::parse(&read(&app, &headers, body).await?)?;
    let told = chaos::results(&document, &app.config.alerts.rules, (app.clock)());
    experiments(&app, told.map_err(invalid)?).await
}

async fn experiments(app: &App, told: Vec<chaos::Told>) -> Result<Json<Value>, ApiError> {
    let mut events = Vec::new();
    let mut of = Vec::with_capacity(told.len());
    for told in told {
        of.push(json!({ "experiment": told.experiment, "unmapped": told.unmapped }));
        events.extend(told.events);
    }
    let ahead = i64::try_from(app.config.ingest.max_future_ms).unwrap_or(i64::MAX);
    let events = ingest::check_times(events, (app.clock)(), SignedDuration::from_millis(ahead));
    let mut answer = record(app, events.map_err(|error| refused(error, true))?).await?;
    answer["experiments"] = of.into();
    Ok(Json(answer))
}

/// How a file of objectives may be called. No page of elsewhere may send these unasked.
const FILES: [&str; 4] =
    ["application/yaml", "application/x-yaml", "text/yaml", "application/json"];

/// `POST /v1/slos`: a file of OpenSLO, in YAML or JSON. An objective is recorded when it differs
/// from what it last was.
pub(super) async fn objectives(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    media::require(&headers, &FILES)?;
    let body = media::body(&headers, body, app.config.ingest.max_body_bytes).await?;
    let file = String::from_utf8(body)
        .map_err(|_| ApiError::bad_request("malformed", "expected a file in UTF-8"))?;
    let now = (app.clock)();
    let read = tokio::task::spawn_blocking(move || slo::objectives(&file, now)).await;
    let read = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let (mut changed, mut known) = (Vec::new(), 0);
    for mut event in read.map_err(invalid)? {
        let definition = |data: &EventData| matches!(data, EventData::SloDefined(_));
        match last_in(&app, &event, definition).await? {
            Some(last) if last.event.data == event.data => known += 1,
            Some(last) => {
                event.id = event.id.derived(&format!("after {}", last.position));
                changed.push(event);
            }
            None => changed.push(event),
        }
    }
    let mut answer = record(&app, changed).await?;
    answer["known"] = (answer["known"].as_u64().unwrap_or_default() + known).into();
    Ok(Json(answer))
}

/// The last event that is `wanted` in the stream that an event goes to.
async fn last_in(
    app: &App,
    event: &Event,
    wanted: impl Fn(&EventData) -> bool,
) -> Result<Option<RecordedEvent>, ApiError> {
    const PAGE: usize = 1_000;
    let stream = event.data.stream();
    let (mut last, mut from) = (None, 0);
    loop {
        let page = app.log.read_stream(stream.clone(), from, PAGE).await?;
        let Some(end) = page.last().map(|recorded| recorded.revision) else { return Ok(last) };
        from = end + 1;
        last = page.into_iter().rev().find(|it| wanted(&it.event.data)).or(last);
    }
}

async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, ApiError> {
    media::require_json(headers)?;
    media::body(headers, body, app.config.ingest.max_body_bytes).await
}

/// An alert from a clock that is ahead is an alert of now: to refuse it would lose it.
fn not_ahead(app: &App, mut events: Vec<Event>) -> Vec<Event> {
    let now = (app.clock)();
    for event in &mut events {
        event.time = event.time.min(now);
    }
    events
}

/// Appends what is new: `recorded` events of it, `known` ones, and the last `position`.
async fn record(app: &App, events: Vec<Event>) -> Result<Value, ApiError> {
    let offered = events.len();
    let recorded = ingest::record_new(app.log.as_ref(), events).await;
    let recorded = recorded.map_err(|error| refused(error, true))?;
    let position = recorded.iter().map(|event| event.position).max();
    Ok(json!({
        "recorded": recorded.len(),
        "known": offered - recorded.len(),
        "position": position,
    }))
}

fn invalid(error: InvalidDocument) -> ApiError {
    let refusal = ApiError::bad_request(error.code(), error.to_string());
    match error {
        InvalidDocument::Field { pointer, .. } => refusal.at(pointer),
        InvalidDocument::Syntax { .. } => refusal,
    }
}
