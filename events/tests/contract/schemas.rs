//! The published schemas say what is accepted.

use events::EventData;
use jsonschema::Validator;
use serde_json::Value;

use crate::fixtures;

/// The published schema of a type, formats included.
pub fn validator(event_type: &str) -> Validator {
    let (_, schema) = EventData::schemas()
        .into_iter()
        .find(|(name, _)| *name == event_type)
        .expect("a type of the catalogue");
    jsonschema::options().should_validate_formats(true).build(&schema.to_value()).unwrap()
}

#[test]
fn every_fixture_is_valid() {
    for event_type in EventData::TYPES {
        let data = &fixtures::of(event_type)["data"];
        let errors: Vec<_> =
            validator(event_type).iter_errors(data).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{event_type}: {errors:?}");
    }
}

#[test]
fn every_schema_stands_alone() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    found.push(reference.clone());
                }
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(array) => array.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    for (event_type, schema) in EventData::schemas() {
        assert!(jsonschema::meta::is_valid(schema.as_value()), "{event_type}");
        assert_eq!(schema.as_value()["$id"], format!("urn:faultline:schema:{event_type}"));
        let mut found = Vec::new();
        references(schema.as_value(), &mut found);
        assert!(found.iter().all(|reference| reference.starts_with("#/$defs/")), "{found:?}");
    }
}

#[test]
fn the_schemas_are_those_that_were_published() {
    for (event_type, schema) in EventData::schemas() {
        insta::assert_json_snapshot!(event_type, schema.as_value());
    }
}
