//! Coverage, what depends on what, and how the system recovers.

use serde_json::{Value, json};

use super::base::{TestBase, event, id};
use super::history::shop;

#[tokio::test]
async fn coverage_tells_never_stale_and_exercised_beside_what_happened_for_real() {
    let mut history = shop();
    let said = |number, second, claim| {
        let data = json!({
            "label": format!("l{number}"), "incident": "inc-2", "by": "kim", "confidence": 1.0,
            "claim": claim,
        });
        event(number, second, "label.assigned", data)
    };
    history.extend([
        said(70, 200, json!({ "claim": "root_cause", "component": "payments" })),
        said(71, 200, json!({ "claim": "fault_kind", "fault_kind": "disk_full" })),
        event(
            72,
            300,
            "fault.injected",
            json!({ "fault": "by-hand", "kind": "latency", "component": "payments" }),
        ),
    ]);
    let base = TestBase::of(history).await;
    let cell = "component { name criticality } faultKind state lastVerdict lastRun { key }
        lastExercisedAt runs realIncidents lastRealIncidentAt";
    let data = base
        .data(&format!(
            r#"{{ exercised: coverage(filter: {{ state: EXERCISED }}) {{ nodes {{ {cell} }} }}
                real: coverage(filter: {{ component: "payments", faultKind: "disk_full" }}) {{
                    nodes {{ {cell} }} }}
                stale: coverage(filter: {{ state: STALE }}, staleAfterDays: 0) {{ nodes {{ faultKind }} }}
                clients: coverage(filter: {{ component: "users" }}) {{ nodes {{ faultKind }} }} }}"#
        ))
        .await;
    insta::assert_json_snapshot!(data);
    // Before the injection by hand, the run was the last; before the run, nothing ever was.
    let as_of = |position: u32| {
        format!(
            r#"{{ coverage(filter: {{ component: "payments", faultKind: "latency" }},
                asOf: {{ position: {position} }}) {{ nodes {{ state runs lastRun {{ key }} }} }} }}"#
        )
    };
    let then = base.data(&as_of(25)).await;
    let expected = json!([{ "state": "EXERCISED", "runs": 1, "lastRun": { "key": "run-1" } }]);
    assert_eq!(then["coverage"]["nodes"], expected);
    let before = base.data(&as_of(7)).await;
    let expected = json!([{ "state": "NEVER", "runs": 0, "lastRun": null }]);
    assert_eq!(before["coverage"]["nodes"], expected);
}

#[tokio::test]
async fn every_component_and_kind_has_its_cell_and_pages_meet() {
    let base = TestBase::of(shop()).await;
    let mut seen = Vec::new();
    let mut after = "null".to_owned();
    loop {
        let data = base
            .data(&format!(
                "{{ coverage(first: 7, after: {after}) {{ nodes {{ component {{ name }} faultKind }}
                    pageInfo {{ hasNextPage endCursor }} }} }}"
            ))
            .await;
        let page = &data["coverage"];
        seen.extend(page["nodes"].as_array().unwrap().iter().map(|node| {
            let name = node["component"]["name"].as_str().unwrap().to_owned();
            (name, node["faultKind"].as_str().unwrap().to_owned())
        }));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].to_string();
    }
    assert_eq!(seen.len(), 2 * events::catalogue::fault_kind::LOCAL.len());
    assert!(seen.is_sorted(), "by component, then by kind");
    for days in [-1, 36_501] {
        let query = format!("{{ coverage(staleAfterDays: {days}) {{ nodes {{ runs }} }} }}");
        assert_eq!(base.refusal(&query).await.1.as_deref(), Some("staleAfterDays"));
    }
}

#[tokio::test]
async fn who_is_affected_and_where_it_was_seen() {
    let base = TestBase::of(shop()).await;
    let data = base
        .data(
            r#"{ blastRadius(component: "payments") { component { name } depth affectedCount
                entrances { name } entrancesAffected entranceShare
                affected { nodes { component { name criticality } distance path observedCount
                    observedIn { nodes { key } } } } }
                near: blastRadius(component: "component:payments", depth: 1) {
                    affected { nodes { component { name } } } entranceShare }
                none: blastRadius(component: "users") { affectedCount entranceShare } }"#,
        )
        .await;
    insta::assert_json_snapshot!(data);
    let unknown = r#"{ blastRadius(component: "nobody") { depth } }"#;
    assert_eq!(base.refusal(unknown).await, ("not_found".to_owned(), Some("component".to_owned())));
    let deep = r#"{ blastRadius(component: "payments", depth: 51) { depth } }"#;
    assert_eq!(base.refusal(deep).await.1.as_deref(), Some("depth"));
}

#[tokio::test]
async fn critical_points_and_recovery_are_answered_from_the_graph() {
    let base = TestBase::of(shop()).await;
    let data = base
        .data(
            r#"{ criticalPoints { nodes { component { name } isArticulationPoint parts
                    separates { size members } isSinglePointOfFailure behind membersBehind } }
                recovery(component: "payments") { incidents faults
                    timeToDetect { count p50Ms p90Ms } timeToMitigate { count p50Ms p90Ms }
                    timeToResolve { count p50Ms p90Ms } faultDurations { count p50Ms }
                    actions { action count } }
                quiet: recovery(component: "users") { incidents timeToDetect { count p50Ms }
                    actions { action } } }"#,
        )
        .await;
    insta::assert_json_snapshot!(data);
}

/// Only the newest labels are looked at, and what was taken back is none of them.
#[tokio::test]
async fn labels_that_were_taken_back_leave_room_for_those_that_count() {
    let mut history = shop();
    for n in 0..201u128 {
        let label = json!({
            "label": format!("hasty-{n}"), "incident": "inc-2", "by": "kim", "confidence": 1.0,
            "claim": { "claim": "root_cause", "component": "payments" },
        });
        history.push(event(1_000 + 2 * n, 900, "label.assigned", label));
        let back = json!({ "label": format!("hasty-{n}"), "incident": "inc-2", "by": "kim" });
        history.push(event(1_001 + 2 * n, 901, "label.retracted", back));
    }
    let base = TestBase::of(history).await;
    let data = base.data(r#"{ recovery(component: "payments") { incidents } }"#).await;
    assert_eq!(data["recovery"]["incidents"], 1);
}

#[tokio::test]
async fn golden_signals_are_windows_and_the_calls_around_them() {
    let mut history = shop();
    let window = |second: i64| {
        let start: events::Timestamp = "2026-03-01T11:00:00Z".parse().unwrap();
        json!({ "start": start + jiff::SignedDuration::from_secs(second), "duration_ms": 10_000 })
    };
    let latency = |ms: f64| json!({ "p50_ms": ms, "p95_ms": ms, "p99_ms": ms, "mean_ms": ms });
    for n in 0..6u32 {
        let (number, second) = (700 + 2 * u128::from(n), i64::from(n) * 10);
        history.push(event(
            number,
            3_600 + second,
            "metrics.snapshotrecorded",
            json!({
                "component": "payments", "requests": 10, "errors": n, "window": window(second),
                "latency": latency(f64::from(n)), "cpu_cores": 0.5,
            }),
        ));
        history.push(event(
            number + 1,
            3_600 + second,
            "traces.edgesrecorded",
            json!({
                "caller": "gateway", "window": window(second),
                "edges": [
                    { "callee": "payments", "calls": 10, "errors": n, "latency": latency(9.0) },
                    { "callee": "catalog", "calls": 1, "errors": 0 },
                ],
            }),
        ));
    }
    let base = TestBase::of(history).await;
    let ask = |component: &str, points: u32, as_of: &str| {
        format!(
            r#"{{ goldenSignals(component: "{component}", from: "2026-03-01T11:00:00Z",
                to: "2026-03-01T11:01:00Z", points: {points} {as_of}) {{ slotMs component {{ name }}
                points {{ at durationMs windows requests errors errorRatio p95Ms meanMs cpuCores saturation events }}
                outgoing {{ callee {{ name }} points {{ requests }} }}
                incoming {{ caller {{ name }} points {{ requests errors p95Ms }} }} }} }}"#
        )
    };
    let exact = base.data(&ask("payments", 60, "")).await;
    let points = exact["goldenSignals"]["points"].as_array().unwrap();
    assert_eq!(points.len(), 6);
    assert_eq!(points[3]["events"], json!([id(706)]));
    insta::assert_json_snapshot!(base.data(&ask("payments", 2, "")).await);
    let gateway = base.data(&ask("gateway", 1, "")).await;
    let callees: Vec<&Value> = gateway["goldenSignals"]["outgoing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| &edge["callee"]["name"])
        .collect();
    assert_eq!(callees, ["catalog", "payments"]);
    let quiet = base.data(&ask("users", 5, "")).await;
    assert_eq!(quiet["goldenSignals"]["points"], json!([]));
    let then = base.data(&ask("payments", 60, ", asOf: { position: 28 }")).await;
    assert!(then["goldenSignals"]["points"].as_array().unwrap().len() < 6, "{then:#}");
    let backwards = r#"{ goldenSignals(component: "payments", from: "2026-03-01T11:00:00Z",
        to: "2026-03-01T10:00:00Z") { slotMs } }"#;
    assert_eq!(base.refusal(backwards).await.1.as_deref(), Some("to"));
}
