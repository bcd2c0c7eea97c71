//! Labels that contradict each other, and feedback.

use serde_json::json;

use super::base::{TestBase, event};
use super::history::shop;

const VERDICT: &str = r#"{ incident(id: "inc-1") { verdict {
    rootCause { name } faultKind severity duplicateOf { key } isFalsePositive
    contributingFactors { name } counting { key by } overruled { label { key } by { key } because } } } }"#;

#[tokio::test]
async fn what_is_overruled_stays_visible_with_the_reason() {
    let mut history = shop();
    let said = |number, second, label: &str, confidence: f64, claim| {
        let data = json!({
            "label": label, "incident": "inc-1", "by": "kim", "confidence": confidence,
            "claim": claim,
        });
        event(number, second, "label.assigned", data)
    };
    let caused = |name: &str| json!({ "claim": "root_cause", "component": name });
    history.extend([
        said(60, 50, "unsure", 0.5, caused("gateway")),
        said(61, 51, "fp", 0.9, json!({ "claim": "false_positive" })),
        said(62, 52, "bad", 0.2, json!({ "claim": "severity", "severity": "critical" })),
        said(63, 53, "dup", 0.2, json!({ "claim": "duplicate", "of": "inc-2" })),
    ]);
    let base = TestBase::of(history).await;
    insta::assert_json_snapshot!(base.data(VERDICT).await);
    // As sure as the experiment, and later: a person overrules it.
    let assign = r#"mutation { assignLabel(input: { incident: "inc-1", by: "lee",
        claim: { rootCause: "gateway" } }) { label { incident { verdict { rootCause { name } } } } } }"#;
    let data = base.data(assign).await;
    let verdict = &data["assignLabel"]["label"]["incident"]["verdict"];
    assert_eq!(verdict["rootCause"]["name"], "gateway");
    // Taken back, the experiment's label counts again.
    let labels = base
        .data(r#"{ labels(filter: { incident: "inc-1", component: "gateway" }) { nodes { key by } } }"#)
        .await;
    let nodes = labels["labels"]["nodes"].as_array().unwrap();
    let lee = nodes.iter().find(|label| label["by"] == "lee").unwrap()["key"].as_str().unwrap();
    base.data(&format!(
        r#"mutation {{ retractLabel(input: {{ label: "{lee}", by: "lee" }}) {{ position }} }}"#
    ))
    .await;
    let verdict = base.data(VERDICT).await;
    assert_eq!(verdict["incident"]["verdict"]["rootCause"]["name"], "payments");
}

#[tokio::test]
async fn feedback_stands_beside_the_diagnosis() {
    let base = TestBase::of(shop()).await;
    for (by, rank) in [("kim", "1"), ("lee", "null")] {
        base.data(&format!(
            r#"mutation {{ giveFeedback(input: {{ diagnosis: "diag-1", rightRank: {rank},
                by: "{by}", confidence: 0.5, comment: "why" }}) {{ position }} }}"#
        ))
        .await;
    }
    let data = base
        .data(
            r#"{ diagnosis(id: "diag-1") { feedback { nodes { by rightRank confidence comment } } }
                incident(id: "inc-1") { feedback { nodes { by diagnosis { key } } } }
                other: diagnosis(id: "diag-2") { feedback { nodes { by } } } }"#,
        )
        .await;
    let nodes = data["diagnosis"]["feedback"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2, "{data:#}");
    assert!(nodes.contains(&json!(
        { "by": "kim", "rightRank": 1, "confidence": 0.5, "comment": "why" }
    )));
    assert!(nodes.iter().any(|node| node["by"] == "lee" && node["rightRank"].is_null()));
    assert_eq!(data["incident"]["feedback"]["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(data["other"]["feedback"]["nodes"], json!([]));
}
