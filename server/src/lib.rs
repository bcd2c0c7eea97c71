//! The faultline server: wires the log, the graph, the reactors and HTTP together.
//!
//! - [`config`]: what the operator decides.
//! - [`run`]: the server in this process; the binary, the demo and tests use the same.
//! - `auth`: tokens, scopes and what each route and field asks for; `observed`: who did what.
//! - [`ingest`]: from CloudEvents to the log; `otlp`: from OpenTelemetry's protocol.
//! - `reactors`: what the server decides by itself; `standings`: how the system stands by that.
//! - [`demo`]: `faultline demo`.
//! - [`operations`]: rebuild, verify, export, import, seed.
//!
//! This crate alone reads the environment, binds ports and handles signals.

mod auth;
pub mod cli;
pub mod config;
pub mod demo;
mod evaluation;
mod http;
pub mod ingest;
mod log;
mod meaning;
pub mod metrics;
mod observed;
pub mod operations;
mod otlp;
pub mod projection;
mod rate;
mod reactors;
mod rebuilding;
mod retention;
mod run;
mod serve;
mod standings;
pub mod telemetry;
mod trace_context;
mod upkeep;
mod whole_file;

pub use http::Clock;
pub use run::{RunningServer, StartError, StopError, run, run_on};

/// The JSON Schemas of all event types as one JSON object, by type.
pub fn schemas() -> Result<String, serde_json::Error> {
    let schemas: serde_json::Map<String, serde_json::Value> = events::EventData::schemas()
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema.to_value()))
        .collect();
    serde_json::to_string_pretty(&schemas)
}

/// The GraphQL schema in SDL.
pub fn sdl() -> String {
    schema::graphql::sdl()
}
