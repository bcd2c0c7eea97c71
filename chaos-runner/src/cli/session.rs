//! Experiments on one shop: one after the other, or several at once where they touch different
//! parts of it.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::TargetArgs;
use super::exit::Exit;
use super::host::Host;
use super::journals::Journals;
use super::signals::Interrupts;
use super::undo::{self, recover_all};
use crate::experiment::{Experiment, Targets};
use crate::journal::{self, JournalWriter};
use crate::progress::Progress;
use crate::run::{
    Conclusion, Facts, FaultBook, Reporter, RunEvent, RunEventKind, RunIdentity, Stop, StopReason,
    carry_out,
};
use crate::submit::SubmitReport;

/// What came of several runs.
pub(super) struct Finished {
    /// Those that began, in the order in which they ended.
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

/// A shop, a server and a terminal, for as long as experiments run.
pub(super) struct Session {
    host: Host,
    book: FaultBook,
    interrupts: Interrupts,
    pub(super) progress: Progress,
}

/// A run that goes on.
struct Running {
    index: usize,
    experiment: Arc<Experiment>,
    identity: RunIdentity,
    targets: Targets,
    run: JoinHandle<Conclusion>,
    stop: Stop,
    writer: JournalWriter,
    facts: Facts,
    _interrupt: AbortOnDropHandle<()>,
}

/// What happened in which run; `None` when it is over.
type Happened = (usize, Option<RunEvent>);

/// Runs experiments on one shop, until all are through or a signal comes.
pub(super) async fn run_all(
    experiments: &[Arc<Experiment>],
    target: &TargetArgs,
    journals: &Journals,
    progress: Progress,
) -> anyhow::Result<(Finished, Progress)> {
    let mut finished = Finished { runs: Vec::new(), exit: Exit::Held };
    let interrupts = Interrupts::listen(|name| {
        tracing::warn!("{name} again: still undoing, which is not skipped");
    })?;
    let mut session = match Session::open(target, progress, interrupts).await? {
        Ok(session) => session,
        Err((exit, progress)) => {
            finished.exit = exit;
            return Ok((finished, progress));
        }
    };
    let parallel = target.parallel.get();
    let ran = session.run(experiments, parallel, journals, &mut finished.runs).await;
    let (exit, progress) = session.close().await?;
    ran?;
    finished.exit = exit;
    Ok((finished, progress))
}

impl Session {
    /// Undoes what dead runners left and opens the shop. The exit when a signal came meanwhile.
    pub(super) async fn open(
        target: &TargetArgs,
        progress: Progress,
        interrupts: Interrupts,
    ) -> anyhow::Result<Result<Self, (Exit, Progress)>> {
        let state = target.server.folder.open()?;
        for one in recover_all(&state, &target.server).await? {
            if one.may_act {
                tracing::warn!("a dead runner's fault {} {}", one.fault, one.words);
            }
            progress.say(&undo::told(&one, progress.form()))?;
        }
        // After the recovery: it sends what that kept.
        let submitter = target.server.submitter()?;
        let server = target.server.destination()?;
        let book = FaultBook::open(&state, server.as_ref().map(|it| it.url()))?;
        let host = Host::open(target, submitter, &progress, &interrupts).await;
        let Some(host) = host.inspect_err(|_| progress.done())? else {
            progress.done();
            return Ok(Err((exit_of_signal(&interrupts), progress)));
        };
        Ok(Ok(Self { host, book, interrupts, progress }))
    }

    /// Runs experiments, at most `parallel` at a time. Two whose targets meet never run together:
    /// neither would be measured by itself. A signal or an output that breaks off ends all.
    pub(super) async fn run(
        &mut self,
        experiments: &[Arc<Experiment>],
        parallel: usize,
        journals: &Journals,
        finished: &mut Vec<(Arc<Experiment>, RunIdentity, Conclusion)>,
    ) -> anyhow::Result<()> {
        let (sender, mut happened) = mpsc::unbounded_channel();
        let mut waiting: VecDeque<_> = experiments.iter().cloned().enumerate().collect();
        let mut running: Vec<Running> = Vec::new();
        let mut outcome = Ok(());
        self.progress.prefix_lines(parallel > 1 && experiments.len() > 1);
        loop {
            while outcome.is_ok()
                && self.interrupts.received().is_none()
                && running.len() < parallel
                && let Some((index, experiment)) = next_disjoint(&mut waiting, &running)
            {
                running.push(self.start(index, experiment, &sender));
            }
            if running.is_empty() {
                return outcome;
            }
            let (index, event) = happened.recv().await.expect("this function keeps a sender");
            let place = running.iter().position(|run| run.index == index);
            let place = place.expect("a run that tells something has not ended");
            let told = match event {
                Some(event) => self.tell(&mut running[place], &event, journals).await,
                None => {
                    let Running { experiment, identity, run, .. } = running.swap_remove(place);
                    run.await.context("the run broke off").map(|conclusion| {
                        finished.push((experiment, identity, conclusion));
                    })
                }
            };
            if told.is_err() && outcome.is_ok() {
                outcome = told;
                let why = "the output could not be written".to_owned();
                for run in &running {
                    run.stop.stop(StopReason::ActivityFailed(why.clone()));
                }
            }
        }
    }

    fn start(
        &self,
        index: usize,
        experiment: Arc<Experiment>,
        happened: &mpsc::UnboundedSender<Happened>,
    ) -> Running {
        let identity = RunIdentity::new(experiment.title.as_str());
        let (reporter, mut events) = Reporter::channel();
        let stop = Stop::default();
        let interrupt = AbortOnDropHandle::new(tokio::spawn({
            let (stop, interrupts) = (stop.clone(), self.interrupts.clone());
            async move {
                let received = interrupts.wait().await;
                stop.stop(StopReason::Signal(received.name));
            }
        }));
        let (shop, book) = (self.host.shop.clone(), self.book.clone());
        // On its own: showing and writing must not hold up undoing, nor cancel it when they fail.
        let run =
            carry_out(experiment.clone(), identity.clone(), shop, reporter, stop.clone(), book);
        let run = tokio::spawn(run);
        let happened = happened.clone();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let _ = happened.send((index, Some(event)));
            }
            let _ = happened.send((index, None));
        });
        let host = journal::Host::this();
        Running {
            index,
            targets: Targets::of(&experiment),
            writer: JournalWriter::new(&experiment, identity.clone(), host),
            facts: Facts::new(identity.clone()),
            experiment,
            identity,
            run,
            stop,
            _interrupt: interrupt,
        }
    }

    /// Sends, shows and writes what happened in a run. What is sent is on disk before anything
    /// else: a fault may be forgotten only when the server will know that it was undone.
    async fn tell(
        &mut self,
        run: &mut Running,
        event: &RunEvent,
        journals: &Journals,
    ) -> anyhow::Result<()> {
        if let (Some(submitter), Some(fact)) =
            (&self.host.submitter, run.facts.of(&run.experiment, event))
        {
            // What the disk does not take is counted and told at the end; the fault stays in
            // the book, and the next runner tells it.
            if submitter.keep(fact).await.is_ok()
                && let RunEventKind::FaultCleared { cleared } = &event.kind
            {
                self.book.told(&cleared.fault);
            }
        }
        let journal = run.writer.record(event);
        let shown = self.progress.show(&run.identity, &run.experiment, event);
        if let Some(journal) = journal {
            let path = journals.path(&run.identity);
            journal.write(&path)?;
            self.progress.journal_written(&run.identity, &path)?;
        }
        shown.context("could not write to standard output")
    }

    /// Ends the own shop and sends what waits; says what the server does not have.
    pub(super) async fn close(self) -> anyhow::Result<(Exit, Progress)> {
        let report = self.host.close(&self.progress).await;
        self.progress.done();
        let exit = exit_of_signal(&self.interrupts).max(told(report, &self.progress)?);
        Ok((exit, self.progress))
    }
}

/// Takes the first experiment that touches nothing that runs.
fn next_disjoint(
    waiting: &mut VecDeque<(usize, Arc<Experiment>)>,
    running: &[Running],
) -> Option<(usize, Arc<Experiment>)> {
    let free = |experiment: &Experiment| {
        let targets = Targets::of(experiment);
        running.iter().all(|run| run.targets.are_disjoint(&targets))
    };
    let place = waiting.iter().position(|(_, experiment)| free(experiment))?;
    waiting.remove(place)
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
