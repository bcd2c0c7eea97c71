//! A run as events of the catalogue.

use std::collections::BTreeMap;

use events::catalogue::experiment::{
    ExperimentFinished, ExperimentPlanned, ExperimentStarted, FaultCleared, FaultInjected,
    ProbeResult, SteadyStateMeasured, SteadyStatePhase,
};
use events::value::{Finite, Line, NonNegative};
use events::{Event, EventData, EventId, ExperimentId, FaultId, Timestamp};

use super::{ProbeRecord, RunEvent, RunEventKind, RunIdentity};
use crate::experiment::Experiment;
use crate::shop::control::InjectedFault;

/// Makes the events of one run. Their ids derive from the run's first one, so that the same run
/// told twice is one.
#[derive(Debug)]
pub struct Facts {
    identity: RunIdentity,
    measurements: BTreeMap<SteadyStatePhase, u32>,
}

impl Facts {
    /// Facts of the run `identity`.
    pub fn new(identity: RunIdentity) -> Self {
        Self { identity, measurements: BTreeMap::new() }
    }

    /// The event that `event` is worth, if any.
    pub fn of(&mut self, experiment: &Experiment, event: &RunEvent) -> Option<Event> {
        let run = self.identity.experiment.clone();
        let root = self.identity.root;
        let (id, cause, data): (EventId, Option<EventId>, EventData) = match &event.kind {
            RunEventKind::Planned => {
                let data = ExperimentPlanned {
                    experiment: run,
                    title: experiment.title.clone(),
                    description: Some(experiment.description.clone()),
                    hypothesis: experiment.hypothesis.as_ref().map(|it| it.title.clone()),
                    tags: experiment.tags.clone(),
                };
                (root, None, data.into())
            }
            RunEventKind::Started => {
                (root.derived("started"), Some(root), ExperimentStarted { experiment: run }.into())
            }
            RunEventKind::SteadyStateMeasured { phase, record } => {
                let number = self.measurements.entry(*phase).or_default();
                *number += 1;
                let id = root.derived(&format!("steady-state/{phase:?}/{number}"));
                let probes = record.probes.iter().map(probe_result).collect();
                let data = SteadyStateMeasured {
                    experiment: run,
                    phase: *phase,
                    held: record.held,
                    probes,
                };
                (id, Some(root), data.into())
            }
            RunEventKind::FaultInjected { fault } => {
                let data = injection(fault, run);
                (injected_id(root, &fault.fault), Some(root), data.into())
            }
            RunEventKind::FaultCleared { cleared } => {
                let data = FaultCleared {
                    fault: cleared.fault.clone(),
                    experiment: Some(run),
                    cleared_by: cleared.cleared_by,
                    action: Line::clipped(&cleared.action),
                    verified: cleared.verified,
                };
                let cause = injected_id(root, &cleared.fault);
                (cause.derived("cleared"), Some(cause), data.into())
            }
            RunEventKind::Finished { conclusion } => {
                let data = ExperimentFinished {
                    experiment: run,
                    outcome: conclusion.outcome,
                    reason: conclusion.reason.as_deref().map(Line::clipped),
                };
                (root.derived("finished"), Some(root), data.into())
            }
            RunEventKind::MeasuringSteadyState { .. }
            | RunEventKind::ActivityStarted { .. }
            | RunEventKind::FaultNotCleared { .. }
            | RunEventKind::ActivityFinished { .. }
            | RunEventKind::Stopping { .. }
            | RunEventKind::RollbacksSkipped { .. } => return None,
        };
        Some(told(&self.identity.experiment, id, cause, event.at, data))
    }
}

/// An event of this program that belongs to a run.
pub(crate) fn told(
    experiment: &ExperimentId,
    id: EventId,
    cause: Option<EventId>,
    at: Timestamp,
    data: EventData,
) -> Event {
    let source = Line::new("/chaos-runner").expect("a short text");
    let mut fact = Event::with_id(id, source, at, data);
    fact.correlation_id = Some(Line::clipped(experiment.as_str()));
    fact.causation_id = cause;
    fact
}

/// What the shop injected, as a fact.
pub(super) fn injection(fault: &InjectedFault, experiment: ExperimentId) -> FaultInjected {
    FaultInjected {
        fault: fault.fault.clone(),
        experiment: Some(experiment),
        kind: fault.kind.clone(),
        component: fault.component.clone(),
        peer: fault.peer.clone(),
        parameters: fault.parameters.clone(),
        deadline_ms: NonNegative::new(fault.duration_ms as f64).ok(),
    }
}

/// The id of the event that says that a fault of a run acts.
pub(crate) fn injected_id(root: EventId, fault: &FaultId) -> EventId {
    root.derived(&format!("fault/{fault}/injected"))
}

fn probe_result(probe: &ProbeRecord) -> ProbeResult {
    ProbeResult {
        name: probe.name.clone(),
        held: probe.tolerance_met,
        value: probe.value.and_then(|value| Finite::new(value).ok()),
        tolerance: Line::clipped(&probe.tolerance),
    }
}

#[cfg(test)]
mod tests {
    use events::catalogue::experiment::{ClearedBy, ExperimentOutcome};
    use serde_json::json;

    use super::*;
    use crate::experiment;
    use crate::run::{Conclusion, SteadyStateRecord};

    const ROOT: &str = "019aa3e4-b1c2-7def-8123-456789abcdef";

    fn story() -> Vec<RunEvent> {
        let fault = json!({
            "fault": "t-1", "kind": "latency", "component": "payments", "peer": null,
            "parameters": {"delay_ms": 250}, "injected_at": "2026-01-01T00:00:05Z",
            "duration_ms": 20_000, "description": "slow",
        });
        let cleared = json!({
            "fault": "t-1", "cleared_at": "2026-01-01T00:00:09Z", "cleared_by": ClearedBy::Rollback,
            "action": "removed the delay", "verified": true,
        });
        let conclusion = Conclusion {
            outcome: ExperimentOutcome::Held,
            deviated: false,
            interrupted: false,
            reason: None,
            resilience: Default::default(),
        };
        let measured = |phase| RunEventKind::SteadyStateMeasured {
            phase,
            record: SteadyStateRecord { held: true, probes: Vec::new() },
        };
        let kinds = [
            RunEventKind::Planned,
            RunEventKind::Started,
            RunEventKind::MeasuringSteadyState { phase: SteadyStatePhase::Before },
            measured(SteadyStatePhase::Before),
            RunEventKind::FaultInjected { fault: serde_json::from_value(fault).unwrap() },
            measured(SteadyStatePhase::During),
            measured(SteadyStatePhase::During),
            RunEventKind::FaultCleared { cleared: serde_json::from_value(cleared).unwrap() },
            measured(SteadyStatePhase::After),
            RunEventKind::Finished { conclusion },
        ];
        kinds.map(|kind| RunEvent { at: Timestamp::UNIX_EPOCH, kind }).into()
    }

    fn told() -> Vec<Event> {
        let text = r#"{"title": "T", "description": "D", "tags": ["a"], "method": []}"#;
        let experiment = experiment::parse("t.json", text, &|_| None).unwrap();
        let mut facts = Facts::new(RunIdentity::from_root("T", ROOT.parse().unwrap()));
        story().iter().filter_map(|event| facts.of(&experiment, event)).collect()
    }

    #[test]
    fn a_story_told_twice_is_the_same_events() {
        assert_eq!(told(), told());
        let ids: std::collections::BTreeSet<_> = told().iter().map(|event| event.id).collect();
        assert_eq!(ids.len(), 9, "no two events share an id");
    }

    #[test]
    fn every_event_is_valid_and_belongs_to_its_run() {
        for event in told() {
            let correlation = event.correlation_id.as_ref().map(Line::as_str);
            assert_eq!(correlation, Some("t-019aa3e4b1c2-abcdef"));
            let read = Event::from_cloud_event(event.to_cloud_event(), Timestamp::UNIX_EPOCH);
            assert_eq!(read, Ok(event));
        }
    }

    #[test]
    fn the_end_of_a_fault_is_caused_by_its_begin() {
        let events = told();
        let injected = events.iter().find(|it| matches!(it.data, EventData::FaultInjected(_)));
        let cleared = events.iter().find(|it| matches!(it.data, EventData::FaultCleared(_)));
        assert_eq!(cleared.unwrap().causation_id, Some(injected.unwrap().id));
    }
}
