//! The algorithms against a simulated shop: every fault kind on every component, seeded.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "the whole crate is tests")]

mod detection;
mod fault;
mod ranking;
mod recording;
mod rng;
mod system;
