//! How one field takes a new value.

use events::Timestamp;
use surrealdb::types::{Array, Datetime, Number, Object, Value};

use crate::change::{Keep, Merge};
use crate::value::{datetime, float, timestamp};

/// Merges into the field of a row.
pub(super) fn into(fields: &mut Object, field: &'static str, merge: Merge) {
    let current = fields.get(field);
    match merge {
        Merge::Set(value) => put(fields, field, value),
        Merge::First(value) => {
            if matches!(current, None | Some(Value::None)) {
                put(fields, field, value);
            }
        }
        Merge::Newest(at, value) => {
            if stamped(fields, field, at) {
                put(fields, field, value);
            }
        }
        Merge::Earliest(at) => {
            if moment(current).is_none_or(|current| at < current) {
                put(fields, field, Value::Datetime(datetime(at)));
            }
        }
        Merge::Latest(at) => {
            if moment(current).is_none_or(|current| at > current) {
                put(fields, field, Value::Datetime(datetime(at)));
            }
        }
        Merge::Largest(number) => {
            if number_of(current).is_none_or(|current| number > current) {
                put(fields, field, float(number));
            }
        }
        Merge::Entry { by, entry, keep } => {
            let mut entries = match fields.remove(field) {
                Some(Value::Array(entries)) => entries.into_inner(),
                _ => Vec::new(),
            };
            put_entry(&mut entries, by, entry, keep);
            put(fields, field, Value::Array(Array::from(entries)));
        }
    }
}

fn put(fields: &mut Object, field: &'static str, value: Value) {
    fields.insert(field, value);
}

/// Whether what is said of `at` stands; notes the time when it does.
fn stamped(fields: &mut Object, field: &'static str, at: Timestamp) -> bool {
    let mut stamps = match fields.remove("stamps") {
        Some(Value::Object(stamps)) => stamps,
        _ => Object::new(),
    };
    let stands = moment(stamps.get(field)).is_none_or(|stamp| at >= stamp);
    if stands {
        stamps.insert(field, Value::Datetime(datetime(at)));
    }
    fields.insert("stamps", Value::Object(stamps));
    stands
}

fn put_entry(entries: &mut Vec<Value>, by: &'static str, entry: Object, keep: Keep) {
    let key = |entry: &Value| match entry {
        Value::Object(entry) => entry.get(by).cloned(),
        _ => None,
    };
    let new = entry.get(by).cloned();
    let place = entries.iter().position(|old| key(old) >= new);
    match place {
        Some(place) if key(&entries[place]) == new => {
            if keep == Keep::Newer || strength(&entry) > strength_of(&entries[place]) {
                entries[place] = Value::Object(entry);
            }
        }
        Some(place) => entries.insert(place, Value::Object(entry)),
        None => entries.push(Value::Object(entry)),
    }
}

fn strength(entry: &Object) -> f64 {
    number_of(entry.get("strength")).unwrap_or_default().abs()
}

fn strength_of(entry: &Value) -> f64 {
    match entry {
        Value::Object(entry) => strength(entry),
        _ => 0.0,
    }
}

fn moment(value: Option<&Value>) -> Option<Timestamp> {
    match value {
        Some(Value::Datetime(stored)) => Some(timestamp(Datetime::from(stored.into_inner()))),
        _ => None,
    }
}

fn number_of(value: Option<&Value>) -> Option<f64> {
    match value {
        Some(Value::Number(Number::Float(number))) => Some(*number),
        // Counts far below 2^53 only.
        Some(Value::Number(Number::Int(number))) => Some(*number as f64),
        _ => None,
    }
}
