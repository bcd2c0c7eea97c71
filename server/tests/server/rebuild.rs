//! A rebuild while the server answers (PR-5).

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{JSON, Server, discovered, eventually};

/// How the rebuild that was begun ended.
pub async fn ended(server: &Server) -> Value {
    eventually("end of the rebuild", || async {
        let state = server.get("/v1/admin/rebuild").await.body;
        if state["status"] == "running" { Err(state.to_string()) } else { Ok(state) }
    })
    .await
}

#[tokio::test]
async fn a_rebuilt_graph_goes_on_where_the_one_before_was() {
    let server = Server::start().await;
    let names = ["a", "b", "c"];
    server.append(&json!(names.map(discovered))).await;
    assert_eq!(server.get("/v1/admin/rebuild").await.body["status"], "idle");
    for (round, generation) in [(1, 2), (2, 2)] {
        let begun = server.post("/v1/admin/rebuild?compare=true", JSON, "").await;
        assert_eq!(
            (begun.status, &begun.body["status"]),
            (StatusCode::ACCEPTED, &json!("running"))
        );
        let state = ended(&server).await;
        assert_eq!((&state["status"], &state["generation"]), (&json!("done"), &json!(generation)));
        assert_eq!(state["difference"], Value::Null, "{state}");
        assert!(state["ended_at"].is_string() && state["error"].is_null(), "{state}");

        let appended = server.append(&json!([discovered(&format!("later-{round}"))])).await;
        let position = &appended.body["position"];
        let asked = format!(
            "{{ components(first: 9, waitFor: {position}) {{ edges {{ node {{ name }} }} }} }}"
        );
        let answer = server.graphql(&asked).await;
        let components = answer["components"]["edges"].as_array().expect("a list");
        assert_eq!(components.len(), names.len() + round);
    }
}

#[tokio::test]
async fn a_second_rebuild_at_the_same_time_is_refused() {
    let server = Server::start().await;
    let many: Vec<Value> = (0..400).map(|n| discovered(&format!("component-{n}"))).collect();
    server.append(&json!(many)).await;
    let (first, second) = tokio::join!(
        server.post("/v1/admin/rebuild", JSON, ""),
        server.post("/v1/admin/rebuild", JSON, ""),
    );
    let mut answers = [first, second];
    answers.sort_by_key(|answer| answer.status);
    assert_eq!(answers[0].status, StatusCode::ACCEPTED);
    assert_eq!(answers[1].code(), (409, "rebuild_running"));
    assert_eq!(ended(&server).await["status"], "done");
    let refused = server.post("/v1/admin/rebuild?compare=maybe", JSON, "").await;
    assert_eq!(refused.code(), (400, "invalid_request"));
}

/// A page of elsewhere can send a form or plain text without asking, but no JSON.
#[tokio::test]
async fn a_page_of_elsewhere_cannot_ask_for_a_rebuild() {
    let server = Server::start().await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let refused = server.post("/v1/admin/rebuild", content_type, "").await;
        assert_eq!(refused.code(), (415, "unsupported_media_type"), "{content_type}");
    }
    let bare = server.client.post(server.url("/v1/admin/rebuild")).send().await.expect("an answer");
    assert_eq!(bare.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(server.get("/v1/admin/rebuild").await.body["status"], "idle");
    assert!(server.recorded("io.faultline.audit.recorded.v1").await.is_empty());
}
