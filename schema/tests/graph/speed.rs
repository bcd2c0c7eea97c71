//! How fast telemetry is folded: printed, for a comparison by hand, and asserted nowhere.

use std::time::Instant;

use schema::Graph;
use serde_json::json;

use crate::history::{History, window};

const COMPONENTS: usize = 12;
const EVENTS: usize = 12_000;

/// Every component reports its signals and its calls, window after window.
fn telemetry() -> History {
    let mut history = History::default();
    let mut second = 0;
    while history.0.len() < EVENTS {
        for component in 0..COMPONENTS {
            history.snapshot(second, &format!("c{component}"), 10.0);
            let edges: Vec<_> = (1..4)
                .map(|next| (component + next) % COMPONENTS)
                .map(|callee| json!({"callee": format!("c{callee}"), "calls": 10, "errors": 0}))
                .collect();
            let caller = format!("c{component}");
            let data = json!({"caller": caller, "window": window(second), "edges": edges});
            history.push(second + 2, "traces.edgesrecorded", data);
        }
        second += 10;
    }
    history
}

#[tokio::test]
#[ignore = "prints a rate; run it with --ignored --nocapture"]
async fn telemetry_a_second() {
    let history = telemetry().0;
    let graph = Graph::open("mem://").await.unwrap();
    let begin = Instant::now();
    for batch in history.chunks(1_000) {
        graph.apply(batch).await.unwrap();
    }
    let rate = history.len() as f64 / begin.elapsed().as_secs_f64();
    println!("{rate:.0} events a second, {} events", history.len());
}
