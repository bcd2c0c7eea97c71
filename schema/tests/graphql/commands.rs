//! Sessions of labels, feedback, and the steps of incidents that exclude each other.

use events::log::EventLog;
use serde_json::{Value, json};

use super::base::{TestBase, id};
use super::history::shop;

const SESSION: &str = "mutation($labels: [AssignLabelInput!]!) {
    assignLabels(input: { labels: $labels }) { accepted position
        results { position eventId projected label { key by claim } error { code field } } } }";

async fn session(base: &TestBase, labels: Value) -> Value {
    let mut answer = base.ask_with(SESSION, json!({ "labels": labels })).await;
    assert_eq!(answer.get("errors"), None, "{answer:#}");
    answer["data"]["assignLabels"].take()
}

fn label(incident: &str, number: u128) -> Value {
    json!({
        "incident": incident, "claim": { "rootCause": "payments" }, "by": "kim",
        "eventId": id(number),
    })
}

async fn step(base: &TestBase, name: &str, input: &str, fields: &str) -> Value {
    let mutation =
        format!("mutation {{ {name}(input: {{ {input}, by: \"kim\" }}) {{ {fields} }} }}");
    base.data(&mutation).await[name].take()
}

async fn refused(base: &TestBase, name: &str, input: &str) -> (String, String) {
    let mutation =
        format!("mutation {{ {name}(input: {{ {input}, by: \"kim\" }}) {{ position }} }}");
    let (code, field) = base.refusal(&mutation).await;
    (code, field.unwrap_or_default())
}

fn said(code: &str, field: &str) -> (String, String) {
    (code.to_owned(), field.to_owned())
}

#[tokio::test]
async fn a_session_of_labels_is_recorded_whole_and_once() {
    let base = TestBase::of(shop()).await;
    let labels = json!([label("inc-1", 600), label("inc-2", 601), label("inc-2", 602)]);
    let first = session(&base, labels.clone()).await;
    assert_eq!(first["accepted"], true);
    let results = first["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    for (result, number) in results.iter().zip(600u128..) {
        assert_eq!(result["eventId"], json!(id(number)));
        assert_eq!(result["label"]["by"], "kim", "{result}");
    }
    assert_eq!(first["position"], base.log.head());
    let head = base.log.head();
    assert_eq!(session(&base, labels).await, first, "a retry is the same session");
    // What the first attempt did not get through is recorded by the second.
    let longer = json!([label("inc-1", 600), label("inc-1", 603)]);
    assert_eq!(session(&base, longer).await["accepted"], true);
    assert_eq!(base.log.head(), head + 1);
}

#[tokio::test]
async fn a_session_with_a_bad_label_records_none_and_says_which() {
    let base = TestBase::of(shop()).await;
    let head = base.log.head();
    let mut unknown = label("inc-1", 611);
    unknown["claim"] = json!({ "rootCause": "nobody" });
    let labels = json!([label("inc-1", 610), unknown, label("inc-9", 612), label("inc-1", 610)]);
    let answer = session(&base, labels).await;
    assert_eq!((&answer["accepted"], &answer["position"]), (&json!(false), &Value::Null));
    // The same event id twice is found first: nothing else of such a session means anything.
    assert_eq!(answer["results"][3]["error"]["code"], "event_id_taken");
    let mut unknown = label("inc-1", 611);
    unknown["claim"] = json!({ "rootCause": "nobody" });
    let answer = session(&base, json!([label("inc-1", 610), unknown, label("inc-9", 612)])).await;
    let errors: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|it| &it["error"]).collect();
    assert_eq!(errors[0], &Value::Null);
    assert_eq!(errors[1], &json!({ "code": "not_found", "field": "claim.rootCause" }));
    assert_eq!(errors[2], &json!({ "code": "not_found", "field": "incident" }));
    let mut long = label("inc-1", 613);
    long["by"] = json!("x".repeat(501));
    let answer = session(&base, json!([label("inc-1", 614), long])).await;
    let expected = json!({ "code": "invalid_input", "field": "by" });
    assert_eq!(answer["results"][1]["error"], expected);
    assert_eq!(base.log.head(), head, "nothing was appended");
    let many: Vec<_> = (0..501u128).map(|n| label("inc-1", 10_000 + n)).collect();
    let answer = base.ask_with(SESSION, json!({ "labels": many })).await;
    assert_eq!(answer["errors"][0]["extensions"]["field"], "input.labels", "{answer}");
}

#[tokio::test]
async fn feedback_names_a_rank_that_there_is() {
    let base = TestBase::of(shop()).await;
    let fields = "projected diagnosis { key }";
    for rank in ["rightRank: 1", "rightRank: null", "rightRank: 2"] {
        let input = format!(r#"diagnosis: "diag-1", {rank}, confidence: 0.5"#);
        let answer = step(&base, "giveFeedback", &input, fields).await;
        assert_eq!(answer, json!({ "projected": true, "diagnosis": { "key": "diag-1" } }));
    }
    let input = r#"diagnosis: "diag-1", rightRank: 3"#;
    assert_eq!(
        refused(&base, "giveFeedback", input).await,
        said("invalid_input", "input.rightRank")
    );
    let input = r#"diagnosis: "diag-1", rightRank: 0"#;
    assert_eq!(
        refused(&base, "giveFeedback", input).await,
        said("invalid_input", "input.rightRank")
    );
    let input = r#"diagnosis: "diag-1", rightRank: -1"#;
    assert_eq!(
        refused(&base, "giveFeedback", input).await,
        said("invalid_input", "input.rightRank")
    );
    let input = r#"diagnosis: "diag-9""#;
    assert_eq!(refused(&base, "giveFeedback", input).await, said("not_found", "input.diagnosis"));
}

#[tokio::test]
async fn merges_never_go_in_circles() {
    let base = TestBase::of(shop()).await;
    let open = r#"incident: "inc-3", title: "x", component: "payments", severity: INFO"#;
    step(&base, "openIncident", open, "position").await;
    let merged = "incident { status mergedInto { key } }";
    let answer = step(&base, "mergeIncident", r#"incident: "inc-2", into: "inc-3""#, merged).await;
    let expected = json!({ "status": "MERGED", "mergedInto": { "key": "inc-3" } });
    assert_eq!(answer["incident"], expected);
    let cases = [
        (r#"incident: "inc-2", into: "inc-1""#, "incident_merged", "input.incident"),
        (r#"incident: "inc-3", into: "inc-2""#, "incident_merged", "input.into"),
        (r#"incident: "inc-3", into: "inc-3""#, "invalid_input", "input.into"),
        (r#"incident: "inc-3", into: "inc-9""#, "not_found", "input.into"),
        (r#"incident: "inc-9", into: "inc-3""#, "not_found", "input.incident"),
    ];
    for (input, code, field) in cases {
        assert_eq!(refused(&base, "mergeIncident", input).await, said(code, field), "{input}");
    }
    let again = r#"incident: "inc-2", reason: "it is back""#;
    assert_eq!(
        refused(&base, "reopenIncident", again).await,
        said("incident_merged", "input.incident")
    );
    let acknowledge = r#"incident: "inc-2""#;
    assert_eq!(
        refused(&base, "acknowledgeIncident", acknowledge).await,
        said("incident_merged", "input.incident")
    );
}

#[tokio::test]
async fn of_two_merges_at_once_that_exclude_each_other_one_passes() {
    let base = TestBase::of(shop()).await;
    let merge = |from: &str, into: &str| {
        format!(
            r#"mutation {{ mergeIncident(input: {{ incident: "{from}", into: "{into}", by: "kim" }})
                {{ position }} }}"#
        )
    };
    let (there, back) = (merge("inc-1", "inc-2"), merge("inc-2", "inc-1"));
    let (there, back) = tokio::join!(base.ask(&there), base.ask(&back));
    let passed = [&there, &back].iter().filter(|it| it.get("errors").is_none()).count();
    assert_eq!(passed, 1, "{there}\n{back}");
}

#[tokio::test]
async fn an_incident_goes_on_and_is_written_up() {
    let base = TestBase::of(shop()).await;
    let fields = "incident { status resolvedAt reopenedAt mitigatedBy }";
    let reopen = r#"incident: "inc-2", reason: "not over""#;
    assert_eq!(
        refused(&base, "reopenIncident", reopen).await,
        said("incident_not_over", "input.incident")
    );
    let answer = step(&base, "mitigateIncident", r#"incident: "inc-2""#, fields).await;
    assert_eq!(answer["incident"]["status"], "MITIGATED");
    assert_eq!(answer["incident"]["mitigatedBy"], "kim");
    step(&base, "resolveIncident", r#"incident: "inc-2""#, "position").await;
    assert_eq!(
        refused(&base, "mitigateIncident", r#"incident: "inc-2""#).await,
        said("incident_over", "input.incident")
    );
    let apply = r#"incident: "inc-2", action: "rolled back", component: "payments""#;
    let done = "incident { mitigations { nodes { action component { name } by } } }";
    let answer = step(&base, "applyMitigation", apply, done).await;
    let expected =
        json!([{ "action": "rolled back", "component": { "name": "payments" }, "by": "kim" }]);
    assert_eq!(answer["incident"]["mitigations"]["nodes"], expected);
    let apply = r#"incident: "inc-2", action: "x", runbook: "nothing""#;
    assert_eq!(refused(&base, "applyMitigation", apply).await, said("not_found", "input.runbook"));
    let publish = r#"mutation { publishPostmortem(input: { incident: "inc-2", title: "What we learned",
        text: "Roll back first.", author: "kim" }) { incident { postmortem { title text author } } } }"#;
    let data = base.data(publish).await;
    assert_eq!(
        data["publishPostmortem"]["incident"]["postmortem"],
        json!({ "title": "What we learned", "text": "Roll back first.", "author": "kim" })
    );
}
