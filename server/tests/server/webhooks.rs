//! What Alertmanager, PagerDuty, Chaos Mesh, Litmus and files of OpenSLO tell.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use events::Timestamp;
use serde_json::{Value, json};

use crate::harness::{JSON, Server, event, eventually};

pub const ALERTMANAGER: &str = "/v1/webhooks/alertmanager";

pub fn notification(status: &str, service: &str, began: Timestamp) -> Value {
    group(status, &[service.to_owned()], began)
}

/// Alerts of several services, in one notification.
pub fn group(status: &str, services: &[String], began: Timestamp) -> Value {
    let alert = |service: &String| {
        json!({
            "status": status,
            "labels": { "alertname": "HighErrorRate", "service": service, "severity": "page" },
            "annotations": { "summary": format!("{service} answers errors") },
            "startsAt": began.to_string(), "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": format!("fp-{service}"),
        })
    };
    let alerts: Vec<Value> = services.iter().map(alert).collect();
    json!({
        "version": "4", "status": status, "receiver": "faultline", "groupLabels": {},
        "alerts": alerts,
    })
}

async fn incidents(server: &Server) -> Vec<Value> {
    let query = "{ incidents(first: 10) { nodes { title status severity
        affects { component { name } } } } }";
    server.graphql(query).await["incidents"]["nodes"].as_array().unwrap().clone()
}

#[tokio::test]
async fn alerts_become_an_incident_that_ends_with_them() {
    let server = Server::start().await;
    let calls = json!({ "caller": "gateway", "callee": "cart", "protocol": "http" });
    server.append(&event("dependency.observed", calls)).await;
    let now = Timestamp::now();
    for service in ["cart", "gateway"] {
        let told = notification("firing", service, now).to_string();
        let answer = server.post(ALERTMANAGER, JSON, told.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!((&answer.body["recorded"], &answer.body["unmapped"]), (&json!(1), &json!(0)));
        // Alertmanager repeats what holds, here in other words.
        let again = server.post(ALERTMANAGER, JSON, told.replace("answers", "still answers")).await;
        assert_eq!((&again.body["recorded"], &again.body["known"]), (&json!(0), &json!(1)));
    }
    let found = eventually("an incident of both", async || match &incidents(&server).await[..] {
        [one] if one["affects"].as_array().unwrap().len() == 2 => Ok(one.clone()),
        other => Err(json!(other).to_string()),
    })
    .await;
    assert_eq!(found["title"], "HighErrorRate on cart: cart answers errors");
    assert_eq!((&found["status"], &found["severity"]), (&json!("OPEN"), &json!("CRITICAL")));
    for service in ["cart", "gateway"] {
        server.post(ALERTMANAGER, JSON, notification("resolved", service, now).to_string()).await;
    }
    eventually("its end", async || match incidents(&server).await.remove(0)["status"].as_str() {
        Some("RESOLVED") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_storm_of_alerts_is_one_incident_of_what_is_connected_and_one_for_each_that_is_not() {
    const OF_EACH: usize = 120;
    let server = Server::start().await;
    let behind: Vec<String> = (0..OF_EACH).map(|n| format!("behind-{n}")).collect();
    let alone: Vec<String> = (0..OF_EACH).map(|n| format!("alone-{n}")).collect();
    let calls = behind.iter().map(|callee| {
        let calls = json!({ "caller": "gateway", "callee": callee, "protocol": "http" });
        event("dependency.observed", calls)
    });
    let answer = server.append(&calls.collect()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let services: Vec<String> =
        behind.iter().zip(&alone).flat_map(|(a, b)| [a, b]).cloned().collect();
    let now = Timestamp::now();
    let ended = async |status: &str| {
        let told = group(if status == "OPEN" { "firing" } else { "resolved" }, &services, now);
        let answer = server.post(ALERTMANAGER, JSON, told.to_string()).await;
        assert_eq!(answer.body["recorded"], json!(2 * OF_EACH), "{}", answer.text);
        eventually(status, async || {
            let query = "{ incidents(first: 200) { nodes { status affects { component { name } }
                diagnoses(first: 1) { nodes { id } } } } }";
            let found = server.graphql(query).await;
            let found = found["incidents"]["nodes"].as_array().unwrap();
            let mut sizes: Vec<usize> =
                found.iter().map(|it| it["affects"].as_array().unwrap().len()).collect();
            sizes.sort_unstable();
            let done = |it: &Value| it["status"] == status;
            match (found.iter().all(done), &sizes[..]) {
                (true, [rest @ .., OF_EACH]) if *rest == [1; OF_EACH] => Ok(()),
                _ => Err(format!("{sizes:?}, {}", found.iter().filter(|it| done(it)).count())),
            }
        })
        .await;
    };
    ended("OPEN").await;
    ended("RESOLVED").await;
}

#[tokio::test]
async fn an_alert_that_fires_again_with_the_same_beginning_is_news() {
    let server = Server::start().await;
    let began = Timestamp::now();
    for status in ["firing", "resolved", "firing", "resolved"] {
        let told = notification(status, "cart", began).to_string();
        for recorded in [1, 0] {
            let answer = server.post(ALERTMANAGER, JSON, told.clone()).await;
            assert_eq!(answer.body["recorded"], recorded, "{status}: {}", answer.text);
        }
        let wanted = if status == "firing" { "OPEN" } else { "RESOLVED" };
        eventually(wanted, async || match &incidents(&server).await[..] {
            [newest, ..] if newest["status"] == wanted => Ok(()),
            other => Err(json!(other).to_string()),
        })
        .await;
    }
}

#[tokio::test]
async fn more_alerts_than_the_logs_queue_holds_are_recorded_by_one_request() {
    let server = Server::start_with(|config| config.reactors.enabled = false).await;
    let services: Vec<String> = (0..1_500).map(|n| format!("service-{n}")).collect();
    let told = group("firing", &services, Timestamp::now()).to_string();
    let answer = server.post(ALERTMANAGER, JSON, told).await;
    assert_eq!(answer.body["recorded"], 1_500, "{}", answer.text);
}

#[tokio::test]
async fn an_alert_of_a_clock_that_is_ahead_is_one_of_now() {
    let server = Server::start().await;
    let ahead = Timestamp::now() + jiff::SignedDuration::from_hours(5);
    let told = notification("firing", "cart", ahead).to_string();
    assert_eq!(server.post(ALERTMANAGER, JSON, told).await.body["recorded"], 1);
    let fired = server.recorded("io.faultline.alert.fired.v1").await;
    let at: Timestamp = fired[0]["time"].as_str().unwrap().parse().unwrap();
    assert!(at < ahead && at <= Timestamp::now(), "{at}");
}

#[tokio::test]
async fn pagerdutys_clients_are_answered_as_by_pagerduty() {
    let server = Server::start().await;
    let trigger = json!({
        "routing_key": "0123456789abcdef0123456789abcdef", "event_action": "trigger",
        "dedup_key": "cart/errors",
        "payload": { "summary": "cart answers errors", "source": "prod", "severity": "error",
                     "component": "cart" },
    });
    let path = "/v1/webhooks/pagerduty/v2/enqueue";
    let answer = server.post(path, JSON, trigger.to_string()).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(
        (&answer.body["status"], &answer.body["dedup_key"]),
        (&json!("success"), &json!("cart/errors"))
    );
    // A retry is known; after a resolve the same trigger is another firing, however soon.
    let told = async |action: &str| {
        let mut event = trigger.clone();
        event["event_action"] = json!(action);
        server.post(path, JSON, event.to_string()).await.body["recorded"].clone()
    };
    for (action, recorded) in
        [("trigger", 0), ("resolve", 1), ("resolve", 0), ("trigger", 1), ("resolve", 1)]
    {
        assert_eq!(told(action).await, recorded, "{action}");
    }
    let missing = json!({ "routing_key": "k", "event_action": "trigger", "payload": {} });
    let answer = server.post(path, JSON, missing.to_string()).await;
    assert_eq!((answer.code(), answer.pointer()), ((400, "invalid_field"), "/payload/summary"));
    let change = json!({
        "routing_key": "k",
        "payload": { "summary": "cart 1.2.0", "custom_details": { "component": "cart", "version": "1.2.0" } },
    });
    let path = "/v1/webhooks/pagerduty/v2/change/enqueue";
    assert_eq!(server.post(path, JSON, change.to_string()).await.status, 202);
    assert_eq!(
        server.recorded("io.faultline.deployment.recorded.v1").await[0]["data"]["version"],
        "1.2.0"
    );
}

fn pod_killed(name: &str) -> Value {
    json!({
        "apiVersion": "chaos-mesh.org/v1alpha1", "kind": "PodChaos",
        "metadata": { "name": name, "namespace": "shop", "uid": format!("uid-{name}"),
                      "creationTimestamp": "2026-03-01T12:00:00Z" },
        "spec": { "action": "pod-kill", "mode": "all", "selector": { "namespaces": ["shop"] } },
        "status": { "conditions": [{ "type": "AllInjected", "status": "True" }],
            "experiment": { "desiredPhase": "Run", "containerRecords": [{
                "id": "shop/cart-7d9f8b6c5-x2x1z", "phase": "Injected",
                "events": [{ "type": "Succeeded", "operation": "Apply",
                             "timestamp": "2026-03-01T12:00:02Z" }] }] } },
    })
}

#[tokio::test]
async fn experiments_of_other_tools_are_told_once_however_often_they_are_sent() {
    let server = Server::start().await;
    let path = "/v1/webhooks/chaos-mesh";
    let both = json!({ "kind": "List", "items": [pod_killed("a"), pod_killed("b")] });
    let answer = server.post(path, JSON, both.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["experiments"].as_array().unwrap().len(), 2);
    let recorded = answer.body["recorded"].as_u64().unwrap();
    let again = server.post(path, JSON, both.to_string()).await;
    assert_eq!((&again.body["recorded"], &again.body["known"]), (&json!(0), &json!(recorded)));
    let faults = server.recorded("io.faultline.fault.injected.v1").await;
    assert_eq!(faults.len(), 2);
    assert_eq!(faults[0]["data"]["component"], "cart");
    let mut broken = both.clone();
    broken["items"][1]["metadata"]["name"] = json!(7);
    let answer = server.post(path, JSON, broken.to_string()).await;
    assert_eq!(
        (answer.code(), answer.pointer()),
        ((400, "invalid_field"), "/items/1/metadata/name")
    );
    let mut future = pod_killed("c");
    future["metadata"]["creationTimestamp"] = json!("2999-01-01T00:00:00Z");
    let answer = server.post(path, JSON, future.to_string()).await;
    assert_eq!(answer.code(), (422, "time_in_future"));
    let result = json!({
        "apiVersion": "litmuschaos.io/v1alpha1", "kind": "ChaosResult",
        "metadata": { "name": "cart-pod-delete", "namespace": "shop", "uid": "u-9" },
        "spec": { "engine": "cart", "experiment": "pod-delete" },
        "status": { "experimentStatus": { "phase": "Completed", "verdict": "Fail" },
                    "history": { "failedRuns": 1, "targets": [
                        { "name": "cart", "kind": "deployment", "chaosStatus": "reverted" }] } },
    });
    let answer = server.post("/v1/webhooks/litmus", JSON, result.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let finished = server.recorded("io.faultline.experiment.finished.v1").await;
    assert_eq!(finished.last().unwrap()["data"]["outcome"], "deviated");
}

#[tokio::test]
async fn a_file_of_openslo_defines_objectives() {
    let server = Server::start().await;
    let file = "
apiVersion: openslo/v1
kind: SLO
metadata: {name: cart-up, annotations: {faultline.io/indicator: availability}}
spec:
  service: cart
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{target: 0.999}]
";
    for recorded in [1, 0] {
        let answer = server.post("/v1/slos", "application/yaml", file).await;
        assert_eq!(answer.body["recorded"], recorded, "{}", answer.text);
    }
    let answer = server.post("/v1/slos", "application/yaml", file.replace("30d", "soon")).await;
    assert_eq!(
        (answer.code(), answer.pointer()),
        ((400, "invalid_field"), "/0/spec/timeWindow/0/duration")
    );
    // Back to a former target is a change too.
    for target in ["0.99", "0.999", "0.999"] {
        let answer = server.post("/v1/slos", "text/yaml", file.replace("0.999", target)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let defined = server.recorded("io.faultline.slo.defined.v1").await;
    let targets: Vec<_> =
        defined.iter().map(|it| it["data"]["objective"].as_f64().unwrap()).collect();
    assert_eq!(targets, [0.999, 0.99, 0.999]);
    let answer = server.post("/v1/slos", "text/plain", file).await;
    assert_eq!(answer.code(), (415, "unsupported_media_type"));
    let answer = server.post("/v1/slos", "application/yaml", "[".repeat(100_000)).await;
    assert_eq!(answer.code(), (400, "malformed"));
    let answer = server.post("/v1/slos", "application/yaml", vec![0xff, 0xfe]).await;
    assert_eq!(answer.code(), (400, "malformed"));
}

#[tokio::test]
async fn garbage_is_refused_and_nothing_of_it_is_kept() {
    let server = Server::start().await;
    let head = server.running.log().head();
    for path in [
        ALERTMANAGER,
        "/v1/webhooks/pagerduty/v2/enqueue",
        "/v1/webhooks/pagerduty/v2/change/enqueue",
        "/v1/webhooks/chaos-mesh",
        "/v1/webhooks/litmus",
    ] {
        for body in ["", "{", "[]", "17", "{\"alerts\": 3}", "{\"x\": 1e999}"] {
            let answer = server.post(path, JSON, body).await;
            assert_eq!(answer.code().0, 400, "{path} {body}: {}", answer.text);
        }
        let answer = server.post(path, "text/plain", "{}").await;
        assert_eq!(answer.code(), (415, "unsupported_media_type"));
    }
    assert_eq!(server.running.log().head(), head);
}
