//! Tokens, scopes, rates and the audit, over real sockets.

use std::process::Command;
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use server::config::Config;

use crate::harness::{Answer, JSON, Server, discovered, event, eventually};

/// `faultline token …` on the server's data folder.
pub fn faultline(server: &Server, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_faultline"))
        .arg("token")
        .args(arguments)
        .arg("--data")
        .arg(server.data())
        .env_clear()
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

pub fn create(server: &Server, scope: &str, more: &[&str]) -> String {
    let arguments = [&["create", "--name", &format!("the {scope} token"), "--scope", scope], more];
    faultline(server, &arguments.concat())
}

fn guarded(config: &mut Config) {
    config.auth.required = Some(true);
    config.reactors.enabled = false;
}

async fn with_token(request: RequestBuilder, token: &str) -> Answer {
    Answer::of(request.bearer_auth(token).send().await.expect("an answer")).await
}

async fn ask(server: &Server, token: &str, query: &str) -> Answer {
    let request = server.client.post(server.url("/graphql")).header("content-type", JSON);
    with_token(request.body(json!({ "query": query }).to_string()), token).await
}

async fn append(server: &Server, token: &str, events: &Value) -> Answer {
    let request = server.client.post(server.url("/v1/events")).header("content-type", JSON);
    with_token(request.body(events.to_string()), token).await
}

fn opened() -> Value {
    event(
        "incident.opened",
        json!({ "incident": "i-1", "title": "checkout fails", "component": "checkout",
                "severity": "error", "opened_by": "alice" }),
    )
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_opens_no_server_without_tokens() {
    let mut server = Server::start().await;
    let port = server.running.address().port();
    let asked = async |server: &Server, host: String| {
        let request = server.client.post(server.url("/graphql")).header("host", host);
        let request = request.header("content-type", JSON).body("{\"query\":\"{ __typename }\"}");
        Answer::of(request.send().await.expect("an answer")).await
    };
    for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"] {
        for host in [host.to_owned(), format!("{host}:{port}")] {
            assert_eq!(asked(&server, host.clone()).await.status, 200, "{host}");
        }
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"] {
        for host in [host.to_owned(), format!("{host}:{port}")] {
            let answer = asked(&server, host.clone()).await;
            assert_eq!(answer.code(), (403, "foreign_host"), "{host}");
        }
    }
    server = server.restart_with(guarded).await;
    let answer = asked(&server, "faultline.example".to_owned()).await;
    assert_eq!(answer.code(), (401, "token_missing"), "the token decides");
}

#[tokio::test]
async fn without_a_good_token_nothing_is_told_or_taken() {
    let server = Server::start_with(guarded).await;
    let token = create(&server, "admin", &[]);
    let paths = ["/metrics", "/v1/events", "/v1/schemas", "/v1/set-aside", "/v1/events/x"];
    for path in paths {
        let answer = server.get(path).await;
        assert_eq!(answer.code(), (401, "token_missing"), "{path}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"faultline\"");
    }
    for path in ["/v1/events", "/graphql", "/v1/incidents/i/labels"] {
        let answer = server.post(path, JSON, "{}").await;
        assert_eq!(answer.code(), (401, "token_missing"), "{path}");
    }
    for path in ["/", "/graphql", "/healthz", "/readyz", "/assets/graphql.js"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    let other = token.replace("flt_", "flt_0");
    let no_secret = &token[..20];
    let mut wrong = token.clone();
    let last = if wrong.pop() == Some('0') { '1' } else { '0' };
    wrong.push(last);
    let garbage =
        ["Bearer", "Bearer ", "Basic YTpi", "bearer x y", "\u{7f}x", &wrong, &other, no_secret];
    for value in garbage {
        let header =
            if value.starts_with("flt_") { format!("Bearer {value}") } else { value.into() };
        let Ok(header) = reqwest::header::HeaderValue::from_bytes(header.as_bytes()) else {
            continue;
        };
        let request = server.client.get(server.url("/v1/events")).header("authorization", header);
        let answer = Answer::of(request.send().await.expect("an answer")).await;
        assert_eq!(answer.code(), (401, "token_invalid"), "{value:?}");
        assert!(
            answer.headers["www-authenticate"].to_str().expect("text").contains("invalid_token")
        );
    }
    let twice = server.client.get(server.url("/v1/events")).bearer_auth(&token);
    assert_eq!(with_token(twice, &token).await.code(), (401, "token_invalid"));
    assert_eq!(with_token(server.client.get(server.url("/v1/events")), &token).await.status, 200);
    eventually("the audit of the token, and nothing else", async || {
        match server.running.log().read_all(0, 10).await.expect("read").len() {
            1 => Ok(()),
            other => Err(format!("{other} events")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_opens_what_its_scopes_allow() {
    let server = Server::start_with(guarded).await;
    let [ingest, read, label, admin] =
        ["ingest", "read", "label", "admin"].map(|scope| create(&server, scope, &[]));
    let refused = |answer: Answer, needed: &str| {
        assert_eq!(answer.code(), (403, "scope_missing"), "{}", answer.text);
        assert_eq!(answer.body["error"]["needed"], needed, "{}", answer.text);
    };
    // Events of machines, of people, and of the audit.
    let labelled = event(
        "label.assigned",
        json!({ "label": "l-0", "incident": "i-1", "by": "alice", "confidence": 1,
                "claim": { "claim": "false_positive" } }),
    );
    let audit = event(
        "audit.recorded",
        json!({ "actor": "mallory", "action": "label.assign", "outcome": "done" }),
    );
    refused(append(&server, &read, &opened()).await, "ingest");
    refused(append(&server, &label, &opened()).await, "ingest");
    assert_eq!(append(&server, &ingest, &opened()).await.status, 200);
    refused(append(&server, &ingest, &labelled).await, "label");
    refused(append(&server, &ingest, &json!([discovered("a"), labelled])).await, "label");
    assert_eq!(append(&server, &label, &labelled).await.status, 200);
    refused(append(&server, &ingest, &audit).await, "admin");
    refused(append(&server, &label, &audit).await, "admin");
    // Questions and mutations.
    let question = "{ incidents { nodes { key } } }";
    refused(ask(&server, &ingest, question).await, "read");
    for token in [&read, &label, &admin] {
        assert_eq!(ask(&server, token, question).await.body["errors"], Value::Null);
    }
    let mutation =
        r#"mutation { acknowledgeIncident(input: { incident: "i-1", by: "alice" }) { position } }"#;
    let before = server.running.log().head();
    refused(ask(&server, &ingest, mutation).await, "label");
    refused(ask(&server, &read, mutation).await, "label");
    let hidden = format!("{mutation} query Q {{ __typename }}").replace("mutation", "mutation M");
    refused(ask(&server, &read, &hidden).await, "label");
    refused(ask(&server, &read, "{ auditEvents { nodes { actor } } }").await, "admin");
    refused(
        ask(&server, &label, "query { ... on Query { auditEvents { nodes { id } } } }").await,
        "admin",
    );
    assert_eq!(server.running.log().head(), before, "nothing was carried out");
    // Routes.
    for path in ["/v1/events", "/v1/schemas", "/metrics", "/v1/set-aside"] {
        refused(with_token(server.client.get(server.url(path)), &ingest).await, "read");
        assert_eq!(with_token(server.client.get(server.url(path)), &read).await.status, 200);
    }
    let labels = || {
        let body = json!({ "by": "alice", "claim": { "claim": "false_positive" } }).to_string();
        let request = server.client.post(server.url("/v1/incidents/i-1/labels"));
        request.header("content-type", JSON).body(body)
    };
    refused(with_token(labels(), &read).await, "label");
    assert_eq!(with_token(labels(), &label).await.status, 201);
}

#[tokio::test]
async fn an_expired_or_revoked_token_opens_nothing() {
    let server = Server::start_with(guarded).await;
    let short = create(&server, "read", &["--expires", "1s"]);
    let token = create(&server, "read", &["--expires", "90d"]);
    let get =
        async |token: &str| with_token(server.client.get(server.url("/v1/schemas")), token).await;
    assert_eq!(get(&token).await.status, 200);
    eventually("expiry", async || match get(&short).await {
        answer if answer.status == 200 => Err("still good".to_owned()),
        answer => {
            assert_eq!(answer.code(), (401, "token_expired"));
            Ok(())
        }
    })
    .await;
    let id = token.split('_').nth(1).expect("an id");
    assert!(faultline(&server, &["list"]).contains(id));
    assert!(faultline(&server, &["revoke", id]).contains("taken back"));
    assert_eq!(get(&token).await.code(), (401, "token_invalid"), "without a restart");
    let list = faultline(&server, &["list"]);
    assert!(list.contains("taken back") && list.contains("expired"), "{list}");
    assert!(!list.contains(token.rsplit('_').next().expect("a secret")));
}

#[tokio::test]
async fn tokens_of_the_configuration_are_good_as_well() {
    let made = Server::start().await;
    let printed = create(&made, "read", &["--print-entry"]);
    let (token, entry) = printed.split_once("\n\n").expect("a token and its entry");
    let parsed: toml::Value = toml::from_str(entry).expect("TOML");
    let entry = parsed["auth"]["tokens"][0].clone();
    let record = entry.try_into().expect("a record");
    let server = Server::start_with(|config| {
        guarded(config);
        config.auth.tokens.push(record);
    })
    .await;
    let answer = with_token(server.client.get(server.url("/v1/schemas")), token).await;
    assert_eq!(answer.status, 200);
    assert_eq!(server.get("/v1/schemas").await.code(), (401, "token_missing"));
}

#[tokio::test]
async fn who_labels_is_audited_and_only_admins_see_it() {
    let server = Server::start_with(guarded).await;
    let [read, label, admin] = ["read", "label", "admin"].map(|scope| create(&server, scope, &[]));
    assert_eq!(append(&server, &admin, &opened()).await.status, 200);
    let body = json!({ "label": "l-1", "by": "alice", "claim": { "claim": "false_positive" } });
    for _ in 0..2 {
        let request = server.client.post(server.url("/v1/incidents/i-1/labels"));
        let request = request.header("content-type", JSON).header("x-request-id", "req-7");
        let answer = with_token(request.body(body.to_string()), &label).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    let mutation =
        r#"mutation { resolveIncident(input: { incident: "i-1", by: "bob" }) { position } }"#;
    let answer = ask(&server, &label, mutation).await;
    assert_eq!(answer.body["errors"], Value::Null, "{}", answer.text);
    let query = r#"{ auditEvents(subject: "i-1") { nodes { action actor token subject outcome request peer event } } }"#;
    let nodes = eventually("the audit", async || {
        let answer = ask(&server, &admin, query).await;
        let nodes = answer.body["data"]["auditEvents"]["nodes"].clone();
        if nodes.as_array().map(Vec::len) == Some(2) { Ok(nodes) } else { Err(answer.text) }
    })
    .await;
    let id = label.split('_').nth(1).expect("an id");
    assert_eq!(nodes[0]["action"], "incident.resolve");
    assert_eq!(nodes[1]["action"], "label.assign", "once for two requests");
    assert_eq!(nodes[1]["actor"], "the label token");
    assert_eq!(nodes[1]["token"], id);
    assert_eq!(nodes[1]["outcome"], "DONE");
    assert_eq!(nodes[1]["request"], "req-7");
    assert_eq!(nodes[1]["peer"], Value::Null);
    // The tokens themselves, made beside the running server.
    let query = "{ auditEvents(first: 100) { nodes { action actor subject } } }";
    eventually("the audit of tokens", async || {
        let text = ask(&server, &admin, query).await.text;
        let count = text.matches("token.create").count();
        if count == 3 { Ok(()) } else { Err(text) }
    })
    .await;
    // Those who may read see events, but not these.
    let events = |token: String| {
        let request = server.client.get(server.url("/v1/events?limit=1000"));
        async move { with_token(request, &token).await.text }
    };
    assert!(events(admin.clone()).await.contains("audit.recorded"));
    let seen = events(read.clone()).await;
    assert!(seen.contains("label.assigned") && !seen.contains("audit.recorded"), "{seen}");
    let audit = server.recorded("io.faultline.audit.recorded.v1").await;
    let id = audit[0]["id"].as_str().expect("an id");
    let one = |token: String| {
        let request = server.client.get(server.url(&format!("/v1/events/{id}")));
        async move { with_token(request, &token).await.status }
    };
    assert_eq!(one(read.clone()).await, 404);
    assert_eq!(one(admin.clone()).await, 200);
    let query = format!(r#"{{ event(id: "{id}") {{ id }} }}"#);
    assert_eq!(ask(&server, &read, &query).await.body["data"]["event"], Value::Null);
    assert!(ask(&server, &admin, &query).await.body["data"]["event"].is_object());
}

#[tokio::test]
async fn a_caller_that_asks_too_often_waits() {
    let server = Server::start_with(|config| {
        config.rate.requests_per_s = 1;
        config.rate.burst = 3;
    })
    .await;
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(server.get("/v1/schemas").await);
    }
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(refused.len() >= 5, "{} were refused", refused.len());
    assert_eq!(refused[0].code(), (429, "rate_limited"));
    assert_eq!(refused[0].headers["retry-after"], "1");
    assert_eq!(server.get("/healthz").await.status, StatusCode::OK);
    // Another caller has an allowance of its own.
    let token = create(&server, "read", &[]);
    let answer = with_token(server.client.get(server.url("/v1/schemas")), &token).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Server::start_with(|config| config.http.header_timeout_ms = 100).await;
    for said in ["", "GET", "GET /healthz HTTP/1.1\r\nx-slow: "] {
        let mut line = tokio::net::TcpStream::connect(server.running.address()).await.expect("up");
        line.write_all(said.as_bytes()).await.expect("written");
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), line.read_to_end(&mut rest));
        // Closed with or without a word; a reset says the same.
        let _ = ended.await.unwrap_or_else(|_| panic!("{said:?} keeps the connection"));
    }
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn what_people_do_to_incidents_is_audited_and_what_machines_do_is_not() {
    let server = Server::start_with(guarded).await;
    let [ingest, label, admin] =
        ["ingest", "label", "admin"].map(|scope| create(&server, scope, &[]));
    assert_eq!(
        append(&server, &ingest, &json!([discovered("checkout"), opened()])).await.status,
        200
    );
    let mutations = r#"mutation {
        openIncident(input: { incident: "i-2", title: "t", component: "checkout", severity: ERROR,
                              by: "alice" }) { position }
        applyMitigation(input: { incident: "i-2", action: "restarted", by: "alice" }) { position } }"#;
    let answer = ask(&server, &label, mutations).await;
    assert_eq!(answer.body["errors"], Value::Null, "{}", answer.text);
    let path = server.url("/v1/incidents/i-2/mitigate");
    let request = server.client.post(path).header("content-type", JSON);
    let answer = with_token(request.body(r#"{"by":"alice"}"#), &label).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let rebuild = server.client.post(server.url("/v1/admin/rebuild"));
    let answer = with_token(rebuild.header("content-type", JSON), &admin).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let audit = server.recorded("io.faultline.audit.recorded.v1").await;
    let told: Vec<_> = audit
        .iter()
        .map(|it| (it["data"]["action"].as_str(), it["data"]["subject"].as_str()))
        .filter(|(action, _)| !action.is_some_and(|action| action.starts_with("token.")))
        .collect();
    let done = ["incident.open", "mitigation.apply", "incident.mitigate"];
    let mut expected = done.map(|action| (Some(action), Some("i-2"))).to_vec();
    expected.push((Some("rebuild"), Some("graph")));
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_whole_or_none() {
    let server = Server::start_with(|config| {
        guarded(config);
        config.ingest.max_page_events = 2;
    })
    .await;
    let [ingest, label, read, admin] =
        ["ingest", "label", "read", "admin"].map(|scope| create(&server, scope, &[]));
    let export = |token: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_faultline"))
            .args(["export", "--server", &server.running.url(), "--token", token])
            .env_clear()
            .output()
            .expect("the binary runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    assert_eq!(
        append(&server, &ingest, &json!([discovered("checkout"), opened()])).await.status,
        200
    );
    let acknowledge =
        r#"mutation { acknowledgeIncident(input: { incident: "i-1", by: "alice" }) { position } }"#;
    let answer = ask(&server, &label, acknowledge).await;
    assert_eq!(answer.body["errors"], Value::Null, "{}", answer.text);
    assert_eq!(append(&server, &ingest, &discovered("later")).await.status, 200);
    let (whole, out, said) = export(&read);
    assert!(!whole && said.contains("scope admin"), "{out}{said}");
    let (whole, out, said) = export(&admin);
    assert!(whole, "{said}");
    let positions: Vec<_> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["position"].as_u64())
        .collect();
    let head = server.running.log().head();
    assert_eq!(positions, (1..=head).map(Some).collect::<Vec<_>>());
}
