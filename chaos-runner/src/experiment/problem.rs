//! What is wrong with an experiment file.

use std::cell::RefCell;
use std::fmt;

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer into the document; empty for the whole of it.
    pub pointer: String,
    /// What would be right and what is there.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "(the document)" } else { &self.pointer };
        write!(f, "{place}: {}", self.message)
    }
}

/// A document that is not an experiment this runner can carry out: all problems at once, so that
/// a file is put right in one go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.problems))]
pub struct InvalidExperiment {
    /// At least one, in the order of the document.
    pub problems: Vec<Problem>,
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// Collects problems while a document is read.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub(super) fn add(&self, pointer: impl Into<String>, message: impl Into<String>) {
        let problem = Problem { pointer: pointer.into(), message: message.into() };
        self.0.borrow_mut().push(problem);
    }

    /// The outcome of reading: the value when nothing was wrong.
    ///
    /// A reader that gives up has said why, so that `None` without a problem cannot be.
    pub(super) fn conclude<T>(self, value: Option<T>) -> Result<T, InvalidExperiment> {
        let problems = self.0.into_inner();
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(InvalidExperiment { problems }),
        }
    }
}
