//! How the base did: what was noticed by what, which faults nobody noticed, what nothing explains.

use serde_json::json;

use super::base::{TestBase, event, id};

#[tokio::test]
async fn what_was_noticed_is_told_by_detector_and_by_fault() {
    let injected = |number, second, fault: &str, kind: &str| {
        let data = json!({ "fault": fault, "kind": kind, "component": "cart" });
        event(number, second, "fault.injected", data)
    };
    let opened = |number, second, incident: &str, by: &str, evidence: &[u128]| {
        let evidence: Vec<_> = evidence.iter().map(|number| id(*number)).collect();
        let data = json!({
            "incident": incident, "title": "cart is slow", "component": "cart",
            "severity": "error", "opened_by": by, "evidence": evidence,
        });
        event(number, second, "incident.opened", data)
    };
    let part = |signal: &str, deviation: f64| json!({ "signal": signal, "observed": 2.0, "baseline": 1.0, "deviation": deviation });
    let anomaly = json!({
        "component": "cart", "detector": "robust-window@4", "score": 9.0,
        "window": { "start": "2026-03-01T10:00:20Z", "duration_ms": 2000 },
        "parts": [part("errors", 9.0), part("latency", 5.0)],
    });
    let label = json!({
        "label": "l1", "incident": "seen", "by": "experiment", "confidence": 1.0, "fault": "f1",
        "claim": { "claim": "root_cause", "component": "cart" },
    });
    let base = TestBase::of(vec![
        injected(1, 20, "f1", "latency"),
        event(2, 22, "anomaly.detected", anomaly),
        opened(3, 23, "seen", "/faultline/detector", &[2]),
        event(4, 60, "label.assigned", label),
        injected(5, 100, "f2", "cpu_starvation"),
        injected(6, 200, "f3", "latency"),
        opened(7, 400, "told", "kim", &[]),
    ])
    .await;
    let data = base
        .data(
            "{ trackRecord { faults unnoticedFaults all { incidents unexplained }
                byDetector { key incidents unexplained timeToDetect { p50Ms } }
                byFaultKind { faultKind faults unnoticed timeToDetect { count p50Ms } } } }",
        )
        .await;
    let expected = json!({
        "faults": 3, "unnoticedFaults": 2, "all": { "incidents": 2, "unexplained": 1 },
        "byDetector": [
            { "key": "robust-window@4 errors", "incidents": 1, "unexplained": 0,
              "timeToDetect": { "p50Ms": 3000.0 } },
            { "key": "kim", "incidents": 1, "unexplained": 1, "timeToDetect": { "p50Ms": null } },
        ],
        "byFaultKind": [
            { "faultKind": "cpu_starvation", "faults": 1, "unnoticed": 1,
              "timeToDetect": { "count": 0, "p50Ms": null } },
            { "faultKind": "latency", "faults": 2, "unnoticed": 1,
              "timeToDetect": { "count": 1, "p50Ms": 3000.0 } },
        ],
    });
    assert_eq!(data["trackRecord"], expected);
}
