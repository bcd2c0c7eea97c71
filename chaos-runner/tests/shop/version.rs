//! Bad versions: deployed, seen, rolled back, and recorded as any deployment is.

use events::EventData;
use events::catalogue::change::DeploymentRecorded;
use events::catalogue::fault_kind::*;
use serde_json::json;

use crate::harness::{Running, all_fail, edge, of, p50, spec, start};

fn deployments(shop: &mut Running, component: &str) -> Vec<DeploymentRecorded> {
    let mut found = Vec::new();
    while let Ok(event) = shop.events.try_recv() {
        match event.data {
            EventData::DeploymentRecorded(deployment)
                if deployment.component.as_str() == component =>
            {
                found.push(deployment);
            }
            _ => {}
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_versions_break_what_they_say_and_are_rolled_back() {
    let mut shop = start().await;
    let certain = json!({ "arguments": { "probability": 1.0 } });
    let (_, cleared) = shop
        .acts_and_ends(spec(ERROR_VERSION, "payments", certain), |window| {
            all_fail(edge(window, "checkout", "payments"))
        })
        .await;
    assert_eq!(cleared.action, "rolled payments back to version 1.0.0");
    let recorded = deployments(&mut shop, "payments");
    let versions: Vec<_> = recorded
        .iter()
        .map(|d| (d.previous_version.as_ref().map(|v| v.as_str()), d.version.as_str()))
        .collect();
    assert_eq!(versions, [(None, "1.0.0"), (Some("1.0.0"), "1.1.0"), (Some("1.1.0"), "1.0.0")]);
    // A new version that breaks one endpoint leaves the others alone.
    let endpoint = json!({ "arguments": { "probability": 1.0, "endpoint": "GET /prices" } });
    shop.acts_and_ends(spec(ERROR_VERSION, "catalog", endpoint), |window| {
        let broken = edge(window, "checkout", "cart");
        all_fail(broken) && edge(window, "gateway", "catalog").errors == 0
    })
    .await;
    shop.acts_and_ends(spec(SLOW_VERSION, "cart", json!({})), |window| {
        p50(edge(window, "gateway", "cart")) >= 400.0
    })
    .await;
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaking_version_grows_and_its_memory_is_given_back() {
    let shop = start().await;
    let memory = |window: &_| of(window, "catalog").memory_bytes.map_or(0.0, |bytes| bytes.get());
    shop.acts_and_ends(spec(MEMORY_LEAK, "catalog", json!({})), |window| memory(window) > 80e6)
        .await;
    shop.window("memory as before", events::Timestamp::now(), |window| {
        memory(window) > 0.0 && memory(window) < 60e6
    })
    .await;
    assert_eq!(shop.version("catalog").await, "1.0.0");
    shop.end().await;
}
