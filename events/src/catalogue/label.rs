//! What people, and experiments, say an incident was.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::incident::Severity;
use super::{Fact, InvalidFact, stream};
use crate::id::{ComponentName, DiagnosisId, FaultId, FaultKind, IncidentId, LabelId, StreamId};
use crate::value::{Line, Ratio, Text};

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "claim", rename_all = "snake_case", deny_unknown_fields)]
pub enum Claim {
    /// This component caused it.
    RootCause {
        /// The component.
        component: ComponentName,
    },
    /// It was a fault of this kind.
    FaultKind {
        /// The kind.
        fault_kind: FaultKind,
    },
    /// This component made it worse.
    ContributingFactor {
        /// The component.
        component: ComponentName,
    },
    /// Nothing was wrong.
    FalsePositive {},
    /// It is the same as another.
    Duplicate {
        /// The other incident.
        of: IncidentId,
    },
    /// This is how bad it was.
    Severity {
        /// How bad.
        severity: Severity,
    },
}

/// A label was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelAssigned {
    /// The label.
    pub label: LabelId,
    /// The incident.
    pub incident: IncidentId,
    /// What is said.
    pub claim: Claim,
    /// Who says it.
    pub by: Line,
    /// How sure they are.
    pub confidence: Ratio,
    /// The injected fault that it is known from, when an experiment says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultId>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Text>,
}

/// A label was taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelRetracted {
    /// The label.
    pub label: LabelId,
    /// The incident.
    pub incident: IncidentId,
    /// Who takes it back.
    pub by: Line,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Line>,
}

/// Someone said which suspect of a diagnosis was right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackGiven {
    /// The incident.
    pub incident: IncidentId,
    /// The diagnosis.
    pub diagnosis: DiagnosisId,
    /// The rank that was right, from 1; absent when none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_rank: Option<u32>,
    /// Who says it.
    pub by: Line,
    /// How sure they are.
    pub confidence: Ratio,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Text>,
}

impl Fact for LabelAssigned {
    fn stream(&self) -> StreamId {
        stream("incident", self.incident.as_str())
    }

    fn check(&self) -> Result<(), InvalidFact> {
        match &self.claim {
            Claim::Duplicate { of } if *of == self.incident => Err(InvalidFact::new(
                "/claim/of",
                "expected another incident than the labelled one",
            )),
            _ => Ok(()),
        }
    }
}

impl Fact for LabelRetracted {
    fn stream(&self) -> StreamId {
        stream("incident", self.incident.as_str())
    }
}

impl Fact for FeedbackGiven {
    fn stream(&self) -> StreamId {
        stream("incident", self.incident.as_str())
    }

    fn check(&self) -> Result<(), InvalidFact> {
        if self.right_rank == Some(0) {
            return Err(InvalidFact::new("/right_rank", "expected a rank from 1, or none"));
        }
        Ok(())
    }
}
