//! What people say over REST: from a body to a command, and from a refusal to an answer. The
//! rules are those of the GraphQL mutations; both come to [`Commands`](schema::commands).

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use events::envelope::InvalidEvent;
use events::log::AppendError;
use events::{EventData, EventId};
use schema::commands::{BulkError, Command, CommandError, Recorded, Refusal};
use serde_json::{Map, Value};

use super::App;
use super::error::ApiError;
use super::{json, media};

/// A body of JSON, within the limit.
pub(super) async fn body(app: &App, headers: &HeaderMap, body: Body) -> Result<Value, ApiError> {
    media::require_json(headers)?;
    json::parse(&media::body(headers, body, app.config.ingest.max_body_bytes).await?)
}

/// The fields of a document, with those that the path gives.
pub(super) fn fields(
    document: Value,
    by_path: &[(&str, &str)],
) -> Result<Map<String, Value>, ApiError> {
    let Value::Object(mut fields) = document else {
        return Err(invalid("not_an_object", "", "expected a JSON object".to_owned()));
    };
    for (name, value) in by_path {
        match fields.insert((*name).to_owned(), (*value).into()) {
            Some(other) if other != *value => {
                let message = format!("expected {value:?} as in the path, or nothing, got {other}");
                return Err(invalid("invalid_value", &format!("/{name}"), message));
            }
            _ => {}
        }
    }
    Ok(fields)
}

/// Takes the client's own id for the event, so that the request can be repeated.
pub(super) fn event_id(fields: &mut Map<String, Value>) -> Result<EventId, ApiError> {
    let Some(given) = fields.remove("event_id") else { return Ok(EventId::generate()) };
    given.as_str().and_then(|id| id.parse().ok()).ok_or_else(|| {
        invalid("invalid_value", "/event_id", format!("expected a UUID, got {given}"))
    })
}

/// The data of an event, or what is wrong with it and where in the body.
pub(super) fn data(event_type: &str, fields: Map<String, Value>) -> Result<EventData, ApiError> {
    EventData::from_json(event_type, Value::Object(fields)).map_err(|error| {
        let InvalidEvent { code, pointer, message } = error;
        invalid(code.as_str(), pointer.strip_prefix("/data").unwrap_or(&pointer), message)
    })
}

fn invalid(code: &'static str, pointer: &str, message: String) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).at(pointer)
}

/// Carries out one command.
pub(super) async fn record(app: &App, command: Command) -> Result<Recorded, ApiError> {
    app.commands.record(command).await.map_err(failed)
}

/// Carries out all of them or, when one is refused, none; `pointer` says where an entry stands.
pub(super) async fn record_all(
    app: &App,
    commands: Vec<Command>,
    pointer: impl Fn(usize, &str) -> String,
) -> Result<Vec<Recorded>, ApiError> {
    match app.commands.record_all(commands).await {
        Ok(done) => done.into_iter().collect::<Result<_, _>>().map_err(failed),
        Err(BulkError::Failed(error)) => Err(failed(error)),
        Err(BulkError::Refused(refused)) => {
            let each = refused.into_iter().map(|(index, it)| {
                let at = pointer(index, &it.pointer);
                (index, refusal(it, at))
            });
            Err(refused_all(each.collect()).unwrap_or_else(ApiError::internal_without_cause))
        }
    }
}

/// What is wrong with the entries of a list, by their places: the first one's error, with all of
/// them beside it.
pub(super) fn refused_all(entries: Vec<(usize, ApiError)>) -> Option<ApiError> {
    let entry = |(index, error): &(usize, ApiError)| {
        serde_json::json!({ "index": index, "code": error.code(),
                            "pointer": error.pointer(), "message": error.message() })
    };
    let listed: Vec<Value> = entries.iter().map(entry).collect();
    let (_, first) = entries.into_iter().next()?;
    Some(first.beside("refused", listed))
}

fn failed(error: CommandError) -> ApiError {
    let message = error.to_string();
    match error {
        CommandError::Refused(refused) => {
            let at = refused.pointer.clone();
            refusal(refused, at)
        }
        CommandError::NotProjectedYet { .. } => {
            ApiError::unavailable("not_projected_yet", format!("{message}; ask again"))
        }
        CommandError::Overloaded => ApiError::unavailable("overloaded", message),
        CommandError::DiskFull => AppendError::DiskFull.into(),
        CommandError::Internal(cause) => match cause.downcast_ref::<AppendError>() {
            Some(AppendError::Poisoned(why)) => AppendError::Poisoned(why.clone()).into(),
            Some(AppendError::Unavailable(why)) => AppendError::Unavailable(why.clone()).into(),
            Some(AppendError::Refused(why)) => AppendError::Refused(why.clone()).into(),
            _ => ApiError::internal(cause.as_ref()),
        },
    }
}

fn refusal(refused: Refusal, at: String) -> ApiError {
    let status = match (refused.code, refused.pointer.as_str()) {
        // What the path names.
        ("not_found", "/incident" | "/label" | "/diagnosis") => StatusCode::NOT_FOUND,
        ("not_found" | "invalid_input", _) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::CONFLICT,
    };
    ApiError::new(status, code(&refused, &at), refused.message).at(at)
}

fn code(refused: &Refusal, at: &str) -> &'static str {
    match (refused.code, refused.pointer.as_str()) {
        ("not_found", "/incident") => "unknown_incident",
        // The event of a label has its id from the label's.
        ("event_id_taken", _) if at.ends_with("/label") => "label_exists",
        (code, _) => code,
    }
}
