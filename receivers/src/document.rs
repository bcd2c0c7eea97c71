//! Reading JSON documents of other systems: what is missing is named by its place.

use events::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;
use uuid::Uuid;

/// Why a document is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDocument {
    /// It cannot be read.
    #[error("expected {expected}: {reason}")]
    Syntax {
        /// What would be right.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A field is missing or is something else.
    #[error("{pointer:?}: expected {expected}")]
    Field {
        /// JSON pointer.
        pointer: String,
        /// What would be right.
        expected: String,
    },
}

impl InvalidDocument {
    /// The same of a document that stands at `place` in a larger one.
    pub fn within(self, place: &str) -> Self {
        match self {
            Self::Field { pointer, expected } => {
                Self::Field { pointer: format!("{place}{pointer}"), expected }
            }
            whole @ Self::Syntax { .. } => whole,
        }
    }

    /// The stable code of the refusal; its HTTP status is 400.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "malformed",
            Self::Field { .. } => "invalid_field",
        }
    }
}

pub(crate) fn field(pointer: impl Into<String>, expected: impl Into<String>) -> InvalidDocument {
    InvalidDocument::Field { pointer: pointer.into(), expected: expected.into() }
}

/// Reads an object of JSON.
pub(crate) fn object(bytes: &[u8], expected: &'static str) -> Result<Value, InvalidDocument> {
    let syntax = |reason: String| InvalidDocument::Syntax { expected, reason };
    let value: Value = serde_json::from_slice(bytes).map_err(|error| syntax(error.to_string()))?;
    if !value.is_object() {
        return Err(syntax("not an object".to_owned()));
    }
    Ok(value)
}

/// A text at a pointer, if it is one and not empty.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

/// As [`text`], where it must be.
pub(crate) fn required<'a>(
    value: &'a Value,
    pointer: &str,
    expected: &str,
) -> Result<&'a str, InvalidDocument> {
    text(value, pointer).ok_or_else(|| field(pointer, expected))
}

/// A list at a pointer, or an empty one.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A time with an offset, or one without, which is meant as UTC. Years that stand for no time
/// (0001, in Go) are none.
pub(crate) fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    let text = text(value, pointer)?;
    let parsed = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    });
    parsed.filter(|time| *time > Timestamp::UNIX_EPOCH)
}

/// The value of a label: a text as it is, other scalars as JSON writes them.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What ids of facts from other systems are derived under.
const NAMESPACE: Uuid = Uuid::from_u128(0x0f0e_7c59_31b4_4b52_9d0a_6e2c_5a4d_7b10);

/// The id that parts stand for: the same parts give the same id.
pub(crate) fn derived(parts: &[&str]) -> Uuid {
    // Lengths keep ("ab", "c") and ("a", "bc") apart.
    let name: String = parts.iter().map(|part| format!("{}:{part}\n", part.len())).collect();
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}
