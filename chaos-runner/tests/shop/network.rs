//! Faults on connections: each acts where it was put, and is gone when it is cleared.

use events::catalogue::fault_kind::*;
use serde_json::json;

use crate::harness::{all_fail, edge, of, p50, spec, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delays_act_on_the_calls_they_were_put_on_and_end() {
    let shop = start().await;
    let arguments = json!({ "peer": "cart", "arguments": { "delay_ms": 400 } });
    shop.acts_and_ends(spec(LATENCY, "catalog", arguments), |window| {
        let disturbed = edge(window, "cart", "catalog");
        let spared = edge(window, "gateway", "catalog");
        p50(disturbed) >= 400.0 && p50(spared) < 300.0 && disturbed.errors == 0
    })
    .await;
    let arguments = json!({ "arguments": { "max_delay_ms": 800 } });
    shop.acts_and_ends(spec(JITTER, "catalog", arguments), |window| {
        let latency = of(window, "catalog").latency.as_ref().unwrap();
        latency.p95_ms.get() > 2.0 * latency.p50_ms.get().min(350.0) && latency.p50_ms.get() > 150.0
    })
    .await;
    let arguments = json!({ "arguments": { "bytes_per_second": 1000 } });
    shop.acts_and_ends(spec(BANDWIDTH, "payments", arguments), |window| {
        p50(edge(window, "checkout", "payments")) > 120.0
    })
    .await;
    let arguments = json!({ "arguments": { "probability": 1.0, "delay_ms": 500 } });
    shop.acts_and_ends(spec(SLOW_RESPONSE, "payments", arguments), |window| {
        p50(edge(window, "checkout", "payments")) >= 500.0
    })
    .await;
    // Latency of the database is that of each round trip.
    let arguments = json!({ "arguments": { "delay_ms": 150 } });
    shop.acts_and_ends(spec(LATENCY, "database", arguments), |window| {
        p50(edge(window, "orders", "database")) >= 150.0
    })
    .await;
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_are_errors_of_the_edge_and_reach_the_users() {
    let shop = start().await;
    let users_see_it = |window: &_| edge(window, "users", "gateway").errors > 0;
    let certain = json!({ "arguments": { "probability": 1.0 } });
    for kind in [CONNECTION_RESET, HTTP_ERROR] {
        shop.acts_and_ends(spec(kind, "payments", certain.clone()), |window| {
            all_fail(edge(window, "checkout", "payments")) && users_see_it(window)
        })
        .await;
    }
    let (_, cleared) = shop
        .acts_and_ends(spec(PARTITION, "payments", json!({ "peer": "checkout" })), |window| {
            all_fail(edge(window, "checkout", "payments")) && users_see_it(window)
        })
        .await;
    assert_eq!(cleared.action, "restored the connections between checkout and payments");
    // A caller that gives up is an error that took as long as its patience.
    shop.acts_and_ends(spec(BLACK_HOLE, "payments", json!({})), |window| {
        let edge = edge(window, "checkout", "payments");
        all_fail(edge) && p50(edge) > 1_000.0
    })
    .await;
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_and_its_pool_fail_and_recover() {
    let shop = start().await;
    for kind in [DATABASE_CONNECTION_FAILURE, BLACK_HOLE] {
        shop.acts_and_ends(spec(kind, "database", json!({})), |window| {
            all_fail(edge(window, "orders", "database"))
                && all_fail(edge(window, "checkout", "orders"))
        })
        .await;
        shop.calm("orders").await;
    }
    let arguments = json!({ "arguments": { "probability": 1.0 } });
    shop.acts_and_ends(spec(CONNECTION_RESET, "database", arguments), |window| {
        all_fail(edge(window, "orders", "database"))
    })
    .await;
    shop.acts_and_ends(spec(POOL_EXHAUSTION, "orders", json!({})), |window| {
        let orders = of(window, "orders");
        orders.saturation.unwrap().get() > 0.95
            && orders.extras["pool_in_use"] == orders.extras["pool_size"]
            && all_fail(edge(window, "checkout", "orders"))
            && edge(window, "orders", "database").calls == 0
    })
    .await;
    shop.end().await;
}
