//! A stored event of every version of every type. A fixture is never changed: when a type gets
//! a new version, a file is added, and the old one proves that it is still read.

use std::path::{Path, PathBuf};

use events::{Event, EventData, Timestamp};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Every fixture with the type that its file is named after.
pub fn all() -> Vec<(String, Value)> {
    let mut all: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let document = serde_json::from_slice(&std::fs::read(&path).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), document)
        })
        .collect();
    all.sort_by(|left, right| left.0.cmp(&right.0));
    all
}

/// The fixture of one type.
pub fn of(event_type: &str) -> Value {
    all().into_iter().find(|(name, _)| name == event_type).expect("a known type").1
}

#[test]
fn every_type_has_a_fixture() {
    let named: Vec<_> = all().into_iter().map(|(name, _)| name).collect();
    for event_type in EventData::TYPES {
        assert!(named.iter().any(|name| name == event_type), "no fixture of {event_type}");
    }
}

#[test]
fn every_fixture_is_read() {
    for (name, document) in all() {
        assert_eq!(document["type"], *name, "the file is named after its type");
        Event::from_cloud_event(document, Timestamp::UNIX_EPOCH)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn an_event_is_written_back_as_it_was_read() {
    for (name, document) in all() {
        let event = Event::from_cloud_event(document.clone(), Timestamp::UNIX_EPOCH).unwrap();
        if EventData::TYPES.contains(&name.as_str()) {
            assert_eq!(event.to_cloud_event(), document, "{name}");
        }
    }
}

#[test]
fn the_least_of_every_type_is_read_and_written_back() {
    for (name, document) in all() {
        let mut least = document;
        for attribute in
            ["subject", "datacontenttype", "correlationid", "causationid", "traceparent"]
        {
            least.as_object_mut().unwrap().remove(attribute);
        }
        let event = Event::from_cloud_event(least.clone(), Timestamp::UNIX_EPOCH).unwrap();
        let again = Event::from_cloud_event(event.to_cloud_event(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(again, event, "{name}");
        assert_eq!((event.subject, event.correlation_id), (None, None));
        assert_eq!((event.causation_id, event.traceparent), (None, None));
    }
}

#[test]
fn an_event_without_a_time_happened_when_it_was_received() {
    let mut document = of("io.faultline.alert.resolved.v1");
    document.as_object_mut().unwrap().remove("time");
    let received: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
    assert_eq!(Event::from_cloud_event(document, received).unwrap().time, received);
}

#[test]
fn attributes_of_others_are_passed_over() {
    let mut document = of("io.faultline.alert.resolved.v1");
    let event = Event::from_cloud_event(document.clone(), Timestamp::UNIX_EPOCH).unwrap();
    document["partitionkey"] = "x".into();
    assert_eq!(Event::from_cloud_event(document, Timestamp::UNIX_EPOCH).unwrap(), event);
}
