//! What people and orchestrators ask.

use serde_json::json;

use crate::harness::{JSON, Server, discovered, event, eventually};

#[tokio::test]
async fn errors_have_one_form_everywhere() {
    let server = Server::start().await;
    assert_eq!(server.get("/nowhere").await.code(), (404, "not_found"));
    assert_eq!(server.get("/assets/nothing.js").await.code(), (404, "not_found"));
    let wrong_method = server.post("/healthz", JSON, "{}").await;
    assert_eq!(wrong_method.code(), (405, "method_not_allowed"));
    assert_eq!(server.get("/v1/events/not-a-uuid").await.code(), (400, "invalid_parameter"));
    let unknown = server.get("/v1/events/01890000-0000-7000-8000-000000000000").await;
    assert_eq!(unknown.code(), (404, "unknown_event"));
    assert_eq!(server.get("/v1/events?limit=0").await.code(), (400, "invalid_parameter"));
    assert_eq!(server.get("/v1/events?limit=x").await.code(), (400, "invalid_request"));
    assert_eq!(server.get("/v1/events?limits=1").await.code(), (400, "invalid_request"));
    let not_graphql = server.post("/graphql", JSON, r#"{"query":7}"#).await;
    assert_eq!(not_graphql.code(), (400, "invalid_graphql_request"));
    let answer = server
        .client
        .get(server.url("/nowhere"))
        .header("x-request-id", "mine-1")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.headers()["x-request-id"], "mine-1");
}

#[tokio::test]
async fn schemas_of_all_types_are_served() {
    let server = Server::start().await;
    let list = server.get("/v1/schemas").await.body;
    let list = list["schemas"].as_array().expect("a list");
    assert_eq!(list.len(), events::EventData::TYPES.len());
    for entry in list {
        let schema = server.get(entry["schema"].as_str().expect("a path")).await;
        assert_eq!(schema.status, 200);
        assert_eq!(schema.body["type"], "object", "{}", entry["type"]);
    }
    let unknown = server.get("/v1/schemas/io.faultline.nothing.v1").await;
    assert_eq!(unknown.code(), (404, "unknown_event_type"));
}

#[tokio::test]
async fn metrics_count_requests_and_events_with_bounded_labels() {
    let server = Server::start().await;
    server.append(&json!([discovered("a"), discovered("b")])).await;
    server.get("/v1/events/01890000-0000-7000-8000-000000000000").await;
    server.get("/made/up/path").await;
    let text = server.get("/metrics").await.text;
    for line in [
        r#"faultline_http_requests_total{method="POST",route="/v1/events",status="200"} 1"#,
        r#"faultline_http_requests_total{method="GET",route="/v1/events/{id}",status="404"} 1"#,
        r#"faultline_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"faultline_events_appended_total{type="io.faultline.component.discovered.v1"} 2"#,
        "faultline_log_append_duration_seconds_count 1",
        "faultline_log_head_position 2",
        "faultline_projection_set_aside_events 0",
        "faultline_incidents_open 0",
    ] {
        assert!(text.lines().any(|got| got == line), "no {line} in\n{text}");
    }
    for name in ["faultline_projection_position", "faultline_projection_lag_events"] {
        assert!(text.contains(&format!("\n{name} ")), "no {name} in\n{text}");
    }
}

#[tokio::test]
async fn the_server_is_ready_once_the_graph_has_caught_up() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await.body, json!({ "status": "ok" }));
    server.append(&json!([discovered("a"), discovered("b")])).await;
    let ready = eventually("readiness at the head", async || {
        let answer = server.get("/readyz").await;
        if answer.body["projected"] == 2 { Ok(answer) } else { Err(answer.text) }
    })
    .await;
    assert_eq!(ready.status, 200);
    assert_eq!((&ready.body["status"], &ready.body["lag"]), (&json!("live"), &json!(0)));
}

#[tokio::test]
async fn pages_need_nothing_from_elsewhere() {
    let server = Server::start().await;
    for path in ["/", "/graphql"] {
        let page = server.get(path).await;
        assert_eq!(page.status, 200);
        assert!(page.headers["content-type"].to_str().expect("text").starts_with("text/html"));
        let policy = page.headers["content-security-policy"].to_str().expect("text");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        for asset in page.text.split("=\"").filter_map(|part| part.split('"').next()) {
            assert!(!asset.contains("//"), "{path} refers to {asset}");
            if asset.starts_with("/assets/") {
                assert_eq!(server.get(asset).await.status, 200, "{asset}");
            }
        }
    }
}

#[tokio::test]
async fn a_stopped_server_finishes_open_requests_and_refuses_new_ones() {
    let server = Server::start().await;
    let url = server.url("/healthz");
    assert_eq!(server.get("/healthz").await.status, 200);
    server.running.stop().await.expect("it drains");
    assert!(reqwest::get(url).await.expect_err("refused").is_connect());
}

#[tokio::test]
async fn the_examples_of_the_explorer_are_valid() {
    let server = Server::start_with(|config| config.reactors.enabled = false).await;
    let opened = event(
        "incident.opened",
        json!({ "incident": "i-1", "title": "t", "component": "a", "severity": "error",
                "opened_by": "test" }),
    );
    let position = server.append(&opened).await.body["position"].clone();
    let waits = json!({ "query": "query($at: Position) { components(waitFor: $at) { nodes { name } } }",
                        "variables": { "at": position } });
    server.post("/graphql", JSON, waits.to_string()).await;
    let document = server.get("/assets/examples.graphql").await.text;
    let names: Vec<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("query "))
        .filter_map(|line| line.split(['(', ' ']).next())
        .collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let request = json!({ "query": document, "operationName": name,
                              "variables": { "incident": "i-1" } });
        let answer = server.post("/graphql", JSON, request.to_string()).await;
        assert_eq!(answer.body["errors"], json!(null), "{name}: {}", answer.text);
        assert!(answer.body["data"].is_object(), "{name}: {}", answer.text);
    }
}
