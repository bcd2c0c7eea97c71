//! Which experiments are meant: files, or shipped ones by name.

use std::path::Path;
use std::sync::Arc;

use crate::experiment::shipped::Shipped;
use crate::experiment::{self, Experiment, LoadError};

/// Reads the experiment that `argument` names: a file, or else a shipped experiment.
pub(super) fn experiment(argument: &str) -> Result<Arc<Experiment>, LoadError> {
    let shipped = Shipped::named(argument).filter(|_| !Path::new(argument).exists());
    let read = match shipped {
        Some(shipped) => shipped.read(&super::environment),
        None => experiment::load(Path::new(argument), &super::environment),
    };
    read.map(Arc::new)
}
