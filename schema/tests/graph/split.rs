//! PR-1 for any history: how events are batched does not show.

use proptest::prelude::*;
use schema::{ContentHash, Graph};
use serde_json::{Value, json};

use crate::history::{History, id_at, window};

/// One step with few names, so that events meet, come late and contradict each other.
fn step() -> impl Strategy<Value = (i64, &'static str, Value)> {
    let component = prop::sample::select(vec!["gateway", "cart"]);
    let incident = prop::sample::select(vec!["i1", "i2"]);
    let label = prop::sample::select(vec!["l1", "l2"]);
    let strength = -9.0..9.0f64;
    (0..40i64, 0..16usize, component, incident, label, strength).prop_map(
        |(second, kind, component, incident, label, strength)| {
            let (event_type, data) = match kind {
                0 => ("component.described", json!({"component": component, "owner": label})),
                1 => ("dependency.observed", json!({"caller": "users", "callee": component})),
                2 => (
                    "metrics.snapshotrecorded",
                    json!({"component": component,
                    "window": window(second), "requests": 5}),
                ),
                3 => (
                    "traces.edgesrecorded",
                    json!({"caller": "users", "window": window(second),
                    "edges": [{"callee": component, "calls": 1, "errors": 1}]}),
                ),
                4 => ("deployment.recorded", json!({"component": component, "version": label})),
                5 => (
                    "incident.opened",
                    json!({"incident": incident, "title": "slow",
                    "component": component, "severity": "error", "opened_by": label}),
                ),
                6 | 7 => (
                    "incident.symptomattached",
                    json!({"incident": incident,
                    "component": component, "signal": "latency", "strength": strength}),
                ),
                8 => ("incident.resolved", json!({"incident": incident, "by": label})),
                9 => (
                    "incident.reopened",
                    json!({"incident": incident, "by": label,
                    "reason": "again"}),
                ),
                10 => (
                    "label.assigned",
                    json!({"label": label, "incident": incident,
                    "claim": {"claim": "root_cause", "component": component}, "by": "ada",
                    "confidence": 0.5, "fault": label}),
                ),
                11 => (
                    "label.retracted",
                    json!({"label": label, "incident": incident,
                    "by": "ada"}),
                ),
                12 => (
                    "fault.injected",
                    json!({"fault": label, "kind": "latency",
                    "component": component}),
                ),
                13 => (
                    "fault.cleared",
                    json!({"fault": label, "cleared_by": "rollback",
                    "action": "undone", "verified": true}),
                ),
                14 => (
                    "diagnosis.proposed",
                    json!({"incident": incident, "diagnosis": label,
                    "method": "own-excess@1", "evidence_position": second,
                    "suspects": [{"component": component, "score": strength, "terms": [
                        {"name": "n", "contribution": strength, "evidence": [id_at(1)]}]}],
                    "similar": [{"incident": "i3", "score": 0.5, "reasons": []}]}),
                ),
                _ => ("alert.fired", json!({"alert": label, "name": "n", "severity": "error"})),
            };
            (second, event_type, data)
        },
    )
}

async fn hash_of(history: &History, batches: &[usize]) -> ContentHash {
    let graph = Graph::open("mem://").await.unwrap();
    let mut rest = history.0.as_slice();
    for size in batches.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (batch, behind) = rest.split_at(rest.len().min(*size));
        graph.apply(batch).await.unwrap();
        rest = behind;
    }
    graph.content_hash().await.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn any_split_into_batches_makes_the_same_graph(
        steps in prop::collection::vec(step(), 1..60),
        batches in prop::collection::vec(1..20usize, 1..6),
    ) {
        let mut history = History::default();
        for (second, event_type, data) in steps {
            history.push(second, event_type, data);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (whole, split) = runtime.block_on(async {
            (hash_of(&history, &[usize::MAX]).await, hash_of(&history, &batches).await)
        });
        prop_assert_eq!(whole, split);
    }
}
