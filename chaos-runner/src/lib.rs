//! Runs chaos experiments and a demo shop to break.
//!
//! - [`experiment`]: experiment files in the Chaos Toolkit format.
//! - [`run`]: carrying one out; the faults are undone whatever happens.
//! - [`journal`], [`submit`], [`progress`]: what a run leaves behind, sends, and shows.
//! - [`state`]: what outlives the process: events on their way, faults that act, schedules.
//! - [`schedule`], [`plan`], [`import`]: experiments at times, what to exercise next, runs of
//!   other tools.
//! - [`shop`]: the demo shop, its users and its fault drivers.
//! - [`cli`]: the command line.

pub mod cli;
pub mod experiment;
pub mod import;
pub mod journal;
pub mod plan;
pub mod progress;
pub mod run;
pub mod schedule;
pub mod shop;
pub mod state;
mod steady_state;
pub mod submit;
