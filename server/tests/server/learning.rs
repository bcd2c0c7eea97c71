//! Labels teach: what is learned of past incidents ranks the next one, is measured, pinned and
//! taken back, and learned again after a restart.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use events::{EventData, Timestamp};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{Server, event, eventually};

const COMPONENTS: [&str; 4] = ["cart", "stock", "mail", "users"];
const KINDS: [(&str, &str); 2] = [("cpu_hog", "cpu"), ("memory_leak", "memory")];

fn truth(number: usize) -> (&'static str, (&'static str, &'static str)) {
    (COMPONENTS[number % 4], KINDS[(number / 4) % 2])
}

/// What fires in an incident: the entrance is slow, two components make noise, then the one at fault shows one thing of
/// its own. All of it ends two minutes later.
fn alerts(number: usize) -> [Value; 2] {
    let start = Timestamp::now() - SignedDuration::from_hours(20)
        + SignedDuration::from_mins(20 * number as i64);
    let (cause, (_, metric)) = truth(number);
    let others: Vec<&str> = COMPONENTS.into_iter().filter(|it| *it != cause).collect();
    let noisy = [others[number % 3], others[(number + 1) % 3]];
    let noise = noisy.into_iter().flat_map(|of| [(of, "network"), (of, "threads")]);
    let seen = std::iter::once(("front", "latency")).chain(noise);
    let shown: Vec<(&str, &str)> = seen.chain([(cause, metric)]).collect();
    let at = |time: Timestamp, mut event: Value| {
        event["time"] = json!(time);
        event
    };
    let (mut fired, mut resolved) = (Vec::new(), Vec::new());
    for (second, (component, metric)) in (0..).zip(shown) {
        let alert = format!("{number}-{component}-{metric}");
        let began = start + SignedDuration::from_secs(second);
        let data = json!({
            "alert": alert, "name": metric, "component": component, "severity": "warning",
            "labels": { "signal": "metric", "direction": "up" },
        });
        fired.push(at(began, event("alert.fired", data)));
        let over = began + SignedDuration::from_mins(2);
        resolved.push(at(over, event("alert.resolved", json!({ "alert": alert }))));
    }
    [json!(fired), json!(resolved)]
}

/// The incident that comes of the alerts, over and diagnosed.
async fn incident(server: &Server, number: usize) -> Value {
    for part in alerts(number) {
        assert_eq!(server.append(&part).await.status, 200);
        eventually("decisions", async || {
            let (reacted, head) = (server.running.reacted(), server.running.log().head());
            if reacted >= head { Ok(()) } else { Err(format!("{reacted} of {head}")) }
        })
        .await;
    }
    eventually("an incident that is over", async || {
        let query = "{ incidents(first: 1) { nodes { key status
            diagnoses(first: 1) { nodes { key model suspects { component { name } faultKind } } } }
            } }";
        let answer = server.graphql(query).await;
        let newest = answer["incidents"]["nodes"][0].clone();
        let decided = server.running.reacted() >= server.running.log().head();
        match decided && newest["status"] == "RESOLVED" && opened(server).await == number + 1 {
            true => Ok(newest),
            false => Err(format!("{number}, {} opened: {answer}", opened(server).await)),
        }
    })
    .await
}

async fn opened(server: &Server) -> usize {
    server.recorded("io.faultline.incident.opened.v1").await.len()
}

async fn label(server: &Server, incident: &Value, number: usize) {
    let (cause, (kind, _)) = truth(number);
    let key = incident["key"].as_str().unwrap();
    let query = format!(
        "mutation {{ assignLabels(input: {{ labels: [
            {{ incident: \"{key}\", claim: {{ rootCause: \"{cause}\" }}, by: \"kim\" }}
            {{ incident: \"{key}\", claim: {{ faultKind: \"{kind}\" }}, by: \"kim\" }} ] }})
            {{ accepted }} }}"
    );
    assert_eq!(server.graphql(&query).await["assignLabels"]["accepted"], true);
}

const MODELS: &str = "{ modelInUse models(first: 50) { nodes { key rejected dataToPosition
    metrics { name value before } weights { name } provenance { events } } } }";

/// The models once all labels are learned.
async fn models(server: &Server) -> Value {
    eventually("a model that knows every label", async || {
        let answer = server.graphql(MODELS).await;
        let events = server.running.log().read_all(0, usize::MAX).await.unwrap();
        let is_label = |data: &EventData| matches!(data, EventData::LabelAssigned(_));
        let last = events.iter().rfind(|it| is_label(&it.event.data)).unwrap().position;
        let learned = answer["models"]["nodes"][0]["dataToPosition"].as_u64();
        match learned.is_some_and(|to| to >= last) {
            // Fields of one question may be answered to either side of a new model.
            true => Ok(server.graphql(MODELS).await),
            false => Err(answer.to_string()),
        }
    })
    .await
}

async fn select(server: &Server, input: &str) -> Value {
    let query = format!(
        "mutation {{ selectModel(input: {{ {input}, by: \"kim\" }}) {{ position projected }} }}"
    );
    let body = json!({ "query": query }).to_string();
    server.post("/graphql", "application/json", body).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_teach_what_ranks_the_next_incident() {
    let server = Server::start().await;
    let calls: Value = COMPONENTS
        .iter()
        .map(|callee| {
            let observed = json!({ "caller": "front", "callee": callee, "protocol": "http" });
            event("dependency.observed", observed)
        })
        .collect();
    assert_eq!(server.append(&calls).await.status, 200);
    let mut past = Vec::new();
    for number in 0..16 {
        past.push(incident(&server, number).await);
    }
    for (number, past) in past.iter().enumerate() {
        assert_eq!(past["diagnoses"]["nodes"][0]["model"], Value::Null, "nothing taught yet");
        label(&server, past, number).await;
    }
    let learned = models(&server).await;
    let newest = &learned["models"]["nodes"][0];
    assert_eq!((&newest["rejected"], &learned["modelInUse"]), (&Value::Null, &newest["key"]));
    let metric = |name: &str| {
        let metrics = newest["metrics"].as_array().unwrap();
        metrics.iter().find(|it| it["name"] == name).unwrap().clone()
    };
    assert!(metric("hit_at_1")["value"].as_f64().unwrap() > 0.7, "{newest}");
    assert!(metric("hit_at_1")["before"].is_number(), "{newest}");
    assert!(!newest["weights"].as_array().unwrap().is_empty(), "{newest}");

    let next = incident(&server, 16).await;
    let told = &next["diagnoses"]["nodes"][0];
    assert_eq!(told["model"], newest["key"]);
    let (cause, (kind, _)) = truth(16);
    let first = &told["suspects"][0];
    assert_eq!((&first["component"]["name"], &first["faultKind"]), (&json!(cause), &json!(kind)));

    let position = server.running.log().head();
    assert_eq!(select(&server, "choice: SHIPPED").await["data"]["selectModel"]["projected"], true);
    assert_eq!(server.graphql("{ modelInUse }").await["modelInUse"], Value::Null);
    let then = format!("{{ modelInUse(asOf: {{ position: {position} }}) }}");
    assert_eq!(server.graphql(&then).await["modelInUse"], newest["key"]);
    let untaught = incident(&server, 17).await;
    assert_eq!(untaught["diagnoses"]["nodes"][0]["model"], Value::Null);

    let unknown = select(&server, "choice: PINNED, model: \"taught@1-1\"").await;
    assert_eq!(unknown["errors"][0]["extensions"]["code"], "not_found", "{unknown}");
    let none = select(&server, "choice: PINNED").await;
    assert_eq!(none["errors"][0]["extensions"]["code"], "invalid_input", "{none}");
    assert_eq!(none["errors"][0]["extensions"]["field"], "input.model", "{none}");
    let key = newest["key"].as_str().unwrap();
    select(&server, &format!("choice: PINNED, model: \"{key}\"")).await;
    label(&server, &next, 16).await;
    let further = models(&server).await;
    assert_ne!(further["models"]["nodes"][0]["key"], newest["key"], "it learns on");
    assert_eq!(further["modelInUse"], newest["key"], "and the pinned one answers");

    // An incident that taught a model is not asked of it.
    let head = server.running.log().head();
    let asked = |incident: &Value| {
        let key = incident["key"].as_str().unwrap();
        format!(
            "{{ rootCauses(incident: \"{key}\", method: \"taught@1\", waitFor: {head}) {{ model suspects {{ score
                component {{ name }} terms {{ name }} }} }} }}"
        )
    };
    let again = server.graphql(&asked(&untaught)).await;
    assert_eq!(again["rootCauses"]["model"], newest["key"]);
    let latest = further["models"]["nodes"][0]["key"].as_str().unwrap();
    let by_latest = asked(&next).replace("taught@1", latest);
    assert_eq!(server.graphql(&by_latest).await["rootCauses"]["model"], Value::Null);

    let kinds = server
        .graphql("{ faultKinds(text: \"users: memory is up\") { model faultKind kinds { probability } } }")
        .await["faultKinds"]
        .clone();
    assert_eq!((&kinds["model"], &kinds["faultKind"]), (&newest["key"], &json!("memory_leak")));
    let sum: f64 = kinds["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["probability"].as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-9, "{kinds}");
    let of = async |incident: &Value| {
        let query =
            format!("{{ faultKinds(incident: {}) {{ model faultKind }} }}", incident["key"]);
        server.graphql(&query).await["faultKinds"].clone()
    };
    let early = "{ faultKinds(text: \"users: memory is up\", asOf: { position: 9 }) { model } }";
    assert_eq!(server.graphql(early).await["faultKinds"]["model"], Value::Null, "not taught yet");
    let told = of(&untaught).await;
    assert_eq!(told, json!({ "model": newest["key"], "faultKind": truth(17).1.0 }));
    assert_eq!(of(&past[0]).await["model"], Value::Null, "it taught the model");

    // Without what was said of so many that too few are left, nothing was learned.
    let labels = server.recorded("io.faultline.label.assigned.v1").await;
    let ids: Vec<String> =
        labels.iter().skip(8).map(|it| format!("\"{}\"", it["id"].as_str().unwrap())).collect();
    let without = |ids: &[String]| {
        let argument = format!("method: \"taught@1\", without: [{}]", ids.join(", "));
        asked(&untaught).replace("method: \"taught@1\"", &argument)
    };
    let unsaid = server.graphql(&without(&ids)).await;
    assert_eq!(unsaid["rootCauses"]["model"], Value::Null, "none that is recorded");
    assert_ne!(unsaid["rootCauses"]["suspects"], again["rootCauses"]["suspects"]);
    let fewer = server.graphql(&without(&ids[..2])).await;
    assert_ne!(fewer, again);
    assert_ne!(fewer, unsaid);

    let server = server.restart(|_| {}).await;
    assert_eq!(server.graphql(&asked(&untaught)).await, again, "learned again, the same");
}
