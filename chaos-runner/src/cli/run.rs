//! `run`: experiments by name.

use std::path::PathBuf;

use clap::Args;
use events::catalogue::experiment::ExperimentOutcome;

use super::exit::Exit;
use super::journals::Journals;
use super::session::run_all;
use super::{TargetArgs, select};
use crate::progress::Progress;
use crate::run::Conclusion;

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// Experiment files (JSON or YAML), or names of shipped experiments (see `list`).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Where the journal goes: a file for one experiment (journal.json), a folder for several
    /// (journals).
    #[arg(long, value_name = "PATH")]
    journal: Option<PathBuf>,
}

/// Runs the named experiments. All files are read before the first one runs.
pub(super) async fn run(args: RunArgs, progress: Progress) -> anyhow::Result<Exit> {
    let experiments: Vec<_> =
        args.files.iter().map(|file| select::experiment(file)).collect::<Result<_, _>>()?;
    let journals = match (args.journal, experiments.len()) {
        (Some(path), 1) => Journals::File(path),
        (None, 1) => Journals::File(PathBuf::from("journal.json")),
        (path, _) => Journals::Folder(path.unwrap_or_else(Journals::default_folder)),
    };
    let (mut finished, _) = run_all(&experiments, &args.target, &journals, progress).await?;
    finished.retain_outcomes(|conclusion| Exit::of(conclusion.outcome));
    Ok(finished.exit)
}

/// Whether an experiment ran to its end, whatever came out.
pub(super) fn ran_to_its_end(conclusion: &Conclusion) -> bool {
    matches!(conclusion.outcome, ExperimentOutcome::Held | ExperimentOutcome::Deviated)
}
