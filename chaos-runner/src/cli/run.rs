//! `run`: experiments, one after the other.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use events::catalogue::experiment::ExperimentOutcome;
use tokio_util::task::AbortOnDropHandle;

use super::exit::Exit;
use super::host::Host;
use super::signals::Interrupts;
use super::{TargetArgs, select};
use crate::experiment::Experiment;
use crate::journal::{self, JournalWriter};
use crate::progress::Progress;
use crate::run::{Conclusion, Facts, Reporter, RunIdentity, Stop, StopReason, carry_out};
use crate::submit::SubmitReport;

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
pub(super) async fn run(args: RunArgs, mut progress: Progress) -> anyhow::Result<Exit> {
    let experiments: Vec<_> =
        args.files.iter().map(|file| select::experiment(file)).collect::<Result<_, _>>()?;
    let journals = match (args.journal, experiments.len()) {
        (Some(path), 1) => Journals::File(path),
        (None, 1) => Journals::File(PathBuf::from("journal.json")),
        (path, _) => Journals::Folder(path.unwrap_or_else(super::journals_folder)),
    };
    let mut finished = run_all(&experiments, &args.target, &journals, &mut progress).await?;
    finished.retain_outcomes(|conclusion| Exit::of(conclusion.outcome));
    Ok(finished.exit)
}

/// Where journals go.
pub(super) enum Journals {
    /// This file.
    File(PathBuf),
    /// A file a run in this folder.
    Folder(PathBuf),
}

impl Journals {
    fn path(&self, identity: &RunIdentity) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Folder(folder) => folder.join(format!("{}.json", identity.experiment)),
        }
    }
}

/// What came of several runs.
pub(super) struct Finished {
    /// Those that began, in order.
    pub(super) runs: Vec<(Arc<Experiment>, RunIdentity, Conclusion)>,
    /// The exit so far: what does not come from the outcomes.
    pub(super) exit: Exit,
}

impl Finished {
    /// Lets the outcomes count, as `exit_of` says.
    pub(super) fn retain_outcomes(&mut self, exit_of: impl Fn(&Conclusion) -> Exit) {
        let outcomes = self.runs.iter().map(|(_, _, conclusion)| exit_of(conclusion));
        self.exit = outcomes.fold(self.exit, Exit::max);
    }
}

/// Runs experiments on one shop, until all are through or a signal comes.
pub(super) async fn run_all(
    experiments: &[Arc<Experiment>],
    target: &TargetArgs,
    journals: &Journals,
    progress: &mut Progress,
) -> anyhow::Result<Finished> {
    let interrupts = Interrupts::listen(|name| {
        tracing::warn!("{name} again: still undoing, which is not skipped");
    })?;
    let mut finished = Finished { runs: Vec::new(), exit: Exit::Held };
    let host = Host::open(target, progress, &interrupts).await;
    let Some(host) = host.inspect_err(|_| progress.done())? else {
        progress.done();
        finished.exit = exit_of_signal(&interrupts);
        return Ok(finished);
    };
    let mut outcome = Ok(());
    for experiment in experiments {
        if interrupts.received().is_some() {
            break;
        }
        match run_one(experiment, &host, journals, progress, &interrupts).await {
            Ok((identity, conclusion)) => {
                finished.runs.push((experiment.clone(), identity, conclusion));
            }
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    let report = host.close(progress).await;
    progress.done();
    outcome?;
    if interrupts.received().is_some() {
        finished.exit = finished.exit.max(exit_of_signal(&interrupts));
    }
    finished.exit = finished.exit.max(told(report, progress)?);
    Ok(finished)
}

fn exit_of_signal(interrupts: &Interrupts) -> Exit {
    interrupts.received().map_or(Exit::Held, |received| Exit::Interrupted(received.number))
}

/// Says what did not reach the server.
fn told(report: Option<SubmitReport>, progress: &Progress) -> anyhow::Result<Exit> {
    let Some(report) = report else { return Ok(Exit::Held) };
    match report.shortfall() {
        Some(shortfall) => {
            tracing::error!("{shortfall}");
            Ok(Exit::NotSubmitted)
        }
        None => {
            if progress.form() == crate::progress::Form::Lines {
                progress.say(&format!("  sent     {} events", report.accepted))?;
            }
            Ok(Exit::Held)
        }
    }
}

/// Runs one experiment: shows it, sends its events, writes its journal.
async fn run_one(
    experiment: &Arc<Experiment>,
    host: &Host,
    journals: &Journals,
    progress: &mut Progress,
    interrupts: &Interrupts,
) -> anyhow::Result<(RunIdentity, Conclusion)> {
    let identity = RunIdentity::new(experiment.title.as_str());
    let (reporter, mut happened) = Reporter::channel();
    let stop = Stop::default();
    let _link = AbortOnDropHandle::new(tokio::spawn({
        let (stop, interrupts) = (stop.clone(), interrupts.clone());
        async move {
            let received = interrupts.wait().await;
            stop.stop(StopReason::Signal(received.name));
        }
    }));
    let run =
        carry_out(experiment.clone(), identity.clone(), host.shop.clone(), reporter, stop.clone());
    // On its own: showing and writing must not hold up undoing, nor cancel it when they fail.
    let run = tokio::spawn(run);
    let mut writer = JournalWriter::new(experiment, identity.clone(), journal::Host::this());
    let mut facts = Facts::new(identity.clone());
    let mut shown = Ok(());
    while let Some(event) = happened.recv().await {
        if let (Some(submitter), Some(fact)) = (&host.submitter, facts.of(experiment, &event)) {
            // A full queue is counted and told at the end.
            let _ = submitter.offer(fact);
        }
        let journal = writer.record(&event);
        if shown.is_ok() {
            shown = show(progress, &identity, experiment, &event, journal, journals);
            if shown.is_err() {
                stop.stop(StopReason::ActivityFailed("the output could not be written".to_owned()));
            }
        }
    }
    let conclusion = run.await.context("the run broke off")?;
    shown?;
    Ok((identity, conclusion))
}

fn show(
    progress: &mut Progress,
    identity: &RunIdentity,
    experiment: &Experiment,
    event: &crate::run::RunEvent,
    journal: Option<journal::Journal>,
    journals: &Journals,
) -> anyhow::Result<()> {
    progress.show(identity, experiment, event).context("could not write to standard output")?;
    if let Some(journal) = journal {
        let path = journals.path(identity);
        journal.write(&path)?;
        progress.journal_written(identity, &path)?;
    }
    Ok(())
}

/// Whether an experiment ran to its end, whatever came out.
pub(super) fn ran_to_its_end(conclusion: &Conclusion) -> bool {
    matches!(conclusion.outcome, ExperimentOutcome::Held | ExperimentOutcome::Deviated)
}
