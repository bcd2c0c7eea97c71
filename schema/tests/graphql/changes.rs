//! Mutations: what they record, what they refuse, and that a retry is one change.

use events::log::EventLog;
use serde_json::{Value, json};

use super::base::{NOW, TestBase, id};
use super::history::shop;

const ASSIGN: &str = "mutation($input: AssignLabelInput!) { assignLabel(input: $input) {
    position eventId projected label { key claim component { name } by confidence comment
        incident { key } } } }";

async fn assign(base: &TestBase, input: Value) -> Value {
    base.ask_with(ASSIGN, json!({ "input": input })).await
}

fn refusal(answer: &Value) -> (&str, &str) {
    let extensions = &answer["errors"][0]["extensions"];
    (extensions["code"].as_str().unwrap_or(""), extensions["field"].as_str().unwrap_or(""))
}

#[tokio::test]
async fn a_label_is_visible_when_it_is_answered() {
    let base = TestBase::of(shop()).await;
    let answer = assign(
        &base,
        json!({
            "incident": "inc-2", "claim": { "rootCause": "payments" }, "by": "kim",
            "confidence": 0.75, "comment": "the new version", "eventId": id(500),
        }),
    )
    .await;
    insta::assert_json_snapshot!(answer);
    let labels = base
        .data(r#"{ incident(id: "inc-2") { labels { nodes { claim by assignedAt } } } }"#)
        .await;
    let expected = json!([{ "claim": "ROOT_CAUSE", "by": "kim", "assignedAt": NOW }]);
    assert_eq!(labels["incident"]["labels"]["nodes"], expected);
}

#[tokio::test]
async fn a_retry_is_one_change() {
    let base = TestBase::of(shop()).await;
    let input = json!({
        "incident": "inc-2", "claim": { "faultKind": "latency" }, "by": "kim", "eventId": id(501),
    });
    let first = assign(&base, input.clone()).await;
    let head = base.log.head();
    assert_eq!(assign(&base, input.clone()).await, first);
    assert_eq!(base.log.head(), head, "nothing was appended again");
    let mut other = input;
    other["by"] = json!("someone else");
    assert_eq!(refusal(&assign(&base, other).await), ("event_id_taken", "input.eventId"));
}

#[tokio::test]
async fn bad_labels_are_refused_with_the_field_at_fault() {
    let base = TestBase::of(shop()).await;
    let head = base.log.head();
    let good = json!({ "incident": "inc-1", "claim": { "rootCause": "payments" }, "by": "kim" });
    let cases = [
        (json!({ "incident": "inc-9" }), "not_found", "input.incident"),
        (json!({ "incident": "" }), "invalid_input", "input.incident"),
        (json!({ "claim": { "rootCause": "nobody" } }), "not_found", "input.claim.rootCause"),
        (json!({ "claim": { "faultKind": "" } }), "invalid_input", "input.claim.faultKind"),
        (json!({ "claim": { "duplicateOf": "inc-9" } }), "not_found", "input.claim.duplicateOf"),
        (
            json!({ "claim": { "duplicateOf": "inc-1" } }),
            "invalid_input",
            "input.claim.duplicateOf",
        ),
        (
            json!({ "claim": { "falsePositive": false } }),
            "invalid_input",
            "input.claim.falsePositive",
        ),
        (json!({ "by": "" }), "invalid_input", "input.by"),
        (json!({ "by": "x".repeat(501) }), "invalid_input", "input.by"),
        (json!({ "confidence": 1.5 }), "invalid_input", "input.confidence"),
        (json!({ "fault": "fault-9" }), "not_found", "input.fault"),
        (json!({ "eventId": "7" }), "invalid_input", "input.eventId"),
    ];
    for (change, code, field) in cases {
        let mut input = good.clone();
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = assign(&base, input).await;
        assert_eq!(refusal(&answer), (code, field), "{change}: {answer}");
    }
    for claim in [json!({}), json!({ "rootCause": "payments", "faultKind": "latency" })] {
        let mut input = good.clone();
        input["claim"] = claim;
        let answer = assign(&base, input).await;
        assert!(["query_invalid", "invalid_input"].contains(&refusal(&answer).0), "{answer}");
    }
    assert_eq!(base.log.head(), head, "nothing was appended");
}

#[tokio::test]
async fn a_retracted_label_no_longer_stands_and_is_not_lost() {
    let base = TestBase::of(shop()).await;
    let retract = r#"mutation { retractLabel(input: { label: "label-1", by: "kim",
        reason: "wrong" }) { label { key retractedBy retractionReason } } }"#;
    let data = base.data(retract).await;
    assert_eq!(
        data["retractLabel"]["label"],
        json!({ "key": "label-1", "retractedBy": "kim", "retractionReason": "wrong" })
    );
    let data = base
        .data(
            r#"{ incident(id: "inc-1") { standing: labels { nodes { key } }
                all: labels(retracted: true) { nodes { key } } } }"#,
        )
        .await;
    assert_eq!(data["incident"]["standing"]["nodes"], json!([{ "key": "label-2" }]));
    assert_eq!(data["incident"]["all"]["nodes"].as_array().unwrap().len(), 2);
    let again = base.refusal(retract).await;
    assert_eq!(again, ("label_retracted".to_owned(), Some("input.label".to_owned())));
}

#[tokio::test]
async fn an_incident_from_opening_to_end() {
    let base = TestBase::of(shop()).await;
    let open = r#"mutation { openIncident(input: { incident: "by-hand", title: "checkout hangs",
        component: "payments", severity: WARNING, by: "kim" }) {
        projected incident { key status severity openedBy openedAt component { name } } } }"#;
    insta::assert_json_snapshot!(base.data(open).await);
    let again = base.refusal(open).await;
    assert_eq!(again, ("incident_exists".to_owned(), Some("input.incident".to_owned())));

    let acknowledge = r#"mutation { acknowledgeIncident(input: { incident: "by-hand", by: "kim" })
        { incident { status acknowledgedBy } } }"#;
    let data = base.data(acknowledge).await;
    let expected = json!({ "status": "ACKNOWLEDGED", "acknowledgedBy": "kim" });
    assert_eq!(data["acknowledgeIncident"]["incident"], expected);

    let resolve = format!(
        r#"mutation {{ resolveIncident(input: {{ incident: "by-hand", by: "kim",
            resolution: "restarted", eventId: "{}" }}) {{ position incident {{ status resolution }} }} }}"#,
        id(502)
    );
    let first = base.data(&resolve).await;
    let expected = json!({ "status": "RESOLVED", "resolution": "restarted" });
    assert_eq!(first["resolveIncident"]["incident"], expected);
    assert_eq!(base.data(&resolve).await, first, "a retry is answered as the first time");
    let over = base.refusal(acknowledge).await;
    assert_eq!(over, ("incident_over".to_owned(), Some("input.incident".to_owned())));
}

#[tokio::test]
async fn an_incident_without_a_key_gets_one_from_its_event() {
    let base = TestBase::of(shop()).await;
    let open = format!(
        r#"mutation {{ openIncident(input: {{ title: "x", component: "payments", severity: INFO,
            by: "kim", eventId: "{}", evidence: ["{}"] }}) {{ incident {{ key evidence }} }} }}"#,
        id(503),
        id(8),
    );
    let expected = json!({ "key": format!("inc-{}", id(503)), "evidence": [id(8)] });
    assert_eq!(base.data(&open).await["openIncident"]["incident"], expected);
}
