//! Histories, told as the log would have them.

use events::value::Line;
use events::{Event, EventData, EventId, RecordedEvent, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

/// The moment `second` seconds into every history.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// The id of the event at `position`.
pub fn id_at(position: u64) -> EventId {
    EventId(Uuid::from_u128((u128::from(position) << 64) | 7))
}

/// Events in the order of their positions, from 1.
#[derive(Clone, Default)]
pub struct History(pub Vec<RecordedEvent>);

impl History {
    /// Appends an event of `second`; answers its id.
    pub fn push(&mut self, second: i64, event_type: &str, data: Value) -> EventId {
        let position = self.0.len() as u64 + 1;
        let id = id_at(position);
        let data = EventData::from_json(&format!("io.faultline.{event_type}.v1"), data).unwrap();
        let event = Event::with_id(id, Line::clipped("/test"), at(second), data);
        self.0.push(RecordedEvent {
            stream: event.data.stream(),
            event,
            revision: position,
            position,
            recorded_at: at(second),
            pruned: None,
        });
        id
    }

    /// The golden signals of a component over the two seconds from `second` on.
    pub fn snapshot(&mut self, second: i64, component: &str, p95_ms: f64) -> EventId {
        let latency = json!({"p50_ms": p95_ms / 2.0, "p95_ms": p95_ms, "p99_ms": p95_ms * 2.0});
        let data = json!({
            "component": component, "window": window(second), "requests": 10, "errors": 1,
            "latency": latency, "saturation": 0.5, "extras": {"up": 1.0},
        });
        self.push(second + 2, "metrics.snapshotrecorded", data)
    }

    /// The calls between two components over the two seconds from `second` on.
    pub fn calls(&mut self, second: i64, caller: &str, callee: &str) -> EventId {
        let data = json!({
            "caller": caller, "window": window(second),
            "edges": [{"callee": callee, "calls": 10, "errors": 0}],
        });
        self.push(second + 2, "traces.edgesrecorded", data)
    }

    /// An incident noticed at `component`.
    pub fn opened(&mut self, second: i64, incident: &str, component: &str, evidence: &[EventId]) {
        let data = json!({
            "incident": incident, "title": format!("{component} is slow"), "component": component,
            "severity": "error", "opened_by": "/test", "evidence": evidence,
        });
        self.push(second, "incident.opened", data);
    }

    /// A diagnosis with one suspect.
    pub fn diagnosed(&mut self, second: i64, incident: &str, suspect: &str, evidence: EventId) {
        let diagnosis = format!("{incident}-diagnosis-{second}");
        let data = json!({
            "incident": incident, "diagnosis": diagnosis, "method": "own-excess@1",
            "evidence_position": self.0.len(),
            "suspects": [{"component": suspect, "score": 3.5, "terms": [
                {"name": "own excess", "contribution": 3.5, "evidence": [evidence]}]}],
            "fingerprint": {"suspect": suspect},
            "similar": [{"incident": "i0", "score": 0.5, "reasons": [
                {"name": "same role", "contribution": 0.5}]}],
        });
        self.push(second, "diagnosis.proposed", data);
    }

    /// A label of a person.
    pub fn labelled(&mut self, second: i64, label: &str, incident: &str, claim: Value, sure: f64) {
        let data = json!({
            "label": label, "incident": incident, "claim": claim, "by": "ada", "confidence": sure,
        });
        self.push(second, "label.assigned", data);
    }
}

/// A window of two seconds.
pub fn window(second: i64) -> Value {
    json!({"start": at(second).to_string(), "duration_ms": 2000})
}

/// One event at least of every area, late and unknown ones among them; two cannot be projected.
pub fn everything() -> History {
    let mut h = History::default();
    h.push(
        0,
        "component.described",
        json!({"component": "gateway", "kind": "service",
        "criticality": "high", "attributes": {"language": "rust"}}),
    );
    h.push(0, "component.discovered", json!({"component": "cart", "discovered_by": "a proxy"}));
    h.push(
        0,
        "dependency.observed",
        json!({"caller": "gateway", "callee": "cart",
        "protocol": "http"}),
    );
    h.push(
        0,
        "experiment.planned",
        json!({"experiment": "e1", "title": "slow cart",
        "tags": ["cart"]}),
    );
    h.push(1, "experiment.started", json!({"experiment": "e1"}));
    h.push(
        1,
        "experiment.steadystatemeasured",
        json!({"experiment": "e1", "phase": "before",
        "held": true, "probes": [{"name": "p", "held": true, "value": 1.0, "tolerance": "< 2"}]}),
    );
    h.push(
        1,
        "fault.injected",
        json!({"fault": "f1", "experiment": "e1", "kind": "latency",
        "component": "cart", "peer": "gateway", "deadline_ms": 1000.0,
        "parameters": {"delay_ms": 100, "none": null, "nested": {"a": [1, 2.5, "z"]}}}),
    );
    let usual = h.snapshot(0, "gateway", 2.0);
    let slow = h.snapshot(2, "gateway", 200.0);
    h.calls(2, "users", "gateway");
    h.push(
        4,
        "logs.patternsrecorded",
        json!({"component": "gateway", "window": window(2),
        "patterns": [{"template": "timeout of <*>", "severity": "error", "count": 4}]}),
    );
    h.push(
        2,
        "deployment.recorded",
        json!({"component": "gateway", "version": "2",
        "previous_version": "1"}),
    );
    h.push(
        2,
        "configuration.changed",
        json!({"component": "cart", "description": "pool of 5",
        "settings": {"pool": "5"}}),
    );
    h.push(
        2,
        "maintenance.started",
        json!({"maintenance": "m1", "components": ["cart"],
        "reason": "disk"}),
    );
    h.push(3, "maintenance.ended", json!({"maintenance": "m1"}));
    h.push(3, "maintenance.ended", json!({"maintenance": "begun unheard"}));
    h.push(
        3,
        "feedback.given",
        json!({"incident": "i1", "diagnosis": "never proposed", "by": "ada", "confidence": 1.0}),
    );
    h.push(
        3,
        "alert.fired",
        json!({"alert": "a1", "name": "SlowGateway", "component": "gateway",
        "severity": "error", "labels": {"team": "shop"}}),
    );
    h.push(9, "alert.resolved", json!({"alert": "a1"}));
    h.push(
        4,
        "anomaly.detected",
        json!({"component": "gateway", "window": window(2),
        "detector": "robust@1", "score": 4.5, "evidence": [slow],
        "parts": [{"signal": "latency", "observed": 200.0, "baseline": 2.0, "deviation": 9.0}]}),
    );
    h.opened(4, "i1", "gateway", &[slow]);
    for (signal, strength) in [("latency", 4.0), ("errors", -7.0), ("latency", 3.0)] {
        h.push(
            5,
            "incident.symptomattached",
            json!({"incident": "i1", "component": "gateway",
            "signal": signal, "strength": strength, "observed": 1.0, "evidence": [slow]}),
        );
    }
    h.diagnosed(6, "i1", "cart", usual);
    h.push(
        7,
        "incident.mitigationapplied",
        json!({"incident": "i1", "action": "restarted cart",
        "component": "cart", "runbook": "r1", "by": "ada"}),
    );
    h.push(8, "incident.acknowledged", json!({"incident": "i1", "by": "ada"}));
    h.push(8, "incident.mitigated", json!({"incident": "i1", "by": "ada"}));
    h.push(9, "incident.resolved", json!({"incident": "i1", "by": "ada", "resolution": "ok"}));
    h.push(10, "incident.reopened", json!({"incident": "i1", "by": "ada", "reason": "not yet"}));
    let cart = json!({"claim": "root_cause", "component": "cart"});
    h.labelled(11, "l1", "i1", cart.clone(), 1.0);
    h.labelled(11, "l2", "i1", json!({"claim": "fault_kind", "fault_kind": "latency"}), 0.5);
    h.push(12, "label.retracted", json!({"label": "l1", "incident": "i1", "by": "ada"}));
    h.push(12, "label.retracted", json!({"label": "never given", "incident": "i1", "by": "ada"}));
    h.push(
        12,
        "label.assigned",
        json!({"label": "l3", "incident": "i1", "claim": cart,
        "by": "experiment e1", "confidence": 1.0, "fault": "f1"}),
    );
    h.push(
        12,
        "feedback.given",
        json!({"incident": "i1", "diagnosis": "i1-diagnosis-6",
        "right_rank": 1, "by": "ada", "confidence": 1.0}),
    );
    h.push(
        13,
        "fault.cleared",
        json!({"fault": "f1", "experiment": "e1",
        "cleared_by": "rollback", "action": "removed the delay", "verified": true}),
    );
    h.push(13, "experiment.finished", json!({"experiment": "e1", "outcome": "deviated"}));
    h.push(14, "incident.merged", json!({"incident": "i1", "into": "i9", "by": "ada"}));
    h.push(
        14,
        "incident.postmortempublished",
        json!({"incident": "i1", "title": "what we learned",
        "text": "much", "author": "ada"}),
    );
    h.push(
        14,
        "remediation.suggested",
        json!({"incident": "i9", "action": "restart cart",
        "runbook": "r1", "learned_from": "i1"}),
    );
    h.push(14, "response.actiontaken", json!({"incident": "i9", "action": "paged", "by": "bot"}));
    h.push(
        15,
        "failure.predicted",
        json!({"component": "cart", "probability": 0.5,
        "horizon_ms": 1000.0, "reason": "memory grows"}),
    );
    h.push(
        15,
        "model.trained",
        json!({"model": "m1", "method": "learned", "weights": {"a": 1.0},
        "data_from_position": 1, "data_to_position": 20, "rejected": "no better"}),
    );
    h.push(
        15,
        "model.selected",
        json!({"choice": "pinned", "model": "m1", "by": "ada", "reason": "it was right"}),
    );
    h.push(
        15,
        "slo.defined",
        json!({"slo": "s1", "component": "gateway",
        "indicator": "availability", "objective": 0.99, "window_ms": 86_400_000.0}),
    );
    h.push(
        16,
        "slo.errorbudgetburned",
        json!({"slo": "s1", "burn_rate": 2.0,
        "window_ms": 3_600_000.0, "remaining": 0.5}),
    );
    h.push(
        16,
        "runbook.published",
        json!({"runbook": "r1", "title": "slow cart", "text": "restart",
        "fault_kinds": ["latency"], "component": "cart"}),
    );
    h.push(
        17,
        "audit.recorded",
        json!({"actor": "ada's laptop", "token": "4f7c2a9be013", "action": "label.assign",
        "subject": "i1", "outcome": "done", "request": "r-1"}),
    );
    h.push(
        17,
        "retention.applied",
        json!({
            "pruned": [{
                "kind": "metrics", "until_position": 3, "recorded_until": at(10), "events": 2,
                "bytes": 800, "pinned_events": 1,
            }],
        }),
    );
    // An event that cannot be projected is caused by its cause all the same.
    let cause = h.0[0].event.id;
    for event in h.0.iter_mut().filter(|it| it.event.data.event_type().contains("maintenance")) {
        event.event.causation_id = Some(cause);
    }
    h
}
