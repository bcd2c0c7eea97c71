//! Incidents of a recording of Faultline itself.

#![allow(clippy::unwrap_used, reason = "the whole crate is tests")]

use std::path::Path;

use datasets::evidence::{Span, gather};
use datasets::{recording, watched};
use diagnosis::detect::Settings;
use diagnosis::evaluation::detection::{Observed, Report, score, watch};
use diagnosis::evaluation::place;
use diagnosis::rank::methods;

#[test]
fn the_recorded_incidents_of_the_shop_are_ranked_as_they_were_labelled() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seed-data/shop.ndjson");
    let data_set = recording::read(&path).unwrap();
    assert!(data_set.skipped.is_empty(), "{:?}", data_set.skipped);
    assert!(data_set.cases.len() >= 40);
    let mut misses = Vec::new();
    let mut labelled = 0;
    for case in &data_set.cases {
        let Some(truth) = &case.truth else { continue };
        labelled += 1;
        let evidence = gather(data_set.events_of(case), &case.noticed, Span::default());
        let ranking = methods()[0].rank(&evidence);
        let found = place(&truth.root_causes, ranking.suspects.iter().map(|s| &s.component));
        if found != Some(0) {
            misses.push(format!("{}: {:?} {found:?}", case.name, truth.root_causes));
        }
    }
    assert!(labelled >= 40);
    assert!(misses.len() * 10 <= labelled, "{} of {labelled}: {misses:#?}", misses.len());
}

#[test]
fn what_the_server_made_of_it_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    let line = |kind: &str, id: u32, data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"00000000-0000-0000-0000-{id:012}","source":"/x","type":"io.faultline.{kind}.v1","time":"2026-01-01T00:01:00Z","data":{data}}}"#
        )
    };
    let opened =
        r#"{"incident":"i","title":"slow","component":"cart","severity":"error","opened_by":"d"}"#;
    let label = r#"{"label":"l","incident":"i","claim":{"claim":"root_cause","component":"cart"},"by":"a","confidence":1}"#;
    let retracted = r#"{"label":"l","incident":"i","by":"a"}"#;
    let called = r#"{"caller":"gateway","callee":"cart"}"#;
    let mut lines = vec![
        line("dependency.observed", 1, called),
        line("incident.opened", 2, opened),
        line("label.assigned", 3, label),
        "{".to_owned(),
    ];
    std::fs::write(&path, lines.join("\n")).unwrap();
    let data_set = recording::read(&path).unwrap();
    assert_eq!(data_set.skipped.len(), 1);
    assert_eq!(data_set.periods[0].events.len(), 1, "the call alone was seen");
    assert_eq!(data_set.cases[0].truth.as_ref().unwrap().root_causes[0].as_str(), "cart");
    lines.push(line("label.retracted", 4, retracted));
    std::fs::write(&path, lines.join("\n")).unwrap();
    assert_eq!(recording::read(&path).unwrap().cases[0].truth, None, "taken back");
}

#[test]
fn what_moved_a_golden_signal_of_the_shop_was_detected_within_two_windows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seed-data/shop.ndjson");
    let read = watched::read("recording", &path).unwrap();
    let [stretch] = &read.stretches[..] else { panic!("one stretch") };
    let observed = Observed::of(&stretch.events);
    let scores = [score(&observed, &watch(&observed, Settings::default()), &stretch.truth)];
    let report = Report::of(&scores);
    let all = report.kinds.last().unwrap();
    assert!(all.moved >= 40, "{all:?}");
    assert_eq!(all.detected, all.moved, "{:?}", all.missed);
    assert!(all.times.unwrap().median_windows <= 2, "{all:?}");
    assert_eq!(report.false_alarms, [""; 0], "in {} quiet hours", report.quiet_hours);
}
