//! Chaos experiments and their faults: the ground truth that the base learns from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fact, InvalidFact, stream};
use crate::id::{ComponentName, ExperimentId, FaultId, FaultKind, StreamId};
use crate::value::{Finite, Line, NonNegative, Text};

/// A run of an experiment was prepared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentPlanned {
    /// The run.
    pub experiment: ExperimentId,
    /// What the run is called.
    pub title: Line,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// The steady-state hypothesis in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypothesis: Option<Line>,
    /// Free words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Line>,
}

/// The run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentStarted {
    /// The run.
    pub experiment: ExperimentId,
}

/// When a steady state was measured, seen from the method of the run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SteadyStatePhase {
    /// Before the first fault.
    Before,
    /// While a fault is active.
    During,
    /// After the rollbacks.
    After,
}

/// The steady-state hypothesis was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SteadyStateMeasured {
    /// The run.
    pub experiment: ExperimentId,
    /// When in the run.
    pub phase: SteadyStatePhase,
    /// Whether every probe was within its tolerance.
    pub held: bool,
    /// The probes, in their order.
    pub probes: Vec<ProbeResult>,
}

/// One probe of a steady-state hypothesis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeResult {
    /// The probe's name.
    pub name: Line,
    /// Whether the value was within the tolerance.
    pub held: bool,
    /// What was measured; absent when the probe failed to measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Finite>,
    /// The accepted values in words, with their unit.
    pub tolerance: Line,
}

/// A fault began to act. Ground truth: never visible to the diagnosis of the incident it causes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultInjected {
    /// The injection.
    pub fault: FaultId,
    /// The run it belongs to; absent for a fault injected by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentId>,
    /// What kind of fault.
    pub kind: FaultKind,
    /// The component at fault.
    pub component: ComponentName,
    /// The caller, when only its connections to the component are disturbed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<ComponentName>,
    /// Driver parameters by name, with the unit in the name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// The driver undoes the fault after this time by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<NonNegative>,
}

/// Who undid a fault.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ClearedBy {
    /// The experiment's rollback.
    Rollback,
    /// The fault's own deadline.
    Deadline,
    /// An interrupt or an abort condition.
    Interrupt,
    /// The system recovered without help.
    Recovery,
}

/// A fault no longer acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultCleared {
    /// The injection.
    pub fault: FaultId,
    /// The run it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentId>,
    /// Who undid it.
    pub cleared_by: ClearedBy,
    /// What undid it, in the words of an operator: `restarted payments`.
    pub action: Line,
    /// Whether the driver saw that the fault is gone.
    pub verified: bool,
}

/// How a run ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentOutcome {
    /// The hypothesis held throughout.
    Held,
    /// The hypothesis did not hold while or after the fault acted.
    Deviated,
    /// An abort condition or a person ended it.
    Aborted,
    /// It could not be carried out.
    Failed,
}

/// The run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentFinished {
    /// The run.
    pub experiment: ExperimentId,
    /// How it ended.
    pub outcome: ExperimentOutcome,
    /// Why, where the outcome alone does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Line>,
}

macro_rules! experiment_stream {
    ($($event:ident),*) => {$(impl Fact for $event {
        fn stream(&self) -> StreamId {
            stream("experiment", self.experiment.as_str())
        }
    })*};
}
experiment_stream!(ExperimentPlanned, ExperimentStarted, SteadyStateMeasured, ExperimentFinished);

impl Fact for FaultInjected {
    fn stream(&self) -> StreamId {
        stream("fault", self.fault.as_str())
    }

    fn check(&self) -> Result<(), InvalidFact> {
        if self.peer.as_ref() == Some(&self.component) {
            return Err(InvalidFact::new(
                "/peer",
                "expected another component than the one at fault",
            ));
        }
        Ok(())
    }
}

impl Fact for FaultCleared {
    fn stream(&self) -> StreamId {
        stream("fault", self.fault.as_str())
    }
}
