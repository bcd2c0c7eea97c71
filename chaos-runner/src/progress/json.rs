//! Events of a run as lines of JSON.

use serde_json::{Value, json};

use crate::experiment::Experiment;
use crate::run::{ProbeRecord, RunEvent, RunEventKind, RunIdentity};

/// One event: `experiment`, `at`, `event`, and what belongs to it.
pub(super) fn line(identity: &RunIdentity, experiment: &Experiment, event: &RunEvent) -> String {
    let (name, mut fields) = describe(experiment, &event.kind);
    fields["experiment"] = json!(identity.experiment);
    fields["at"] = json!(event.at);
    fields["event"] = json!(name);
    fields.to_string()
}

fn describe(experiment: &Experiment, kind: &RunEventKind) -> (&'static str, Value) {
    match kind {
        RunEventKind::Planned => ("planned", json!({ "title": experiment.title })),
        RunEventKind::Started => ("started", json!({})),
        RunEventKind::MeasuringSteadyState { phase } => {
            ("measuring_steady_state", json!({ "phase": phase }))
        }
        RunEventKind::SteadyStateMeasured { phase, record } => {
            let probes: Vec<_> = record.probes.iter().map(probe).collect();
            let fields = json!({ "phase": phase, "held": record.held, "probes": probes });
            ("steady_state_measured", fields)
        }
        RunEventKind::ActivityStarted { name, expected, .. } => {
            let expected = expected.map(|time| time.as_secs_f64());
            ("activity_started", json!({ "name": name, "expected_s": expected }))
        }
        RunEventKind::FaultInjected { fault } => ("fault_injected", json!(fault)),
        RunEventKind::FaultCleared { cleared } => ("fault_cleared", json!(cleared)),
        RunEventKind::FaultNotCleared { fault, error } => {
            ("fault_not_cleared", json!({ "fault": fault, "error": error }))
        }
        RunEventKind::ActivityFinished { name, record, .. } => {
            let fields = json!({
                "name": name,
                "status": record.status,
                "duration_s": record.duration,
                "exception": record.exception,
            });
            ("activity_finished", fields)
        }
        RunEventKind::Stopping { reason } => ("stopping", json!({ "reason": reason })),
        RunEventKind::RollbacksSkipped { count, .. } => {
            ("rollbacks_skipped", json!({ "count": count }))
        }
        RunEventKind::Finished { conclusion } => {
            let fields = json!({
                "outcome": conclusion.outcome,
                "deviated": conclusion.deviated,
                "reason": conclusion.reason,
            });
            ("finished", fields)
        }
    }
}

fn probe(probe: &ProbeRecord) -> Value {
    json!({
        "name": probe.name,
        "held": probe.tolerance_met,
        "value": probe.value,
        "unit": probe.unit,
        "tolerance": probe.tolerance,
    })
}
