//! Retention while the server runs: by the clock, and when it is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use events::Timestamp;
use events::log::{
    AppendError, EmbeddedLog, EventLog, ExpectedRevision, PruneError, Pruned, Pruning, ReadError,
};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Reach, Survey, Unfinished};
use crate::config::{Config, RetentionConfig};
use crate::http::Clock;
use crate::http::error::chain;
use crate::metrics::Metrics;
use crate::rebuilding::{Rebuilds, Unmade};

/// A start is busy enough; the limits are first applied so much later.
const FIRST: Duration = Duration::from_secs(60);

/// What `GET /v1/admin/retention` answers.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct State {
    /// Where the last run is.
    pub(crate) status: Status,
    /// Whether it only tells what would be pruned.
    pub(crate) dry_run: bool,
    /// What the limits come to, once that is known.
    pub(crate) kinds: Vec<Reach>,
    /// Position up to which the log is pruned.
    position: u64,
    /// Segments of the log that were written anew.
    segments: usize,
    /// Their bytes on disk before, uncompressed.
    bytes_before: u64,
    /// Their bytes on disk now, uncompressed.
    bytes_after: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// Why it failed. Every event is whole or pruned, and the next run goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// There was none since the server started.
    #[default]
    Idle,
    /// The log is read for what is old and what is pinned.
    Surveying,
    /// The log is pruned.
    Pruning,
    /// The graph is made anew.
    Rebuilding,
    /// It ended.
    Done,
    /// It was given up.
    Failed,
}

impl Status {
    fn is_running(self) -> bool {
        matches!(self, Self::Surveying | Self::Pruning | Self::Rebuilding)
    }
}

/// Why a run does not begin.
#[derive(Debug)]
pub(crate) enum Refused {
    /// One runs already.
    Running,
    /// Nothing is limited.
    Unlimited,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
enum RetainError {
    #[error("the log could not be surveyed")]
    Survey(#[from] ReadError),
    #[error("the file that says that retention was begun could not be written or removed")]
    Note(#[from] std::io::Error),
    #[error("what will be pruned could not be recorded")]
    Record(#[from] AppendError),
    #[error("the log could not be pruned further")]
    Prune(#[from] PruneError),
    #[error("the log is pruned, the graph could not be made anew")]
    Rebuild(#[from] Unmade),
}

/// Where runs are asked for.
#[derive(Clone)]
pub(crate) struct Retention {
    ask: mpsc::Sender<bool>,
    state: watch::Sender<State>,
    limited: bool,
    clock: Clock,
}

/// What runs.
struct Runner {
    config: RetentionConfig,
    log: Arc<dyn EventLog>,
    rebuilds: Rebuilds,
    metrics: Arc<Metrics>,
    unfinished: Unfinished,
    state: watch::Sender<State>,
    clock: Clock,
}

impl Retention {
    /// The part of the server that applies the limits, and where it is asked.
    pub(crate) fn new(
        config: &Config,
        log: Arc<dyn EventLog>,
        rebuilds: Rebuilds,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (ask, asked) = mpsc::channel(1);
        let state = watch::Sender::new(State::default());
        let limited = log.as_embedded().is_some() && !config.retention.policies().is_empty();
        let unfinished = Unfinished::of(&config.storage.data);
        let config = config.retention.clone();
        let retention = Self { ask, state: state.clone(), limited, clock };
        let runner = Runner { config, log, rebuilds, metrics, unfinished, state, clock };
        (retention.clone(), runner.run(retention, asked))
    }

    /// Begins a run; with `dry_run` it only tells what would be pruned.
    pub(crate) fn begin(&self, dry_run: bool) -> Result<State, Refused> {
        if !self.limited {
            return Err(Refused::Unlimited);
        }
        let began = self.state.send_if_modified(|state| {
            if state.status.is_running() || self.ask.try_send(dry_run).is_err() {
                return false;
            }
            let started_at = Some((self.clock)());
            *state = State { status: Status::Surveying, dry_run, started_at, ..State::default() };
            true
        });
        if began { Ok(self.state()) } else { Err(Refused::Running) }
    }

    /// Where the last run is.
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }
}

impl Runner {
    async fn run(self, retention: Retention, mut asked: mpsc::Receiver<bool>) {
        // What was interrupted leaves a graph that is not the fold of the log, whatever the limits
        // are by now.
        if self.unfinished.exists() && self.log.as_embedded().is_some() {
            let started_at = Some((self.clock)());
            self.state.send_replace(State {
                status: Status::Surveying,
                started_at,
                ..State::default()
            });
            self.apply_and_tell(false).await;
        }
        let every = Duration::from_millis(self.config.every_ms);
        let mut due = interval_at(Instant::now() + FIRST.min(every), every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(dry_run) = asked.recv() => self.apply_and_tell(dry_run).await,
                // When one was asked for at this moment, that is the one that is due.
                _ = due.tick(), if retention.limited => drop(retention.begin(false)),
            }
        }
    }

    async fn apply_and_tell(&self, dry_run: bool) {
        let applied = self.apply(dry_run).await;
        self.state.send_modify(|state| {
            state.ended_at = Some((self.clock)());
            state.status = if applied.is_ok() { Status::Done } else { Status::Failed };
            state.error = applied.as_ref().err().map(|error| chain(error));
        });
        if let Err(error) = applied {
            tracing::error!(
                error = chain(&error),
                "retention was not applied; the next run goes on"
            );
        }
    }

    async fn apply(&self, dry_run: bool) -> Result<(), RetainError> {
        let (config, now) = (self.config.clone(), (self.clock)());
        let survey = self.blocking(move |log, _| Survey::of(log, &config, now)).await?;
        self.state.send_modify(|state| state.kinds = survey.reaches());
        let event = survey.event(now);
        if dry_run || (event.is_none() && !self.unfinished.exists()) {
            return Ok(());
        }
        self.unfinished.begin()?;
        if let Some(event) = event {
            let stream = event.data.stream();
            self.log.append(stream, ExpectedRevision::Any, vec![event]).await?;
        }
        self.set(Status::Pruning);
        let pruned = self.prune(survey.pruning).await?;
        self.metrics.pruned(pruned.events, pruned.bytes_before.saturating_sub(pruned.bytes_after));
        tracing::info!(
            retention.events = pruned.events,
            retention.segments = pruned.segments,
            retention.bytes_before = pruned.bytes_before,
            retention.bytes_after = pruned.bytes_after,
            "the log is pruned"
        );
        self.set(Status::Rebuilding);
        self.rebuilds.make_anew().await?;
        Ok(self.unfinished.end()?)
    }

    async fn prune(&self, pruning: Pruning) -> Result<Pruned, PruneError> {
        let state = self.state.clone();
        let prune = move |log: &EmbeddedLog, stop: &AtomicBool| {
            let mut told = |position| state.send_modify(|state| state.position = position);
            log.prune(&pruning, &|| stop.load(Ordering::Relaxed), &mut told)
        };
        let pruned = self.blocking(prune).await?;
        self.state.send_modify(|state| {
            state.segments = pruned.segments;
            state.bytes_before = pruned.bytes_before;
            state.bytes_after = pruned.bytes_after;
        });
        Ok(pruned)
    }

    /// Runs what reads or writes the whole log beside the tasks of the server; it is told when
    /// nobody waits for it any more.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&EmbeddedLog, &AtomicBool) -> T + Send + 'static,
    ) -> T {
        struct Stop(Arc<AtomicBool>);
        impl Drop for Stop {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let stop = Stop(Arc::default());
        let (log, stopped) = (self.log.clone(), stop.0.clone());
        let work = tokio::task::spawn_blocking(move || {
            let log = log.as_embedded().expect("limits are refused for any other log");
            work(log, &stopped)
        });
        match work.await {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    fn set(&self, status: Status) {
        self.state.send_modify(|state| state.status = status);
    }
}
