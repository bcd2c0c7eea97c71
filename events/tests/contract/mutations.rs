//! Every fixture, changed in every place: the parser and the published schema agree on what is
//! accepted, and a refusal points at the place.

use std::collections::BTreeSet;

use events::envelope::{InvalidEvent, InvalidEventCode};
use events::{Event, EventData, Timestamp};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::fixtures;
use crate::schemas::validator;

/// Pointers to every value below `value`.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(array) => {
            array.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => return,
    };
    for (name, child) in children {
        let pointer = format!("{at}/{name}");
        pointers(child, &pointer, all);
        all.push(pointer);
    }
}

struct Subject {
    event_type: &'static str,
    document: Value,
    validator: Validator,
    pointers: Vec<String>,
}

impl Subject {
    fn all() -> impl Iterator<Item = Self> {
        EventData::TYPES.iter().map(|event_type| {
            let document = fixtures::of(event_type);
            let mut all = Vec::new();
            pointers(&document["data"], "/data", &mut all);
            Self { event_type, document, validator: validator(event_type), pointers: all }
        })
    }

    /// Changes a copy and holds the parser's verdict against the schema's. A refusal is handed
    /// back when the schema refuses too: what only several fields together get wrong, a schema
    /// does not see.
    fn change(&self, what: &str, change: impl FnOnce(&mut Value)) -> Option<InvalidEvent> {
        let mut document = self.document.clone();
        change(&mut document);
        let valid = self.validator.is_valid(&document["data"]);
        let read = Event::from_cloud_event(document.clone(), Timestamp::UNIX_EPOCH);
        let event_type = self.event_type;
        let quick = Event::from_right_text(&document.to_string(), Timestamp::UNIX_EPOCH);
        assert_eq!(quick, read.clone().ok().map(|event| vec![event]), "{event_type}: {what}");
        match (valid, read) {
            (true, Ok(event)) => {
                let again = Event::from_cloud_event(event.to_cloud_event(), Timestamp::UNIX_EPOCH);
                assert_eq!(again.as_ref(), Ok(&event), "{event_type}: {what}");
                None
            }
            (true, Err(error)) => {
                assert_eq!(
                    error.code,
                    InvalidEventCode::InvalidValue,
                    "{event_type}: {what}: the schema accepts, the parser says {error}"
                );
                None
            }
            (false, Ok(_)) => {
                panic!("{event_type}: {what}: the schema refuses, the parser accepts {document}")
            }
            (false, Err(error)) => Some(error),
        }
    }
}

fn split(pointer: &str) -> (&str, &str) {
    pointer.rsplit_once('/').unwrap()
}

/// Places inside a label's claim: which fields it has depends on one of them, so serde reads
/// it in two steps and forgets where it was.
fn in_claim(pointer: &str) -> bool {
    pointer.starts_with("/data/claim/")
}

#[test]
fn a_missing_field_is_refused_with_its_name() {
    let mut refused = 0;
    for subject in Subject::all() {
        for pointer in &subject.pointers {
            let (parent, name) = split(pointer);
            let refusal = subject.change(&format!("without {pointer}"), |document| {
                if let Some(Value::Object(parent)) = document.pointer_mut(parent) {
                    parent.remove(name);
                }
            });
            if let Some(error) = refusal {
                assert_eq!(
                    (error.code, &*error.pointer),
                    (InvalidEventCode::MissingField, &**pointer)
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "only {refused} required fields");
}

#[test]
fn a_value_of_another_type_is_refused_where_it_is() {
    let mut refused = 0;
    for subject in Subject::all() {
        for pointer in &subject.pointers {
            for other in [json!(7.5), json!("x"), json!(true), json!([]), json!({}), json!(null)] {
                let refusal = subject.change(&format!("{pointer} is {other}"), |document| {
                    *document.pointer_mut(pointer).unwrap() = other.clone();
                });
                let Some(error) = refusal else { continue };
                assert_ne!(error.code, InvalidEventCode::UnknownField, "{error}");
                let inside = error.pointer.starts_with(pointer.as_str());
                assert!(inside || in_claim(pointer), "{pointer} is {other}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 1000, "only {refused}");
}

#[test]
fn a_field_that_the_type_does_not_have_is_refused() {
    let mut codes = BTreeSet::new();
    for subject in Subject::all() {
        for pointer in subject.pointers.iter().chain([&"/data".to_owned()]) {
            if !subject.document.pointer(pointer).unwrap().is_object() {
                continue;
            }
            let refusal = subject.change(&format!("{pointer}/misspelt"), |document| {
                document.pointer_mut(pointer).unwrap()["misspelt"] = json!({});
            });
            let Some(error) = refusal else { continue };
            codes.insert(error.code.as_str());
            if error.code == InvalidEventCode::UnknownField && !in_claim(pointer) {
                assert_eq!(error.pointer, format!("{pointer}/misspelt"));
                assert!(error.message.contains("misspelt"), "{error}");
            }
        }
    }
    // Where names are free, the value is of the wrong type.
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["unknown_field", "wrong_type"]);
}

#[test]
fn numbers_and_texts_out_of_range_are_refused_where_they_are() {
    let long = "x".repeat(100_001);
    let mut refused = 0;
    for subject in Subject::all() {
        for pointer in &subject.pointers {
            let extremes = match subject.document.pointer(pointer).unwrap() {
                Value::Number(n) if n.is_u64() => vec![json!(-1), json!(-1.5), json!(2.5)],
                Value::Number(_) => vec![json!(-1), json!(-1.5), json!(1e300), json!(-0.0)],
                Value::String(_) => vec![json!(""), json!(long), json!("a\u{0}b"), json!("✓")],
                _ => continue,
            };
            for extreme in extremes {
                let shown = extreme.to_string().chars().take(20).collect::<String>();
                let refusal = subject.change(&format!("{pointer} is {shown}"), |document| {
                    *document.pointer_mut(pointer).unwrap() = extreme;
                });
                let Some(error) = refusal else { continue };
                assert!(
                    error.pointer == *pointer || in_claim(pointer),
                    "{pointer} is {shown}: {error}"
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 300, "only {refused}");
}
