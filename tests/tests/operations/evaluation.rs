//! The incidents of a public data set, asked as if they were live, and imported.

use std::path::Path;

use serde_json::{Value, json};
use tests::cli::faultline;
use tests::server::Server;

use crate::LIMIT;

const GRAPH: &str = ",site,shop,stock\nsite,0,1,0\nshop,0,0,1\nstock,0,0,0\n";
const HEADER: &str = "\
microservice,site,site,site,shop,shop,shop,stock,stock,stock
metric,requests,availability,latency,requests,availability,latency,requests,availability,latency
statistic,Sum,Average,Average,Sum,Average,Average,Sum,Average,Average
unix_timestamp,,,,,,,,,
";

/// A data set of one traffic level: `shop` becomes slow by itself, first told, then not.
fn data_set(folder: &Path) {
    let scenario = folder.join("low_traffic");
    let write = |path: &Path, text: &str| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(&scenario.join("graph.csv"), GRAPH);
    for (issue, begin, cause) in
        [("issue_0", 1_000_000, "\"shop\""), ("issue_1", 1_100_000, "null")]
    {
        let rows = (0..5).map(|row| {
            let at = begin + row * 300;
            let own = if row < 2 { 0.02 } else { 0.9 };
            let all = own + 0.03;
            format!("{at},300,100,{all},300,100,{own},300,100,0.01\n")
        });
        let target = json!({
            "target": { "node": "site", "metric": "latency", "agg": "Average", "timestamp": begin + 600 },
        });
        let mut target = target.to_string();
        target.truncate(target.len() - 1);
        let target =
            format!("{target}, \"root_cause\": {{ \"node\": {cause}, \"metric\": null }} }}");
        let issue = scenario.join("test").join(issue);
        write(&issue.join("metrics.csv"), &format!("{HEADER}{}", rows.collect::<String>()));
        write(&issue.join("target.json"), &target);
    }
}

fn without_times(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if let Some(line) = line.as_object_mut() {
            line.remove("elapsed_ms");
        }
        line
    });
    lines.collect()
}

#[test]
fn cases_are_ranked_and_scored_where_their_truth_is_told() {
    let folder = tempfile::tempdir().unwrap();
    data_set(&folder.path().join("set"));
    let path = folder.path().join("set").display().to_string();
    let eval = |more: &[&str]| {
        let asked = ["eval", "rca", "--dataset", "petshop", "--path", &path];
        let output = std::process::Command::new(tests::process::binary("faultline"))
            .args(asked.iter().chain(more))
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let lines = without_times(&eval(&["--json"]));
    let [told, untold, summary] = &lines[..] else { panic!("{lines:?}") };
    for (line, name) in [(told, "low_traffic/test/issue_0"), (untold, "low_traffic/test/issue_1")] {
        assert_eq!((&line["case"], &line["abstained"]), (&json!(name), &json!(false)), "{line}");
        assert_eq!(line["ranking"][0]["component"], "shop", "{line}");
        assert!(line["ranking"][0]["evidence"][0].is_string(), "{line}");
    }
    let summary = &summary["summary"];
    assert_eq!((&summary["cases"], &summary["with_truth"]), (&json!(2), &json!(1)), "{summary}");
    assert_eq!(summary["groups"][0]["top_1"], 1.0, "{summary}");
    assert_eq!(summary["groups"][0]["top_1_by_path"], 1.0, "{summary}");
    assert_eq!(without_times(&eval(&["--json"])), lines, "the same input, the same answers");
    let table = eval(&[]);
    assert!(table.contains("TOP-1") && table.contains("low latency"), "{table}");
}

#[test]
fn what_is_no_data_set_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let said =
        faultline(folder.path(), &["import", "petshop", &folder.path().display().to_string()]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("holds no incident in the form of petshop"), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_data_set_is_diagnosed_as_live_incidents_are() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    data_set(&set);
    let data = folder.path().join("base");
    let import = || faultline(&data, &["import", "petshop", &set.display().to_string()]).ok();
    let said = import();
    assert!(said.contains("2 incidents of petshop, 1 of them labelled"), "{said}");
    let again = import();
    assert!(again.contains(" 0 of them new"), "{again}");

    let server = Server::start(&data).await;
    server.settled(LIMIT).await;
    let asked = "{ incident(id: \"petshop/low_traffic/test/issue_1\") { labels(first: 5) { edges { \
         node { key } } } diagnoses(first: 1) { edges { node { suspects { component { name } } } } } \
         } }";
    let answer = server.graphql(asked).await;
    let incident = &answer["incident"];
    assert_eq!(incident["labels"]["edges"], json!([]), "its truth is not told: {answer}");
    let suspect = &incident["diagnoses"]["edges"][0]["node"]["suspects"][0]["component"]["name"];
    assert_eq!(suspect, "shop", "{answer}");
    server.stop();

    let page = folder.path().join("report.html");
    let said = faultline(&data, &["report", "--html", &page.display().to_string()]).ok();
    assert!(said.starts_with("2 incidents, 0 of them false alarms; 0 injected faults"), "{said}");
    let labelled = said.lines().find(|line| line.trim_start().starts_with("all")).unwrap();
    assert!(labelled.contains("1.00 of 1"), "of the one whose cause is told: {said}");
    assert!(said.contains("taught@1") && said.contains("nothing was learned yet"), "{said}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && page.contains("2 incidents"), "{page}");
    let said = faultline(&data, &["report", "--json", "--from", "2100-01-01T00:00:00Z"]).ok();
    let none: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(none["trackRecord"]["all"]["incidents"], 0);

    let replay = |more: &[&str]| {
        let asked = ["replay", "--method", "causal@1", "--against", "max-z@1"];
        faultline(&data, &[&asked[..], more].concat()).ok()
    };
    let said = replay(&["--json"]);
    let all: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let all = &all["summary"];
    let count = |name: &str| all[name].as_i64().unwrap();
    assert!(count("diagnoses") > count("with_truth"), "one incident has no truth: {said}");
    let more = count("against_right") - count("method_right");
    assert!(more <= count("improvements") && -more <= count("regressions"), "{said}");
    let changed = count("changed");
    assert_eq!(said.lines().count() as i64, changed + 1, "a line a changed answer: {said}");
    let same = faultline(&data, &["replay", "--method", "causal@1", "--against", "causal@1"]).ok();
    assert!(same.contains("diagnoses, 0 changed: 0 improvements, 0 regressions"), "{same}");
    let unknown = faultline(&data, &["replay", "--method", "causal", "--against", "max-z@1"]);
    assert!(unknown.err.contains("expected one of taught@1"), "{}", unknown.err);
}

#[test]
fn detection_is_measured_on_the_recording_that_comes_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../seed-data/shop.ndjson");
    let asked = ["eval", "detect", "--dataset", "recording", "--path", path];
    let output = std::process::Command::new(tests::process::binary("faultline"))
        .args(asked.iter().chain(&["--json"]))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let report = &report["report"];
    let all = report["kinds"].as_array().unwrap().last().unwrap();
    assert_eq!(all["kind"], "all");
    let share = all["detected"].as_f64().unwrap() / all["moved"].as_f64().unwrap();
    assert!(share > 0.9, "{all}");
    assert!(all["times"]["median_windows"].as_u64().unwrap() <= 2, "{all}");
}
