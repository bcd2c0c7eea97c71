//! The committed seed data: every line is an event, and together they are what they are said to be.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::path::Path;

use events::{Event, Timestamp};
use tests::seed::{Recording, programme};

fn seed_data() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../seed-data")
}

fn recorded() -> Vec<(serde_json::Value, Event)> {
    let text = std::fs::read_to_string(seed_data().join("shop.ndjson")).unwrap();
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            let document: serde_json::Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("line {}: {error}", index + 1));
            let event = Event::from_cloud_event(document.clone(), Timestamp::UNIX_EPOCH)
                .unwrap_or_else(|error| panic!("line {}: {error}", index + 1));
            (document, event)
        })
        .collect()
}

#[test]
fn every_line_is_an_event_with_its_place_in_the_log() {
    let lines = recorded();
    let mut ids = BTreeSet::new();
    let mut position = 0;
    for (document, event) in &lines {
        assert!(ids.insert(event.id), "{} is there twice", event.id);
        let next = document["position"].as_u64().unwrap();
        assert!(next > position, "position {next} after {position}");
        position = next;
        for (name, value) in event.to_cloud_event().as_object().unwrap() {
            assert_eq!(document[name], *value, "{}: {name}", event.id);
        }
    }
    let size = std::fs::metadata(seed_data().join("shop.ndjson")).unwrap().len();
    assert!(size < 20_000_000, "{size} bytes");
}

#[test]
fn the_recording_has_what_its_readme_says() {
    let lines = recorded();
    let recording = Recording::of(lines.iter().map(|(_, event)| event));
    assert_eq!(recording.shortcomings(), Vec::<String>::new(), "\n{}", recording.table());
}

#[test]
fn the_runbooks_of_the_recording_are_those_beside_it() {
    let ids: BTreeSet<_> = recorded().iter().map(|(_, event)| event.id).collect();
    for runbook in
        programme::runbooks(&seed_data().join("runbooks"), Timestamp::UNIX_EPOCH).unwrap()
    {
        assert!(ids.contains(&runbook.id), "{:?} was changed after the recording", runbook.data);
    }
}
