//! `POST /v1/incidents/{id}/labels`.

use serde_json::json;

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
                      "claim": { "claim": "root_cause", "component": "payments" } });
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
    assert_eq!((answer.status.as_u16(), &answer.body["position"]), (201, &json!(4)));
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
    assert_eq!(server.post(path, JSON, "[]").await.code(), (400, "invalid_list"));
    assert_eq!(server.running.log().head(), 1);
}
