//! Pure algorithms over incident evidence: what is unusual, who is suspected, what it resembles.
//!
//! Data in, data out: no clock, no I/O, no randomness. The same evidence gives the same answer,
//! byte for byte and in whatever order it arrived (DI-1); nothing here can hold the ground truth
//! of an experiment (DI-3).
//!
//! - [`evidence`]: what is known of an incident, the input of everything below.
//! - [`detect`]: what is unusual right now, and which unusual things are one incident.
//! - [`rank`]: ranked suspects, each with the terms of its score.
//! - [`fingerprint`]: what an incident looked like, whatever component it was on.
//! - [`similarity`]: which past incidents looked like it.
//! - [`codebook`]: what faults look like, learned from incidents whose cause became known.
//! - [`learning`]: who taught a model, and how well it does on what did not teach it.
//! - [`classify`]: which kind of fault a text tells of.
//! - [`diagnose`]: all of it at once.
//! - [`objectives`]: how much of an error budget is left, and how fast it burns.
//! - [`verdict`]: what labels that contradict each other come to.
//! - [`topology`]: who depends on whom, and on what alone.
//! - [`search`]: full text, as of any position.
//! - [`wording`]: what an incident says in words.
//! - [`evaluation`]: how good rankings, resemblances and detection are, over many cases.
//! - [`templates`]: log lines grouped by the statement that wrote them.

pub mod baseline;
pub mod classify;
pub mod codebook;
pub mod contrast;
pub mod detect;
pub mod diagnose;
pub mod evaluation;
pub mod evidence;
pub mod fingerprint;
pub mod learning;
pub mod objectives;
mod parts;
pub mod rank;
pub mod search;
pub mod similarity;
pub mod templates;
pub mod topology;
pub mod verdict;
pub mod wording;
