//! Events of a run as lines for people.

use std::collections::BTreeMap;

use console::{StyledObject, style};
use events::catalogue::experiment::{ClearedBy, ExperimentOutcome, SteadyStatePhase};
use events::{FaultId, Timestamp};

use super::seconds;
use crate::experiment::{Experiment, Provider, RollbackStrategy};
use crate::run::{
    ActivityStatus, Conclusion, Place, ProbeRecord, RunEvent, RunEventKind, RunIdentity, Section,
    rounded,
};
use crate::shop::control::{ClearedFault, InjectedFault};

/// Makes lines, and keeps in mind what later lines refer to.
#[derive(Debug, Default)]
pub(super) struct Lines {
    started: Option<Timestamp>,
    injected: BTreeMap<FaultId, Timestamp>,
}

impl Lines {
    pub(super) fn of(
        &mut self,
        identity: &RunIdentity,
        experiment: &Experiment,
        event: &RunEvent,
    ) -> Vec<String> {
        match &event.kind {
            RunEventKind::Planned => {
                *self = Self { started: Some(event.at), injected: BTreeMap::new() };
                let title = style(&experiment.title).bold();
                vec![format!("{title}  {}", style(&identity.experiment).dim())]
            }
            RunEventKind::SteadyStateMeasured { phase, record } => {
                let mut lines = vec![labelled(phase_label(*phase), held_word(record.held))];
                lines.extend(record.probes.iter().map(probe_line));
                lines
            }
            RunEventKind::FaultInjected { fault } => {
                self.injected.insert(fault.fault.clone(), fault.injected_at);
                vec![labelled("inject", injected_words(fault))]
            }
            RunEventKind::FaultCleared { cleared } => {
                vec![labelled("clear", self.cleared_words(cleared))]
            }
            RunEventKind::FaultNotCleared { fault, error } => {
                let words = format!("{fault} could not be undone: {error}");
                vec![labelled("clear", style(words).red())]
            }
            RunEventKind::ActivityFinished { place, name, record } => {
                if record.status == ActivityStatus::Failed {
                    let words = format!("{name}: {}", record.why());
                    return vec![labelled("failed", style(words).red())];
                }
                if is_fault(experiment, *place) {
                    return Vec::new();
                }
                let label = match place.section {
                    Section::Method => "did",
                    Section::Rollbacks => "rollback",
                };
                vec![labelled(label, name)]
            }
            RunEventKind::Stopping { reason } => {
                vec![labelled("stop", style(format!("{reason}; undoing")).yellow())]
            }
            RunEventKind::RollbacksSkipped { strategy, count } => {
                let why = match strategy {
                    RollbackStrategy::Deviated => "the steady state did not deviate",
                    _ => "the experiment says never",
                };
                vec![labelled(
                    "rollback",
                    style(format!("{count} not carried out: {why}")).yellow(),
                )]
            }
            RunEventKind::Finished { conclusion } => {
                vec![labelled("result", self.result_words(event.at, conclusion))]
            }
            RunEventKind::Started
            | RunEventKind::MeasuringSteadyState { .. }
            | RunEventKind::ActivityStarted { .. } => Vec::new(),
        }
    }

    fn cleared_words(&self, cleared: &ClearedFault) -> String {
        let by = match cleared.cleared_by {
            ClearedBy::Rollback => "",
            ClearedBy::Deadline => "its deadline passed, ",
            ClearedBy::Interrupt => "interrupted, ",
            ClearedBy::Recovery => "it recovered by itself, ",
        };
        let seen =
            if cleared.verified { style("verified").green() } else { style("not verified").red() };
        let after = self.injected.get(&cleared.fault).map(|injected| {
            format!(", after {}", seconds(cleared.cleared_at.duration_since(*injected)))
        });
        format!("{} ({by}{seen}{})", cleared.action, after.unwrap_or_default())
    }

    fn result_words(&self, at: Timestamp, conclusion: &Conclusion) -> String {
        let took =
            self.started.map(|started| format!(" in {}", seconds(at.duration_since(started))));
        let outcome = outcome_word(conclusion.outcome);
        let reason = conclusion.reason.as_deref().map(|reason| format!(": {reason}"));
        format!("{outcome}{}{}", took.unwrap_or_default(), reason.unwrap_or_default())
    }
}

/// The begin of lines that stand among those of other runs.
pub(super) fn prefix(experiment: &Experiment) -> String {
    const WIDTH: usize = 28;
    let title: String = experiment.title.as_str().chars().take(WIDTH).collect();
    format!("{} ", style(format!("{title:<WIDTH$}")).dim())
}

/// An outcome in its colour.
fn outcome_word(outcome: ExperimentOutcome) -> StyledObject<&'static str> {
    match outcome {
        ExperimentOutcome::Held => style("held").green().bold(),
        ExperimentOutcome::Deviated => style("deviated").yellow().bold(),
        ExperimentOutcome::Aborted => style("aborted").red().bold(),
        ExperimentOutcome::Failed => style("failed").red().bold(),
    }
}

pub(super) fn phase_words(phase: SteadyStatePhase) -> &'static str {
    match phase {
        SteadyStatePhase::Before => "before the method",
        SteadyStatePhase::During => "while the fault acts",
        SteadyStatePhase::After => "after the rollbacks",
    }
}

fn phase_label(phase: SteadyStatePhase) -> &'static str {
    match phase {
        SteadyStatePhase::Before => "before",
        SteadyStatePhase::During => "during",
        SteadyStatePhase::After => "after",
    }
}

pub(super) fn labelled(label: &str, words: impl std::fmt::Display) -> String {
    format!("  {:<9}{words}", style(label).cyan())
}

fn held_word(held: bool) -> String {
    if held {
        format!("steady state {}", style("held").green())
    } else {
        format!("steady state {}", style("deviated").yellow())
    }
}

fn probe_line(probe: &ProbeRecord) -> String {
    let mark = if probe.tolerance_met { style("✓").green() } else { style("✗").red() };
    let measured = match probe.value {
        Some(value) if probe.unit.is_empty() => rounded(value),
        Some(value) => format!("{} {}", rounded(value), probe.unit),
        None if probe.record.status == ActivityStatus::Failed => probe.record.why(),
        None => probe.record.output.to_string(),
    };
    let accepted = style(format!("(accepted: {})", probe.tolerance)).dim();
    format!("           {mark} {}: {measured} {accepted}", probe.name)
}

fn injected_words(fault: &InjectedFault) -> String {
    let kind = style(&fault.kind).magenta();
    let caller = fault.peer.as_ref().map(|peer| format!("{peer} → ")).unwrap_or_default();
    format!("{kind} on {caller}{}: {}", fault.component, fault.description)
}

/// Faults have lines of their own.
fn is_fault(experiment: &Experiment, place: Place) -> bool {
    let activities = match place.section {
        Section::Method => &experiment.method,
        Section::Rollbacks => &experiment.rollbacks,
    };
    activities.get(place.index).is_some_and(|activity| {
        matches!(activity.provider, Provider::Fault(_) | Provider::ClearFault { .. })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::experiment;
    use crate::run::{ActivityRecord, SteadyStateRecord};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn record(status: ActivityStatus, exception: &[&str]) -> ActivityRecord {
        ActivityRecord {
            activity: json!({}),
            output: json!(null),
            status,
            start: at(0),
            end: at(1),
            duration: 1.0,
            exception: exception.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    fn probe(name: &str, held: bool, value: Option<f64>, unit: &'static str) -> ProbeRecord {
        let status =
            if value.is_some() { ActivityStatus::Succeeded } else { ActivityStatus::Failed };
        ProbeRecord {
            record: record(status, &["not measured"]),
            tolerance_met: held,
            name: line(name),
            value,
            unit,
            tolerance: "0 to 200".to_owned(),
        }
    }

    fn line(text: &str) -> events::value::Line {
        events::value::Line::new(text).unwrap()
    }

    #[test]
    fn a_run_reads_like_a_story() {
        let text = r#"{"title": "Slow payments", "description": "D", "method": []}"#;
        let experiment = experiment::parse("t.json", text, &|_| None).unwrap();
        let root = "019aa3e4-b1c2-7def-8123-456789abcdef".parse().unwrap();
        let identity = RunIdentity::from_root("Slow payments", root);
        let measured = |phase, probes: Vec<ProbeRecord>| {
            let held = probes.iter().all(|probe| probe.tolerance_met);
            let record = SteadyStateRecord { held, probes };
            RunEventKind::SteadyStateMeasured { phase, record }
        };
        let fault = json!({
            "fault": "s-1", "kind": "latency", "component": "payments", "peer": "checkout",
            "parameters": {}, "injected_at": at(5), "duration_ms": 20_000,
            "description": "250 ms of delay on every call",
        });
        let cleared = json!({
            "fault": "s-1", "cleared_at": at(17), "cleared_by": "interrupt",
            "action": "removed the delay", "verified": false,
        });
        let place = |section| Place { section, index: 0 };
        let finished = |section, record| RunEventKind::ActivityFinished {
            place: place(section),
            name: line("warm the cache"),
            record,
        };
        let conclusion = Conclusion {
            outcome: ExperimentOutcome::Aborted,
            deviated: true,
            interrupted: true,
            reason: Some("interrupted by SIGINT".to_owned()),
            resilience: Default::default(),
        };
        let story = [
            (0, RunEventKind::Planned),
            (4, measured(SteadyStatePhase::Before, vec![probe("p95", true, Some(17.25), "ms")])),
            (4, finished(Section::Method, record(ActivityStatus::Succeeded, &[]))),
            (5, RunEventKind::FaultInjected { fault: serde_json::from_value(fault).unwrap() }),
            (
                9,
                measured(
                    SteadyStatePhase::During,
                    vec![probe("p95", false, Some(1234.5), "ms"), probe("errors", false, None, "")],
                ),
            ),
            (
                9,
                finished(
                    Section::Method,
                    record(ActivityStatus::Failed, &["no answer", "refused"]),
                ),
            ),
            (16, RunEventKind::Stopping { reason: "interrupted by SIGINT".to_owned() }),
            (17, RunEventKind::FaultCleared { cleared: serde_json::from_value(cleared).unwrap() }),
            (17, RunEventKind::RollbacksSkipped { strategy: RollbackStrategy::Never, count: 2 }),
            (18, finished(Section::Rollbacks, record(ActivityStatus::Succeeded, &[]))),
            (18, RunEventKind::Finished { conclusion }),
        ];
        let mut lines = Lines::default();
        let shown: Vec<_> = story
            .into_iter()
            .flat_map(|(second, kind)| {
                lines.of(&identity, &experiment, &RunEvent { at: at(second), kind })
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }
}
