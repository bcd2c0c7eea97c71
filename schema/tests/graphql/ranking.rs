//! A ranking computed for the request, from windows in which `payments` becomes slow.

use events::Event;
use events::log::EventLog;
use serde_json::{Value, json};

use super::base::{TestBase, event, id};

const ASK: &str = r#"{ rootCauses(incident: "slow", method: "own-excess@1") {
    method diagnosis { key } abstained
    suspects { rank component { name } score path evidence terms { name contribution evidence } }
} }"#;

/// Windows of 10 s: thirty calm ones, then five with `payments` ten times slower.
fn windows() -> Vec<Event> {
    let mut history = vec![
        event(1, 0, "dependency.observed", json!({ "caller": "users", "callee": "gateway" })),
        event(2, 0, "dependency.observed", json!({ "caller": "gateway", "callee": "payments" })),
    ];
    for window in 0..35u32 {
        let second = i64::from(window) * 10;
        // No two calm windows are the same, as in life.
        let jitter = f64::from(window % 5);
        let own = if window < 30 { 40.0 + jitter } else { 400.0 + jitter };
        let number = 100 + u128::from(window) * 10;
        let calls = |caller: &str, callee: &str, ms: f64| {
            json!({
                "caller": caller, "window": span(second),
                "edges": [{ "callee": callee, "calls": 200, "errors": 0, "latency": latency(ms) }],
            })
        };
        let of = |component: &str, ms: f64| {
            json!({
                "component": component, "window": span(second), "requests": 200, "errors": 0,
                "latency": latency(ms), "cpu_cores": 0.2, "extras": { "up": 1.0 },
            })
        };
        let end = second + 10;
        history.extend([
            event(number, end, "traces.edgesrecorded", calls("users", "gateway", own + 10.0)),
            event(number + 1, end, "traces.edgesrecorded", calls("gateway", "payments", own)),
            event(number + 2, end, "metrics.snapshotrecorded", of("gateway", own + 10.0)),
            event(number + 3, end, "metrics.snapshotrecorded", of("payments", own)),
        ]);
    }
    history.push(event(
        900,
        312,
        "incident.opened",
        json!({
            "incident": "slow", "title": "gateway is slow", "component": "gateway",
            "severity": "error", "opened_by": "/faultline/detector", "evidence": [id(402)],
        }),
    ));
    history
}

fn span(second: i64) -> Value {
    let start = "2026-03-01T10:00:00Z".parse::<events::Timestamp>().unwrap();
    json!({ "start": start + jiff::SignedDuration::from_secs(second), "duration_ms": 10_000 })
}

fn latency(ms: f64) -> Value {
    json!({ "p50_ms": ms, "p95_ms": ms * 1.5, "p99_ms": ms * 2.0, "mean_ms": ms })
}

#[tokio::test]
async fn the_slow_callee_is_suspected_with_evidence_that_is_in_the_log() {
    let base = TestBase::of(windows()).await;
    let data = base.data(ASK).await;
    let causes = &data["rootCauses"];
    assert_eq!(causes["method"], "own-excess@1");
    assert_eq!(causes["diagnosis"], Value::Null, "computed, not recorded");
    let first = &causes["suspects"][0];
    assert_eq!(first["component"]["name"], "payments", "{causes:#}");
    assert_eq!(first["path"], json!(["gateway", "payments"]));
    let terms = first["terms"].as_array().unwrap();
    let sum: f64 = terms.iter().map(|term| term["contribution"].as_f64().unwrap()).sum();
    assert!((sum - first["score"].as_f64().unwrap()).abs() < 1e-9, "{first:#}");
    let evidence = first["evidence"].as_array().unwrap();
    assert!(!evidence.is_empty());
    for event in evidence {
        let event = event.as_str().unwrap().parse().unwrap();
        assert!(base.log.find(event).await.unwrap().is_some(), "{event}");
    }
}

#[tokio::test]
async fn what_is_left_out_is_as_if_it_had_not_been_recorded() {
    let base = TestBase::of(windows()).await;
    let first = async |asked: String| {
        let query = format!(
            "{{ rootCauses(incident: \"slow\", {asked}) {{ method suspects {{ component {{ name }} }} }} }}"
        );
        let causes = base.data(&query).await["rootCauses"].clone();
        (causes["method"].clone(), causes["suspects"][0]["component"]["name"].clone())
    };
    let own = "method: \"own-excess@1\"";
    assert_eq!(first(own.to_owned()).await.1, "payments");
    // Without what the callers saw of payments, only the entrance is left to be slow.
    let calls: Vec<String> =
        (0..35).map(|window| format!("\"{}\"", id(101 + window * 10))).collect();
    let snapshots: Vec<String> =
        (0..35).map(|window| format!("\"{}\"", id(103 + window * 10))).collect();
    let without = format!("without: [{}]", [calls, snapshots.clone()].concat().join(", "));
    let (method, suspect) = first(format!("{own}, {without}")).await;
    assert_eq!((method, suspect), (json!("own-excess@1"), json!("gateway")));
    let (method, _) = first(without).await;
    assert_eq!(method, "taught@1", "the default method where none is named");
    let none = first("without: []".to_owned()).await;
    assert_eq!(none, (json!("taught@1"), json!("payments")));

    // The same when nobody knows who calls payments.
    let calls =
        base.data("{ component(id: \"payments\") { calledBy(first: 5) { nodes { id } } } }");
    let call = calls.await["component"]["calledBy"]["nodes"][0]["id"].clone();
    assert_eq!(call, "call:gateway->payments");
    let snapshots = snapshots.join(", ");
    let (_, suspect) = first(format!("{own}, without: [{snapshots}]")).await;
    assert_eq!(suspect, "payments", "its callers see it");
    let (_, suspect) = first(format!("{own}, without: [{call}, {snapshots}]")).await;
    assert_eq!(suspect, "gateway");

    let label = r#"mutation { assignLabel(input: { incident: "slow",
        claim: { rootCause: "gateway" }, by: "kim" }) { label { id } } }"#;
    let label = base.data(label).await["assignLabel"]["label"]["id"].clone();
    let said = format!("without: [{label}]");
    assert_eq!(first(said.clone()).await, (json!("taught@1"), json!("payments")));
    let (code, field) = base
        .refusal(&format!("{{ rootCauses(incident: \"slow\", {own}, {said}) {{ method }} }}"))
        .await;
    assert_eq!((code.as_str(), field.as_deref()), ("invalid_input", Some("without.0")));

    for (wrong, code) in [
        ("x".to_owned(), "invalid_input"),
        (id(900).to_string(), "not_found"),
        ("label:never given".to_owned(), "not_found"),
        ("call:payments->gateway".to_owned(), "not_found"),
    ] {
        let query =
            format!("{{ rootCauses(incident: \"slow\", without: [\"{wrong}\"]) {{ method }} }}");
        let (told, field) = base.refusal(&query).await;
        assert_eq!((told.as_str(), field.as_deref()), (code, Some("without.0")));
    }
}

#[tokio::test]
async fn what_people_say_of_an_incident_does_not_change_its_ranking() {
    let base = TestBase::of(windows()).await;
    let before = base.data(ASK).await;
    let label = r#"mutation { assignLabel(input: { incident: "slow",
        claim: { rootCause: "gateway" }, by: "kim" }) { projected } }"#;
    assert_eq!(base.data(label).await["assignLabel"]["projected"], true);
    assert_eq!(base.data(ASK).await, before);
}

#[tokio::test]
async fn an_incident_that_nobody_diagnosed_says_so() {
    let base = TestBase::of(windows()).await;
    let data = base
        .data(
            r#"{ rootCauses(incident: "slow") { method abstained suspects { rank } }
                methods }"#,
        )
        .await;
    assert_eq!(data["rootCauses"]["suspects"], json!([]));
    assert!(data["rootCauses"]["abstained"].as_str().unwrap().contains("no diagnosis"));
    assert!(data["methods"].as_array().unwrap().contains(&json!("own-excess@1")));
}
