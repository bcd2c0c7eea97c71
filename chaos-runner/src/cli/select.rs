//! Which experiments are meant: files, or shipped ones by name.

use std::path::Path;
use std::sync::Arc;

use crate::experiment::shipped::{self, Shipped};
use crate::experiment::{self, Experiment, LoadError};

/// A name that names nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unknown {
    /// Neither a file nor a shipped experiment.
    #[error(
        "there is no file {name:?} and no shipped experiment of that name{}; `chaos-runner list` \
         names them",
        nearest(name)
    )]
    Experiment {
        /// What was asked for.
        name: String,
    },
    /// No shipped experiment has it in its name.
    #[error(
        "no shipped experiment has {part:?} in its name{}; `chaos-runner list` names them",
        nearest(part)
    )]
    Part {
        /// What was asked for.
        part: String,
    },
}

/// Why there is no experiment.
#[derive(Debug, thiserror::Error)]
pub(super) enum SelectError {
    #[error(transparent)]
    Unknown(#[from] Unknown),
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Reads the experiment that `argument` names: a file, or else a shipped experiment.
pub(super) fn experiment(argument: &str) -> Result<Arc<Experiment>, SelectError> {
    let path = Path::new(argument);
    let read = match Shipped::named(argument) {
        Some(shipped) if !path.exists() => shipped.read(&super::environment),
        // A path was meant where there is a separator or an ending.
        None if !path.exists() && !argument.contains(['/', '.']) => {
            return Err(Unknown::Experiment { name: argument.to_owned() }.into());
        }
        _ => experiment::load(path, &super::environment),
    };
    Ok(Arc::new(read?))
}

/// `; did you mean …?` for a name that is nearly right.
fn nearest(name: &str) -> String {
    let names = shipped::ALL.iter().map(|shipped| shipped.name);
    let nearest = names.map(|known| (distance(name, known), known)).min();
    match nearest {
        Some((distance, known)) if distance <= name.len().max(4) / 3 => {
            format!("; did you mean {known:?}?")
        }
        _ => String::new(),
    }
}

/// Edits from one text to another (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (place, character) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], place + 1);
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_right_is_named() {
        let error = experiment("latency-payment").unwrap_err().to_string();
        assert!(error.contains("did you mean \"latency-payments\"?"), "{error}");
        let error = experiment("zzzz").unwrap_err().to_string();
        assert!(
            error.contains("no shipped experiment of that name; `chaos-runner list`"),
            "{error}"
        );
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
