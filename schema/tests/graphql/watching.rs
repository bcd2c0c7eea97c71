//! Subscriptions, by executing the schema's stream.

use std::time::Duration;

use async_graphql::{Request, Response};
use events::log::{EventLog, ExpectedRevision};
use futures::stream::{BoxStream, StreamExt};
use serde_json::{Value, json};

use super::base::{TestBase, event, id};
use super::history::shop;

fn watch(base: &TestBase, query: &str) -> BoxStream<'static, Response> {
    base.schema.execute_stream(Request::new(query))
}

async fn next(stream: &mut BoxStream<'static, Response>) -> Value {
    let item = tokio::time::timeout(Duration::from_secs(30), stream.next()).await;
    serde_json::to_value(item.expect("an item within 30 s").expect("the stream goes on")).unwrap()
}

async fn append(base: &TestBase, event: events::Event) {
    base.log.append(event.data.stream(), ExpectedRevision::Any, vec![event]).await.unwrap();
}

fn acknowledged(number: u128) -> events::Event {
    event(number, 200, "incident.acknowledged", json!({ "incident": "inc-2", "by": "kim" }))
}

#[tokio::test]
async fn events_are_told_from_a_position_and_as_they_come() {
    let base = TestBase::of(shop()).await;
    let query = r#"subscription { events(after: 0, stream: "incident-inc-2",
        types: ["io.faultline.incident.opened.v1", "io.faultline.incident.acknowledged.v1"])
        { id position eventType } }"#;
    let mut events = watch(&base, query);
    assert_eq!(next(&mut events).await["data"]["events"]["id"], json!(id(31)));
    append(&base, acknowledged(800)).await;
    let told = next(&mut events).await;
    assert_eq!(told["data"]["events"]["id"], json!(id(800)), "{told}");
    assert_eq!(told["data"]["events"]["position"], json!(base.log.head()));
}

#[tokio::test]
async fn a_subscription_that_cannot_be_is_refused_with_a_code() {
    let base = TestBase::of(shop()).await;
    let cases = [
        (r#"subscription { events(after: 100000) { id } }"#, "invalid_input", "after"),
        (r#"subscription { events(types: ["x"]) { id } }"#, "invalid_input", "types"),
        (r#"subscription { incidents(after: 100000) { key } }"#, "invalid_input", "after"),
    ];
    for (query, code, field) in cases {
        let mut refused = watch(&base, query);
        let answer = next(&mut refused).await;
        let extensions = &answer["errors"][0]["extensions"];
        assert_eq!((&extensions["code"], &extensions["field"]), (&json!(code), &json!(field)));
        assert!(refused.next().await.is_none(), "{query} ends");
    }
    let mut unknown = watch(&base, "subscription { nothing }");
    assert_eq!(next(&mut unknown).await["errors"][0]["extensions"]["code"], "query_invalid");
}

#[tokio::test]
async fn an_incident_is_told_when_the_graph_knows_of_its_change() {
    let base = TestBase::of(shop()).await;
    let query = "subscription { incidents { key status labels { nodes { by } } } }";
    let mut incidents = watch(&base, query);
    // The stream begins when it is first polled; what comes before that is not for it.
    let first = tokio::join!(next(&mut incidents), append(&base, acknowledged(801))).0;
    let expected = json!({ "key": "inc-2", "status": "ACKNOWLEDGED", "labels": { "nodes": [] } });
    assert_eq!(first["data"]["incidents"], expected, "{first}");
    // What hangs on it is read anew each time.
    let label = r#"mutation { assignLabel(input: { incident: "inc-2", by: "kim",
        claim: { falsePositive: true } }) { position } }"#;
    base.data(label).await;
    let second = next(&mut incidents).await;
    assert_eq!(second["data"]["incidents"]["labels"]["nodes"], json!([{ "by": "kim" }]));
}

#[tokio::test]
async fn a_slow_consumer_is_told_of_an_incident_as_it_is_by_then() {
    let base = TestBase::of(shop()).await;
    let mut incidents = watch(&base, "subscription { incidents(after: 0) { key status } }");
    for number in 0..40 {
        append(&base, acknowledged(900 + number)).await;
    }
    let wait = format!("{{ components(waitFor: {}) {{ nodes {{ name }} }} }}", base.log.head());
    base.data(&wait).await;
    let (first, second) = (next(&mut incidents).await, next(&mut incidents).await);
    assert_eq!(first["data"]["incidents"], json!({ "key": "inc-1", "status": "RESOLVED" }));
    assert_eq!(second["data"]["incidents"], json!({ "key": "inc-2", "status": "ACKNOWLEDGED" }));
    let quiet = tokio::time::timeout(Duration::from_millis(50), incidents.next()).await;
    assert!(quiet.is_err(), "forty changes are one");
}

#[tokio::test]
async fn the_projection_tells_how_far_it_is() {
    let base = TestBase::of(shop()).await;
    let mut projection = watch(&base, "subscription { projection { position head lag } }");
    let first = next(&mut projection).await;
    let head = base.log.head();
    let here = json!({ "position": head, "head": head, "lag": 0 });
    assert_eq!(first["data"]["projection"], here);
    append(&base, acknowledged(950)).await;
    let second = next(&mut projection).await;
    assert_eq!(second["data"]["projection"]["position"], json!(head + 1));
}
