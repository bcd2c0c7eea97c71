//! What the shop says about itself: its topology, and windows that fit together.

use std::collections::BTreeSet;

use chaos_runner::shop::control::LoadShape;
use events::EventData;

use crate::harness::{edge, of, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recorded_topology_is_exactly_that_of_the_shop() {
    let mut shop = start().await;
    let topology = shop.control.topology().await.unwrap();
    let components: BTreeSet<_> = topology.components.iter().map(|c| c.name.as_str()).collect();
    let expected = "cart catalog checkout database gateway orders payments users";
    assert_eq!(components, expected.split(' ').collect());
    let edges: BTreeSet<_> =
        topology.edges.iter().map(|e| format!("{}>{}", e.caller, e.callee)).collect();
    let expected = "users>gateway gateway>catalog gateway>cart gateway>checkout cart>catalog \
                    checkout>cart checkout>payments checkout>orders orders>database";
    assert_eq!(edges, expected.split_whitespace().map(str::to_owned).collect());

    let (mut described, mut observed, mut called) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    while let Ok(event) = shop.events.try_recv() {
        match event.data {
            EventData::ComponentDescribed(it) => {
                described.insert(it.component.to_string());
            }
            EventData::DependencyObserved(it) => {
                observed.insert(format!("{}>{}", it.caller, it.callee));
            }
            EventData::TraceEdgesRecorded(it) => {
                let calls = it.edges.iter().filter(|edge| edge.calls > 0);
                called.extend(calls.map(|edge| format!("{}>{}", it.caller, edge.callee)));
            }
            _ => {}
        }
    }
    assert_eq!(described, components.into_iter().map(str::to_owned).collect());
    assert_eq!(observed, edges);
    assert!(called.is_subset(&edges), "{called:?}");
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_are_aligned_and_add_up() {
    let mut shop = start().await;
    shop.window("traffic everywhere", events::Timestamp::UNIX_EPOCH, |window| {
        window.callers.iter().flat_map(|caller| &caller.edges).all(|edge| edge.calls > 0)
    })
    .await;
    let windows = shop.control.signals(100).await.unwrap();
    for window in &windows {
        assert_eq!(window.window.start.as_millisecond() % 1_000, 0);
        let catalog = ["gateway", "cart"].map(|caller| edge(window, caller, "catalog").calls);
        assert_eq!(of(window, "catalog").requests, Some(catalog.iter().sum()));
        for snapshot in &window.components {
            assert!(snapshot.cpu_cores.is_some() && snapshot.memory_bytes.is_some());
        }
    }
    let shown = windows.len();
    let mut recorded = 0;
    while let Ok(event) = shop.events.try_recv() {
        if let EventData::MetricSnapshotRecorded(snapshot) = &event.data {
            assert_eq!(event.time, snapshot.window.end());
            recorded += 1;
        }
    }
    assert!(recorded >= 7 * shown, "{recorded} snapshots in {shown} windows");
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_follows_its_shape_while_the_shop_is_slow() {
    let shop = start().await;
    let rate = |window: &_| of(window, "gateway").requests.unwrap();
    for rps in [15.0, 70.0] {
        let now = events::Timestamp::now();
        shop.control.set_load(&LoadShape::Steady { rps }).await.unwrap();
        let (least, most) = ((rps * 0.8) as u64, (rps * 1.2) as u64);
        shop.window("the new rate", now, |window| (least..=most).contains(&rate(window))).await;
    }
    // Open loop: a shop that answers half a second later gets as many requests.
    let slow = crate::harness::spec("latency", "gateway", serde_json::json!({}));
    let injected = shop.control.inject(&slow).await.unwrap();
    shop.window("the same rate on a slow shop", injected.injected_at, |window| {
        (56..=84).contains(&rate(window))
            && of(window, "gateway").latency.as_ref().unwrap().p50_ms.get() > 250.0
    })
    .await;
    shop.end().await;
}
