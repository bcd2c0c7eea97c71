//! Generated histories: steps with few names, so that events meet, come late, repeat and
//! contradict each other.

use events::Timestamp;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

/// One event to be: when it happened, what it says, and which of the events before caused it.
#[derive(Clone, Debug)]
pub struct Step {
    pub second: i64,
    pub event_type: &'static str,
    pub data: Value,
    pub cause: Option<usize>,
}

#[derive(Debug)]
struct Names {
    second: i64,
    component: &'static str,
    incident: &'static str,
    other_incident: &'static str,
    label: &'static str,
    runbook: &'static str,
    strength: f64,
}

/// An event that every history of the tests begins with.
const FIRST: &str = "00000000-0000-0000-0000-000000000001";

/// Any step.
pub fn step() -> impl Strategy<Value = Step> {
    let one_of = |names: &[&'static str]| prop::sample::select(names.to_vec());
    let names = (
        0..2_000i64,
        one_of(&["gateway", "cart"]),
        (one_of(&["i1", "i2"]), one_of(&["i1", "i2", "i3"])),
        one_of(&["l1", "l2"]),
        one_of(&["r1", "r2"]),
        -9.0..9.0f64,
    );
    let names = names.prop_map(|(second, component, incidents, label, runbook, strength)| Names {
        second,
        component,
        incident: incidents.0,
        other_incident: incidents.1,
        label,
        runbook,
        strength,
    });
    let cause = prop::option::weighted(0.3, 0..1_000usize);
    (names, 0..42usize, cause).prop_map(|(names, kind, cause)| {
        let (event_type, data) = match kind {
            0..8 => observed(&names, kind),
            8..14 => ground_truth(&names, kind - 8),
            14..24 => incident(&names, kind - 14),
            24..30 => said(&names, kind - 24),
            _ => concluded(&names, kind - 30),
        };
        Step { second: names.second, event_type, data, cause }
    })
}

/// Two seconds from `second` on.
fn window(second: i64) -> Value {
    let start: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
    json!({"start": start + SignedDuration::from_secs(second), "duration_ms": 2000})
}

fn observed(n: &Names, kind: usize) -> (&'static str, Value) {
    let (component, latency) = (n.component, n.strength.abs());
    match kind {
        0 => ("component.described", json!({"component": component, "owner": n.label})),
        1 => ("component.described", json!({"component": component, "kind": "service"})),
        2 => (
            "dependency.observed",
            json!({"caller": "users", "callee": component, "protocol": n.label}),
        ),
        3 => ("dependency.observed", json!({"caller": "gateway", "callee": "cart"})),
        4 => (
            "metrics.snapshotrecorded",
            json!({"component": component, "window": window(n.second), "requests": 5,
                "latency": {"p50_ms": latency, "p95_ms": latency, "p99_ms": latency}}),
        ),
        5 => (
            "traces.edgesrecorded",
            json!({"caller": "users", "window": window(n.second),
                "edges": [{"callee": component, "calls": 1, "errors": 1}]}),
        ),
        6 => (
            "logs.patternsrecorded",
            json!({"component": component, "window": window(n.second),
                "patterns": [{"template": "timeout of <*>", "severity": "error", "count": 4}]}),
        ),
        _ => ("deployment.recorded", json!({"component": component, "version": n.label})),
    }
}

fn ground_truth(n: &Names, kind: usize) -> (&'static str, Value) {
    let (experiment, fault) = (n.runbook, n.label);
    match kind {
        0 => (
            "experiment.planned",
            json!({"experiment": experiment, "title": n.label, "tags": [n.component]}),
        ),
        1 => ("experiment.started", json!({"experiment": experiment})),
        2 => (
            "fault.injected",
            json!({"fault": fault, "experiment": experiment, "kind": "latency",
                "component": n.component, "parameters": {"delay_ms": n.second}}),
        ),
        3 => (
            "fault.cleared",
            json!({"fault": fault, "cleared_by": "rollback", "action": "undone",
                "verified": n.strength > 0.0}),
        ),
        4 => (
            "experiment.steadystatemeasured",
            json!({"experiment": experiment, "phase": "after", "held": true, "probes": []}),
        ),
        _ => ("experiment.finished", json!({"experiment": experiment, "outcome": "deviated"})),
    }
}

fn incident(n: &Names, kind: usize) -> (&'static str, Value) {
    let (incident, by) = (n.incident, n.label);
    match kind {
        0 | 1 => (
            "incident.opened",
            json!({"incident": incident, "title": "slow", "component": n.component,
                "severity": "error", "opened_by": by, "evidence": [FIRST]}),
        ),
        2 => (
            "incident.symptomattached",
            json!({"incident": incident, "component": n.component, "signal": "latency",
                "strength": n.strength, "evidence": [FIRST]}),
        ),
        3 => ("incident.acknowledged", json!({"incident": incident, "by": by})),
        4 => (
            "incident.mitigationapplied",
            json!({"incident": incident, "action": "restarted", "component": n.component,
                "runbook": n.runbook, "by": by}),
        ),
        5 => ("incident.mitigated", json!({"incident": incident, "by": by})),
        6 => ("incident.resolved", json!({"incident": incident, "by": by})),
        7 => ("incident.reopened", json!({"incident": incident, "by": by, "reason": "again"})),
        8 if n.other_incident != incident => {
            ("incident.merged", json!({"incident": incident, "into": n.other_incident, "by": by}))
        }
        _ => (
            "incident.postmortempublished",
            json!({"incident": incident, "title": n.component, "text": "much", "author": by}),
        ),
    }
}

fn said(n: &Names, kind: usize) -> (&'static str, Value) {
    let claim = match kind {
        0 => json!({"claim": "root_cause", "component": n.component}),
        1 => json!({"claim": "fault_kind", "fault_kind": "latency"}),
        2 => json!({"claim": "false_positive"}),
        _ => json!({"claim": "severity", "severity": "critical"}),
    };
    let (incident, label) = (n.incident, n.label);
    let confidence = n.strength.abs() / 10.0;
    match kind {
        0..=3 => (
            "label.assigned",
            json!({"label": label, "incident": incident, "claim": claim, "by": "ada",
                "confidence": confidence, "fault": label}),
        ),
        4 => ("label.retracted", json!({"label": label, "incident": incident, "by": "ada"})),
        _ => (
            "feedback.given",
            json!({"incident": incident, "diagnosis": label, "by": "ada", "confidence": 1.0}),
        ),
    }
}

fn concluded(n: &Names, kind: usize) -> (&'static str, Value) {
    let (component, incident) = (n.component, n.incident);
    match kind {
        0 => ("alert.fired", json!({"alert": n.label, "name": component, "severity": "error"})),
        1 => ("alert.resolved", json!({"alert": n.label})),
        2 => (
            "maintenance.started",
            json!({"maintenance": n.label, "components": [component], "reason": "disk"}),
        ),
        3 => ("maintenance.ended", json!({"maintenance": n.label})),
        4 => (
            "remediation.suggested",
            json!({"incident": incident, "action": "restart", "runbook": n.runbook}),
        ),
        5 | 6 => (
            "runbook.published",
            json!({"runbook": n.runbook, "title": n.label, "text": "restart",
                "fault_kinds": ["latency"], "component": component}),
        ),
        7 => ("configuration.changed", json!({"component": component, "description": n.label})),
        8 => (
            "audit.recorded",
            json!({"actor": n.label, "action": "label.assign", "subject": incident,
                "outcome": "done"}),
        ),
        _ => (
            "diagnosis.proposed",
            json!({"incident": incident, "diagnosis": n.label, "method": "own-excess@1",
                "evidence_position": 1,
                "suspects": [{"component": component, "score": n.strength, "terms": [
                    {"name": "n", "contribution": n.strength, "evidence": [FIRST]}]}],
                "fingerprint": {"suspect": component, "components": {component: 0.5},
                    "symptoms": [{"role": "suspect", "feature": "latency", "strength": 0.5}]},
                "similar": [{"incident": n.other_incident, "score": 0.5, "reasons": []}]}),
        ),
    }
}
