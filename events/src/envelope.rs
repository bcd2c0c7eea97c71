//! The CloudEvents 1.0 form of an event, read strictly and written back the same.

mod quick;
mod record_hash;
mod wording;

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::catalogue::EventData;
use crate::id::{EventId, StreamId};
use crate::value::Line;
pub use record_hash::{ParseHashError, RecordHash};
pub use wording::in_json_words;

/// The attribute of an event that lost its measurements.
pub const PRUNED_HASH: &str = "prunedhash";

/// An event as a client gives it, before the log has recorded it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its identity: the same id appended twice is one event.
    pub id: EventId,
    /// Who made it, a URI reference such as `/chaos-runner`.
    pub source: Line,
    /// What it is about, for readers that filter; the stream comes from the data.
    pub subject: Option<Line>,
    /// When it happened, which may be long before it is recorded.
    pub time: Timestamp,
    /// The business transaction that it belongs to: a run of an experiment, an incident.
    pub correlation_id: Option<Line>,
    /// The event that caused it.
    pub causation_id: Option<EventId>,
    /// W3C trace context of the request that made it.
    pub traceparent: Option<Line>,
    /// What happened.
    pub data: EventData,
}

/// An event with its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent {
    /// The event.
    pub event: Event,
    /// The stream it is in.
    pub stream: StreamId,
    /// Its number in the stream, from 0 without a gap.
    pub revision: u64,
    /// Its number in the log, rising.
    pub position: u64,
    /// When the log recorded it.
    pub recorded_at: Timestamp,
    /// Its measurements were [pruned](EventData::kept): the hash of the record as it was, which
    /// still stands in the log's hash chain. `None` for an event that is whole.
    pub pruned: Option<RecordHash>,
}

/// Why a document is not an event, for the client that sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at {pointer:?})")]
pub struct InvalidEvent {
    /// What is wrong, stable across versions.
    pub code: InvalidEventCode,
    /// JSON pointer to the field at fault, from the event's root.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// The stable names of what can be wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidEventCode {
    /// The document, or its `data`, is not a JSON object.
    NotAnObject,
    /// A required field is absent.
    MissingField,
    /// A field has another JSON type than expected.
    WrongType,
    /// A field the type does not have.
    UnknownField,
    /// A value outside of what the field accepts.
    InvalidValue,
    /// A `type` that the catalogue does not have.
    UnknownType,
    /// A `specversion` other than 1.0.
    UnsupportedSpecVersion,
    /// A `datacontenttype` other than JSON.
    UnsupportedContentType,
}

impl InvalidEventCode {
    /// The code as it stands in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAnObject => "not_an_object",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::UnknownField => "unknown_field",
            Self::InvalidValue => "invalid_value",
            Self::UnknownType => "unknown_event_type",
            Self::UnsupportedSpecVersion => "unsupported_specversion",
            Self::UnsupportedContentType => "unsupported_content_type",
        }
    }
}

impl fmt::Display for InvalidEventCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn invalid(
    code: InvalidEventCode,
    pointer: impl Into<String>,
    message: impl Into<String>,
) -> InvalidEvent {
    InvalidEvent { code, pointer: pointer.into(), message: message.into() }
}

impl Event {
    /// A new event of `source` that happened at `time`, with a fresh id.
    pub fn new(source: Line, time: Timestamp, data: impl Into<EventData>) -> Self {
        Self::with_id(EventId::generate(), source, time, data)
    }

    /// As [`Self::new`] with a given id.
    pub fn with_id(id: EventId, source: Line, time: Timestamp, data: impl Into<EventData>) -> Self {
        Self {
            id,
            source,
            subject: None,
            time,
            correlation_id: None,
            causation_id: None,
            traceparent: None,
            data: data.into(),
        }
    }

    /// Reads one CloudEvents JSON object. Older versions of a type are upcast. Attributes that
    /// Faultline does not know are passed over, as the specification asks; unknown fields of
    /// `data` are refused, because a misspelt field would be lost silently. Without a `time`
    /// the event happened at `received_at`.
    pub fn from_cloud_event(document: Value, received_at: Timestamp) -> Result<Self, InvalidEvent> {
        let Value::Object(mut attributes) = document else {
            return Err(invalid(
                InvalidEventCode::NotAnObject,
                "",
                format!("expected a CloudEvents object, got {}", kind_of(&document)),
            ));
        };
        let specversion = required(&mut attributes, "specversion")?;
        if specversion != "1.0" {
            return Err(invalid(
                InvalidEventCode::UnsupportedSpecVersion,
                "/specversion",
                format!("expected \"1.0\", got {specversion:?}"),
            ));
        }
        let id = parsed::<EventId>(required(&mut attributes, "id")?, "/id", "a UUID")?;
        let source = line(required(&mut attributes, "source")?, "/source")?;
        let event_type = required(&mut attributes, "type")?;
        let subject = optional_line(&mut attributes, "subject")?;
        let correlation_id = optional_line(&mut attributes, "correlationid")?;
        let traceparent = optional_line(&mut attributes, "traceparent")?;
        let causation_id = optional(&mut attributes, "causationid")?
            .map(|text| parsed(text, "/causationid", "a UUID"))
            .transpose()?;
        if attributes.get(PRUNED_HASH).is_some_and(|hash| !hash.is_null()) {
            return Err(invalid(
                InvalidEventCode::InvalidValue,
                format!("/{PRUNED_HASH}"),
                "an event whose measurements were pruned can only be restored to its place",
            ));
        }
        let time = optional(&mut attributes, "time")?
            .map(|text| parsed(text, "/time", "an RFC 3339 time such as 2026-01-31T12:00:00Z"))
            .transpose()?
            .unwrap_or(received_at);
        if let Some(content_type) = optional(&mut attributes, "datacontenttype")?
            && !is_json(&content_type)
        {
            return Err(invalid(
                InvalidEventCode::UnsupportedContentType,
                "/datacontenttype",
                format!("expected \"application/json\", got {content_type:?}"),
            ));
        }
        let data = attributes.remove("data").ok_or_else(|| missing("data"))?;
        let data = EventData::from_json(&event_type, data)?;
        Ok(Self { id, source, subject, time, correlation_id, causation_id, traceparent, data })
    }

    /// The CloudEvents JSON object; [`Self::from_cloud_event`] reads it back unchanged.
    pub fn to_cloud_event(&self) -> Value {
        let mut document = json!({
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.data.event_type(),
            "time": self.time,
            "datacontenttype": "application/json",
            "data": self.data,
        });
        let optional = [
            ("subject", self.subject.as_ref().map(|text| json!(text))),
            ("correlationid", self.correlation_id.as_ref().map(|text| json!(text))),
            ("causationid", self.causation_id.map(|id| json!(id))),
            ("traceparent", self.traceparent.as_ref().map(|text| json!(text))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                document[name] = value;
            }
        }
        document
    }
}

impl RecordedEvent {
    /// Reads what [`Self::to_cloud_event`] wrote: an event with the place and the time of
    /// recording that it had.
    pub fn from_cloud_event(mut document: Value) -> Result<Self, InvalidEvent> {
        let Value::Object(attributes) = &mut document else {
            let wrong = kind_of(&document);
            return Err(invalid(
                InvalidEventCode::NotAnObject,
                "",
                format!("expected a CloudEvents object, got {wrong}"),
            ));
        };
        let stream = required(attributes, "stream")?;
        let stream = StreamId::new(stream).map_err(|error| {
            invalid(InvalidEventCode::InvalidValue, "/stream", error.to_string())
        })?;
        let recorded_at = parsed(
            required(attributes, "recordedtime")?,
            "/recordedtime",
            "an RFC 3339 time such as 2026-01-31T12:00:00Z",
        )?;
        let revision = number(attributes, "revision")?;
        let position = number(attributes, "position")?;
        let pruned = optional(attributes, PRUNED_HASH)?
            .map(|text| parsed(text, "/prunedhash", "64 hexadecimal digits"))
            .transpose()?;
        let event = Event::from_cloud_event(document, recorded_at)?;
        if pruned.is_some() && event.data.kept().as_ref() != Some(&event.data) {
            return Err(invalid(
                InvalidEventCode::InvalidValue,
                "/prunedhash",
                "expected telemetry without measurements where it says that they were pruned",
            ));
        }
        Ok(Self { event, stream, revision, position, recorded_at, pruned })
    }

    /// The CloudEvents JSON object with `recordedtime`, `stream`, `revision` and `position`, and
    /// `prunedhash` for an event whose measurements were pruned.
    pub fn to_cloud_event(&self) -> Value {
        let mut document = self.event.to_cloud_event();
        document["recordedtime"] = json!(self.recorded_at);
        document["stream"] = json!(self.stream);
        document["revision"] = json!(self.revision);
        document["position"] = json!(self.position);
        if let Some(hash) = self.pruned {
            document[PRUNED_HASH] = json!(hash.to_string());
        }
        document
    }
}

impl EventData {
    /// Reads the `data` of an event of any known version of `event_type`.
    pub fn from_json(event_type: &str, data: Value) -> Result<Self, InvalidEvent> {
        if !data.is_object() {
            return Err(invalid(
                InvalidEventCode::NotAnObject,
                "/data",
                format!("expected an object, got {}", kind_of(&data)),
            ));
        }
        let (event_type, data) = crate::upcast::to_newest(event_type, data);
        let data = Self::decode(&event_type, data).ok_or_else(|| {
            invalid(
                InvalidEventCode::UnknownType,
                "/type",
                format!("unknown event type {event_type:?}; GET /v1/schemas lists the known ones"),
            )
        })?;
        let data = data.map_err(|error| from_serde(&error))?;
        data.check().map_err(|fact| {
            invalid(InvalidEventCode::InvalidValue, format!("/data{}", fact.pointer), fact.message)
        })?;
        Ok(data)
    }
}

fn from_serde(error: &serde_path_to_error::Error<serde_json::Error>) -> InvalidEvent {
    let mut pointer = String::from("/data");
    for segment in error.path() {
        use serde_path_to_error::Segment;
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&escaped(key));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    let message = error.inner().to_string();
    // serde_json has no typed errors for data; these prefixes are serde's own constructors.
    let code = if message.starts_with("missing field") {
        InvalidEventCode::MissingField
    } else if message.starts_with("invalid type") {
        InvalidEventCode::WrongType
    } else if message.starts_with("unknown field") {
        InvalidEventCode::UnknownField
    } else {
        InvalidEventCode::InvalidValue
    };
    // A missing field has no place of its own, and that of an unknown one is lost inside tagged
    // enums; both are named in the message.
    if let InvalidEventCode::MissingField | InvalidEventCode::UnknownField = code
        && let Some(field) = message.split('`').nth(1)
    {
        let field = format!("/{}", escaped(field));
        if code == InvalidEventCode::MissingField || !pointer.ends_with(&field) {
            pointer.push_str(&field);
        }
    }
    invalid(code, pointer, in_json_words(&message))
}

/// A name as it stands in a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json") || media_type.ends_with("+json")
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn missing(name: &str) -> InvalidEvent {
    invalid(
        InvalidEventCode::MissingField,
        format!("/{name}"),
        format!("missing attribute {name:?}"),
    )
}

fn optional(
    attributes: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<String>, InvalidEvent> {
    match attributes.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(invalid(
            InvalidEventCode::WrongType,
            format!("/{name}"),
            format!("expected a string, got {}", kind_of(&other)),
        )),
    }
}

fn required(attributes: &mut Map<String, Value>, name: &str) -> Result<String, InvalidEvent> {
    optional(attributes, name)?.ok_or_else(|| missing(name))
}

fn number(attributes: &mut Map<String, Value>, name: &str) -> Result<u64, InvalidEvent> {
    let value = attributes.remove(name).ok_or_else(|| missing(name))?;
    value.as_u64().ok_or_else(|| {
        let code = match value {
            Value::Number(_) => InvalidEventCode::InvalidValue,
            _ => InvalidEventCode::WrongType,
        };
        invalid(code, format!("/{name}"), format!("expected a whole number from 0, got {value}"))
    })
}

fn line(text: String, pointer: &str) -> Result<Line, InvalidEvent> {
    Line::new(text)
        .map_err(|error| invalid(InvalidEventCode::InvalidValue, pointer, error.to_string()))
}

fn optional_line(
    attributes: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<Line>, InvalidEvent> {
    optional(attributes, name)?.map(|text| line(text, &format!("/{name}"))).transpose()
}

fn parsed<T: std::str::FromStr>(
    text: String,
    pointer: &str,
    expected: &str,
) -> Result<T, InvalidEvent> {
    text.parse().map_err(|_| {
        invalid(
            InvalidEventCode::InvalidValue,
            pointer,
            format!("expected {expected}, got {text:?}"),
        )
    })
}
