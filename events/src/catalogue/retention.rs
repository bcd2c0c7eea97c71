//! What was taken out of the log on purpose.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::telemetry::TelemetryKind;
use super::{Fact, InvalidFact, stream};
use crate::id::StreamId;

/// What the policy for one kind of telemetry came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrunedTelemetry {
    /// Which kind.
    pub kind: TelemetryKind,
    /// Nothing behind this position was pruned.
    pub until_position: u64,
    /// Nothing that was recorded later was pruned.
    pub recorded_until: Timestamp,
    /// Events that lost their measurements.
    pub events: u64,
    /// Bytes of their records before that, uncompressed.
    pub bytes: u64,
    /// Events that were old enough and stayed whole, because an incident needs them or another
    /// event cites them.
    pub pinned_events: u64,
}

/// The measurements of old telemetry are taken out of the log. Recorded before that is done, so
/// that nothing goes without a word; when it is interrupted, it is gone on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionApplied {
    /// By kind, each once.
    pub pruned: Vec<PrunedTelemetry>,
}

impl Fact for RetentionApplied {
    fn stream(&self) -> StreamId {
        stream("retention", "telemetry")
    }

    fn check(&self) -> Result<(), InvalidFact> {
        if self.pruned.is_empty() {
            return Err(InvalidFact::new("/pruned", "expected a kind or more"));
        }
        let mut kinds = BTreeSet::new();
        match self.pruned.iter().position(|pruned| !kinds.insert(pruned.kind)) {
            Some(index) => {
                Err(InvalidFact::new(format!("/pruned/{index}/kind"), "expected each kind once"))
            }
            None => Ok(()),
        }
    }
}
