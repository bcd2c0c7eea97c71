//! The phases of a run, and what each decides.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use events::Timestamp;
use events::catalogue::experiment::{ExperimentOutcome, SteadyStatePhase};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::abort;
use super::book::FaultBook;
use super::executor::Executor;
use super::ledger::Ledger;
use super::{
    ActivityStatus, Conclusion, Place, Reporter, RunEventKind, RunIdentity, Section,
    SteadyStateRecord, Stop, StopReason,
};
use crate::experiment::{Experiment, HypothesisStrategy, RollbackStrategy};
use crate::shop::control::ControlClient;
use crate::steady_state::SteadyState;

/// The longest deadline that a shop gives a fault.
const LONGEST_FAULT: Duration = Duration::from_secs(600);

/// Carries out `experiment` on the shop and reports to `reporter` whatever happens. When it
/// returns, no fault of the run acts any more, or the conclusion names the one that may.
///
/// `stop` ends the run early: nothing new is begun, everything is undone. Every fault is in
/// `book` before it acts, and until it is undone.
pub async fn carry_out(
    experiment: Arc<Experiment>,
    identity: RunIdentity,
    shop: ControlClient,
    reporter: Reporter,
    stop: Stop,
    book: FaultBook,
) -> Conclusion {
    let measured = experiment.hypothesis.as_ref().is_some_and(|it| !it.probes.is_empty());
    let strategy = if measured { experiment.runtime.hypothesis } else { HypothesisStrategy::Skip };
    let title = experiment.title.clone();
    let executor = Executor {
        identity: identity.clone(),
        steady_state: SteadyState::new(&experiment, shop.clone()),
        measures_during: strategy.during(),
        ledger: Ledger::new(shop, reporter.clone(), book, identity, title),
        reporter,
        stop,
        longest: LONGEST_FAULT.min(experiment.runtime.deadline + Duration::from_secs(30)),
        deviation: std::sync::Mutex::default(),
        resilience: std::sync::Mutex::default(),
    };
    let dispatcher = Dispatcher {
        strategy,
        executor: Arc::new(executor),
        experiment,
        failure: None,
        told: AtomicBool::new(false),
    };
    dispatcher.run().await
}

struct Dispatcher {
    experiment: Arc<Experiment>,
    strategy: HypothesisStrategy,
    executor: Arc<Executor>,
    /// The first thing that could not be carried out, apart from what stopped the run.
    failure: Option<String>,
    /// Whether the early end was reported.
    told: AtomicBool,
}

impl Dispatcher {
    async fn run(mut self) -> Conclusion {
        self.report(RunEventKind::Planned);
        self.report(RunEventKind::Started);
        if self.steady_before().await {
            self.method().await;
            self.undo().await;
            self.steady_after().await;
        }
        let conclusion = self.conclude();
        self.report(RunEventKind::Finished { conclusion: conclusion.clone() });
        conclusion
    }

    /// Whether the method may begin: without a steady state there is nothing to deviate from.
    async fn steady_before(&mut self) -> bool {
        if self.strategy.before() {
            let limit = self.experiment.runtime.warm_up;
            let record = self.measure(SteadyStatePhase::Before, limit).await;
            if let Some(probe) = record.as_ref().and_then(SteadyStateRecord::broken) {
                self.failure =
                    Some(format!("the steady state did not hold before the method: {probe}"));
                return false;
            }
        }
        self.executor.stop.reason().is_none()
    }

    /// Measures, again and again until it holds or `limit` passes; reports the last measurement.
    async fn measure(&self, phase: SteadyStatePhase, limit: Duration) -> Option<SteadyStateRecord> {
        let executor = &self.executor;
        self.report(RunEventKind::MeasuringSteadyState { phase });
        let record = tokio::select! {
            record = executor.steady_state.established(Timestamp::now(), limit) => record,
            () = executor.stop.stopped() => return None,
        };
        executor.measured(phase, record.clone());
        Some(record)
    }

    /// The method, under the run's deadline.
    async fn method(&self) {
        let deadline = self.experiment.runtime.deadline;
        let stop = &self.executor.stop;
        let (mut activities, mut over) =
            (Box::pin(self.activities()), Box::pin(tokio::time::sleep(deadline)));
        loop {
            tokio::select! {
                biased;
                // First, so that whoever asked for the end is answered at once.
                () = stop.stopped(), if !self.told.load(Relaxed) => self.tell_stopping(),
                () = &mut activities => break,
                () = &mut over, if stop.reason().is_none() => {
                    stop.stop(StopReason::Deadline(deadline));
                }
            }
        }
    }

    async fn activities(&self) {
        let through = CancellationToken::new();
        let mut background = JoinSet::new();
        let mut watcher = JoinSet::new();
        if self.strategy == HypothesisStrategy::Continuously {
            watcher.spawn(watch(self.executor.clone(), through.clone()));
        }
        let since = Timestamp::now();
        for condition in &self.experiment.runtime.abort {
            let (executor, condition) = (self.executor.clone(), condition.clone());
            watcher.spawn(abort::watch(executor, condition, since, through.clone()));
        }
        for (index, activity) in self.experiment.method.iter().enumerate() {
            let place = Place { section: Section::Method, index };
            if activity.background {
                let (executor, activity) = (self.executor.clone(), activity.clone());
                background.spawn(async move { executor.activity(place, &activity).await });
            } else {
                self.executor.activity(place, activity).await;
            }
            if self.executor.stop.reason().is_some() {
                break;
            }
        }
        background.join_all().await;
        through.cancel();
        watcher.join_all().await;
    }

    /// Rollbacks by strategy, and whatever fault still acts, whatever the strategy. Faults go
    /// first when somebody waits for the end.
    async fn undo(&mut self) {
        for acting in self.executor.ledger.acting() {
            self.executor.measure_during(&acting).await;
        }
        if self.executor.stop.reason().is_some() {
            self.tell_stopping();
            self.end_faults().await;
        }
        let strategy = self.experiment.runtime.rollbacks;
        let wanted = match strategy {
            RollbackStrategy::Default | RollbackStrategy::Always => true,
            RollbackStrategy::Never => false,
            RollbackStrategy::Deviated => self.executor.deviation().is_some(),
        };
        let count = self.experiment.rollbacks.len();
        if wanted {
            self.roll_back().await;
        } else if count > 0 {
            self.report(RunEventKind::RollbacksSkipped { strategy, count });
        }
        self.end_faults().await;
    }

    async fn end_faults(&self) {
        for acting in self.executor.ledger.acting() {
            // What could not be undone is in the ledger, which the conclusion reads.
            let _ = self.executor.end_fault(&acting).await;
        }
    }

    async fn roll_back(&mut self) {
        for (index, activity) in self.experiment.rollbacks.iter().enumerate() {
            let place = Place { section: Section::Rollbacks, index };
            let record = self.executor.activity(place, activity).await;
            if record.status == ActivityStatus::Failed {
                let why = record.why();
                let failure = format!("the rollback {:?} failed: {why}", activity.name.as_str());
                self.failure.get_or_insert(failure);
            }
        }
    }

    async fn steady_after(&self) {
        if self.strategy.after() && self.executor.stop.reason().is_none() {
            let limit = self.experiment.runtime.recovery;
            self.measure(SteadyStatePhase::After, limit).await;
        }
    }

    /// Says once that the run will end early.
    fn tell_stopping(&self) {
        if let Some(reason) = self.executor.stop.reason()
            && !self.told.swap(true, Relaxed)
        {
            self.report(RunEventKind::Stopping { reason: reason.to_string() });
        }
    }

    fn conclude(&self) -> Conclusion {
        let left_behind = self.executor.ledger.left_behind();
        let deviation = self.executor.deviation();
        let stop = self.executor.stop.reason();
        let (outcome, reason) = if let Some(fault) = left_behind.first() {
            let reason = format!("the fault {fault} may still act, until its own deadline");
            (ExperimentOutcome::Failed, Some(reason))
        } else if let Some(StopReason::ActivityFailed(what)) = stop {
            (ExperimentOutcome::Failed, Some(what.clone()))
        } else if let Some(reason) = stop {
            (ExperimentOutcome::Aborted, Some(reason.to_string()))
        } else if let Some(failure) = &self.failure {
            (ExperimentOutcome::Failed, Some(failure.clone()))
        } else if deviation.is_some() {
            (ExperimentOutcome::Deviated, deviation.clone())
        } else {
            (ExperimentOutcome::Held, None)
        };
        Conclusion {
            outcome,
            deviated: deviation.is_some(),
            interrupted: matches!(stop, Some(StopReason::Signal(_))),
            reason,
            resilience: self.executor.resilience(),
        }
    }

    fn report(&self, kind: RunEventKind) {
        self.executor.reporter.report(kind);
    }
}

/// Measures the steady state again and again until the method is through.
async fn watch(executor: Arc<Executor>, through: CancellationToken) {
    let phase = SteadyStatePhase::During;
    loop {
        let record = tokio::select! {
            record = executor.steady_state.established(Timestamp::now(), Duration::ZERO) => record,
            () = executor.stop.stopped() => return,
            () = through.cancelled() => return,
        };
        executor.measured(phase, record);
    }
}
