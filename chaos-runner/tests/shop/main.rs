//! The demo shop, driven over its control API and seen through its proxies.

#![allow(clippy::unwrap_used, reason = "the whole crate is tests")]

mod harness;
mod lifetime;
mod network;
mod otlp;
mod process;
mod receiver;
mod refusals;
mod telemetry;
mod version;
