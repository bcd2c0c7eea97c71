//! QU-3: a query has bounded depth, complexity and time, and costs few statements.

use std::time::Duration;

use schema::graphql::Limits;
use serde_json::json;

use super::base::{TestBase, event};
use super::history::shop;

fn nested(depth: usize) -> String {
    let mut query = "name".to_owned();
    for _ in 0..depth / 3 {
        query = format!("calls(first: 1) {{ nodes {{ callee {{ {query} }} }} }}");
    }
    format!(r#"{{ component(id: "users") {{ {query} }} }}"#)
}

#[tokio::test]
async fn a_deep_query_is_refused() {
    let base = TestBase::of(shop()).await;
    base.data(&nested(15)).await;
    for depth in [21, 50, 3_000] {
        assert_eq!(base.refusal(&nested(depth)).await.0, "query_too_deep", "{depth}");
    }
}

#[tokio::test]
async fn a_query_that_may_answer_too_much_is_refused() {
    let base = TestBase::of(shop()).await;
    let query = "{ components(first: 200) { nodes { calls(first: 200) { nodes { protocol } } } } }";
    assert_eq!(base.refusal(query).await.0, "query_too_complex");
    let ranked =
        r#"{ incidents(first: 100) { nodes { rootCauses(method: "max-z@1") { method } } } }"#;
    assert_eq!(base.refusal(ranked).await.0, "query_too_complex", "each would read its evidence");
    let aliases: String = (0..200)
        .map(|n| format!("a{n}: components {{ nodes {{ calls {{ nodes {{ protocol }} }} }} }} "))
        .collect();
    assert_eq!(base.refusal(&format!("{{ {aliases} }}")).await.0, "query_too_complex");
    let long = format!("{{ head }} # {}", "x".repeat(70_000));
    assert_eq!(base.refusal(&long).await.0, "query_too_long");
}

#[tokio::test]
async fn a_wrong_query_says_so() {
    let base = TestBase::of(shop()).await;
    assert_eq!(base.refusal("{ components { ").await.0, "query_syntax");
    assert_eq!(base.refusal("{ nothing }").await.0, "query_invalid");
    let refused = base.refusal("{ components(first: 201) { nodes { name } } }").await;
    assert_eq!(refused, ("invalid_input".to_owned(), Some("first".to_owned())));
    let refused = base.refusal(r#"{ incidents(after: "x") { nodes { key } } }"#).await;
    assert_eq!(refused, ("invalid_input".to_owned(), Some("after".to_owned())));
    let refused = base.refusal(r#"{ faults(filter: { component: "" }) { nodes { key } } }"#).await;
    assert_eq!(refused, ("invalid_input".to_owned(), Some("filter.component".to_owned())));
    let refused = base.refusal(r#"{ event(id: "x") { id } }"#).await;
    assert_eq!(refused, ("invalid_input".to_owned(), Some("id".to_owned())));
    let refused =
        base.refusal(r#"{ rootCauses(incident: "inc-1", method: "x") { method } }"#).await;
    assert_eq!(refused, ("invalid_input".to_owned(), Some("method".to_owned())));
}

#[tokio::test]
async fn a_query_that_waits_ends_in_time() {
    let wait = Duration::from_millis(20);
    let limits = Limits { wait, ..Limits::default() };
    let base = TestBase::with_limits(shop(), limits).await;
    let refused = base.refusal("{ components(waitFor: 1000000) { nodes { name } } }").await;
    assert_eq!(refused, ("not_projected_yet".to_owned(), Some("waitFor".to_owned())));
    let timeout = Duration::from_millis(20);
    let base = TestBase::with_limits(shop(), Limits { timeout, ..Limits::default() }).await;
    let refused = base.refusal("{ components(waitFor: 1000000) { nodes { name } } }").await;
    assert_eq!(refused.0, "query_timeout");
}

#[tokio::test]
async fn fragments_that_multiply_are_refused_before_they_are_walked() {
    let base = TestBase::of(Vec::new()).await;
    let spreads = |level: usize| format!("...A{level} ").repeat(4);
    let fragments: String = (0..18)
        .map(|level| format!(" fragment A{level} on Query {{ {} }}", spreads(level + 1)))
        .collect();
    let bomb = format!("{{ ...A0 }}{fragments} fragment A18 on Query {{ head }}");
    assert_eq!(base.refusal(&bomb).await.0, "query_too_complex");
}

/// Compared as bytes: a comparison of parsed JSON does not see the order of fields (QU-2).
#[tokio::test]
async fn fields_are_answered_in_the_order_of_the_query_every_time() {
    let base = TestBase::of(shop()).await;
    let query = "{ b: head components { nodes { name calls { nodes { callee { name } } }
        calledBy { nodes { caller { name } } } faults { nodes { key } } id } }
        a: projectedPosition incidents { nodes { title labels { nodes { key by } } key } } }";
    let mut answers = std::collections::BTreeSet::new();
    for _ in 0..10 {
        let response = base.schema.execute(query).await;
        assert!(response.errors.is_empty(), "{:?}", response.errors);
        answers.insert(serde_json::to_string(&response.data).unwrap());
    }
    assert_eq!(answers.len(), 1);
    let answer = answers.into_iter().next().unwrap();
    let places = ["\"b\":", "\"components\":", "\"a\":", "\"incidents\":"]
        .map(|key| answer.find(key).unwrap());
    assert!(places.is_sorted(), "{answer}");
}

#[tokio::test]
async fn explorers_can_read_the_schema() {
    let base = TestBase::of(Vec::new()).await;
    let types = "type { name ofType { name ofType { name ofType { name ofType { name ofType {
        name ofType { name ofType { name } } } } } } } }";
    let data = base
        .data(&format!(
            "{{ __schema {{ types {{ name description fields {{ name args {{ name {types} }} \
             {types} }} }} }} }}"
        ))
        .await;
    assert!(data["__schema"]["types"].as_array().unwrap().len() > 30);
}

#[tokio::test]
async fn a_page_of_incidents_costs_the_same_statements_however_long_it_is() {
    let mut history = shop();
    for n in 0..60u32 {
        let (number, second) = (1000 + 10 * u128::from(n), 1000 + i64::from(n));
        let incident = format!("more-{n}");
        history.push(event(
            number,
            second,
            "incident.opened",
            json!({
                "incident": incident, "title": "slow", "component": "gateway", "severity": "info",
                "opened_by": "kim",
            }),
        ));
        history.push(event(
            number + 1,
            second,
            "incident.symptomattached",
            json!({
                "incident": incident, "component": "payments", "signal": "latency", "strength": 5.0,
            }),
        ));
        history.push(event(
            number + 2,
            second,
            "label.assigned",
            json!({
                "label": format!("more-{n}"), "incident": incident, "by": "kim", "confidence": 0.5,
                "claim": { "claim": "root_cause", "component": "payments" },
            }),
        ));
    }
    let base = TestBase::of(history).await;
    let page = |first: u32| {
        format!(
            "{{ incidents(first: {first}) {{ nodes {{ key component {{ name }}
                affects {{ component {{ name }} strength }}
                labels {{ nodes {{ claim component {{ name }} }} }}
                verdict {{ rootCause {{ name }} counting {{ by }} overruled {{ label {{ by }} }} }}
                feedback(first: 2) {{ nodes {{ by diagnosis {{ key }} }} }}
                diagnoses(first: 2) {{ nodes {{ suspects {{ component {{ name }} }} }} }}
                mitigations(first: 2) {{ nodes {{ action }} }}
                timeline(first: 5) {{ nodes {{ summary }} }} }} }} }}"
        )
    };
    let (short, long) = (base.statements(&page(3)).await, base.statements(&page(62)).await);
    assert!(long <= short + 2, "{short} statements for 3 incidents, {long} for 62");
    assert!(long <= 12, "{long} statements");
    let overviews = "{ coverage(first: 200) { nodes { component { name } lastRun { key } } }
        blastRadius(component: \"payments\") { affected(first: 200) { nodes {
            component { name } observedIn { nodes { key } } } } }
        criticalPoints { nodes { component { name } } }
        recovery(component: \"payments\") { incidents actions { action } } }";
    let many = base.statements(overviews).await;
    let few = TestBase::of(shop()).await.statements(overviews).await;
    assert!(many <= few + 2, "{few} statements for 2 incidents, {many} for 62");
    assert!(many <= 30, "{many} statements");
}
