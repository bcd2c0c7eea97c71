//! The importer of PetShop on files of a few rows that the test writes itself.

#![allow(clippy::unwrap_used, reason = "the whole crate is tests")]

use std::io::Write;
use std::path::Path;

use datasets::case::DataSet;
use datasets::{evidence, petshop};
use events::EventData;
use flate2::Compression;
use flate2::write::GzEncoder;

const GRAPH: &str = ",site,shop,site::Alias\nsite,0,1.0,\nshop,,0,0\nsite::Alias,1,,1\n";
const METRICS: &str = "\
microservice,site,site,site,shop,shop,shop,shop,idle
metric,requests,availability,latency,requests,latency,latency,latency,requests
statistic,Sum,Average,Average,Sum,Average,p50,p99,Sum
unix_timestamp,,,,,,,,
1000,200,99.5,0.25,100,0.010,0.020,0.015,0
1300,200,100,0.2,90,0.020,,0.1,
1600,0,,,80,0.5,0.4,0.9,0
";
const TARGET: &str = r#"{"target": {"node": "site", "metric": "latency", "agg": "Average", "timestamp": 1500},
 "root_cause": {"node": "shop", "metric": null}, "metadata": {"reproducibility": {"command": "break shop"}}}"#;

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        let file = std::fs::File::create(path).unwrap();
        let mut zipped = GzEncoder::new(file, Compression::fast());
        zipped.write_all(text.as_bytes()).unwrap();
        zipped.finish().unwrap();
    } else {
        std::fs::write(path, text).unwrap();
    }
}

fn issue(folder: &Path, name: &str, target: &str) {
    write(&folder.join(name).join("metrics.csv"), METRICS);
    write(&folder.join(name).join("target.json"), target);
}

fn read(folder: &Path) -> DataSet {
    petshop::read(folder).unwrap()
}

#[test]
fn an_issue_is_what_was_measured_and_apart_from_it_what_was_true() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("low_traffic/graph.csv"), GRAPH);
    issue(folder.path(), "low_traffic/test/issue_3", TARGET);
    let data_set = read(folder.path());
    let [case] = &data_set.cases[..] else { panic!("{:?}", data_set.cases) };
    assert_eq!(case.name, "low_traffic/test/issue_3");
    assert_eq!(case.group, "low latency");
    assert_eq!(case.noticed.at.as_second(), 1600, "the first row that is mostly from the alarm on");
    let truth = case.truth.as_ref().unwrap();
    assert_eq!(truth.root_causes[0].as_str(), "shop");

    let evidence = evidence::gather(&case.events, &case.noticed, evidence::Span::default());
    let calls: Vec<_> =
        evidence.calls().iter().map(|c| (c.caller.as_str(), c.callee.as_str())).collect();
    assert_eq!(calls, [("site", "shop"), ("site::Alias", "site")], "nobody calls itself");
    let seen: Vec<_> = evidence
        .snapshots()
        .iter()
        .map(|s| (s.window.start.as_second(), s.component.as_str(), s.requests, s.errors))
        .collect();
    assert_eq!(
        seen[..3],
        [
            (1000, "idle", Some(0), None),
            (1000, "shop", Some(100), None),
            (1000, "site", Some(200), Some(1)),
        ]
    );
    let latency = evidence.snapshots()[1].latency.as_ref().unwrap();
    let (p50, p95, p99) = (latency.p50_ms.get(), latency.p95_ms.get(), latency.p99_ms.get());
    assert_eq!((p50, p95, p99), (20.0, 20.0, 20.0), "quantiles do not cross");
    assert_eq!(latency.mean_ms.unwrap().get(), 10.0);
    let told = serde_json::to_string(&evidence).unwrap();
    assert!(!told.contains("break"), "what was injected is not read");
}

#[test]
fn absent_null_and_blank_truth_is_no_truth() {
    let folder = tempfile::tempdir().unwrap();
    for (name, cause) in [
        ("absent", ""),
        ("null", r#", "root_cause": null"#),
        ("null-node", r#", "root_cause": {"node": null}"#),
        ("blank", r#", "root_cause": {"node": ""}"#),
        ("none", r#", "root_cause": []"#),
    ] {
        let target = format!(r#"{{"target": {{"node": "site", "timestamp": 1600}}{cause}}}"#);
        issue(folder.path(), &format!("s/test/{name}"), &target);
    }
    let data_set = read(folder.path());
    assert_eq!(data_set.cases.len(), 5);
    assert!(data_set.cases.iter().all(|case| case.truth.is_none()), "{:?}", data_set.cases);
}

#[test]
fn several_causes_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let target = r#"{"target": {"node": "site", "timestamp": 1600},
        "root_cause": [{"node": "shop"}, {"node": "idle"}, {"node": ""}, "shop"]}"#;
    issue(folder.path(), "s/test/i", target);
    let truth = read(folder.path()).cases.remove(0).truth.unwrap();
    let causes: Vec<_> = truth.root_causes.iter().map(|cause| cause.as_str()).collect();
    assert_eq!(causes, ["shop", "idle"]);
}

#[test]
fn zipped_and_plain_files_are_the_same_events_and_the_normal_period_is_shared() {
    let (plain, zipped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (folder, end) in [(plain.path(), ""), (zipped.path(), ".gz")] {
        for (file, text) in [
            ("s/graph.csv", GRAPH),
            ("s/noissue/metrics.csv", METRICS),
            ("s/train/a/metrics.csv", METRICS),
            ("s/train/a/target.json", TARGET),
            ("s/train/b/metrics.csv", METRICS),
            ("s/train/b/target.json", TARGET),
        ] {
            write(&folder.join(format!("{file}{end}")), text);
        }
    }
    let (plain, zipped) = (read(plain.path()), read(zipped.path()));
    assert_eq!(plain.periods.len(), 1);
    for (a, b) in plain.cases.iter().zip(&zipped.cases) {
        assert_eq!((&a.name, &a.events, &a.periods), (&b.name, &b.events, &b.periods));
        let all: Vec<_> = plain.events_of(a).collect();
        assert_eq!(all.len(), a.events.len() + plain.periods[0].events.len());
    }
    let mut ids: Vec<_> = plain.cases.iter().flat_map(|case| &case.events).map(|e| e.id).collect();
    let told = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), told, "each case has ids of its own");
}

#[test]
fn what_is_missing_is_said_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path(), "s/test/good", TARGET);
    issue(folder.path(), "s/test/garbled", "{");
    write(&folder.path().join("s/test/unmeasured/target.json"), TARGET);
    write(&folder.path().join("s/test/silent/metrics.csv"), METRICS);
    let data_set = read(folder.path());
    assert_eq!(data_set.cases.len(), 1, "without a graph too");
    assert_eq!(data_set.skipped.len(), 3, "{:?}", data_set.skipped);
    let alerts = data_set.cases[0].events.iter();
    assert_eq!(alerts.filter(|e| matches!(e.data, EventData::AlertFired(_))).count(), 1);
    let nothing = tempfile::tempdir().unwrap();
    let refused = petshop::read(nothing.path()).unwrap_err();
    assert!(refused.to_string().contains("holds no issues of PetShop"), "{refused}");
}

#[test]
fn what_the_outer_name_of_a_thing_suffers_is_told_of_the_thing() {
    let folder = tempfile::tempdir().unwrap();
    let graph = ",site,f,f::Function\nsite,0,1,0\nf,0,0,1\nf::Function,0,0,0\n";
    let mut metrics = "\
microservice,site,site,site,f,f,f,f::Function,f::Function,f::Function
metric,requests,availability,latency,requests,availability,latency,requests,availability,latency
statistic,Sum,Average,Average,Sum,Average,Average,Sum,Average,Average
"
    .to_owned();
    for row in 0..4 {
        let (site, outer, reached) = if row < 2 { (100, 100, 200) } else { (60, 50, 100) };
        let start = 1_000 + 300 * row;
        metrics.push_str(&format!("{start},250,{site},0.1,200,{outer},0.05,{reached},100,0.04\n"));
    }
    let target = r#"{"target": {"node": "site", "metric": "availability", "timestamp": 1600}}"#;
    write(&folder.path().join("s/graph.csv"), graph);
    write(&folder.path().join("s/test/i/metrics.csv"), &metrics);
    write(&folder.path().join("s/test/i/target.json"), target);
    let data_set = read(folder.path());
    let case = &data_set.cases[0];
    let evidence = evidence::gather(&case.events, &case.noticed, evidence::Span::default());
    let ranking = diagnosis::rank::methods()[0].rank(&evidence);
    let ranked: Vec<_> = ranking.suspects.iter().map(|s| s.component.as_str()).collect();
    assert_eq!(ranked[..2], ["f::Function", "f"], "{ranking:#?}");
}
