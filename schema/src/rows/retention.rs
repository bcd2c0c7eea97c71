//! What was taken out of the log on purpose.

use events::catalogue::retention::PrunedTelemetry;
use events::{EventId, Timestamp};
use serde::Deserialize;

use super::Provenance;

/// `retention`: old telemetry lost its measurements.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Retention {
    /// The event that recorded it, the key.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// What, by kind.
    pub pruned: Vec<PrunedTelemetry>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}
