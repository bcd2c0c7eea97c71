//! Experiments in the Chaos Toolkit format, read strictly.
//!
//! The format is that of Chaos Toolkit 1.x (title, description, steady-state hypothesis, method,
//! rollbacks, configuration, secrets, runtime), in JSON or YAML, with one provider more:
//! `faultline`, for faults and golden signals. What this runner cannot carry out is refused when
//! the file is read, never passed over while it runs: a control or a rollback that silently did
//! nothing is worse than an error.

mod activity;
mod load;
mod problem;
mod reader;
pub mod shipped;
mod substitution;
mod targets;
mod tolerance;

use std::collections::BTreeMap;
use std::time::Duration;

use events::value::{Line, Text};
use events::{ComponentName, FaultId, FaultKind};
use serde_json::Value;

use crate::shop::control::FaultSpec;

pub use load::{LoadError, load, parse};
pub use problem::{InvalidExperiment, Problem};
pub use substitution::Environment;
pub use targets::Targets;
pub use tolerance::Tolerance;

/// An experiment that this runner can carry out.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// What it is called.
    pub title: Line,
    /// What it is for.
    pub description: Text,
    /// Free words to find it by.
    pub tags: Vec<Line>,
    /// What should stay true.
    pub hypothesis: Option<Hypothesis>,
    /// What is done, in order.
    pub method: Vec<Activity>,
    /// What is done afterwards to put things right; faults are undone without being named here.
    pub rollbacks: Vec<Activity>,
    /// Strategies and limits of the run.
    pub runtime: Runtime,
    /// The file's content as it was given: variables are not replaced in it, so that the journal
    /// repeats no secret.
    pub document: Value,
}

/// The steady-state hypothesis.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// The hypothesis in words.
    pub title: Line,
    /// What is measured; every probe must be within its tolerance.
    pub probes: Vec<SteadyProbe>,
}

/// A probe of the hypothesis.
#[derive(Clone, Debug, PartialEq)]
pub struct SteadyProbe {
    /// How to measure.
    pub activity: Activity,
    /// The accepted values.
    pub tolerance: Tolerance,
}

/// One step of a method, of the rollbacks or of a hypothesis.
#[derive(Clone, Debug, PartialEq)]
pub struct Activity {
    /// What it is called.
    pub name: Line,
    /// Whether it acts or measures.
    pub kind: ActivityKind,
    /// What carries it out.
    pub provider: Provider,
    /// Waits around it.
    pub pauses: Pauses,
    /// Whether the next activity starts without waiting for this one.
    pub background: bool,
    /// The activity as it was given.
    pub document: Value,
}

/// Whether an activity changes the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityKind {
    /// It changes something.
    Action,
    /// It measures.
    Probe,
}

/// Waits around an activity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// Before it starts.
    pub before: Duration,
    /// After it ended.
    pub after: Duration,
}

/// What carries an activity out.
#[derive(Clone, Debug, PartialEq)]
pub enum Provider {
    /// Injects a fault.
    Fault(FaultAction),
    /// Undoes the fault of an earlier action, by the action's name.
    ClearFault {
        /// Name of the action that injected it.
        of: Line,
    },
    /// Reads a golden signal.
    Signal(SignalProbe),
    /// Runs a program.
    Process(ProcessCall),
    /// Sends a request.
    Http(HttpCall),
}

/// A fault to inject.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultAction {
    /// What kind of fault.
    pub kind: FaultKind,
    /// The component at fault.
    pub component: ComponentName,
    /// The caller, when only its connections to the component are disturbed.
    pub peer: Option<ComponentName>,
    /// Driver parameters.
    pub arguments: BTreeMap<String, Value>,
    /// How long the fault acts. Without it, it acts until it is cleared by name, at the latest
    /// before the steady state is measured for the last time.
    pub duration: Option<Duration>,
}

impl FaultAction {
    /// The fault as a shop takes it, called `fault`, to be undone by the shop after `deadline`.
    pub(crate) fn spec(&self, fault: Option<FaultId>, deadline: Option<Duration>) -> FaultSpec {
        FaultSpec {
            fault,
            kind: self.kind.clone(),
            component: self.component.clone(),
            peer: self.peer.clone(),
            arguments: self.arguments.clone(),
            duration_ms: deadline.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// A golden signal to read.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalProbe {
    /// Which.
    pub signal: Signal,
    /// Of which component.
    pub component: ComponentName,
}

/// The golden signals that a probe can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Share of requests that failed.
    ErrorRatio,
    /// Share of requests that did not fail.
    Availability,
    /// Requests that ended, a second.
    RequestsPerSecond,
    /// Median time to answer.
    P50Ms,
    /// 95th percentile of the time to answer.
    P95Ms,
    /// 99th percentile of the time to answer.
    P99Ms,
    /// Share of the tightest resource in use.
    Saturation,
    /// Processor time used per wall time.
    CpuCores,
    /// Resident memory.
    MemoryBytes,
}

impl Signal {
    /// Every signal with its name in experiment files.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("error_ratio", Self::ErrorRatio),
        ("availability", Self::Availability),
        ("requests_per_second", Self::RequestsPerSecond),
        ("p50_ms", Self::P50Ms),
        ("p95_ms", Self::P95Ms),
        ("p99_ms", Self::P99Ms),
        ("saturation", Self::Saturation),
        ("cpu_cores", Self::CpuCores),
        ("memory_bytes", Self::MemoryBytes),
    ];

    /// Its name in experiment files.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, signal)| *signal == self)
            .map(|(name, _)| *name)
            .expect("ALL lists every signal")
    }

    /// The unit of its values, empty for a share.
    pub fn unit(self) -> &'static str {
        match self {
            Self::ErrorRatio | Self::Availability | Self::Saturation => "",
            Self::RequestsPerSecond => "requests/s",
            Self::P50Ms | Self::P95Ms | Self::P99Ms => "ms",
            Self::CpuCores => "cores",
            Self::MemoryBytes => "bytes",
        }
    }
}

/// A program to run, as Chaos Toolkit's `process` provider does, without a shell.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessCall {
    /// The program: a path, or a name to look up in `PATH`.
    pub path: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Longest time it may take.
    pub timeout: Duration,
}

/// A request to send, as Chaos Toolkit's `http` provider does.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCall {
    /// Where to.
    pub url: String,
    /// The HTTP method.
    pub method: String,
    /// Request headers.
    pub headers: BTreeMap<String, String>,
    /// Query of a GET, JSON body of anything else.
    pub arguments: Option<Value>,
    /// Longest time it may take.
    pub timeout: Duration,
    /// Whether the certificate of an `https` address must be one that the system trusts.
    pub verify_tls: bool,
}

/// Strategies and limits of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Runtime {
    /// When the rollback activities are carried out.
    pub rollbacks: RollbackStrategy,
    /// When the hypothesis is measured.
    pub hypothesis: HypothesisStrategy,
    /// The method is aborted after this time; undoing comes on top.
    pub deadline: Duration,
    /// How long one measurement of the steady state observes the system.
    pub span: Duration,
    /// How long the steady state may take to establish itself before the method.
    pub warm_up: Duration,
    /// How long the system may take to recover after the faults are undone.
    pub recovery: Duration,
    /// Abort conditions: while the method runs, each must stay within its tolerance, else the
    /// run ends and everything is undone.
    pub abort: Vec<SteadyProbe>,
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            rollbacks: RollbackStrategy::Default,
            hypothesis: HypothesisStrategy::Default,
            deadline: Duration::from_secs(600),
            span: Duration::from_secs(5),
            warm_up: Duration::from_secs(30),
            recovery: Duration::from_secs(30),
            abort: Vec::new(),
        }
    }
}

/// When the rollback activities of the file are carried out. Faults are undone in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollbackStrategy {
    /// Always. (Chaos Toolkit's own default skips them after a failure or an interrupt, which
    /// leaves a system broken just when nobody looks.)
    Default,
    /// Always.
    Always,
    /// Never.
    Never,
    /// When the steady state deviated while the method ran.
    Deviated,
}

/// When the steady state is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HypothesisStrategy {
    /// Before, while a fault acts, and after.
    Default,
    /// Before the method only.
    BeforeMethodOnly,
    /// After the rollbacks only.
    AfterMethodOnly,
    /// While a fault acts only.
    DuringMethodOnly,
    /// As the default, and again and again while the method runs.
    Continuously,
    /// Not at all.
    Skip,
}

impl HypothesisStrategy {
    /// Whether it is measured before the method.
    pub fn before(self) -> bool {
        matches!(self, Self::Default | Self::BeforeMethodOnly | Self::Continuously)
    }

    /// Whether it is measured while a fault acts.
    pub fn during(self) -> bool {
        matches!(self, Self::Default | Self::DuringMethodOnly | Self::Continuously)
    }

    /// Whether it is measured after the rollbacks.
    pub fn after(self) -> bool {
        matches!(self, Self::Default | Self::AfterMethodOnly | Self::Continuously)
    }
}
