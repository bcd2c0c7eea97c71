//! What other systems send, read into Faultline's events.
//!
//! - [`body`]: from the bytes and headers of a request to a document, with bounds.
//! - [`otlp`]: requests and answers of OpenTelemetry's protocol.
//! - [`aggregate`]: traces, metrics and logs summarised into windows.
//! - [`alerts`]: what Alertmanager, Grafana and PagerDuty raise.
//! - [`chaos`]: experiments of Chaos Mesh and Litmus.
//! - [`slo`]: objectives in files of OpenSLO.
//! - [`document`]: why a document of those is none.
//!
//! Data in, events out: this crate opens no socket, reads no clock and runs no tasks. The server
//! gives it bytes and the time, and appends what comes out.

pub mod aggregate;
pub mod alerts;
pub mod body;
pub mod chaos;
pub mod document;
pub mod otlp;
pub mod slo;

#[cfg(test)]
mod sample;

pub use aggregate::{Absorbed, Aggregator};
pub use body::{BodyLimits, Content, Refusal};
pub use opentelemetry_proto::tonic as wire;
