//! Objectives: how budgets stand, in GraphQL and for Prometheus, and that burning is told once.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use events::Timestamp;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{Server, event, eventually};

const FILE: &str = "
apiVersion: openslo/v1
kind: SLO
metadata: {name: cart-up, annotations: {faultline.io/indicator: availability}}
spec:
  service: cart
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{target: 0.99}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: cart-fast, annotations: {faultline.io/indicator: latency, faultline.io/unit: ms}}
spec:
  service: cart
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{op: lte, value: 500, target: 0.9}]
";

/// Ten minutes of windows, of which the requests of the last `bad` fail by half.
fn windows(bad: usize) -> Value {
    let start = Timestamp::now() - SignedDuration::from_mins(10);
    let window = |number: usize| {
        let start = start + SignedDuration::from_secs(10 * number as i64);
        let errors = if number >= 60 - bad { 50 } else { 0 };
        let data = json!({
            "component": "cart", "window": { "start": start, "duration_ms": 10_000 },
            "requests": 100, "errors": errors, "saturation": 0.25,
            "latency": { "p50_ms": 40.0, "p95_ms": 90.0, "p99_ms": 120.0 },
        });
        event("metrics.snapshotrecorded", data)
    };
    (0..60).map(window).collect()
}

#[tokio::test]
async fn a_budget_that_burns_is_told_once_and_shown_everywhere() {
    let server = Server::start().await;
    server.post("/v1/slos", "application/yaml", FILE).await;
    assert_eq!(server.append(&windows(30)).await.status, 200);
    let burned = eventually("a burning budget", async || {
        let burned = server.recorded("io.faultline.slo.errorbudgetburned.v1").await;
        match server.running.reacted() >= server.running.log().head() && !burned.is_empty() {
            true => Ok(burned),
            false => Err(json!(burned).to_string()),
        }
    })
    .await;
    let of: Vec<_> = burned.iter().map(|it| it["data"]["slo"].as_str().unwrap()).collect();
    assert!(of.iter().all(|it| *it == "cart-up"), "{burned:?}");
    assert!(of.len() <= 3, "once for each rule that it crosses, not for each window: {burned:?}");

    let query = "{ objectives { nodes { name component { name } indicator objective thresholdMs
        standing { requests bad goodRatio budgetLeftRatio burns { limit longRate alarming } }
        lastBurn { rate } } } }";
    let answer = server.graphql(query).await;
    let [fast, up] = answer["objectives"]["nodes"].as_array().unwrap().as_slice() else {
        panic!("two objectives: {answer}")
    };
    assert_eq!((&up["name"], &up["component"]["name"]), (&json!("cart-up"), &json!("cart")));
    let standing = &up["standing"];
    assert_eq!((&standing["requests"], &standing["bad"]), (&json!(6_000.0), &json!(1_500.0)));
    assert_eq!(standing["goodRatio"], 0.75);
    let left = standing["budgetLeftRatio"].as_f64().unwrap();
    assert!((left - (1.0 - 25.0)).abs() < 1e-6, "a quarter failed where a hundredth may: {left}");
    assert_eq!(standing["burns"][0]["alarming"], true);
    assert!(up["lastBurn"]["rate"].as_f64().unwrap() >= 1.0);
    assert_eq!((&fast["indicator"], &fast["thresholdMs"]), (&json!("LATENCY"), &json!(500.0)));
    assert_eq!(
        (&fast["standing"]["budgetLeftRatio"], &fast["lastBurn"]),
        (&json!(1.0), &Value::Null)
    );
    let past =
        server.graphql("{ objectives(asOf: { position: 2 }) { nodes { standing { bad } } } }");
    assert_eq!(past.await["objectives"]["nodes"][0]["standing"], Value::Null);

    let metrics = server.get("/metrics").await.text;
    for line in [
        "faultline_slo_objective_ratio{component=\"cart\",slo=\"cart-up\"} 0.99",
        "faultline_slo_budget_left_ratio{component=\"cart\",slo=\"cart-fast\"} 1",
        "faultline_component_requests_per_second{component=\"cart\"} 10",
        "faultline_component_error_ratio{component=\"cart\"} 0.5",
        "faultline_component_latency_p95_seconds{component=\"cart\"} 0.09",
        "faultline_component_saturation_ratio{component=\"cart\"} 0.25",
        "faultline_component_available{component=\"cart\"} 1",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line} in {metrics}");
    }
    for (back, expected) in [("5m", 50.0), ("1h", 25.0), ("3d", 25.0)] {
        let of = format!("{{component=\"cart\",slo=\"cart-up\",window=\"{back}\"}} ");
        let rate = metrics
            .lines()
            .find_map(|it| it.strip_prefix("faultline_slo_burn_rate")?.strip_prefix(&of));
        let rate: f64 = rate.unwrap().parse().unwrap();
        assert!((rate - expected).abs() < 1e-6, "{back}: {rate}");
    }
}
