//! The importer of Nezha on files of a few rows that the test writes itself.

#![allow(clippy::unwrap_used, reason = "the whole crate is tests")]

use std::io::Write;
use std::path::Path;

use datasets::case::DataSet;
use datasets::evidence::{Span, gather};
use datasets::nezha;
use diagnosis::evidence::Evidence;
use flate2::Compression;
use flate2::write::GzEncoder;

const DAY: &str = "2022-08-22";
const FAULTS: &str = r#"{"05": [
  {"inject_time": "2022-08-22 05:00:00", "inject_timestamp": "1", "inject_pod": "cart-service-5f-x1", "inject_type": "return"},
  {"inject_time": "2022-08-22 05:30:00", "inject_pod": "", "inject_type": null}]}"#;
const METRICS: &str = "\
Time,TimeStamp,PodName,CpuUsage(m),CpuUsageRate(%),MemoryUsage(Mi),MemoryUsageRate(%),PodServerLatencyP90(s)
x,1661144340,cart-service-5f-x1,10,50,2,30,NaN
x,1661144460,cart-service-5f-x1,18,90,2,30,0.5
";
const LOGS: &str = "\
Timestamp,TimeUnixNano,Node,PodName,Container,TraceID,SpanID,Log
x,1661144395000000000,n,cart-service-5f-x1,server,t,s,\"{\"\"log\"\":\"\"04:59:55 INFO c.s.CartImpl#31 TraceID: 4f2a found 17\\n\"\"}\"
x,1661144396000000000,n,cart-service-5f-x1,server,t,s,\"{\"\"log\"\":\"\"04:59:56 INFO c.s.CartImpl#31 TraceID: 991c none\\n\"\"}\"
x,1661144405000000000,n,cart-service-5f-x1,server,t,s,\"{\"\"log\"\":\"\"{\\\"\"severity\\\"\": \\\"\"error\\\"\", \\\"\"message\\\"\": \\\"\"no context\\\"\"}\"\"}\"
x,1000000000,n,cart-service-5f-x1,server,t,s,\"{\"\"log\"\":\"\"from another age\"\"}\"
";

// front -> cart twice; of a third call only the caller's side is left.
fn traces() -> String {
    let mut text = "TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration\n".to_owned();
    let mut span =
        |trace: &str, id: &str, parent: &str, pod: &str, what: &str, second: u64, ms: u64| {
            let start = second * 1_000_000_000;
            let end = start + ms * 1_000_000;
            text.push_str(&format!(
                "{trace},{id},{parent},{pod},{what},{start},{end},{}\n",
                ms * 1_000
            ));
        };
    for (trace, second, lost) in [
        ("a", 1_661_144_395, false),
        ("b", 1_661_144_398, false),
        ("d", 1_661_144_399, false),
        ("e", 1_661_144_399, false),
        ("c", 1_661_144_402, true),
    ] {
        span(trace, "1", "root", "front-7c-z9", "Recv", second, 300);
        span(trace, "2", "1", "front-7c-z9", "Cart/Get", second, 250);
        if !lost {
            span(trace, "3", "2", "cart-service-5f-x1", "Get", second, 5);
        }
    }
    text
}

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

fn folder(end: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rca = folder.path().join("rca_data").join(DAY);
    write(&rca.join(format!("{DAY}-fault_list.json")), FAULTS);
    write(&rca.join(format!("metric/cart-service-5f-x1_metric.csv{end}")), METRICS);
    write(
        &rca.join(format!("metric/dependency.csv{end}")),
        "Source,Target,Weight\nfront,cart-service,1\n",
    );
    write(&rca.join(format!("trace/05_00_trace.csv{end}")), &traces());
    write(&rca.join(format!("log/05_00_log.csv{end}")), LOGS);
    folder
}

fn evidence(data_set: &DataSet) -> Evidence {
    let case = &data_set.cases[0];
    gather(data_set.events_of(case), &case.noticed, Span::of("nezha"))
}

#[test]
fn a_fault_is_a_case_and_its_truth_stands_apart() {
    let folder = folder(".gz");
    let data_set = nezha::read(folder.path()).unwrap();
    let names: Vec<_> = data_set.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["2022-08-22/05:00:00", "2022-08-22/05:30:00"]);
    let case = &data_set.cases[0];
    assert_eq!(case.noticed.component.as_str(), "front", "where traces begin");
    assert_eq!(case.noticed.at.to_string(), "2022-08-22T05:00:00Z");
    let truth = case.truth.as_ref().unwrap();
    assert_eq!(truth.root_causes[0].as_str(), "cart-service", "without replica set and pod");
    assert_eq!(truth.fault_kind.as_ref().unwrap().as_str(), "return");
    assert_eq!(data_set.cases[1].truth, None, "blank truth is none");
    let told: String = data_set.events_of(case).map(|e| e.to_cloud_event().to_string()).collect();
    assert!(!told.contains("return"), "what was injected is in no event");
}

#[test]
fn spans_become_calls_as_long_as_the_caller_waited() {
    let folder = folder("");
    let evidence = evidence(&nezha::read(folder.path()).unwrap());
    let calls: Vec<_> = evidence
        .edges()
        .iter()
        .map(|e| {
            (
                e.window.start.to_string(),
                e.stats.calls,
                e.stats.latency.as_ref().unwrap().p50_ms.get(),
            )
        })
        .collect();
    let before = ("2022-08-22T04:59:50Z".to_owned(), 4, 250.0);
    let lost = ("2022-08-22T05:00:00Z".to_owned(), 1, 250.0);
    assert_eq!(calls, [before, lost], "cut at the injection; the lost side is still a call");
    let answered: Vec<_> = evidence
        .snapshots()
        .iter()
        .filter_map(|s| Some((s.component.as_str(), s.requests?, s.extras.keys().next()?.as_str())))
        .collect();
    assert_eq!(
        answered,
        [
            ("cart-service", 4, "spans.Get"),
            ("front", 4, "spans.Cart/Get"),
            ("front", 1, "spans.Cart/Get"),
        ]
    );
}

#[test]
fn metrics_and_logs_are_of_the_component_and_the_window() {
    let folder = folder("");
    let evidence = evidence(&nezha::read(folder.path()).unwrap());
    let metrics: Vec<_> = evidence
        .snapshots()
        .iter()
        .filter_map(|s| Some((s.window.start.to_string(), s.cpu_cores?.get(), s.saturation?.get())))
        .collect();
    assert_eq!(
        metrics,
        [
            ("2022-08-22T04:58:00Z".to_owned(), 0.01, 0.5),
            ("2022-08-22T05:00:00Z".to_owned(), 0.018, 0.9),
        ]
    );
    let lines: Vec<_> = evidence
        .logs()
        .iter()
        .flat_map(|log| &log.patterns)
        .map(|p| (p.template.as_str(), format!("{:?}", p.severity), p.count))
        .collect();
    assert_eq!(
        lines,
        [("INFO c.s.CartImpl#31 <*>", "Info".to_owned(), 2), ("no context", "Error".to_owned(), 1),]
    );
}

#[test]
fn zipped_and_plain_files_are_the_same_events() {
    let (plain, zipped) = (folder(""), folder(".gz"));
    let (plain, zipped) = (nezha::read(plain.path()).unwrap(), nezha::read(zipped.path()).unwrap());
    assert_eq!(plain.periods[0].events, zipped.periods[0].events);
    for (a, b) in plain.cases.iter().zip(&zipped.cases) {
        assert_eq!(a.events, b.events);
    }
}

#[test]
fn what_was_before_a_fault_belongs_to_the_day_and_files_may_be_missing() {
    let folder = folder("");
    let whole = nezha::read(folder.path()).unwrap();
    let case = &whole.cases[0];
    assert!(case.events.iter().all(|event| event.time > case.noticed.at));
    assert!(!whole.periods[0].events.is_empty());
    let rca = folder.path().join("rca_data").join(DAY);
    for part in ["metric", "trace", "log"] {
        std::fs::remove_dir_all(rca.join(part)).unwrap();
        let rest = nezha::read(folder.path()).unwrap();
        let left = if part == "log" { 0 } else { 2 };
        assert_eq!(rest.cases.len(), left, "without {part} too");
    }
    assert_eq!(
        nezha::read(folder.path()).unwrap().skipped.len(),
        1,
        "a day with nothing in it is told"
    );
    std::fs::remove_dir_all(&rca).unwrap();
    let refused = nezha::read(folder.path()).unwrap_err();
    assert!(refused.to_string().contains("holds no faults of Nezha"), "{refused}");
}
