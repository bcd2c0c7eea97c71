//! What nobody draws on a whiteboard: an answer or a typed error, never a hang.

use std::time::{Duration, Instant};

use events::log::{EventLog, ExpectedRevision};
use serde_json::{Value, json};

use super::base::{TestBase, event};
use super::history::shop;

const OVERVIEW: &str = "affectedCount affected(first: 3) { nodes { path distance } } entranceShare";

fn calls(number: u128, caller: &str, callee: &str) -> events::Event {
    event(number, 1, "dependency.observed", json!({ "caller": caller, "callee": callee }))
}

#[tokio::test]
async fn a_cycle_and_an_isolated_component() {
    let history = vec![
        calls(1, "a", "b"),
        calls(2, "b", "c"),
        calls(3, "c", "a"),
        event(5, 2, "component.described", json!({ "component": "alone", "kind": "service" })),
    ];
    let base = TestBase::of(history).await;
    let data = base
        .data(&format!(
            r#"{{ ring: blastRadius(component: "a", depth: 50) {{ {OVERVIEW} }}
                alone: blastRadius(component: "alone") {{ {OVERVIEW} }}
                criticalPoints {{ nodes {{ component {{ name }} }} }}
                recovery(component: "alone") {{ incidents timeToResolve {{ p50Ms }} }} }}"#
        ))
        .await;
    let expected = json!({
        "affectedCount": 2, "entranceShare": null,
        "affected": { "nodes": [
            { "path": ["c", "a"], "distance": 1 }, { "path": ["b", "c", "a"], "distance": 2 },
        ] },
    });
    assert_eq!(data["ring"], expected);
    assert_eq!(data["alone"]["affectedCount"], 0);
    assert_eq!(data["criticalPoints"]["nodes"], json!([]));
}

#[tokio::test]
async fn ten_thousand_calls_of_one_component() {
    let base = TestBase::of(Vec::new()).await;
    for batch in 0..100u128 {
        let edges: Vec<Value> = (0..100)
            .map(|n| json!({ "callee": format!("s-{batch:02}{n:02}"), "calls": 1, "errors": 0 }))
            .collect();
        let window = json!({ "start": "2026-03-01T10:00:00Z", "duration_ms": 1000 });
        let data = json!({ "caller": "hub", "window": window, "edges": edges });
        let event = event(1 + batch, 1, "traces.edgesrecorded", data);
        let stream = event.data.stream();
        base.log.append(stream, ExpectedRevision::Any, vec![event]).await.unwrap();
        // One by one: the store in memory takes a large transaction in the square of its size.
        base.data(&format!("{{ head(waitFor: {}) }}", base.log.head())).await;
    }
    let asked = Instant::now();
    let data = base
        .data(&format!(
            r#"{{ component(id: "hub") {{ calls(first: 2) {{ nodes {{ callee {{ name }} }}
                    pageInfo {{ hasNextPage }} }} }}
                blastRadius(component: "s-0000") {{ {OVERVIEW} }}
                criticalPoints {{ nodes {{ component {{ name }} parts behind }} }} }}"#
        ))
        .await;
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert_eq!(data["component"]["calls"]["pageInfo"]["hasNextPage"], true);
    let hub = json!([{ "component": { "name": "hub" }, "parts": 10_000, "behind": 10_000 }]);
    assert_eq!(data["criticalPoints"]["nodes"], hub);
    assert_eq!(data["blastRadius"]["affectedCount"], 1);
}

#[tokio::test]
async fn an_incident_without_telemetry_and_things_that_are_unknown() {
    let base = TestBase::of(shop()).await;
    let open = r#"mutation { openIncident(input: { incident: "bare", title: "x",
        component: "users", severity: INFO, by: "kim" }) { projected } }"#;
    base.data(open).await;
    let data = base
        .data(
            r#"{ incident(id: "bare") { status affects { strength } labels { nodes { key } }
                    verdict { rootCause { name } counting { key } } feedback { nodes { by } }
                    rootCauses { abstained suspects { rank } } similar { score }
                    timeline { nodes { summary } } }
                computed: rootCauses(incident: "bare", method: "own-excess@1") {
                    abstained suspects { rank } }
                similarIncidents(incident: "bare") { score } }"#,
        )
        .await;
    assert_eq!(data["computed"]["suspects"], json!([]));
    assert!(data["computed"]["abstained"].is_string(), "{data:#}");
    for (query, field) in [
        (
            r#"{ goldenSignals(component: "nobody", from: "2026-03-01T11:00:00Z", to: "2026-03-01T11:01:00Z") { slotMs } }"#,
            "component",
        ),
        (r#"{ recovery(component: "nobody") { incidents } }"#, "component"),
        (r#"{ blastRadius(component: "nobody") { depth } }"#, "component"),
    ] {
        let refused = base.refusal(query).await;
        assert_eq!(refused, ("not_found".to_owned(), Some(field.to_owned())), "{query}");
    }
    let unknown = r#"{ coverage(filter: { component: "nobody" }) { nodes { runs } } }"#;
    assert_eq!(base.data(unknown).await["coverage"]["nodes"], json!([]));
}

#[tokio::test]
async fn a_query_of_five_megabytes_and_one_of_two_hundred_aliases() {
    let base = TestBase::of(shop()).await;
    let long = format!("{{ head }} # {}", "x".repeat(5 << 20));
    assert_eq!(base.refusal(&long).await.0, "query_too_long");
    let value = "x".repeat(5 << 20);
    let answer = base
        .ask_with("query($id: ID!) { incident(id: $id) { key } }", json!({ "id": value }))
        .await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "invalid_input");
    assert!(answer.to_string().len() < 10_000, "a long argument is not repeated");
    let aliases = |count: u32, field: &str| {
        let fields: String = (0..count).map(|n| format!("a{n}: {field} ")).collect();
        format!("{{ {fields} }}")
    };
    let cheap = base.data(&aliases(200, r#"incident(id: "inc-1") { key }"#)).await;
    assert_eq!(cheap.as_object().unwrap().len(), 200);
    for field in [
        r#"rootCauses(incident: "inc-1", method: "max-z@1") { method }"#,
        r#"blastRadius(component: "payments") { depth }"#,
        "coverage { nodes { runs } }",
        "criticalPoints { nodes { behind } }",
        r#"goldenSignals(component: "payments", from: "2026-03-01T11:00:00Z",
            to: "2026-03-01T11:01:00Z", points: 1000) { points { requests } }"#,
    ] {
        assert_eq!(base.refusal(&aliases(200, field)).await.0, "query_too_complex", "{field}");
    }
    let ranked = aliases(10, r#"rootCauses(incident: "inc-1", method: "max-z@1") { method }"#);
    base.data(&ranked).await;
}
