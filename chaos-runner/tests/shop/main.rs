//! The demo shop, driven over its control API and seen through its proxies.

mod harness;
mod lifetime;
mod network;
mod process;
mod refusals;
mod telemetry;
mod version;
