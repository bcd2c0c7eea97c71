//! What the exit code says.

use std::process::ExitCode;

use events::catalogue::experiment::ExperimentOutcome;

/// The table of exit codes, for `--help`.
pub(super) const HELP: &str = "\
Exit codes:
    0  the steady state held in every experiment; `suite`: every experiment ran to its end
    1  the steady state deviated in an experiment
    2  the command line or an experiment file is wrong
    3  an experiment could not be carried out, or a fault may still act
    4  an experiment passed its deadline or met an abort condition, and was aborted
    5  events did not reach the server; what it may yet take waits on disk
  129, 130, 143  ended by SIGHUP, SIGINT (Ctrl-C) or SIGTERM; everything was undone
  Of several, the one that stands last in: 1, 5, 4, 3, 129-143.";

/// How the program ends. Ordered: of several runs the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    Held,
    Deviated,
    NotSubmitted,
    Aborted,
    Failed,
    Interrupted(u8),
    Usage,
}

impl Exit {
    /// The exit of one run that nobody interrupted.
    pub(super) fn of(outcome: ExperimentOutcome) -> Self {
        match outcome {
            ExperimentOutcome::Held => Self::Held,
            ExperimentOutcome::Deviated => Self::Deviated,
            ExperimentOutcome::Aborted => Self::Aborted,
            ExperimentOutcome::Failed => Self::Failed,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Deviated => 1,
            Self::Usage => 2,
            Self::Failed => 3,
            Self::Aborted => 4,
            Self::NotSubmitted => 5,
            Self::Interrupted(signal) => 128 + signal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_runs_the_worst_counts() {
        let exits = [Exit::Deviated, Exit::Held, Exit::Failed, Exit::Aborted, Exit::NotSubmitted];
        assert_eq!(exits.into_iter().max().map(Exit::code), Some(3));
        assert_eq!(Exit::Interrupted(2).max(Exit::Failed).code(), 130);
    }
}
