//! The importer of TVDiag on files of a few entries that the test writes itself.

#![allow(clippy::unwrap_used, reason = "the whole crate is tests")]

use std::io::Write;
use std::path::Path;

use datasets::case::{Case, DataSet};
use datasets::evidence::{Span, gather};
use datasets::tvdiag;
use diagnosis::evidence::Signal;
use events::EventData;
use flate2::Compression;
use flate2::write::GzEncoder;

const LABELS: &str = "\
,index,instance,anomaly_type,data_type
0,3,cart-0,cpu,test
1,12,,memory,test
2,20,cart-1,,test
";
const METRICS: &str = r#"{"12": [["cart-1", "cpu_usage", "up"]],
 "3": [["cart-0", "cpu_usage", "up"], ["web-0", "qps", "down"], ["cart-0", "cpu_usage", "up"]]}"#;
const LOGS: &str = r#"{"3": [["cart-0", "cart-0-17"], ["broken"], 7]}"#;
const TRACES: &str =
    r#"{"3": [["web-0", "cart-0", "/cart", "PD"], ["-1", "web-0", "GET", "500"]]}"#;
const NODES: &str = r#"{"3": ["cart-0", "web-0"], "7": ["cart-0"]}"#;
const EDGES: &str = r#"{"3": [[1, 0], [0, 0], [1, 9], [1, 0]]}"#;

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut zipped = GzEncoder::new(std::fs::File::create(path).unwrap(), Compression::fast());
        zipped.write_all(text.as_bytes()).unwrap();
        zipped.finish().unwrap();
    } else {
        std::fs::write(path, text).unwrap();
    }
}

fn written(folder: &Path) {
    write(&folder.join("label.csv"), LABELS);
    write(&folder.join("metrics.json.gz"), METRICS);
    write(&folder.join("logs.json"), LOGS);
    write(&folder.join("traces.json.gz"), TRACES);
    write(&folder.join("nodes.json.gz"), NODES);
    write(&folder.join("edges.json.gz"), EDGES);
}

fn case<'d>(data_set: &'d DataSet, name: &str) -> &'d Case {
    data_set.cases.iter().find(|case| case.name == name).unwrap()
}

#[test]
fn a_case_is_what_alarmed_and_apart_from_it_what_was_true() {
    let folder = tempfile::tempdir().unwrap();
    written(&folder.path().join("shop/test"));
    let data_set = tvdiag::read(folder.path()).unwrap();
    let names: Vec<_> = data_set.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["shop/test/3", "shop/test/7", "shop/test/12", "shop/test/20"][..3].to_vec());
    assert_eq!(data_set.skipped.len(), 1, "a label alone names nothing that alarmed");

    let case = case(&data_set, "shop/test/3");
    let truth = case.truth.as_ref().unwrap();
    assert_eq!(truth.root_causes[0].as_str(), "cart-0");
    assert_eq!(truth.fault_kind.as_ref().unwrap().as_str(), "cpu");
    assert_eq!(case.noticed.component.as_str(), "web-0", "where calls from outside come in");

    let evidence = gather(&case.events, &case.noticed, Span::default());
    let told: Vec<_> = evidence
        .alerts()
        .iter()
        .map(|a| {
            let direction = a.direction.as_ref().map(|it| it.as_str().to_owned());
            let caller = a.caller.as_ref().map(|it| it.as_str().to_owned());
            (
                a.signal,
                a.component.as_str().to_owned(),
                a.name.as_str().to_owned(),
                direction,
                caller,
            )
        })
        .collect();
    let text = |it: &str| Some(it.to_owned());
    for expected in [
        (Signal::Metric, "cart-0".into(), "cpu_usage".into(), text("up"), None),
        (Signal::Metric, "web-0".into(), "qps".into(), text("down"), None),
        (Signal::Log, "cart-0".into(), "template 17".into(), None, None),
        (Signal::Call, "cart-0".into(), "/cart".into(), text("slow"), text("web-0")),
        (Signal::Call, "web-0".into(), "GET".into(), text("500"), None),
    ] {
        assert_eq!(told.iter().filter(|it| **it == expected).count(), 1, "{expected:?} {told:?}");
    }
    assert_eq!(told.len(), 5, "one alert twice is one, and entries of another shape are none");
    let calls: Vec<_> =
        evidence.calls().iter().map(|c| (c.caller.as_str(), c.callee.as_str())).collect();
    assert_eq!(calls, [("web-0", "cart-0")]);
}

#[test]
fn what_is_missing_or_blank_leaves_a_case_without_truth() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let data_set = tvdiag::read(folder.path()).unwrap();
    let ends_with =
        |end: &str| data_set.cases.iter().find(|case| case.name.ends_with(end)).unwrap();
    assert!(ends_with("/12").truth.is_none(), "a blank root cause");
    assert!(ends_with("/7").truth.is_none(), "no row");
    for file in ["label.csv", "logs.json", "traces.json.gz", "nodes.json.gz", "edges.json.gz"] {
        std::fs::remove_file(folder.path().join(file)).unwrap();
    }
    let bare = tvdiag::read(folder.path()).unwrap();
    assert_eq!(bare.cases.len(), 2);
    assert!(bare.cases.iter().all(|case| case.truth.is_none()));
}

#[test]
fn the_truth_leaves_no_trace_in_the_events() {
    let folder = tempfile::tempdir().unwrap();
    written(&folder.path().join("shop/test"));
    let told = tvdiag::read(folder.path()).unwrap();
    std::fs::remove_file(folder.path().join("shop/test/label.csv")).unwrap();
    let untold = tvdiag::read(folder.path()).unwrap();
    for case in &untold.cases {
        let with = &told.cases.iter().find(|other| other.name == case.name).unwrap();
        assert_eq!(with.events, case.events, "the same ids, the same content");
        assert_eq!(with.noticed, case.noticed);
        let labelled = |data: &EventData| matches!(data, EventData::LabelAssigned(_));
        assert!(!with.events.iter().any(|event| labelled(&event.data)));
    }
    assert!(!untold.cases.is_empty());
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("shop/test/readme.txt"), "nothing");
    let refused = tvdiag::read(folder.path()).unwrap_err();
    assert!(refused.to_string().contains("alerts of TVDiag"), "{refused}");
}
