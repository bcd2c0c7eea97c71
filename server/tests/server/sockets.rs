//! GraphQL over WebSocket.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::harness::{Server, discovered, event, eventually};
use crate::security::create;

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What came, or with which code the server closed the connection.
#[derive(Debug, PartialEq)]
enum Heard {
    Said(Value),
    Closed(u16, String),
}

async fn try_open(server: &Server, headers: &[(&'static str, &str)]) -> Result<Socket, Error> {
    let url = server.url("/graphql/ws").replace("http", "ws");
    let mut request = url.into_client_request().expect("a request");
    let all = [&[("sec-websocket-protocol", "graphql-transport-ws")], headers].concat();
    for (name, value) in all {
        request.headers_mut().insert(name, value.parse().expect("a header"));
    }
    connect_async(request).await.map(|(socket, _)| Socket(socket))
}

async fn open(server: &Server) -> Socket {
    try_open(server, &[]).await.expect("the socket opens")
}

async fn opened(server: &Server, payload: Value) -> Socket {
    let mut socket = open(server).await;
    socket.say(json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(socket.hear().await, Heard::Said(json!({ "type": "connection_ack" })));
    socket
}

impl Socket {
    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.expect("sent");
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        let payload = json!({ "query": query });
        self.say(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    async fn hear(&mut self) -> Heard {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), self.0.next()).await;
            match next.expect("in time") {
                Some(Ok(Message::Text(text))) => {
                    return Heard::Said(serde_json::from_str(&text).expect("JSON"));
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Heard::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(_)) => {}
                other => panic!("expected a message or a close frame, got {other:?}"),
            }
        }
    }

    async fn answer(&mut self, id: &str) -> Value {
        match self.hear().await {
            Heard::Said(message) => {
                assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!(id)));
                message["payload"].clone()
            }
            closed => panic!("{closed:?}"),
        }
    }
}

fn status(refused: Result<Socket, Error>) -> u16 {
    match refused {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
        Ok(_) => 101,
    }
}

#[tokio::test]
async fn operations_are_answered_over_a_socket() {
    let server = Server::start().await;
    let mut socket = opened(&server, json!({})).await;
    socket.subscribe("1", "{ components { nodes { name } } }").await;
    assert_eq!(socket.answer("1").await["data"], json!({ "components": { "nodes": [] } }));
    assert_eq!(socket.hear().await, Heard::Said(json!({ "type": "complete", "id": "1" })));
    socket.say(json!({ "type": "ping" })).await;
    assert_eq!(socket.hear().await, Heard::Said(json!({ "type": "pong" })));
}

#[tokio::test]
async fn a_socket_needs_a_good_token_and_its_scopes() {
    let server = Server::start_with(|config| {
        config.auth.required = Some(true);
        config.reactors.enabled = false;
    })
    .await;
    let [read, label] = ["read", "label"].map(|scope| create(&server, scope, &[]));
    for payload in [json!({}), json!(null), json!({ "Authorization": "Bearer flt_x" })] {
        let mut socket = open(&server).await;
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert!(matches!(socket.hear().await, Heard::Closed(4401, _)), "{payload}");
    }
    let mut hasty = open(&server).await;
    hasty.subscribe("1", "{ __typename }").await;
    assert!(matches!(hasty.hear().await, Heard::Closed(4401, _)));
    assert_eq!(status(try_open(&server, &[("authorization", "Bearer flt_x")]).await), 401);
    // By the first message, and by the header.
    let mut socket = opened(&server, json!({ "Authorization": format!("Bearer {read}") })).await;
    socket.subscribe("1", "{ __typename }").await;
    assert_eq!(socket.answer("1").await["data"]["__typename"], "Query");
    let bearer = format!("Bearer {label}");
    let mut socket = try_open(&server, &[("authorization", &bearer)]).await.expect("it opens");
    socket.say(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.hear().await, Heard::Said(json!({ "type": "connection_ack" })));
    let question = "{ auditEvents { nodes { id } } }";
    socket.subscribe("1", question).await;
    let refused = socket.answer("1").await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "scope_missing", "{refused}");
}

#[tokio::test]
async fn what_is_done_over_a_socket_is_audited() {
    let server = Server::start_with(|config| {
        config.auth.required = Some(true);
        config.reactors.enabled = false;
    })
    .await;
    let [label, admin] = ["label", "admin"].map(|scope| create(&server, scope, &[]));
    let incident = event(
        "incident.opened",
        json!({ "incident": "i-1", "title": "t", "component": "a", "severity": "error",
                "opened_by": "test" }),
    );
    let request = server.client.post(server.url("/v1/events")).bearer_auth(&admin);
    let request = request.header("content-type", "application/json").body(incident.to_string());
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    let mut socket = opened(&server, json!({ "token": label })).await;
    let mutation =
        r#"mutation { acknowledgeIncident(input: { incident: "i-1", by: "a" }) { position } }"#;
    socket.subscribe("1", mutation).await;
    assert_eq!(socket.answer("1").await["errors"], Value::Null);
    let audit = server.recorded("io.faultline.audit.recorded.v1").await;
    let done: Vec<_> = audit
        .iter()
        .filter(|entry| entry["data"]["action"] == "incident.acknowledge")
        .map(|entry| entry["data"]["actor"].clone())
        .collect();
    assert_eq!(done, ["the label token"]);
    // Between the two the audit stands in the log, and is not told to those who only label.
    socket.subscribe("2", "subscription { events(after: 0) { eventType } }").await;
    let request = server.client.post(server.url("/v1/events")).bearer_auth(&admin);
    let request = request.header("content-type", "application/json");
    let last = request.body(discovered("z").to_string()).send().await.expect("an answer");
    assert_eq!(last.status(), 200);
    let mut seen = Vec::new();
    while seen.last().is_none_or(|it| it != "io.faultline.component.discovered.v1") {
        match socket.hear().await {
            Heard::Said(message) if message["type"] == "next" => {
                let event = &message["payload"]["data"]["events"];
                seen.push(event["eventType"].as_str().expect("a type").to_owned());
            }
            Heard::Said(message) => assert_eq!(message["id"], "1", "{message}"),
            closed => panic!("{closed:?}"),
        }
    }
    assert!(!seen.iter().any(|it| it.contains("audit")), "{seen:?}");
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[tokio::test]
async fn a_revoked_token_ends_its_sockets() {
    let server = Server::start_with(|config| {
        config.auth.required = Some(true);
        config.graphql.ping_ms = 50;
    })
    .await;
    let token = create(&server, "read", &[]);
    let mut socket = opened(&server, json!({ "token": token })).await;
    let id = token.split('_').nth(1).expect("an id");
    crate::security::faultline(&server, &["revoke", id]);
    assert!(matches!(socket.hear().await, Heard::Closed(4401, _)));
}

#[tokio::test]
async fn sockets_and_their_operations_are_bounded() {
    let server = Server::start_with(|config| {
        config.graphql.max_sockets = 1;
        config.graphql.max_subscriptions = 2;
    })
    .await;
    let mut socket = opened(&server, json!({})).await;
    assert_eq!(status(try_open(&server, &[]).await), 503);
    for id in ["1", "2"] {
        socket.subscribe(id, "subscription { events { id } }").await;
    }
    socket.subscribe("3", "{ __typename }").await;
    let refused = socket.answer("3").await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "too_many_subscriptions");
    assert_eq!(socket.hear().await, Heard::Said(json!({ "type": "complete", "id": "3" })));
    socket.say(json!({ "id": "1", "type": "complete" })).await;
    assert_eq!(socket.hear().await, Heard::Said(json!({ "type": "complete", "id": "1" })));
    socket.subscribe("4", "{ __typename }").await;
    assert_eq!(socket.answer("4").await["data"]["__typename"], "Query");
}

#[tokio::test]
async fn events_arrive_as_they_are_recorded_until_the_server_stops() {
    let server = Server::start_with(|config| config.reactors.enabled = false).await;
    let mut socket = opened(&server, json!({})).await;
    socket.subscribe("1", "subscription { events(after: 0) { eventType position } }").await;
    for (name, position) in [("a", 1), ("b", 2)] {
        assert_eq!(server.append(&discovered(name)).await.status, 200);
        assert_eq!(
            socket.answer("1").await["data"]["events"],
            json!({ "eventType": "io.faultline.component.discovered.v1", "position": position })
        );
    }
    let (stopped, heard) = tokio::join!(server.running.stop(), socket.hear());
    stopped.expect("an open subscription does not keep the server");
    assert_eq!(heard, Heard::Closed(1001, "the server stops".to_owned()));
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_given_up() {
    let server = Server::start_with(|config| {
        config.graphql.ping_ms = 500;
        config.graphql.max_sockets = 1;
    })
    .await;
    let mut socket = opened(&server, json!({})).await;
    let large =
        "{ __schema { types { name description fields { name description args { name } } } } }";
    // More than the system keeps for a connection, or until it is given up.
    for id in 0..400 {
        let payload = json!({ "query": large });
        let message = json!({ "id": id.to_string(), "type": "subscribe", "payload": payload });
        if socket.0.send(Message::text(message.to_string())).await.is_err() {
            break;
        }
    }
    eventually("its place", async || match try_open(&server, &[]).await {
        Ok(socket) => Ok(socket),
        Err(error) => Err(error.to_string()),
    })
    .await;
}

#[tokio::test]
async fn a_page_of_elsewhere_may_not_open_a_socket() {
    let server = Server::start().await;
    assert_eq!(status(try_open(&server, &[("origin", "https://evil.example")]).await), 403);
    let own = server.running.url();
    assert_eq!(status(try_open(&server, &[("origin", &own)]).await), 101);
    let other = [("sec-websocket-protocol", "graphql-ws")];
    assert_eq!(status(try_open(&server, &other).await), 400);
    let plain = server.get("/graphql/ws").await;
    assert_eq!(plain.code().0, 400);
}

#[tokio::test]
async fn what_is_no_message_closes_the_socket() {
    let server = Server::start().await;
    for text in ["", "{", r#"{"type":"dance"}"#, "[]"] {
        let mut socket = opened(&server, json!({})).await;
        socket.0.send(Message::text(text)).await.expect("sent");
        assert!(matches!(socket.hear().await, Heard::Closed(1002, _)), "{text:?}");
    }
    assert_eq!(server.get("/healthz").await.status, 200);
}
