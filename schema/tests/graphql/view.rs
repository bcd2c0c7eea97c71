//! Which moment an answer speaks of, and which moments can be asked for.

use serde_json::json;

use super::base::{TestBase, id};
use super::history::{FIRST_DIAGNOSIS, shop};

/// Where the history's first label stands in the log.
const LABELLED: u64 = 17;

#[tokio::test]
async fn fields_of_one_request_may_speak_of_different_moments() {
    let base = TestBase::of(shop()).await;
    let labels = "{ key labels { nodes { key incident { labels { nodes { key } } } } } }";
    let (before, then) = (LABELLED - 1, LABELLED);
    let data = base
        .data(&format!(
            r#"{{ before: incident(id: "inc-1", asOf: {{ position: {before} }}) {labels}
                then: incident(id: "inc-1", asOf: {{ position: {then} }}) {labels}
                now: incident(id: "inc-1") {labels}
                unknown: incident(id: "inc-1", asOf: {{ position: 10 }}) {labels}
                none: components(asOf: {{ position: 0 }}) {{ nodes {{ name }} }} }}"#
        ))
        .await;
    assert_eq!(data["before"], json!({ "key": "inc-1", "labels": { "nodes": [] } }));
    let first = &data["then"]["labels"]["nodes"];
    assert_eq!(first.as_array().unwrap().len(), 1, "{data:#}");
    let below = &first[0]["incident"]["labels"]["nodes"];
    assert_eq!(below, &json!([{ "key": "label-1" }]), "what is below speaks of the same moment");
    assert_eq!(data["now"]["labels"]["nodes"].as_array().unwrap().len(), 2, "{data:#}");
    assert_eq!(data["unknown"], json!(null));
    assert_eq!(data["none"]["nodes"], json!([]));
}

#[tokio::test]
async fn a_moment_is_the_last_position_that_was_recorded_by_then() {
    let base = TestBase::recorded_by_the_second(shop()).await;
    let data = base
        .data(
            r#"{ before: head(asOf: { time: "2026-03-01T11:00:00.9Z" })
                exactly: head(asOf: { time: "2026-03-01T11:00:05Z" })
                between: head(asOf: { time: "2026-03-01T11:00:07.5Z" })
                after: head(asOf: { time: "2026-03-01T11:59:59Z" })
                projectedPosition(asOf: { position: 3 })
                head }"#,
        )
        .await;
    let head = data["head"].as_u64().unwrap();
    assert!(head > 20, "{data}");
    let expected = json!({
        "before": 0, "exactly": 5, "between": 7, "after": head, "projectedPosition": 3,
        "head": head,
    });
    assert_eq!(data, expected);
}

#[tokio::test]
async fn a_moment_that_is_not_over_is_refused() {
    let base = TestBase::of(shop()).await;
    let field = Some("asOf".to_owned());
    for moment in
        ["position: 1000000", r#"time: "2026-03-01T12:00:00Z""#, r#"time: "2026-03-01T12:00:01Z""#]
    {
        let query = format!("{{ components(asOf: {{ {moment} }}) {{ nodes {{ name }} }} }}");
        assert_eq!(base.refusal(&query).await, ("invalid_input".to_owned(), field.clone()));
    }
    for moment in ["", r#"position: 1, time: "2026-03-01T11:00:00Z""#] {
        let query = format!("{{ components(asOf: {{ {moment} }}) {{ nodes {{ name }} }} }}");
        let code = base.refusal(&query).await.0;
        assert!(["query_invalid", "invalid_input"].contains(&code.as_str()), "{moment}: {code}");
    }
}

#[tokio::test]
async fn an_event_that_was_not_recorded_yet_is_not_shown() {
    let base = TestBase::of(shop()).await;
    let diagnosed = id(FIRST_DIAGNOSIS);
    let position = base.data(&format!("{{ event(id: \"{diagnosed}\") {{ position }} }}")).await;
    let position = position["event"]["position"].as_u64().unwrap();
    let data = base
        .data(&format!(
            "{{ before: event(id: \"{diagnosed}\", asOf: {{ position: {} }}) {{ position }}
                then: event(id: \"{diagnosed}\", asOf: {{ position: {position} }}) {{ position }} }}",
            position - 1,
        ))
        .await;
    assert_eq!(data, json!({ "before": null, "then": { "position": position } }));
}
