//! Rebuilds that are asked for while the server runs, one at a time.

use std::sync::Arc;

use events::Timestamp;
use events::log::EventLog;
use schema::rebuild::{RebuildError, RebuildProgress, rebuild_beside};
use schema::{Role, Successor};
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::http::Clock;
use crate::http::error::chain;

/// What `GET /v1/admin/rebuild` answers.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct State {
    /// Where the last rebuild is.
    pub(crate) status: Status,
    /// The generation that it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    /// Position up to which the new graph holds the log.
    position: u64,
    /// Position of the log's end when it was last looked at.
    head: u64,
    /// Events a second so far.
    events_per_s: f64,
    /// How long it will still take at that pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// The first row in which the graph before was not the fold of the log; only when that was
    /// asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<String>,
    /// Why it failed. The graph in use is as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Where a rebuild is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// None was asked for since the server started.
    #[default]
    Idle,
    /// The next generation is being made.
    Running,
    /// It is in use.
    Done,
    /// It was given up.
    Failed,
}

/// Why a rebuild does not begin.
#[derive(Debug)]
pub(crate) enum Refused {
    /// One runs already.
    Running,
    /// Another server writes the graph; its name, when it is known.
    NotHolder(Option<String>),
}

/// Why the graph was not made anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unmade {
    /// Another server writes it.
    #[error("the graph is written by another server")]
    Follower,
    /// The rebuild failed.
    #[error("the rebuild failed: {0}")]
    Failed(String),
}

/// Where rebuilds are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Rebuilds {
    ask: mpsc::Sender<bool>,
    state: watch::Sender<State>,
    /// Of a server that shares its graph.
    role: Option<watch::Receiver<Role>>,
    clock: Clock,
}

impl Rebuilds {
    /// The part of the server that rebuilds the graph at `url`, and where it is asked.
    pub(crate) fn new(
        url: String,
        log: Arc<dyn EventLog>,
        successor: Successor,
        role: Option<watch::Receiver<Role>>,
        clock: Clock,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (ask, mut asked) = mpsc::channel(1);
        let state = watch::Sender::new(State::default());
        let rebuilds = Self { ask, state: state.clone(), role: role.clone(), clock };
        let run = async move {
            while let Some(compare) = asked.recv().await {
                let lost = lost(role.clone());
                let rebuild = rebuild(&url, &*log, &successor, compare, &state, clock);
                tokio::select! {
                    () = rebuild => {}
                    () = lost => state.send_modify(|state| state.fail(&RebuildError::Lost, clock())),
                }
            }
        };
        (rebuilds, run)
    }

    /// Begins a rebuild; with `compare` the graph before is held against it.
    pub(crate) fn begin(&self, compare: bool) -> Result<State, Refused> {
        if let Some(role) = &self.role
            && let Role::Follower { holder } = &*role.borrow()
        {
            return Err(Refused::NotHolder(holder.clone()));
        }
        let began = self.state.send_if_modified(|state| {
            if state.status == Status::Running || self.ask.try_send(compare).is_err() {
                return false;
            }
            let started_at = Some((self.clock)());
            *state = State { status: Status::Running, started_at, ..State::default() };
            true
        });
        if began { Ok(self.state()) } else { Err(Refused::Running) }
    }

    /// Makes the graph anew, once nothing else does, and returns when it is in use.
    pub(crate) async fn make_anew(&self) -> Result<(), Unmade> {
        let mut state = self.state.subscribe();
        loop {
            match self.begin(false) {
                Ok(_) => break,
                Err(Refused::NotHolder(_)) => return Err(Unmade::Follower),
                Err(Refused::Running) => ended(&mut state).await,
            };
        }
        let state = ended(&mut state).await;
        match (state.status, state.error) {
            (Status::Done, _) => Ok(()),
            (_, error) => Err(Unmade::Failed(error.unwrap_or_default())),
        }
    }

    /// Where the last rebuild is.
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }
}

/// What became of the rebuild that runs, if one does.
async fn ended(state: &mut watch::Receiver<State>) -> State {
    let ended = state.wait_for(|state| state.status != Status::Running).await;
    ended.map(|state| state.clone()).unwrap_or_default()
}

/// Returns when this server does not hold the lease any more, if there is one.
async fn lost(role: Option<watch::Receiver<Role>>) {
    let Some(mut role) = role else { return std::future::pending().await };
    // Without a sender the server is stopping.
    let _ = role.wait_for(|role| role.tenure().is_none()).await;
}

async fn rebuild(
    url: &str,
    log: &dyn EventLog,
    successor: &Successor,
    compare: bool,
    state: &watch::Sender<State>,
    clock: Clock,
) {
    tracing::info!("the graph is rebuilt beside the one in use");
    let progress = watch::Sender::new(RebuildProgress::default());
    let mut seen = progress.subscribe();
    let telling = async {
        while seen.changed().await.is_ok() {
            let now = *seen.borrow_and_update();
            state.send_modify(|state| state.take(now));
        }
    };
    let rebuilt = tokio::select! {
        rebuilt = rebuild_beside(url, log, successor, compare, &progress) => rebuilt,
        () = telling => unreachable!("the sender of the progress outlives the rebuild"),
    };
    state.send_modify(|state| {
        state.take(*progress.borrow());
        match &rebuilt {
            Ok(swapped) => {
                state.end(Status::Done, clock());
                state.position = swapped.position;
                state.difference = swapped.difference.as_ref().map(ToString::to_string);
            }
            Err(error) => state.fail(error, clock()),
        }
    });
    if let Err(error) = rebuilt {
        tracing::error!(error = chain(&error), "the rebuild failed; the graph is as it was");
    }
}

impl State {
    fn end(&mut self, status: Status, at: Timestamp) {
        self.status = status;
        self.ended_at = Some(at);
        self.left_ms = None;
    }

    fn fail(&mut self, error: &RebuildError, at: Timestamp) {
        self.end(Status::Failed, at);
        self.error = Some(chain(error));
    }

    fn take(&mut self, progress: RebuildProgress) {
        self.generation = (progress.generation > 0).then_some(progress.generation);
        self.position = progress.position;
        self.head = progress.head;
        self.events_per_s = progress.events_per_s.round();
        self.left_ms =
            progress.left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
    }
}
