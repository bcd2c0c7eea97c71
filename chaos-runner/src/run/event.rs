//! What happens in a run.

use std::time::Duration;

use events::catalogue::experiment::{ExperimentOutcome, SteadyStatePhase};
use events::value::Line;
use events::{FaultId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::Resilience;
use crate::experiment::RollbackStrategy;
use crate::shop::control::{ClearedFault, InjectedFault};

/// Something that happened in a run.
#[derive(Clone, Debug)]
pub struct RunEvent {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: RunEventKind,
}

/// Everything that can happen in a run. The set is closed: who reports must handle all of it.
#[derive(Clone, Debug)]
pub enum RunEventKind {
    /// The run was prepared.
    Planned,
    /// It began.
    Started,
    /// The steady state is being measured.
    MeasuringSteadyState {
        /// When in the run.
        phase: SteadyStatePhase,
    },
    /// The steady state was measured.
    SteadyStateMeasured {
        /// When in the run.
        phase: SteadyStatePhase,
        /// What came out.
        record: SteadyStateRecord,
    },
    /// An activity began.
    ActivityStarted {
        /// Which.
        place: Place,
        /// What it is called.
        name: Line,
        /// How long it will take, when that is known.
        expected: Option<Duration>,
    },
    /// A fault acts.
    FaultInjected {
        /// The fault.
        fault: InjectedFault,
    },
    /// A fault no longer acts.
    FaultCleared {
        /// The fault.
        cleared: ClearedFault,
    },
    /// A fault could not be undone; it acts until its own deadline.
    FaultNotCleared {
        /// The fault.
        fault: FaultId,
        /// Why not.
        error: String,
    },
    /// An activity ended.
    ActivityFinished {
        /// Which.
        place: Place,
        /// What it is called.
        name: Line,
        /// How it went.
        record: ActivityRecord,
    },
    /// The run will end early; undoing begins.
    Stopping {
        /// Why.
        reason: String,
    },
    /// The file's rollback activities are not carried out.
    RollbacksSkipped {
        /// By which strategy.
        strategy: RollbackStrategy,
        /// How many there are.
        count: usize,
    },
    /// The run ended.
    Finished {
        /// How.
        conclusion: Conclusion,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// In one word.
    pub outcome: ExperimentOutcome,
    /// Whether a steady state was measured during or after the method and did not hold. May be
    /// true of aborted and failed runs too.
    pub deviated: bool,
    /// Whether a person or the system asked for the end.
    pub interrupted: bool,
    /// Why, where the outcome alone does not say it.
    pub reason: Option<String>,
    /// What came of the probes during and after the method.
    pub resilience: Resilience,
}

/// The part of an experiment that an activity stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The method.
    Method,
    /// The rollbacks.
    Rollbacks,
}

/// The place of an activity in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// In which part.
    pub section: Section,
    /// At which place of it, from 0.
    pub index: usize,
}

/// Whether an activity did what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActivityStatus {
    /// It did.
    Succeeded,
    /// It did not.
    Failed,
}

/// How an activity went, as the journal has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActivityRecord {
    /// The activity as the file gives it.
    pub activity: Value,
    /// What came out.
    pub output: Value,
    /// Whether it did what it should.
    pub status: ActivityStatus,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// From begin to end, in seconds.
    pub duration: f64,
    /// What went wrong, a line each from the outermost to the innermost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exception: Vec<String>,
}

/// A probe of the hypothesis, measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeRecord {
    /// How the probe went.
    #[serde(flatten)]
    pub record: ActivityRecord,
    /// Whether its output is accepted.
    pub tolerance_met: bool,
    /// What it is called.
    #[serde(skip)]
    pub name: Line,
    /// What was measured, as a number.
    #[serde(skip)]
    pub value: Option<f64>,
    /// The unit of the value, empty for a share or a status.
    #[serde(skip)]
    pub unit: &'static str,
    /// The accepted values in words.
    #[serde(skip)]
    pub tolerance: String,
}

/// The steady state, measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SteadyStateRecord {
    /// Whether every probe was within its tolerance.
    #[serde(rename = "steady_state_met")]
    pub held: bool,
    /// The probes, in their order.
    pub probes: Vec<ProbeRecord>,
}

impl ActivityRecord {
    /// What went wrong, in a line: what was tried, and the innermost cause.
    pub fn why(&self) -> String {
        brief(&self.exception)
    }
}

/// The first and the last of a chain of causes; those between repeat it in other words.
pub(crate) fn brief(chain: &[String]) -> String {
    match chain {
        [] => String::new(),
        [only] => only.clone(),
        [first, .., last] => format!("{first}: {last}"),
    }
}

impl ProbeRecord {
    /// What was measured and what is accepted, in words: `p95 of payments was 320 ms, expected
    /// 0 to 250 ms`.
    pub fn in_words(&self) -> String {
        match self.value {
            Some(value) => {
                let unit = if self.unit.is_empty() { "" } else { " " };
                format!(
                    "{} was {}{unit}{}, expected {}",
                    self.name,
                    rounded(value),
                    self.unit,
                    self.tolerance
                )
            }
            None => format!("{}: {}", self.name, self.record.why()),
        }
    }
}

impl SteadyStateRecord {
    /// The first probe that did not hold, in words.
    pub fn broken(&self) -> Option<String> {
        self.probes.iter().find(|probe| !probe.tolerance_met).map(ProbeRecord::in_words)
    }
}

/// Three digits that matter, and no exponent.
pub(crate) fn rounded(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = match magnitude {
        m if m >= 100.0 => 0,
        m if m >= 10.0 => 1,
        m if m >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Where run events go. Cheap to clone; nothing waits for the receiver.
#[derive(Clone, Debug)]
pub struct Reporter(mpsc::UnboundedSender<RunEvent>);

impl Reporter {
    /// A reporter and the receiver of what it reports.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<RunEvent>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Reports what happens now. A receiver that is gone does not stop the run: undoing must go
    /// on without an audience.
    pub(crate) fn report(&self, kind: RunEventKind) {
        self.report_at(Timestamp::now(), kind);
    }

    /// Reports what happened at `at`.
    pub(crate) fn report_at(&self, at: Timestamp, kind: RunEventKind) {
        let _ = self.0.send(RunEvent { at, kind });
    }
}
