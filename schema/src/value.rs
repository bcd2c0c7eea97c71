//! Between the catalogue's values and SurrealDB's.
//!
//! Rows are written as SurrealDB values, so that times are times and edges point, and read back
//! into the types of [`crate::rows`], a record id becoming the key's id.

mod reading;

use events::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use surrealdb::types::{Array, Datetime, Number, Object, Value};

use crate::projection::ProjectError;
pub(crate) use reading::read;

const NANOS: i128 = 1_000_000_000;

/// A moment as SurrealDB's datetime, to the nanosecond.
pub(crate) fn time(at: Timestamp) -> Value {
    Value::Datetime(datetime(at))
}

/// As [`time`], unwrapped.
pub(crate) fn datetime(at: Timestamp) -> Datetime {
    let nanos = at.as_nanosecond();
    let seconds = i64::try_from(nanos.div_euclid(NANOS));
    let rest = u32::try_from(nanos.rem_euclid(NANOS));
    seconds
        .ok()
        .zip(rest.ok())
        .and_then(|(seconds, rest)| Datetime::from_timestamp(seconds, rest))
        .expect("the years -9999 to 9999 lie within those that SurrealDB stores")
}

/// The moment that [`datetime`] stored.
pub(crate) fn timestamp(stored: Datetime) -> Timestamp {
    let stored = stored.into_inner();
    let nanos = i32::try_from(stored.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp::new(stored.timestamp(), nanos).unwrap_or(Timestamp::MAX)
}

/// A text.
pub(crate) fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

/// A finite number.
pub(crate) fn float(number: impl Into<f64>) -> Value {
    Value::Number(Number::Float(number.into()))
}

/// A count; SurrealDB's integers have a sign, so not every count of an event can be stored.
pub(crate) fn int(field: &'static str, number: u64) -> Result<Value, ProjectError> {
    i64::try_from(number)
        .map(|number| Value::Number(Number::Int(number)))
        .map_err(|_| ProjectError::NumberTooLarge { field, got: number })
}

/// The value, or nothing.
pub(crate) fn optional<T>(value: Option<T>, convert: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::None, convert)
}

/// Texts in their order.
pub(crate) fn texts<T: ToString>(items: &[T]) -> Value {
    Value::Array(Array::from(items.iter().map(|item| text(item.to_string())).collect::<Vec<_>>()))
}

/// Anything that is plain data, such as a list of probes or a map of parameters.
pub(crate) fn json(field: &'static str, data: &impl Serialize) -> Result<Value, ProjectError> {
    let data = serde_json::to_value(data)
        .map_err(|source| ProjectError::NotPlainData { field, source })?;
    from_json(field, data)
}

/// An entry of a list in a row.
pub(crate) fn object(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Object {
    entries
        .into_iter()
        .filter(|(_, value)| !matches!(value, Value::None))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn from_json(field: &'static str, data: serde_json::Value) -> Result<Value, ProjectError> {
    use serde_json::Value as Json;
    Ok(match data {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(flag),
        Json::String(text) => Value::String(text),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Number(Number::Int(number)),
            (None, Some(got)) => return Err(ProjectError::NumberTooLarge { field, got }),
            (None, None) => float(number.as_f64().unwrap_or_default()),
        },
        Json::Array(items) => Value::Array(Array::from(
            items.into_iter().map(|item| from_json(field, item)).collect::<Result<Vec<_>, _>>()?,
        )),
        Json::Object(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(name, entry)| Ok((name, from_json(field, entry)?)))
                .collect::<Result<Object, ProjectError>>()?,
        ),
    })
}

/// A row as one of the types of [`crate::rows`]. A former version has the key of its row.
pub(crate) fn decode<T: DeserializeOwned>(mut row: Value) -> Result<T, serde_json::Error> {
    if let Value::Object(fields) = &mut row
        && let Some(original) = fields.remove("original")
    {
        fields.insert("id", original);
    }
    read(row)
}
