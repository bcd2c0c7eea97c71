//! Nodes by their global ids, and lists in an order.

use serde_json::{Value, json};

use super::base::{TestBase, event, id};
use super::history::shop;

/// The shop with alerts, a window of planned work, and a change of configuration.
fn operated() -> Vec<events::Event> {
    let mut history = shop();
    let fired = |number, second, alert: &str, severity: &str| {
        let data = json!({
            "alert": alert, "name": "SlowAnswers", "component": "gateway", "severity": severity,
            "summary": "p95 above 500 ms", "labels": { "team": "web" },
        });
        event(number, second, "alert.fired", data)
    };
    history.extend([
        fired(50, 140, "a1", "warning"),
        fired(51, 141, "a2", "critical"),
        fired(52, 142, "a3", "warning"),
        event(53, 150, "alert.resolved", json!({ "alert": "a1" })),
        event(
            54,
            160,
            "maintenance.started",
            json!({ "maintenance": "m1", "components": ["payments", "gateway"], "reason": "disks" }),
        ),
        event(
            55,
            161,
            "maintenance.started",
            json!({ "maintenance": "m2", "components": ["gateway"], "reason": "cables" }),
        ),
        event(56, 170, "maintenance.ended", json!({ "maintenance": "m1" })),
        event(
            57,
            180,
            "configuration.changed",
            json!({ "component": "gateway", "description": "timeout", "settings": { "ms": "50" } }),
        ),
    ]);
    history
}

#[tokio::test]
async fn every_kind_of_node_is_found_by_the_id_it_gives() {
    let base = TestBase::of(operated()).await;
    let data = base
        .data(
            r#"{ components(first: 1) { nodes { id } } incidents(first: 1) { nodes { id
                    preceded: precededBy { nodes { id } } } }
                one: incident(id: "inc-1") { mitigations { nodes { id } } }
                experiments { nodes { id } } faults { nodes { id } } labels(first: 1) { nodes { id } }
                diagnoses(first: 1) { nodes { id } } runbooks { nodes { id } }
                alerts(first: 1) { nodes { id } } maintenance(first: 1) { nodes { id } }
                changes(first: 1) { nodes { id } } }"#,
        )
        .await;
    let mut ids = Vec::new();
    collect(&data, &mut ids);
    ids.push(json!(id(8)));
    assert_eq!(ids.len(), 13, "{data:#}");
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }";
    let answer = base.ask_with(query, json!({ "ids": ids })).await;
    let nodes = answer["data"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer:#}"));
    let found: Vec<_> = nodes.iter().map(|node| node["id"].clone()).collect();
    assert_eq!(found, ids);
    let one = base.data(r#"{ node(id: "incident:inc-1") { id ... on Incident { title } } }"#).await;
    assert_eq!(one["node"], json!({ "id": "incident:inc-1", "title": "gateway is slow" }));
}

fn collect(value: &Value, ids: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => {
            ids.extend(fields.get("id").cloned());
            fields.values().for_each(|field| collect(field, ids));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, ids)),
        _ => {}
    }
}

#[tokio::test]
async fn what_no_node_has_is_null_and_what_is_no_id_an_error() {
    let base = TestBase::of(shop()).await;
    let unknown = format!(
        r#"{{ nodes(ids: ["incident:inc-9", "change:{0}", "{0}", "label:x"]) {{ id }} }}"#,
        id(999)
    );
    assert_eq!(base.data(&unknown).await["nodes"], json!([null, null, null, null]));
    for bad in ["inc-1", "planet:earth", "", "change:7", "incident:"] {
        let (code, field) = base.refusal(&format!(r#"{{ node(id: "{bad}") {{ id }} }}"#)).await;
        assert_eq!((code.as_str(), field.as_deref()), ("invalid_input", Some("id")), "{bad}");
    }
    let (code, field) = base.refusal(r#"{ nodes(ids: ["incident:inc-1", "x"]) { id } }"#).await;
    assert_eq!((code.as_str(), field.as_deref()), ("invalid_input", Some("ids.1")));
}

#[tokio::test]
async fn alerts_changes_and_planned_work_are_listed() {
    let base = TestBase::of(operated()).await;
    let data = base
        .data(
            r#"{ alerts(filter: { status: FIRING, component: "gateway" }) { nodes {
                    key name status severity summary firedAt resolvedAt labels { name value }
                    component { name } } }
                alert(id: "a1") { status resolvedAt }
                active: maintenance(filter: { active: true }) { nodes { key } }
                of: maintenance(filter: { component: "payments" }) { nodes {
                    key reason startedAt endedAt components { name } } }
                changes { nodes { kind version description leadMs settings { name value } } }
                before: changes(filter: { to: "2026-03-01T10:02:00Z", kind: DEPLOYMENT }) {
                    nodes { version } }
                none: changes(filter: { component: "users" }) { nodes { version } } }"#,
        )
        .await;
    insta::assert_json_snapshot!(data);
}

/// Walks through `list` in pages of one.
async fn walked(base: &TestBase, list: &str, order: &str, field: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut after = "null".to_owned();
    loop {
        let data = base
            .data(&format!(
                "{{ {list}(first: 1, orderBy: {order}, after: {after}) {{ nodes {{ {field} }}
                    pageInfo {{ hasNextPage endCursor }} }} }}"
            ))
            .await;
        let page = &data[list];
        seen.push(page["nodes"][0][field].as_str().unwrap().to_owned());
        if page["pageInfo"]["hasNextPage"] == false {
            return seen;
        }
        after = page["pageInfo"]["endCursor"].to_string();
    }
}

#[tokio::test]
async fn lists_run_in_the_order_that_is_asked_for() {
    let base = TestBase::of(operated()).await;
    let cases = [
        ("components", "{ field: NAME, direction: DESC }", "name", "users payments gateway"),
        ("components", "{ field: CRITICALITY, direction: DESC }", "name", "gateway payments users"),
        ("components", "{ field: CRITICALITY }", "name", "payments users gateway"),
        ("incidents", "{ field: OPENED_AT, direction: ASC }", "key", "inc-1 inc-2"),
        ("incidents", "{ field: SEVERITY }", "key", "inc-2 inc-1"),
        ("incidents", "{ field: SEVERITY, direction: ASC }", "key", "inc-1 inc-2"),
        ("incidents", "{ field: STATUS }", "key", "inc-1 inc-2"),
        ("incidents", "{ field: STATUS, direction: ASC }", "key", "inc-2 inc-1"),
        ("incidents", "{ field: RESOLVED_AT }", "key", "inc-1 inc-2"),
        ("incidents", "{ field: RESOLVED_AT, direction: ASC }", "key", "inc-2 inc-1"),
        ("alerts", "{ field: FIRED_AT, direction: ASC }", "key", "a1 a2 a3"),
        ("alerts", "{ field: SEVERITY }", "key", "a2 a3 a1"),
        ("alerts", "{ field: SEVERITY, direction: ASC }", "key", "a3 a1 a2"),
        ("experiments", "{ field: FINISHED_AT }", "key", "run-1"),
    ];
    for (list, order, field, expected) in cases {
        let seen = walked(&base, list, order, field).await;
        assert_eq!(seen.join(" "), expected, "{list} {order}");
    }
    // It moves in steps of ten minutes, so that all three were seen at the same time; pages meet
    // all the same.
    let mut last_seen =
        walked(&base, "components", "{ field: LAST_SEEN, direction: DESC }", "name").await;
    last_seen.sort();
    assert_eq!(last_seen, ["gateway", "payments", "users"]);
}
