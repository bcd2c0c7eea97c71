//! What happened, as data, and the log that keeps it.
//!
//! - [`catalogue`]: every event type of Faultline, typed, with validated fields and units.
//! - [`envelope`]: the CloudEvents 1.0 form that events have on the wire and in storage.
//! - [`log`]: the [`EventLog`](log::EventLog) contract and its embedded backend.
//!
//! This crate knows no HTTP, no GraphQL and no graph database.

pub mod catalogue;
pub mod envelope;
pub mod id;
pub mod log;
mod upcast;
pub mod value;

pub use catalogue::EventData;
pub use envelope::{Event, RecordHash, RecordedEvent};
pub use id::{
    AlertId, ComponentName, DiagnosisId, EventId, ExperimentId, FaultId, FaultKind, IncidentId,
    LabelId, MaintenanceId, ModelId, RunbookId, SloId, StreamId, TokenId,
};
pub use jiff::Timestamp;
