//! Public incident data sets, read into the events that the live path would have recorded.
//!
//! A [`case::Case`] is one labelled incident: its events, where and when it was noticed, and apart
//! from them the truth. What answers a question about a case is given the events only. Nothing
//! here knows which cases a folder holds: files that are missing, columns that are empty and truth
//! that is blank are normal input.
//!
//! - [`case`]: what a data set comes to, whatever its format.
//! - [`evidence`]: what of a case a diagnosis may see.
//! - [`incident`]: the incident that a case is.
//! - [`table`]: `.csv` and `.csv.gz`, whichever is there.
//! - [`nezha`]: traces, logs and metrics of pods.
//! - [`recording`]: Faultline's own events, from a file.
//! - [`petshop`]: metrics of AWS components every five minutes.
//! - [`remembered`]: cases as incidents that resemble each other.
//! - [`tvdiag`]: what alarmed, with call graphs.
//! - [`watched`]: what a detector is run over.

pub mod case;
pub mod evidence;
pub mod incident;
pub mod nezha;
pub mod petshop;
pub mod recording;
pub mod remembered;
pub mod table;
pub mod tvdiag;
pub mod watched;
