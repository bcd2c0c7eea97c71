//! Runs chaos experiments and a demo shop to break.
//!
//! - [`experiment`]: experiment files in the Chaos Toolkit format.
//! - [`run`]: carrying one out; the faults are undone whatever happens.
//! - [`journal`], [`submit`], [`progress`]: what a run leaves behind, sends, and shows.
//! - [`shop`]: the demo shop, its users and its fault drivers.
//! - [`cli`]: the command line.

pub mod cli;
pub mod experiment;
pub mod journal;
pub mod progress;
pub mod run;
pub mod shop;
mod steady_state;
pub mod submit;
