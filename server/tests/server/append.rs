//! `/v1/events`: what is taken, what is answered, and that nothing refused is half-written.

use events::EventId;
use serde_json::{Value, json};

use crate::harness::{BATCH, JSON, SINGLE, Server, discovered, event};

fn snapshot(component: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut event = event(
        "metrics.snapshotrecorded",
        json!({
            "component": component,
            "window": { "start": "2026-01-31T12:00:00Z", "duration_ms": 10_000 },
            "requests": 10,
            "errors": 0,
            "latency": { "p50_ms": 1, "p95_ms": 2, "p99_ms": 3 },
        }),
    );
    change(&mut event["data"]);
    event
}

#[tokio::test]
async fn every_mode_is_taken_and_answers_positions() {
    let server = Server::start().await;
    let single = discovered("a");
    let answer = server.post("/v1/events", SINGLE, single.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(
        answer.body["events"],
        json!([{ "id": single["id"], "stream": "component-a", "revision": 0,
                 "position": answer.body["position"] }])
    );
    let batch = json!([discovered("a"), discovered("b"), discovered("a")]);
    let answer = server.post("/v1/events", BATCH, batch.to_string()).await;
    let places: Vec<_> = answer.body["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|at| (at["id"].clone(), at["stream"].clone(), at["revision"].clone()))
        .collect();
    let expected: Vec<_> = [(0, "component-a", 1), (1, "component-b", 0), (2, "component-a", 2)]
        .iter()
        .map(|(index, stream, revision)| {
            (batch[index]["id"].clone(), json!(stream), json!(revision))
        })
        .collect();
    assert_eq!(places, expected);
    for body in [discovered("c"), json!([discovered("c")])] {
        assert_eq!(server.post("/v1/events", JSON, body.to_string()).await.status, 200);
    }
    let answer = server
        .client
        .post(server.url("/v1/events"))
        .header("content-type", "application/json; charset=utf-8")
        .header("ce-specversion", "1.0")
        .header("ce-id", EventId::generate().to_string())
        .header("ce-source", "/Stra%C3%9Fe")
        .header("ce-type", "io.faultline.component.discovered.v1")
        .body(r#"{"component":"d","discovered_by":"test"}"#)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    let all = server.get("/v1/events?after=0&limit=100").await.body;
    assert_eq!(all["events"].as_array().map(Vec::len), Some(7));
    assert_eq!(all["events"][6]["source"], "/Straße");
    assert_eq!(all["next"], all["head"]);
    let one = server.get(&format!("/v1/events/{}", single["id"].as_str().expect("an id"))).await;
    assert_eq!(one.body, all["events"][0]);
}

#[tokio::test]
async fn the_same_batch_twice_gives_the_same_answer() {
    let server = Server::start().await;
    let batch = json!([discovered("a"), discovered("b"), snapshot("a", |_| {})]);
    let first = server.append(&batch).await;
    assert_eq!(first.status, 200);
    let second = server.append(&batch).await;
    assert_eq!((second.status, second.text), (first.status, first.text));
    let mixed = json!([batch[0], discovered("a")]);
    assert_eq!(server.append(&mixed).await.code(), (409, "partly_known"));
    let head = server.running.log().head();
    // The new event of another stream must not be written before the mix is found out.
    let mixed = json!([discovered("z"), batch[0], discovered("a")]);
    assert_eq!(server.append(&mixed).await.code(), (409, "partly_known"));
    assert_eq!(server.running.log().head(), head);
}

#[tokio::test]
async fn a_stale_revision_is_refused_with_both_revisions() {
    let server = Server::start().await;
    let send = async |query: &str, body: Value| {
        server.post(&format!("/v1/events?expectedRevision={query}"), JSON, body.to_string()).await
    };
    assert_eq!(send("none", discovered("a")).await.status, 200);
    assert_eq!(send("0", json!([discovered("a"), discovered("a")])).await.status, 200);
    let stale = send("1", discovered("a")).await;
    assert_eq!(stale.code(), (409, "wrong_expected_revision"));
    assert_eq!(stale.body["error"]["actual"], 2);
    assert_eq!(stale.body["error"]["expected"], 1);
    let stale = send("none", discovered("a")).await;
    assert_eq!((stale.body["error"]["actual"].clone(), stale.code().0), (json!(2), 409));
    assert_eq!(stale.body["error"]["expected"], Value::Null);
    let mixed = send("2", json!([discovered("a"), discovered("b")])).await;
    assert_eq!(mixed.code(), (400, "mixed_streams"));
    assert_eq!(send("-1", discovered("a")).await.code(), (400, "invalid_parameter"));
    assert_eq!(send("2", discovered("a")).await.status, 200);
    assert_eq!(server.running.log().head(), 4);
}

#[tokio::test]
async fn an_invalid_event_is_named_with_its_pointer() {
    let server = Server::start().await;
    let unknown_type = event("component.invented", json!({}));
    let wrong_type = snapshot("a", |data| data["requests"] = json!("ten"));
    let negative = snapshot("a", |data| data["latency"]["p50_ms"] = json!(-1));
    let unknown_field = snapshot("a", |data| data["latencies"] = json!(1));
    let missing = snapshot("a", |data| data["window"] = json!({ "duration_ms": 1 }));
    let mut ahead = discovered("a");
    ahead["time"] = json!("2999-01-01T00:00:00Z");
    let window_ahead =
        snapshot("a", |data| data["window"]["start"] = json!("2999-01-01T00:00:00Z"));
    let cases = [
        (unknown_type, "unknown_event_type", "/type"),
        (wrong_type, "wrong_type", "/data/requests"),
        (negative, "invalid_value", "/data/latency/p50_ms"),
        (unknown_field, "unknown_field", "/data/latencies"),
        (missing, "missing_field", "/data/window/start"),
        (ahead, "time_in_future", "/time"),
        (window_ahead, "time_in_future", "/data/window/start"),
        (json!("text"), "not_an_object", ""),
    ];
    for (event, code, pointer) in &cases {
        let answer = server.append(event).await;
        assert_eq!(answer.code(), (422, *code), "{}", answer.text);
        assert_eq!(answer.pointer(), *pointer);
        assert_eq!(answer.body["events"][0]["index"], 0);
    }
    let mut batch: Vec<Value> = cases.iter().map(|(event, ..)| event.clone()).collect();
    let valid = discovered("a");
    batch.insert(0, valid.clone());
    batch.push(valid);
    let answer = server.append(&json!(batch)).await;
    assert_eq!(answer.code(), (422, "unknown_event_type"));
    assert_eq!(answer.pointer(), "/1/type");
    let listed: Vec<_> = answer.body["events"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| (event["index"].as_u64(), event["code"].as_str().expect("a code")))
        .collect();
    let mut expected: Vec<_> =
        (1..).map(Some).zip(cases.iter().map(|(_, code, _)| *code)).collect();
    expected.push((Some(9), "repeated_id"));
    assert_eq!(listed, expected);
    assert_eq!(server.running.log().head(), 0, "nothing half-written");
}

#[tokio::test]
async fn a_body_that_is_no_document_is_refused() {
    let server = Server::start().await;
    let nan = discovered("a").to_string().replace("\"test\"", "NaN");
    let twice = discovered("a").to_string().replacen('{', "{\"id\":\"x\",", 1);
    let not_utf8 = b"{\"id\":\"\xff\"}".to_vec();
    for body in [nan.into_bytes(), twice.into_bytes(), not_utf8, b"{".to_vec(), Vec::new()] {
        let answer = server.post("/v1/events", JSON, body).await;
        assert_eq!(answer.code(), (400, "malformed_json"), "{}", answer.text);
        assert!(answer.body["error"]["line"].is_u64(), "{}", answer.text);
        assert!(answer.body["error"]["column"].is_u64());
    }
    for body in ["[]", " [ ] "] {
        assert_eq!(server.post("/v1/events", BATCH, body).await.code(), (400, "empty_batch"));
    }
    let one = server.post("/v1/events", BATCH, discovered("a").to_string()).await;
    assert_eq!(one.code(), (400, "not_a_list"));
    for content_type in ["text/plain", "", "application/json; charset=latin1"] {
        let answer = server.post("/v1/events", content_type, discovered("a").to_string()).await;
        assert_eq!(answer.code(), (415, "unsupported_media_type"), "{content_type:?}");
    }
    assert_eq!(server.running.log().head(), 0);
}

#[tokio::test]
async fn an_id_that_stands_for_something_else_is_409() {
    let server = Server::start().await;
    let first = discovered("a");
    assert_eq!(server.append(&first).await.status, 200);
    let mut other = first.clone();
    other["data"]["discovered_by"] = json!("another");
    let answer = server.append(&other).await;
    assert_eq!(answer.code(), (409, "event_id_taken"));
    assert_eq!(answer.body["error"]["differs"], "data");
    assert_eq!(answer.body["error"]["id"], first["id"]);
    // In a batch over streams nothing of the others is written.
    let answer = server.append(&json!([discovered("z"), other])).await;
    assert_eq!(answer.code(), (409, "event_id_taken"));
    assert_eq!(server.running.log().head(), 1);
    // Without a time, an event is dated when it is received, each time anew.
    let mut undated = discovered("b");
    undated.as_object_mut().expect("an object").remove("time");
    let once = server.append(&undated).await;
    assert_eq!(server.append(&undated).await.text, once.text);
}

#[tokio::test]
async fn appended_events_are_counted_once_whatever_the_way() {
    let server = Server::start_with(|config| config.reactors.enabled = false).await;
    let opened = event(
        "incident.opened",
        json!({ "incident": "i-1", "title": "t", "component": "a", "severity": "error",
                "opened_by": "test" }),
    );
    for _ in 0..3 {
        assert_eq!(server.append(&opened).await.status, 200);
    }
    let id = EventId::generate();
    for _ in 0..2 {
        server
            .graphql(&format!(
                r#"mutation {{ acknowledgeIncident(input: {{ incident: "i-1", by: "a",
                   eventId: "{id}" }}) {{ position }} }}"#
            ))
            .await;
    }
    let text = server.get("/metrics").await.text;
    for event_type in ["incident.opened", "incident.acknowledged", "audit.recorded"] {
        let line =
            format!("faultline_events_appended_total{{type=\"io.faultline.{event_type}.v1\"}} 1");
        assert!(text.lines().any(|got| got == line), "no {line} in\n{text}");
    }
}

/// The bytes as a gzip member of stored blocks.
fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks: Vec<&[u8]> = bytes.chunks(0xffff).collect();
    for (index, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).expect("a block");
        out.push(u8::from(index + 1 == blocks.len()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(*block);
    }
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    out.extend((!crc).to_le_bytes());
    out.extend(u32::try_from(bytes.len()).expect("short").to_le_bytes());
    out
}

#[tokio::test]
async fn a_gzipped_body_is_read_up_to_its_inflated_size() {
    let server = Server::start_with(|config| config.ingest.max_body_bytes = 100_000).await;
    let send = async |encoding: &str, body: Vec<u8>| {
        let request = server.client.post(server.url("/v1/events")).header("content-type", JSON);
        let request = request.header("content-encoding", encoding).body(body);
        crate::harness::Answer::of(request.send().await.expect("an answer")).await
    };
    let event = discovered("a");
    let answer = send("gzip", gzipped(event.to_string().as_bytes())).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = send("gzip", gzipped(&vec![b' '; 100_001])).await;
    assert_eq!(answer.code(), (413, "body_too_large"));
    assert_eq!(send("gzip", b"not gzip".to_vec()).await.code(), (400, "incomplete_body"));
    let answer = send("br", event.to_string().into_bytes()).await;
    assert_eq!(answer.code(), (415, "unsupported_encoding"));
    assert_eq!(server.running.log().head(), 1);
}

#[tokio::test]
async fn a_page_behind_the_end_goes_on_at_the_end() {
    let server = Server::start_with(|config| config.reactors.enabled = false).await;
    server.append(&discovered("a")).await;
    let page = server.get("/v1/events?after=1000").await.body;
    assert_eq!((&page["next"], &page["head"]), (&json!(1), &json!(1)));
}
