//! Which past incidents an incident looks like.

use events::catalogue::diagnosis::ScoreTerm;
use events::value::Ratio;
use events::{ComponentName, FaultKind, IncidentId};
use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;

/// An incident of the past and what became known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastIncident {
    /// The incident.
    pub incident: IncidentId,
    /// What it looked like.
    pub fingerprint: Fingerprint,
    /// The component that caused it, by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_cause: Option<ComponentName>,
    /// The kind of fault, by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_kind: Option<FaultKind>,
    /// What was done against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed_by: Vec<String>,
}

/// How alike two fingerprints are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Similarity {
    /// 0, nothing in common, to 1, the same.
    pub score: Ratio,
    /// What makes the score, the largest first: they add up to it.
    pub reasons: Vec<ScoreTerm>,
}
