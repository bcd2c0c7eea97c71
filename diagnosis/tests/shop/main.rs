//! The algorithms against a simulated shop: every fault kind on every component, seeded.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "the whole crate is tests")]

mod arrival;
mod detection;
mod fault;
mod invariants;
mod learning;
mod ranking;
mod recording;
mod resemblance;
mod rng;
mod system;
