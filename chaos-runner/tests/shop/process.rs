//! Faults of processes and floods of requests.

use events::catalogue::fault_kind::*;
use serde_json::json;

use crate::harness::{all_fail, edge, of, spec, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_paused_and_starved_processes_come_back() {
    let shop = start().await;
    for (component, caller) in [("payments", "checkout"), ("database", "orders")] {
        let before = shop.pids().await.len();
        let (_, cleared) = shop
            .acts_and_ends(spec(PROCESS_KILL, component, json!({})), |window| {
                let gone = of(window, component);
                gone.extras["up"].get() == 0.0
                    && (gone.saturation, gone.cpu_cores, gone.memory_bytes) == (None, None, None)
                    && all_fail(edge(window, caller, component))
            })
            .await;
        assert_eq!(cleared.action, format!("restarted {component} at version 1.0.0"));
        assert_eq!(shop.pids().await.len(), before);
    }
    shop.acts_and_ends(spec(PROCESS_PAUSE, "catalog", json!({})), |window| {
        of(window, "catalog").extras["up"].get() == 0.0
            && all_fail(edge(window, "gateway", "catalog"))
    })
    .await;
    let arguments = json!({ "arguments": { "stopped_share": 0.9, "period_ms": 800 } });
    shop.acts_and_ends(spec(CPU_STARVATION, "catalog", arguments), |window| {
        of(window, "catalog").latency.as_ref().is_some_and(|latency| latency.p95_ms.get() > 400.0)
    })
    .await;
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_saturates_its_target_and_is_blocked() {
    let shop = start().await;
    for component in ["gateway", "catalog"] {
        let (injected, _) = shop
            .acts_and_ends(spec(FLOOD, component, json!({})), |window| {
                let flooded = of(window, component);
                flooded.errors.unwrap() > flooded.requests.unwrap() / 10
                    && flooded.saturation.is_some_and(|saturation| saturation.get() > 0.8)
            })
            .await;
        assert!(injected.parameters["rps"].as_f64().unwrap() > 200.0);
    }
    shop.end().await;
}
