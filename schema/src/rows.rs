//! The rows of the graph, one type a table, as reads give them.
//!
//! A node may be a stub: something spoke of it before it was described. Whatever only its own
//! events say is therefore optional, and an empty list stands for one that was never said.
//! Fields that name another row hold its key.

pub mod audit;
pub mod edge;
pub mod incident;
pub mod operations;
pub mod retention;
pub mod telemetry;

use events::EventId;
use serde::Deserialize;

pub use audit::*;
pub use edge::*;
pub use incident::*;
pub use operations::*;
pub use retention::*;
pub use telemetry::*;

/// Where a row comes from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Provenance {
    /// Position of the event that made the row known.
    pub since: u64,
    /// Position of the event from which on it no longer holds.
    #[serde(default)]
    pub until: Option<u64>,
    /// Position of the event that made the row what it is.
    pub changed: u64,
    /// The events that made it: the first and the last [`Provenance::KEPT`] of them.
    pub events: Vec<EventId>,
    /// How many events there were.
    pub event_count: u64,
}

impl Provenance {
    /// How many events are kept at each end: a component that is seen for years would otherwise
    /// grow with the log.
    pub const KEPT: usize = 8;

    /// Whether the row was known, and still held, when the log ended at `position`.
    pub fn known_at(&self, position: u64) -> bool {
        self.since <= position && self.until.is_none_or(|until| until > position)
    }
}
