//! From telemetry to an incident, its diagnosis, its labels and its end; and that a replay
//! repeats none of it.

use std::collections::BTreeMap;

use events::{Event, EventId, RecordedEvent, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Server, eventually};

const WINDOW_S: i64 = 2;
const INCIDENT_TYPES: [&str; 6] = [
    "io.faultline.anomaly.detected.v1",
    "io.faultline.incident.opened.v1",
    "io.faultline.diagnosis.proposed.v1",
    "io.faultline.label.assigned.v1",
    "io.faultline.incident.mitigationapplied.v1",
    "io.faultline.incident.resolved.v1",
];

/// `users → gateway → {catalog, payments}`, payments slow and failing in windows 12 to 17.
fn history() -> Vec<Value> {
    (0..30).map(|window| json!(window_of(window))).collect()
}

/// What is sent after a window, in one batch.
fn window_of(window: i64) -> Vec<Value> {
    let mut events = Vec::new();
    if window == 12 {
        events.push(fault(
            window,
            "fault.injected",
            json!({
            "fault": "f-1", "kind": "latency", "component": "payments" }),
        ));
    }
    if window == 18 {
        events.push(fault(
            window,
            "fault.cleared",
            json!({
            "fault": "f-1", "cleared_by": "rollback", "action": "restored payments",
            "verified": true }),
        ));
    }
    let bad = (12..18).contains(&window);
    let wobble = (window % 3) as f64;
    let of_payments = if bad { (400.0 + wobble, 8) } else { (10.0 + wobble, 0) };
    let of_gateway = if bad { (430.0 + wobble, 8) } else { (30.0 + wobble, 0) };
    for (component, (p50, errors)) in
        [("gateway", of_gateway), ("catalog", (5.0 + wobble, 0)), ("payments", of_payments)]
    {
        events.push(telemetry(
            window,
            component,
            "metrics.snapshotrecorded",
            json!({
            "component": component, "requests": 20, "errors": errors,
            "latency": quantiles(p50) }),
        ));
    }
    for (caller, callees) in [
        ("users", vec![("gateway", of_gateway)]),
        ("gateway", vec![("catalog", (5.0 + wobble, 0)), ("payments", of_payments)]),
    ] {
        let edges: Vec<Value> = callees
            .into_iter()
            .map(|(callee, (p50, errors))| {
                json!({ "callee": callee, "calls": 20, "errors": errors,
                        "latency": quantiles(p50) })
            })
            .collect();
        let data = json!({ "caller": caller, "edges": edges });
        events.push(telemetry(window, caller, "traces.edgesrecorded", data));
    }
    events
}

fn quantiles(p50: f64) -> Value {
    json!({ "p50_ms": p50, "p95_ms": p50 * 1.5, "p99_ms": p50 * 2.0, "mean_ms": p50 })
}

fn at(window: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + window * WINDOW_S).expect("a time of this century")
}

fn telemetry(window: i64, who: &str, event_type: &str, mut data: Value) -> Value {
    data["window"] = json!({ "start": at(window), "duration_ms": WINDOW_S * 1_000 });
    cloud_event(window + 1, &format!("{who} {window}"), event_type, data)
}

fn fault(window: i64, event_type: &str, data: Value) -> Value {
    cloud_event(window, "fault", event_type, data)
}

fn cloud_event(window: i64, role: &str, event_type: &str, data: Value) -> Value {
    let id = EventId(uuid::Uuid::NAMESPACE_OID).derived(&format!("{event_type} {role}"));
    json!({
        "specversion": "1.0", "id": id.to_string(), "source": "/test", "time": at(window),
        "type": format!("io.faultline.{event_type}.v1"), "data": data,
    })
}

/// One window after the other.
async fn feed(server: &Server, windows: &[Value]) {
    for window in windows {
        let answer = server.append(window).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    settled(server).await;
}

async fn settled(server: &Server) {
    eventually("reactors at the head", async || {
        let (reacted, head) = (server.running.reacted(), server.running.log().head());
        if reacted == head { Ok(()) } else { Err(format!("{reacted} of {head}")) }
    })
    .await;
}

async fn all(server: &Server) -> Vec<RecordedEvent> {
    server.running.log().read_all(0, usize::MAX).await.expect("the log reads")
}

fn decided(events: &[RecordedEvent]) -> BTreeMap<EventId, Event> {
    let ours = |event: &&RecordedEvent| event.event.source.as_str().starts_with("/faultline/");
    events.iter().filter(ours).map(|event| (event.event.id, event.event.clone())).collect()
}

#[tokio::test]
async fn a_fault_becomes_a_diagnosed_labelled_and_resolved_incident() {
    let server = Server::start().await;
    feed(&server, &history()).await;
    let mut found = BTreeMap::new();
    for event_type in INCIDENT_TYPES {
        let events = server.recorded(event_type).await;
        assert!(!events.is_empty(), "no {event_type}");
        found.insert(event_type, events);
    }
    let opened = &found["io.faultline.incident.opened.v1"];
    assert_eq!(opened.len(), 1, "{opened:#?}");
    let incident = &opened[0]["data"]["incident"];
    assert!(opened[0]["time"].as_str() >= Some(at(12).to_string().as_str()));
    assert!(opened[0]["time"].as_str() <= Some(at(15).to_string().as_str()));
    let last = found["io.faultline.diagnosis.proposed.v1"].last().expect("a diagnosis");
    assert_eq!(last["data"]["incident"], *incident);
    assert_eq!(last["data"]["suspects"][0]["component"], "payments", "{last:#}");
    assert!(last["data"]["fingerprint"].is_object());
    assert!(found["io.faultline.diagnosis.proposed.v1"].len() <= 8);
    let claims: Vec<&Value> =
        found["io.faultline.label.assigned.v1"].iter().map(|e| &e["data"]["claim"]).collect();
    assert_eq!(
        claims,
        [
            &json!({ "claim": "root_cause", "component": "payments" }),
            &json!({ "claim": "fault_kind", "fault_kind": "latency" }),
        ]
    );
    let mitigation = &found["io.faultline.incident.mitigationapplied.v1"][0]["data"];
    assert_eq!(mitigation["action"], "restored payments");
    assert_eq!(found["io.faultline.incident.resolved.v1"].len(), 1);
    let id = incident.as_str().expect("an id");
    let head = server.running.log().head();
    let answer = server
        .graphql(&format!(
            r#"{{ rootCauses(incident: "{id}", waitFor: {head}) {{
                 method suspects {{ component {{ name }} terms {{ name contribution evidence }} }} }} }}"#
        ))
        .await;
    let first = &answer["rootCauses"]["suspects"][0];
    assert_eq!(first["component"]["name"], "payments");
    assert!(first["terms"][0]["evidence"][0].is_string(), "{first}");
    let metrics = server.get("/metrics").await.text;
    let line = r#"faultline_reactor_decisions_total{type="io.faultline.incident.opened.v1"} 1"#;
    assert!(metrics.lines().any(|got| got == line), "{metrics}");
    assert!(metrics.lines().any(|got| got == "faultline_incidents_open 0"), "{metrics}");
}

#[tokio::test]
async fn a_restart_that_forgot_its_checkpoint_appends_nothing_twice() {
    let mut server = Server::start().await;
    feed(&server, &history()).await;
    let before = all(&server).await;
    server = server
        .restart(|data| {
            std::fs::remove_file(data.join("reactors.json")).expect("the checkpoint was written");
        })
        .await;
    settled(&server).await;
    assert_eq!(all(&server).await, before);
}

#[tokio::test]
async fn a_restart_in_the_middle_goes_on_as_if_nothing_had_happened() {
    let whole = Server::start().await;
    let history = history();
    feed(&whole, &history).await;
    // In the middle of the incident, before its diagnosis has settled.
    let middle = history.len() / 2;
    let mut server = Server::start().await;
    feed(&server, &history[..middle]).await;
    server = server.restart(|_| {}).await;
    feed(&server, &history[middle..]).await;
    let kinds = |events: &[RecordedEvent]| {
        let mut counts = BTreeMap::new();
        for event in decided(events).values() {
            *counts.entry(event.data.event_type()).or_insert(0) += 1;
        }
        counts
    };
    assert_eq!(kinds(&all(&server).await), kinds(&all(&whole).await));
}

/// The same facts in the same order give the same decisions, ids included, on another server.
#[tokio::test]
async fn the_same_log_gives_the_same_decisions() {
    let first = Server::start().await;
    feed(&first, &history()).await;
    let log = all(&first).await;
    let copy = Server::start_with(|config| config.reactors.enabled = false).await;
    for event in &log {
        let answer = copy.append(&event.event.to_cloud_event()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let copy = copy.restart_with(|config| config.reactors.enabled = true).await;
    settled(&copy).await;
    assert_eq!(decided(&all(&copy).await), decided(&log));
}

/// Two senders, or one that retries, bring the end before the begin.
#[tokio::test]
async fn what_ended_before_it_was_told_of_is_over() {
    let server = Server::start().await;
    let opened = json!({ "incident": "i-1", "title": "Slow", "component": "cart",
        "severity": "error", "opened_by": "ada" });
    let maintained =
        json!({ "maintenance": "m-1", "components": ["payments"], "reason": "a disk" });
    let alert = |alert: &str, component: &str| json!({ "alert": alert, "name": "Slow", "component": component, "severity": "error" });
    let batches = [
        cloud_event(5, "i-1", "incident.resolved", json!({ "incident": "i-1", "by": "ada" })),
        cloud_event(2, "i-1", "incident.opened", opened),
        cloud_event(5, "m-1", "maintenance.ended", json!({ "maintenance": "m-1" })),
        cloud_event(2, "m-1", "maintenance.started", maintained),
        cloud_event(5, "a-1", "alert.resolved", json!({ "alert": "a-1" })),
        cloud_event(2, "a-1", "alert.fired", alert("a-1", "gateway")),
        cloud_event(6, "a-2", "alert.fired", alert("a-2", "payments")),
    ];
    feed(&server, &batches).await;
    let open = "{ incidents(filter: { status: OPEN }) { nodes { component { name } } } }";
    eventually("one open incident", async || {
        let answer = server.graphql(open).await;
        let nodes = &answer["incidents"]["nodes"];
        let expected = json!([{ "component": { "name": "payments" } }]);
        if *nodes == expected { Ok(()) } else { Err(nodes.to_string()) }
    })
    .await;
    assert_eq!(server.recorded("io.faultline.incident.opened.v1").await.len(), 3);
    let metrics = server.get("/metrics").await.text;
    assert!(metrics.lines().any(|got| got == "faultline_incidents_open 1"), "{metrics}");
}
