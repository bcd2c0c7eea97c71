//! What the machine made of the evidence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::incident::Signal;
use super::telemetry::Window;
use super::{Fact, InvalidFact, stream};
use crate::id::{
    ComponentName, DiagnosisId, EventId, FaultKind, IncidentId, ModelId, RunbookId, StreamId,
};
use crate::value::{Finite, Line, NonNegative, Ratio, Text};

/// One signal of an anomaly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnomalyPart {
    /// In what.
    pub signal: Signal,
    /// What was measured, in the signal's unit.
    pub observed: Finite,
    /// What is usual, in the signal's unit.
    pub baseline: Finite,
    /// Distance in robust standard deviations; the sign is the direction.
    pub deviation: Finite,
}

/// A window of a component is unlike its past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnomalyDetected {
    /// The component.
    pub component: ComponentName,
    /// Which window.
    pub window: Window,
    /// The detector and its version.
    pub detector: Line,
    /// How unusual in all; comparable within one detector.
    pub score: NonNegative,
    /// The signals that make the score, the strongest first.
    pub parts: Vec<AnomalyPart>,
    /// The events that show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EventId>,
}

/// A named number in a score, with the events it was computed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreTerm {
    /// What it measures.
    pub name: Line,
    /// Its share of the score: the terms of a suspect add up to the suspect's score.
    pub contribution: Finite,
    /// What it was computed from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EventId>,
}

/// A component that may be the root cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suspect {
    /// The component.
    pub component: ComponentName,
    /// How strongly it is suspected; comparable within one diagnosis.
    pub score: Finite,
    /// What kind of fault it looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_kind: Option<FaultKind>,
    /// What makes the score, the largest first.
    pub terms: Vec<ScoreTerm>,
    /// Calls from where the incident was noticed to the suspect, both included; empty when no
    /// path is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<ComponentName>,
}

/// Why a past incident was found similar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimilarIncident {
    /// The past incident.
    pub incident: IncidentId,
    /// How similar.
    pub score: Ratio,
    /// What makes the score, the largest first.
    pub reasons: Vec<ScoreTerm>,
}

/// The suspects of an incident were ranked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiagnosisProposed {
    /// The incident.
    pub incident: IncidentId,
    /// The diagnosis.
    pub diagnosis: DiagnosisId,
    /// The method and its version.
    pub method: Line,
    /// The trained model, when one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// The evidence was everything up to this position of the log.
    pub evidence_position: u64,
    /// Why there is no ranking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abstained: Option<Line>,
    /// The most suspected first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspects: Vec<Suspect>,
    /// Past incidents, the most similar first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub similar: Vec<SimilarIncident>,
    /// What the incident looked like, in the form of the method's fingerprint: later incidents
    /// are compared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<serde_json::Map<String, serde_json::Value>>,
    /// What alerts, logs and people said of the incident, in the form of the method's marks: later
    /// incidents are compared with them too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Something that may help was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemediationSuggested {
    /// The incident.
    pub incident: IncidentId,
    /// What to do.
    pub action: Line,
    /// The runbook to follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<RunbookId>,
    /// The past incident that it fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned_from: Option<IncidentId>,
}

/// The machine did something against the incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseActionTaken {
    /// The incident.
    pub incident: IncidentId,
    /// What was done.
    pub action: Line,
    /// Who or what did it.
    pub by: Line,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Text>,
}

/// A component is likely to fail soon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailurePredicted {
    /// The component.
    pub component: ComponentName,
    /// How likely.
    pub probability: Ratio,
    /// Within which time.
    pub horizon_ms: NonNegative,
    /// Why.
    pub reason: Line,
    /// The events that show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EventId>,
}

impl Fact for AnomalyDetected {
    fn stream(&self) -> StreamId {
        stream("anomaly", self.component.as_str())
    }
}

impl Fact for DiagnosisProposed {
    fn stream(&self) -> StreamId {
        stream("incident", self.incident.as_str())
    }

    fn check(&self) -> Result<(), InvalidFact> {
        if self.abstained.is_some() != self.suspects.is_empty() {
            return Err(InvalidFact::new(
                "/abstained",
                "expected either suspects or why there are none",
            ));
        }
        Ok(())
    }
}

impl Fact for RemediationSuggested {
    fn stream(&self) -> StreamId {
        stream("incident", self.incident.as_str())
    }
}

impl Fact for ResponseActionTaken {
    fn stream(&self) -> StreamId {
        stream("incident", self.incident.as_str())
    }
}

impl Fact for FailurePredicted {
    fn stream(&self) -> StreamId {
        stream("anomaly", self.component.as_str())
    }
}
