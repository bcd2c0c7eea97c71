//! Sends events to a Faultline server.
//!
//! Events wait in a bounded queue in memory and go out in order, in batches, one request at a
//! time. What the server may yet accept (no connection, 408, 429, 5xx) is sent again with the
//! same ids, which makes a repetition harmless. What it will never accept is set aside with its
//! reason, and the rest of its batch goes on. A server that refuses everything (401, 403, 404)
//! ends the sending.
//!
//! The queue lives as long as the process: events that were not sent by then are lost, and
//! counted.

mod post;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::{Event, EventId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use post::Endpoint;
pub use post::InvalidServer;

/// Events that wait at most. Past it, new ones are dropped and counted.
pub const QUEUE_EVENTS: usize = 10_000;

/// Refused events that are kept with their reason; all are counted.
const MAX_KEPT_REFUSALS: usize = 20;

/// What became of the events so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubmitReport {
    /// The server has them.
    pub accepted: u64,
    /// The server will never accept them.
    pub refused: u64,
    /// The first of those, with the reason.
    pub refusals: Vec<RefusedEvent>,
    /// They found the queue full.
    pub dropped: u64,
    /// They were not sent when the time for it was over.
    pub unsent: u64,
    /// Why nothing more is sent, when the server refuses everything.
    pub gave_up: Option<String>,
    /// Why the last attempt failed, while it is repeated.
    pub retrying: Option<String>,
}

impl SubmitReport {
    /// Whether the server has every event.
    pub fn is_complete(&self) -> bool {
        self.refused == 0 && self.dropped == 0 && self.unsent == 0 && self.gave_up.is_none()
    }

    /// What is missing at the server and why, in a sentence; `None` when nothing is.
    pub fn shortfall(&self) -> Option<String> {
        if self.is_complete() {
            return None;
        }
        let missing = self.refused + self.dropped + self.unsent;
        let why = self
            .gave_up
            .clone()
            .or_else(|| self.refusals.first().map(|refusal| refusal.reason.clone()))
            .or_else(|| self.retrying.clone())
            .unwrap_or_else(|| "the queue was full".to_owned());
        let all = missing + self.accepted;
        Some(format!("{missing} of {all} events did not reach the server: {why}"))
    }
}

/// An event that the server will never accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEvent {
    /// Which.
    pub id: EventId,
    /// What the server says.
    pub reason: String,
}

/// The queue is full: the server does not take events as fast as they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue of {QUEUE_EVENTS} events is full")]
pub struct QueueFull;

/// Sends events in the background.
#[derive(Debug)]
pub struct Submitter {
    queue: mpsc::Sender<Event>,
    report: Arc<Shared>,
    worker: JoinHandle<()>,
}

/// The report, as the worker and its owner share it.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<SubmitReport>);

impl Shared {
    fn update(&self, change: impl FnOnce(&mut SubmitReport)) {
        // A panic cannot leave the counters half-changed in a way that matters.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn get(&self) -> SubmitReport {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Submitter {
    /// Begins to send to the server at `server`, such as `http://127.0.0.1:7700`.
    pub fn start(server: &str) -> Result<Self, InvalidServer> {
        let endpoint = Endpoint::new(server)?;
        let (queue, waiting) = mpsc::channel(QUEUE_EVENTS);
        let report = Arc::new(Shared::default());
        let worker = tokio::spawn(worker::run(endpoint, waiting, report.clone()));
        Ok(Self { queue, report, worker })
    }

    /// Queues an event, without waiting.
    pub fn offer(&self, event: Event) -> Result<(), QueueFull> {
        self.queue.try_send(event).map_err(|_| {
            self.report.update(|report| report.dropped += 1);
            QueueFull
        })
    }

    /// The queue, for a source of events that runs beside. It must be dropped before
    /// [`Self::drain`] can end early.
    pub fn queue(&self) -> mpsc::Sender<Event> {
        self.queue.clone()
    }

    /// What became of the events so far.
    pub fn report(&self) -> SubmitReport {
        self.report.get()
    }

    /// Sends what waits, for at most `within`, and ends.
    pub async fn drain(self, within: Duration) -> SubmitReport {
        let Self { queue, report, mut worker } = self;
        drop(queue);
        if tokio::time::timeout(within, &mut worker).await.is_err() {
            worker.abort();
            // The worker counts what it holds as unsent when it is dropped.
            let _ = worker.await;
        }
        report.get()
    }
}
