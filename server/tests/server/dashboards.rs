//! The dashboards of `grafana/`: they are whole, and ask nothing that a server does not answer.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use events::Timestamp;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{JSON, Server, event, eventually};

const CART_UP: &str = "{apiVersion: openslo/v1, kind: SLO, spec: {
    service: cart, timeWindow: [{duration: 30d, isRolling: true}], objectives: [{target: 0.999}] },
    metadata: {name: cart-up, annotations: {faultline.io/indicator: availability}}}";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana")
}

/// Every dashboard, with the name of its file.
fn dashboards() -> Vec<(String, Value)> {
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        (name, serde_json::from_str(&text).unwrap())
    };
    let files = fs::read_dir(folder().join("dashboards")).unwrap();
    files.map(|file| read(file.unwrap().path())).collect()
}

/// What stands under a key, however deep.
fn under<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    let deeper: Vec<&Value> = match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => return Vec::new(),
    };
    let deeper = deeper.into_iter().flat_map(|inner| under(inner, key));
    value.get(key).into_iter().chain(deeper).collect()
}

/// A server that was told something of all that dashboards show.
async fn told() -> Server {
    let server = Server::start_with(|config| {
        config.otlp.windows.window_ms = 1_000;
        config.otlp.windows.lateness_ms = 5_000;
    })
    .await;
    let now = Timestamp::now();
    let measured = json!({
        "component": "cart", "requests": 1_200, "errors": 37, "saturation": 0.75, "cpu_cores": 0.4,
        "window": { "start": (now - SignedDuration::from_secs(20)).to_string(), "duration_ms": 5_000 },
        "latency": { "p50_ms": 12.5, "p95_ms": 48.0, "p99_ms": 120.0 },
    });
    let mut snapshot = event("metrics.snapshotrecorded", measured);
    snapshot["time"] = json!(now.to_string());
    let alert = json!({
        "version": "4", "status": "firing", "receiver": "faultline", "groupLabels": {},
        "alerts": [{
            "status": "firing", "fingerprint": "fp-cart", "startsAt": now.to_string(),
            "endsAt": "0001-01-01T00:00:00Z", "annotations": { "summary": "cart answers errors" },
            "labels": { "alertname": "HighErrorRate", "service": "cart", "severity": "page" },
        }],
    });
    for (path, form, body) in [
        ("/v1/events", JSON, snapshot.to_string()),
        ("/v1/slos", "application/yaml", CART_UP.to_owned()),
        ("/v1/traces", JSON, failed_call(now).to_string()),
        ("/v1/webhooks/alertmanager", JSON, alert.to_string()),
    ] {
        let answer = server.post(path, form, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    server
}

/// A request of OTLP in which `frontend` calls `cart` in vain, and a span of nobody.
fn failed_call(now: Timestamp) -> Value {
    let end = now.as_nanosecond();
    let span = |id: &str, parent: &str, kind: u32| {
        json!({
            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": id, "parentSpanId": parent,
            "name": "GET /cart", "kind": kind, "status": { "code": 2 },
            "startTimeUnixNano": (end - 20_000_000).to_string(), "endTimeUnixNano": end.to_string(),
        })
    };
    let of = |service: &str, span: Value| {
        let name = json!({ "key": "service.name", "value": { "stringValue": service } });
        json!({ "resource": { "attributes": [name] }, "scopeSpans": [{ "spans": [span] }] })
    };
    let nobodys = json!({ "scopeSpans": [{ "spans": [span("00f067aa0ba902b9", "", 2)] }] });
    let client = of("frontend", span("00f067aa0ba902b7", "", 3));
    let server = of("cart", span("00f067aa0ba902b8", "00f067aa0ba902b7", 2));
    json!({ "resourceSpans": [client, server, nobodys] })
}

#[test]
fn dashboards_have_uids_of_their_own_and_refer_to_what_is_provisioned() {
    let dashboards = dashboards();
    let uids: BTreeSet<_> = dashboards.iter().map(|(_, it)| it["uid"].as_str().unwrap()).collect();
    assert_eq!(uids.len(), dashboards.len(), "{uids:?}");
    let sources = folder().join("provisioning/datasources/faultline.yaml");
    let sources = fs::read_to_string(sources).unwrap();
    for (name, dashboard) in &dashboards {
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
        assert_eq!(ids.len(), panels.len(), "{name}: {ids:?}");
        for source in under(dashboard, "datasource") {
            let uid = source["uid"].as_str().unwrap();
            assert!(sources.contains(&format!("uid: {uid}\n")), "{name} asks {uid}");
        }
        for url in under(dashboard, "url").into_iter().filter_map(Value::as_str) {
            let Some((uid, _)) = url.strip_prefix("/d/").and_then(|it| it.split_once('?')) else {
                continue;
            };
            assert!(uids.contains(uid), "{name} leads to {uid}");
        }
    }
}

/// The names of metrics in an expression.
fn metrics_of(expression: &str) -> impl Iterator<Item = String> {
    let words = expression.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    words.filter(|word| word.starts_with("faultline_")).map(str::to_owned)
}

/// The names under which the metrics of an exposition are asked for.
fn exposed(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let names = types.flat_map(|(name, kind)| match kind {
        "histogram" => ["_bucket", "_sum", "_count"].map(|of| format!("{name}{of}")).to_vec(),
        _ => vec![name.to_owned()],
    });
    names.collect()
}

#[tokio::test]
async fn every_metric_that_a_dashboard_asks_for_is_exposed() {
    let server = told().await;
    let mut asked = BTreeSet::new();
    for (_, dashboard) in dashboards() {
        let expressions = ["expr", "query"].into_iter().flat_map(|key| under(&dashboard, key));
        asked.extend(expressions.filter_map(Value::as_str).flat_map(metrics_of));
    }
    assert!(asked.contains("faultline_slo_burn_rate"), "{asked:?}");
    eventually("exposition of all that is asked for", async || {
        let exposed = exposed(&server.get("/metrics").await.text);
        let missing: Vec<_> = asked.difference(&exposed).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("not there: {missing:?}")) }
    })
    .await;
}

#[tokio::test]
async fn every_question_of_a_dashboard_is_answered() {
    let server = told().await;
    let incident = eventually("the incident of the alert", async || {
        let query = r#"{ incidents(first: 1) { nodes { key } } component(id: "cart") { name } }"#;
        let data = server.graphql(query).await;
        match data["incidents"]["nodes"][0]["key"].as_str() {
            Some(key) if !data["component"].is_null() => Ok(key.to_owned()),
            _ => Err(data.to_string()),
        }
    })
    .await;
    let edges = eventually("the window of the call", async || {
        let mut recorded = server.recorded("io.faultline.traces.edgesrecorded.v1").await;
        recorded.pop().ok_or_else(|| "none".to_owned())
    })
    .await;
    // What the panel of exemplars reads, and the links to traces lead to.
    let traces = under(&edges, "exemplar_trace_ids");
    assert_eq!(traces, [&json!(["4bf92f3577b34da6a3ce929d0e0e4736"])]);
    let now = Timestamp::now();
    let variables = [
        ("${__from:date:iso}", (now - SignedDuration::from_hours(1)).to_string()),
        ("${__to:date:iso}", now.to_string()),
        ("${component}", "cart".to_owned()),
        ("${incident}", incident),
        ("${event}", edges["id"].as_str().unwrap().to_owned()),
        ("${stale}", "30".to_owned()),
    ];
    for (name, dashboard) in dashboards() {
        for question in under(&dashboard, "body_graphql_query") {
            let mut query = question.as_str().unwrap().to_owned();
            for (variable, value) in &variables {
                query = query.replace(variable, value);
            }
            assert!(!query.contains('$'), "{name} has a variable that is not set: {query}");
            let as_infinity_sends_it = json!({ "query": query, "variables": null }).to_string();
            let answer = server.post("/graphql", JSON, as_infinity_sends_it).await;
            assert_eq!(answer.status, 200, "{name}: {query}: {}", answer.text);
            assert!(answer.body["errors"].is_null(), "{name}: {query}: {}", answer.text);
        }
    }
}
