//! Two incidents of a small shop: one caused by an experiment and labelled, then one like it.

use events::Event;
use serde_json::{Value, json};

use super::base::{event, id};

/// Numbers of events that tests refer to.
pub const SNAPSHOT: u128 = 8;
pub const FIRST_DIAGNOSIS: u128 = 15;
pub const UNPROJECTABLE: u128 = 40;

pub fn shop() -> Vec<Event> {
    let mut history = topology();
    history.extend(first_incident());
    history.extend(second_incident());
    history
}

fn topology() -> Vec<Event> {
    vec![
        event(
            1,
            0,
            "component.described",
            json!({
                "component": "users", "kind": "client",
            }),
        ),
        event(
            2,
            0,
            "component.described",
            json!({
                "component": "gateway", "kind": "service", "owner": "web", "criticality": "critical",
            }),
        ),
        event(
            3,
            0,
            "component.described",
            json!({
                "component": "payments", "kind": "service", "attributes": { "language": "rust" },
            }),
        ),
        event(
            4,
            1,
            "dependency.observed",
            json!({
                "caller": "users", "callee": "gateway", "protocol": "http",
            }),
        ),
        event(
            5,
            1,
            "dependency.observed",
            json!({
                "caller": "gateway", "callee": "payments", "protocol": "http",
            }),
        ),
        event(
            6,
            2,
            "runbook.published",
            json!({
                "runbook": "slow-payments", "title": "Payments are slow", "fault_kinds": ["latency"],
                "component": "payments", "text": "Restart them.",
            }),
        ),
    ]
}

fn first_incident() -> Vec<Event> {
    vec![
        event(
            7,
            10,
            "experiment.planned",
            json!({
                "experiment": "run-1", "title": "Slow payments", "hypothesis": "checkout answers",
                "tags": ["latency"],
            }),
        ),
        event(SNAPSHOT, 12, "metrics.snapshotrecorded", snapshot("payments", 12, 900.0)),
        event(9, 12, "experiment.started", json!({ "experiment": "run-1" })),
        event(
            10,
            14,
            "fault.injected",
            json!({
                "fault": "fault-1", "experiment": "run-1", "kind": "latency",
                "component": "payments", "parameters": { "delay_ms": 800 }, "deadline_ms": 20000,
            }),
        ),
        event(
            11,
            20,
            "incident.opened",
            json!({
                "incident": "inc-1", "title": "gateway is slow", "component": "gateway",
                "severity": "error", "opened_by": "/faultline/detector", "evidence": [id(SNAPSHOT)],
            }),
        ),
        event(
            12,
            21,
            "incident.symptomattached",
            json!({
                "incident": "inc-1", "component": "payments", "signal": "latency", "strength": 14.5,
                "observed": 900.0, "baseline": 80.0, "evidence": [id(SNAPSHOT)],
            }),
        ),
        event(
            13,
            21,
            "incident.symptomattached",
            json!({
                "incident": "inc-1", "component": "gateway", "signal": "latency", "strength": 9.0,
            }),
        ),
        event(14, 22, "incident.acknowledged", json!({ "incident": "inc-1", "by": "kim" })),
        event(FIRST_DIAGNOSIS, 23, "diagnosis.proposed", diagnosis("inc-1", "diag-1", json!([]))),
        event(
            16,
            30,
            "fault.cleared",
            json!({
                "fault": "fault-1", "experiment": "run-1", "cleared_by": "rollback",
                "action": "removed the delay", "verified": true,
            }),
        ),
        event(
            17,
            31,
            "label.assigned",
            json!({
                "label": "label-1", "incident": "inc-1", "by": "experiment run-1", "confidence": 1.0,
                "claim": { "claim": "root_cause", "component": "payments" }, "fault": "fault-1",
            }),
        ),
        event(
            18,
            31,
            "label.assigned",
            json!({
                "label": "label-2", "incident": "inc-1", "by": "experiment run-1", "confidence": 1.0,
                "claim": { "claim": "fault_kind", "fault_kind": "latency" }, "fault": "fault-1",
            }),
        ),
        event(
            19,
            32,
            "incident.mitigationapplied",
            json!({
                "incident": "inc-1", "action": "removed the delay", "component": "payments",
                "runbook": "slow-payments", "by": "experiment run-1",
            }),
        ),
        event(
            20,
            40,
            "incident.resolved",
            json!({
                "incident": "inc-1", "by": "/faultline/detector", "resolution": "calm again",
            }),
        ),
        event(
            21,
            41,
            "experiment.steadystatemeasured",
            json!({
                "experiment": "run-1", "phase": "after", "held": true,
                "probes": [{ "name": "p95", "held": true, "value": 90.0, "tolerance": "<= 200 ms" }],
            }),
        ),
        event(
            22,
            42,
            "experiment.finished",
            json!({
                "experiment": "run-1", "outcome": "deviated",
            }),
        ),
    ]
}

fn second_incident() -> Vec<Event> {
    let similar = json!([{
        "incident": "inc-1", "score": 0.93,
        "reasons": [{ "name": "same symptoms", "contribution": 0.93, "evidence": [id(SNAPSHOT)] }],
    }]);
    vec![
        event(
            30,
            100,
            "deployment.recorded",
            json!({
                "component": "payments", "version": "2", "previous_version": "1",
            }),
        ),
        event(
            31,
            130,
            "incident.opened",
            json!({
                "incident": "inc-2", "title": "gateway is slow again", "component": "gateway",
                "severity": "critical", "opened_by": "/faultline/detector",
            }),
        ),
        event(32, 131, "diagnosis.proposed", diagnosis("inc-2", "diag-2", similar)),
        // More requests than the graph's integers can hold.
        event(
            UNPROJECTABLE,
            132,
            "metrics.snapshotrecorded",
            json!({
                "component": "gateway", "requests": u64::MAX,
                "window": { "start": "2026-03-01T10:02:00Z", "duration_ms": 10000 },
            }),
        ),
    ]
}

fn snapshot(component: &str, second: i64, p95_ms: f64) -> Value {
    json!({
        "component": component, "requests": 100, "errors": 0,
        "window": { "start": format!("2026-03-01T10:00:{second:02}Z"), "duration_ms": 2000 },
        "latency": { "p50_ms": p95_ms / 2.0, "p95_ms": p95_ms, "p99_ms": p95_ms },
    })
}

fn diagnosis(incident: &str, diagnosis: &str, similar: Value) -> Value {
    json!({
        "incident": incident, "diagnosis": diagnosis, "method": "own-excess@1",
        "evidence_position": 14,
        "suspects": [
            {
                "component": "payments", "score": 0.8, "fault_kind": "latency",
                "terms": [
                    { "name": "own latency", "contribution": 0.6, "evidence": [id(SNAPSHOT)] },
                    { "name": "own errors", "contribution": 0.2, "evidence": [] },
                ],
                "path": ["gateway", "payments"],
            },
            {
                "component": "gateway", "score": 0.1,
                "terms": [{ "name": "own latency", "contribution": 0.1 }],
                "path": ["gateway"],
            },
        ],
        "similar": similar,
        "fingerprint": {
            "suspect": "payments",
            "symptoms": [
                { "role": "suspect", "feature": "latency", "strength": 0.8, "evidence": [id(SNAPSHOT)] },
                { "role": "caller", "feature": "latency", "strength": 0.5 },
            ],
            "components": { "payments": 0.8, "gateway": 0.5 },
        },
    })
}
