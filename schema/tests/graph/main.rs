//! The graph as a projection of the log, on the stores it runs on.
#![allow(missing_docs, clippy::unwrap_used)]

mod evidence;
mod follow;
mod history;
mod incremental;
mod models;
mod past;
mod rebuild;
mod recovery;
mod rows;
mod split;
mod steps;
