//! What a recording of seed data is made of.

use std::collections::BTreeSet;
use std::path::Path;

use chaos_runner::experiment::{self, Provider};
use events::Timestamp;
use events::catalogue::fault_kind as kind;
use tests::seed::programme::{elsewhere, runbooks, shipped_suite};
use tests::seed::{COMPONENTS, LEAST_INCIDENTS};

#[test]
fn the_programme_reaches_every_component_and_is_long_enough() {
    let items = [shipped_suite().unwrap(), elsewhere().unwrap()].concat();
    assert!(items.len() >= LEAST_INCIDENTS + 5, "{}: some may go unnoticed", items.len());
    let mut components = BTreeSet::new();
    let names: BTreeSet<_> = items.iter().map(|item| item.name.clone()).collect();
    assert_eq!(names.len(), items.len(), "each has its own file");
    for item in &items {
        let text = item.document.to_string();
        let read = experiment::parse("x.json", &text, &|_| None).unwrap();
        for activity in read.method {
            if let Provider::Fault(action) = activity.provider {
                components.insert(action.component.to_string());
            }
        }
    }
    let all: BTreeSet<_> = COMPONENTS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(components, all);
}

#[test]
fn every_fault_kind_has_a_runbook() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seed-data/runbooks");
    let books = runbooks(&folder, Timestamp::UNIX_EPOCH).unwrap();
    let mut missing: BTreeSet<_> = kind::LOCAL.iter().map(|kind| (*kind).to_owned()).collect();
    for book in &books {
        let events::EventData::RunbookPublished(data) = &book.data else { panic!() };
        for kind in &data.fault_kinds {
            missing.remove(kind.as_str());
        }
        let text = data.text.as_str();
        for part in ["## Symptoms", "## Confirm", "## Fix", "## Prevent"] {
            assert!(text.contains(part), "{}: {part}", data.title);
        }
    }
    assert_eq!(missing, BTreeSet::new());
}
