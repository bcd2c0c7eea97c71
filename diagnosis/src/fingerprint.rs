//! What an incident looked like, told by role instead of by name.
//!
//! A component is described by where it stands to the first suspect, so that the same kind of
//! fault on another component leaves nearly the same fingerprint.

use std::collections::BTreeMap;

use events::{ComponentName, EventId};
use serde::{Deserialize, Serialize};

/// Where a component stands to the first suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The first suspect itself.
    Suspect,
    /// Who calls it.
    Caller,
    /// Whom it calls.
    Callee,
    /// Neither.
    Other,
    /// Where users enter.
    Entrance,
}

/// In what a role was unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Requests a window.
    Traffic,
    /// Share of requests that failed.
    Errors,
    /// Median time to answer.
    Latency,
    /// Time to answer of the slowest.
    TailLatency,
    /// Share of a resource in use.
    Saturation,
    /// Processor time.
    Cpu,
    /// Resident memory.
    Memory,
    /// Stopped reporting or answering.
    Availability,
    /// Deployed or configured shortly before.
    Change,
    /// Share of its callers that notice.
    Reach,
}

/// One coordinate of a fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symptom {
    /// Whose.
    pub role: Role,
    /// In what.
    pub feature: Feature,
    /// From -1 (gone) over 0 (as usual; such are left out) to 1 (as much as can be told apart).
    pub strength: f64,
    /// The events that show it best.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EventId>,
}

/// What an incident looked like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// The first suspect, to which the roles refer; absent when the ranker abstained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect: Option<ComponentName>,
    /// Coordinates, by role and feature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symptoms: Vec<Symptom>,
    /// How unusual each component was, 0 to 1; those as usual are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<ComponentName, f64>,
    /// What the first suspect was suspected for, as shares of its score.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, f64>,
}
