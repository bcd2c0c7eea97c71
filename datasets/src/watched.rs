//! Data sets as a detector sees them: stretches of telemetry in the order of time, and apart from
//! them what was true.
//!
//! - A recording of Faultline itself is one stretch; its events tell what was injected.
//! - A day of Nezha is one stretch. The list of faults tells when and where.
//! - Of PetShop only normal operation is of use, and tells of false alarms alone: an issue has one
//!   or two rows before its alarm, and nothing can be called unusual after so few.

use std::path::Path;

use diagnosis::evaluation::detection::{Injection, Truth};
use events::Event;
use jiff::SignedDuration;

use crate::case::{Case, DataSet, Skipped};
use crate::table::ReadError;
use crate::{nezha, petshop, recording};

/// One stretch.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// Unique within the data set.
    pub name: String,
    /// What was recorded, in order. Only what was observed is for the detector.
    pub events: Vec<Event>,
    /// What was true. Never for the detector.
    pub truth: Truth,
}

/// A data set, read.
#[derive(Clone, Debug)]
pub struct Stretches {
    /// By name.
    pub stretches: Vec<Stretch>,
    /// What could not be used, and why.
    pub skipped: Vec<Skipped>,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Nobody knows the format.
    #[error("{name:?} is none of recording, nezha and petshop")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The files could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Reads the data set `name` (`recording`, `nezha`, `petshop`) at `path`.
pub fn read(name: &str, path: &Path) -> Result<Stretches, WatchError> {
    match name {
        "recording" => {
            let recorded = recording::events(path)?;
            let truth = Truth::of(&recorded.events);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let stretch = Stretch { name, events: recorded.events, truth };
            Ok(Stretches { stretches: vec![stretch], skipped: recorded.skipped })
        }
        "nezha" => Ok(by_period(nezha::read(path)?)),
        "petshop" => {
            let normal = petshop::read(path)?;
            Ok(by_period(DataSet { cases: Vec::new(), ..normal }))
        }
        other => Err(WatchError::Unknown { name: other.to_owned() }),
    }
}

// A period with the cases that have no other.
fn by_period(data_set: DataSet) -> Stretches {
    let DataSet { periods, cases, skipped, .. } = data_set;
    let stretches = periods.into_iter().map(|period| {
        let own: Vec<&Case> =
            cases.iter().filter(|case| case.periods == [period.name.clone()]).collect();
        let mut events = period.events;
        events.extend(own.iter().flat_map(|case| case.events.iter().cloned()));
        events.sort_by_key(|event| (event.time, event.id));
        let injections = own.into_iter().filter_map(injection).collect();
        let truth = Truth { injections, reasons: Vec::new() };
        Stretch { name: period.name, events, truth }
    });
    Stretches { stretches: stretches.collect(), skipped }
}

/// What a case says was done, and when; an end that nobody tells is taken to be after three minutes.
fn injection(case: &Case) -> Option<Injection> {
    let truth = case.truth.as_ref()?;
    let from = case.noticed.at;
    Some(Injection {
        name: case.name.clone(),
        kind: truth.fault_kind.clone(),
        component: truth.root_causes.first()?.clone(),
        from,
        until: case.noticed.until.unwrap_or(from + SignedDuration::from_mins(3)),
    })
}
