//! What a diagnosis may see.

use diagnosis::evidence::RecentWindows;
use events::{EventData, RecordHash, RecordedEvent};
use schema::Graph;
use schema::reads::Span;
use serde_json::json;

use crate::history::{History, at};

/// Windows of a minute around a slow cart, with all the ground truth that there is.
fn slow_cart() -> History {
    let mut h = History::default();
    h.push(0, "dependency.observed", json!({"caller": "users", "callee": "gateway"}));
    let mut first = None;
    for second in (0..60).step_by(2) {
        let slow = second >= 40;
        h.calls(second, "gateway", "cart");
        let snapshot = h.snapshot(second, "cart", if slow { 300.0 } else { 3.0 });
        if slow && first.is_none() {
            first = Some(snapshot);
            h.push(second, "deployment.recorded", json!({"component": "cart", "version": "2"}));
            h.push(
                second,
                "fault.injected",
                json!({"fault": "f1", "kind": "slow_version",
                "component": "cart"}),
            );
        }
    }
    let first = first.unwrap();
    h.push(
        46,
        "anomaly.detected",
        json!({"component": "cart", "window":
        crate::history::window(40), "detector": "robust@1", "score": 9.0, "parts": [],
        "evidence": [first]}),
    );
    h.opened(47, "i1", "cart", &[first]);
    let truth = json!({"claim": "root_cause", "component": "cart"});
    h.push(
        50,
        "label.assigned",
        json!({"label": "l1", "incident": "i1", "claim": truth,
        "by": "experiment", "confidence": 1.0, "fault": "f1"}),
    );
    h
}

#[tokio::test]
async fn evidence_begins_with_the_first_unusual_window_and_spans_both_sides() {
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&slow_cart().0).await.unwrap();
    let incident = "i1".parse().unwrap();
    let span = Span { before_ms: 20_000, after_ms: 10_000 };
    let evidence = graph.evidence_over(&incident, u64::MAX, span).await.unwrap().unwrap();
    assert_eq!(evidence.noticed().as_str(), "cart");
    assert_eq!(evidence.noticed_at(), at(40));
    let starts: Vec<_> = evidence.snapshots().iter().map(|it| it.window.start).collect();
    assert_eq!(starts, (20..50).step_by(2).map(at).collect::<Vec<_>>());
    assert_eq!(evidence.edges().len(), starts.len());
    assert_eq!(evidence.changes().len(), 1);
    let calls: Vec<_> =
        evidence.calls().iter().map(|c| (c.caller.as_str(), c.callee.as_str())).collect();
    assert_eq!(calls, [("gateway", "cart"), ("users", "gateway")]);

    let snapshot = &evidence.snapshots()[10];
    assert_eq!(snapshot.latency.as_ref().map(|it| it.p95_ms.get()), Some(300.0));
    assert_eq!((snapshot.requests, snapshot.errors), (Some(10), Some(1)));
    assert_eq!(snapshot.up(), Some(true));
}

#[tokio::test]
async fn evidence_is_what_was_known_at_the_position() {
    let history = slow_cart().0;
    let early = Graph::open("mem://").await.unwrap();
    let opened = history
        .iter()
        .position(|it| matches!(it.event.data, EventData::IncidentOpened(_)))
        .unwrap()
        + 1;
    early.apply(&history[..opened]).await.unwrap();
    let late = Graph::open("mem://").await.unwrap();
    late.apply(&history).await.unwrap();
    let more = {
        let mut more = History(history.clone());
        more.snapshot(48, "cart", 500.0);
        more.0.split_off(history.len())
    };
    late.apply(&more).await.unwrap();

    let incident = "i1".parse().unwrap();
    let then = early.evidence(&incident, opened as u64).await.unwrap().unwrap();
    assert_eq!(late.evidence(&incident, opened as u64).await.unwrap(), Some(then.clone()));
    assert_ne!(late.evidence(&incident, u64::MAX).await.unwrap(), Some(then));
    assert_eq!(late.evidence(&incident, 3).await.unwrap(), None, "not yet opened");
    assert_eq!(late.evidence(&"other".parse().unwrap(), u64::MAX).await.unwrap(), None);
}

#[tokio::test]
async fn who_followed_the_log_has_the_evidence_that_the_store_has() {
    let mut history = slow_cart();
    let opened = history.0.len() as u64 - 1;
    let full = json!({
        "component": "cart", "window": crate::history::window(60), "requests": 10, "errors": 1,
        "latency": {"mean_ms": 2.0, "p50_ms": 1.0, "p95_ms": 3.0, "p99_ms": 4.0},
        "saturation": 0.5, "cpu_cores": 0.25, "memory_bytes": 4096.0, "extras": {"up": 1.0},
    });
    let lines = json!({
        "component": "cart", "window": crate::history::window(60),
        "patterns": [
            {"template": "timeout of <*>", "severity": "error", "count": 4,
             "exemplar_trace_ids": ["4bf92f3577b34da6a3ce929d0e0e4736"]},
            {"template": "started", "severity": "info", "count": 1},
        ],
    });
    history.push(62, "metrics.snapshotrecorded", full);
    history.push(62, "logs.patternsrecorded", lines);
    history.calls(60, "gateway", "cart");
    // Late, and as retention leaves it.
    history.snapshot(30, "gateway", 7.0);
    history.snapshot(62, "gateway", 7.0);
    let mut history = history.0;
    let pruned = history.last_mut().unwrap();
    pruned.event.data = pruned.event.data.kept().unwrap();
    pruned.pruned = Some(RecordHash([7; 32]));
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&history).await.unwrap();
    let mut recent = RecentWindows::default();
    history.iter().for_each(|recorded| recent.observe(recorded));
    let incident = "i1".parse().unwrap();
    let last = history.len() as u64;
    for position in opened..=last {
        let stored = graph.evidence(&incident, position).await.unwrap();
        assert!(stored.is_some(), "position {position}");
        let beside = graph.evidence_beside(&recent, &incident, position).await.unwrap();
        assert_eq!(beside, stored, "position {position}");
    }
    // The store is not asked for measurements, and is where they are not all at hand.
    let unmeasured = Graph::open("mem://").await.unwrap();
    let told = |it: &&RecordedEvent| !matches!(it.event.data, EventData::MetricSnapshotRecorded(_));
    let told: Vec<_> = history.iter().filter(told).cloned().collect();
    unmeasured.apply(&told).await.unwrap();
    let beside = unmeasured.evidence_beside(&recent, &incident, last).await.unwrap().unwrap();
    assert!(!beside.snapshots().is_empty());
    let nothing = RecentWindows::default();
    let stored = unmeasured.evidence_beside(&nothing, &incident, last).await.unwrap().unwrap();
    assert!(stored.snapshots().is_empty());
}

#[tokio::test]
async fn evidence_never_sees_ground_truth() {
    let history = slow_cart().0;
    let with_truth = Graph::open("mem://").await.unwrap();
    with_truth.apply(&history).await.unwrap();
    let blind: Vec<_> = history
        .into_iter()
        .filter(|it| {
            !matches!(it.event.data, EventData::FaultInjected(_) | EventData::LabelAssigned(_))
        })
        .collect();
    let without = Graph::open("mem://").await.unwrap();
    without.apply(&blind).await.unwrap();
    let incident = "i1".parse().unwrap();
    let evidence = with_truth.evidence(&incident, u64::MAX).await.unwrap();
    assert!(evidence.is_some());
    assert_eq!(evidence, without.evidence(&incident, u64::MAX).await.unwrap());
}

#[tokio::test]
async fn the_end_of_an_incident_ends_its_evidence() {
    let mut history = slow_cart();
    history.push(50, "incident.resolved", json!({"incident": "i1", "by": "/test"}));
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&history.0).await.unwrap();
    let incident = "i1".parse().unwrap();
    let last = async |position| {
        let evidence = graph.evidence(&incident, position).await.unwrap().unwrap();
        evidence.snapshots().last().map(|it| it.window.start)
    };
    assert_eq!(last(u64::MAX).await, Some(at(48)));
    // Its end does not change what could be seen before it was known.
    assert_eq!(last(history.0.len() as u64 - 1).await, Some(at(58)));
}
