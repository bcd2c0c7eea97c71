//! What people say over REST: labels, feedback, and how incidents go on.

use events::EventId;
use serde_json::{Value, json};

use crate::harness::{JSON, Server, event};

async fn with_incident() -> Server {
    let server = Server::start_with(|config| config.reactors.enabled = false).await;
    let opened = event(
        "incident.opened",
        json!({ "incident": "i-1", "title": "checkout fails", "component": "checkout",
                "severity": "error", "opened_by": "alice" }),
    );
    assert_eq!(server.append(&opened).await.status, 200);
    server
}

#[tokio::test]
async fn labels_are_recorded_once_and_answer_their_ids() {
    let server = with_incident().await;
    let path = "/v1/incidents/i-1/labels";
    let one = json!({ "label": "l-1", "by": "alice",
                      "claim": { "claim": "root_cause", "component": "checkout" } });
    let first = server.post(path, JSON, one.to_string()).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!(first.body["labels"][0]["label"], "l-1");
    assert_eq!(first.body["position"], 2);
    let again = server.post(path, JSON, one.to_string()).await;
    assert_eq!(again.text, first.text);
    let other = json!({ "label": "l-1", "by": "bob", "claim": { "claim": "false_positive" } });
    let answer = server.post(path, JSON, other.to_string()).await;
    assert_eq!(answer.code(), (409, "label_exists"));
    let list = json!([
        { "by": "bob", "claim": { "claim": "fault_kind", "fault_kind": "latency" },
          "confidence": 0.5, "comment": "looks like it" },
        { "by": "bob", "claim": { "claim": "severity", "severity": "critical" } },
    ]);
    let answer = server.post(path, JSON, list.to_string()).await;
    assert_eq!((answer.status.as_u16(), &answer.body["position"]), (201, &json!(6)));
    let recorded = server.recorded("io.faultline.label.assigned.v1").await;
    assert_eq!(recorded.len(), 3);
    assert_eq!(recorded[0]["data"]["confidence"], 1.0);
    assert_eq!(recorded[1]["data"]["label"], answer.body["labels"][0]["label"]);
}

#[tokio::test]
async fn what_is_no_label_is_refused_with_its_pointer() {
    let server = with_incident().await;
    let path = "/v1/incidents/i-1/labels";
    let valid = json!({ "by": "a", "claim": { "claim": "false_positive" } });
    let unknown = server.post("/v1/incidents/i-2/labels", JSON, valid.to_string()).await;
    assert_eq!(unknown.code(), (404, "unknown_incident"));
    let cases = [
        (json!({ "by": "a" }), "missing_field", "/claim"),
        (json!({ "by": "a", "claim": { "claim": "guess" } }), "invalid_value", "/claim/claim"),
        (
            json!({ "by": "a", "claim": { "claim": "false_positive" }, "confidence": 2 }),
            "invalid_value",
            "/confidence",
        ),
        (json!([valid, { "claim": { "claim": "false_positive" } }]), "missing_field", "/1/by"),
        (
            json!({ "by": "a", "claim": { "claim": "duplicate", "of": "i-1" } }),
            "invalid_value",
            "/claim/of",
        ),
        (json!([valid, 7]), "not_an_object", "/1"),
    ];
    for (body, code, pointer) in cases {
        let answer = server.post(path, JSON, body.to_string()).await;
        assert_eq!(answer.code(), (422, code), "{}", answer.text);
        assert_eq!(answer.pointer(), pointer, "{}", answer.text);
    }
    let several = server.post(path, JSON, json!([7, valid, { "by": "a" }]).to_string()).await;
    assert_eq!((several.code(), several.pointer()), ((422, "not_an_object"), "/0"));
    let refused = several.body["refused"].as_array().unwrap();
    let at = |entry: &Value| (entry["index"].as_u64().unwrap(), entry["pointer"].clone());
    let places: Vec<_> = refused.iter().map(at).collect();
    assert_eq!(places, [(0, json!("/0")), (2, json!("/2/claim"))]);
    assert_eq!(server.post(path, JSON, "[]").await.code(), (400, "invalid_list"));
    let unknown = json!([valid, { "by": "a", "claim": { "claim": "root_cause",
                                                        "component": "nobody" } }]);
    let answer = server.post(path, JSON, unknown.to_string()).await;
    assert_eq!((answer.code(), answer.pointer()), ((422, "not_found"), "/1/claim/component"));
    assert_eq!(answer.body["refused"][0]["index"], 1);
    assert_eq!(server.running.log().head(), 1);
}

#[tokio::test]
async fn a_session_of_labels_is_recorded_whole_or_not_at_all() {
    let server = with_incident().await;
    let other = event(
        "incident.opened",
        json!({ "incident": "i-2", "title": "again", "component": "checkout",
                "severity": "error", "opened_by": "alice" }),
    );
    assert_eq!(server.append(&other).await.status, 200);
    let of = |incident: &str, label: &str| {
        json!({ "incident": incident, "label": label, "by": "alice",
                "claim": { "claim": "fault_kind", "fault_kind": "latency" } })
    };
    let head = server.running.log().head();
    let wrong = json!([of("i-1", "a"), of("i-9", "b"), of("i-2", "c")]);
    let answer = server.post("/v1/labels", JSON, wrong.to_string()).await;
    assert_eq!((answer.code(), answer.pointer()), ((404, "unknown_incident"), "/1/incident"));
    assert_eq!(server.running.log().head(), head);
    let session = json!([of("i-1", "a"), of("i-2", "c")]);
    let answer = server.post("/v1/labels", JSON, session.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.body["labels"][1]["incident"], "i-2");
    let again = server.post("/v1/labels", JSON, session.to_string()).await;
    assert_eq!(again.text, answer.text);
    assert_eq!(server.recorded("io.faultline.label.assigned.v1").await.len(), 2);
    assert_eq!(server.recorded("io.faultline.audit.recorded.v1").await.len(), 2);
}

#[tokio::test]
async fn a_label_is_taken_back_once() {
    let server = with_incident().await;
    let label = json!({ "label": "l-1", "by": "alice", "claim": { "claim": "false_positive" } });
    server.post("/v1/incidents/i-1/labels", JSON, label.to_string()).await;
    let path = "/v1/incidents/i-1/labels/l-1/retract";
    let body = json!({ "by": "alice", "reason": "wrong window",
                       "event_id": EventId::generate().to_string() });
    let first = server.post(path, JSON, body.to_string()).await;
    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!(server.post(path, JSON, body.to_string()).await.text, first.text);
    let answer = server.post(path, JSON, r#"{"by":"bob"}"#).await;
    assert_eq!(answer.code(), (409, "label_retracted"));
    let unknown = server.post("/v1/incidents/i-1/labels/l-2/retract", JSON, r#"{"by":"b"}"#).await;
    assert_eq!((unknown.code(), unknown.pointer()), ((404, "not_found"), "/label"));
}

#[tokio::test]
async fn an_incident_goes_through_its_steps() {
    let server = with_incident().await;
    let step = async |name: &str, body: serde_json::Value| {
        server.post(&format!("/v1/incidents/i-1/{name}"), JSON, body.to_string()).await
    };
    let by = json!({ "by": "alice" });
    assert_eq!(step("reopen", json!({ "by": "a", "reason": "r" })).await.code().0, 409);
    for (name, body) in [
        ("acknowledge", by.clone()),
        ("mitigate", by.clone()),
        ("resolve", json!({ "by": "alice", "resolution": "restarted" })),
        ("reopen", json!({ "by": "alice", "reason": "it came back" })),
        ("resolve", by.clone()),
        ("postmortem", json!({ "title": "Pool", "text": "# Why", "author": "alice" })),
    ] {
        let answer = step(name, body).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text);
        assert_eq!(answer.body["incident"], "i-1");
        assert!(answer.body["position"].is_u64());
    }
    assert_eq!(step("acknowledge", by.clone()).await.code(), (409, "incident_over"));
    let itself = step("merge", json!({ "by": "alice", "into": "i-1" })).await;
    assert_eq!((itself.code(), itself.pointer()), ((422, "invalid_value"), "/into"));
    let unknown = step("merge", json!({ "by": "alice", "into": "i-7" })).await;
    assert_eq!((unknown.code(), unknown.pointer()), ((422, "not_found"), "/into"));
    let other = step("resolve", json!({ "by": "alice", "incident": "i-2" })).await;
    assert_eq!((other.code(), other.pointer()), ((422, "invalid_value"), "/incident"));
    let wrong = step("resolve", json!({ "by": "alice", "event_id": "x" })).await;
    assert_eq!((wrong.code(), wrong.pointer()), ((422, "invalid_value"), "/event_id"));
    let misspelt = step("resolve", json!({ "by": "alice", "resolutoin": "x" })).await;
    assert_eq!((misspelt.code(), misspelt.pointer()), ((422, "unknown_field"), "/resolutoin"));
    let audit = server.recorded("io.faultline.audit.recorded.v1").await;
    let actions: Vec<&str> =
        audit.iter().map(|entry| entry["data"]["action"].as_str().expect("an action")).collect();
    assert_eq!(
        actions,
        [
            "incident.acknowledge",
            "incident.mitigate",
            "incident.resolve",
            "incident.reopen",
            "incident.resolve",
            "postmortem.publish"
        ]
    );
}

#[tokio::test]
async fn feedback_names_the_suspect_that_was_right() {
    let server = with_incident().await;
    let proposed = event(
        "diagnosis.proposed",
        json!({ "incident": "i-1", "diagnosis": "d-1", "method": "own-excess@1",
                "evidence_position": 1, "fingerprint": { "suspect": "checkout" },
                "suspects": [{ "component": "checkout", "score": 1.0, "terms": [] }] }),
    );
    let appended = server.append(&proposed).await;
    assert_eq!(appended.status, 200, "{}", appended.text);
    let path = "/v1/diagnoses/d-1/feedback";
    let right = json!({ "incident": "i-1", "by": "alice", "right_rank": 1 });
    let answer = server.post(path, JSON, right.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let beyond = json!({ "incident": "i-1", "by": "alice", "right_rank": 2 });
    let answer = server.post(path, JSON, beyond.to_string()).await;
    assert_eq!((answer.code(), answer.pointer()), ((422, "invalid_input"), "/right_rank"));
    let answer = server.post("/v1/diagnoses/d-2/feedback", JSON, right.to_string()).await;
    assert_eq!((answer.code(), answer.pointer()), ((404, "not_found"), "/diagnosis"));
    assert_eq!(server.recorded("io.faultline.feedback.given.v1").await.len(), 1);
}
