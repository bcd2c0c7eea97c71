//! What SurrealDB answers, read by serde into any type.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde_json::Error;
use surrealdb::types::{Number, RecordIdKey, Value};

use super::timestamp;

/// Reads a value: a record id as its key, a time as RFC 3339, and what is absent not at all.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    T::deserialize(Stored(value))
}

/// A value, for serde.
struct Stored(Value);

impl IntoDeserializer<'_, Error> for Stored {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Stored {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::None | Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(flag),
            Value::Number(Number::Int(number)) => visitor.visit_i64(number),
            Value::Number(Number::Float(number)) => visitor.visit_f64(number),
            Value::String(text) => visitor.visit_string(text),
            Value::Datetime(stored) => visitor.visit_string(timestamp(stored).to_string()),
            Value::RecordId(id) => Stored(key(id.key)).deserialize_any(visitor),
            Value::Array(items) => {
                let items = items.into_inner().into_iter().map(Stored);
                SeqDeserializer::new(items).deserialize_any(visitor)
            }
            Value::Object(entries) => {
                let entries = entries.into_inner().into_iter();
                let present = entries.filter(|(_, entry)| !matches!(entry, Value::None));
                let present = present.map(|(name, entry)| (name, Stored(entry)));
                MapDeserializer::new(present).deserialize_any(visitor)
            }
            other => other.into_json_value().deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::None | Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            other => read::<serde_json::Value>(other)?.deserialize_enum(name, variants, visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The id in a key.
fn key(key: RecordIdKey) -> Value {
    match key {
        RecordIdKey::String(key) => Value::String(key),
        RecordIdKey::Number(key) => Value::Number(Number::Int(key)),
        // A key with a time in front; of an edge's key nobody asks.
        RecordIdKey::Array(parts) => parts.into_inner().pop().unwrap_or(Value::Null),
        other => Value::String(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;
    use surrealdb::types::{Array, Object, RecordId};

    use super::*;
    use crate::value::{float, text, time};

    #[test]
    fn a_row_becomes_a_structure() {
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Status {
            Open,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct Row {
            id: events::IncidentId,
            status: Status,
            at: events::Timestamp,
            count: u64,
            share: events::value::Ratio,
            whole: f64,
            note: Option<String>,
            absent: Option<String>,
            #[serde(default)]
            later: Vec<u8>,
        }
        let at: events::Timestamp = "2026-01-31T12:00:00.000000001Z".parse().unwrap();
        let row: Object = [
            ("id", Value::RecordId(RecordId::new("incident", "i1"))),
            ("status", text("open")),
            ("at", time(at)),
            ("count", Value::Number(Number::Int(7))),
            ("share", float(0.5)),
            ("whole", Value::Number(Number::Int(2))),
            ("note", text("n")),
            ("absent", Value::Null),
            ("later", Value::None),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect();
        let read: Row = read(Value::Object(row)).unwrap();
        let expected = Row {
            id: events::IncidentId::new("i1").unwrap(),
            status: Status::Open,
            at,
            count: 7,
            share: events::value::Ratio::new(0.5).unwrap(),
            whole: 2.0,
            note: Some("n".to_owned()),
            absent: None,
            later: vec![],
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn plain_data_comes_back_as_json() {
        let key = Array::from(vec![time(events::Timestamp::UNIX_EPOCH), text("i1")]);
        let entries = [
            ("a", Value::Array(Array::from(vec![Value::None, Value::Bool(true)]))),
            ("b", Value::RecordId(RecordId::new("incident", RecordIdKey::Array(key)))),
            ("c", Value::None),
            ("d", Value::Number(Number::Int(-1))),
        ];
        let object: Object =
            entries.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        let read: serde_json::Value = read(Value::Object(object)).unwrap();
        assert_eq!(read, json!({ "a": [null, true], "b": "i1", "d": -1 }));
        assert!(super::read::<u64>(Value::Number(Number::Int(-1))).is_err());
        assert!(super::read::<String>(Value::Null).is_err());
    }
}
