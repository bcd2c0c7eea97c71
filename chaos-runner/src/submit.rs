//! Sends events to a Faultline server, by way of the disk.
//!
//! An event is first kept in the [spool](Spool), then sent, in order, in batches, one request at
//! a time. What the server may yet accept (no connection, 408, 429, 5xx) is sent again with the
//! same ids, which makes a repetition harmless. What it will never accept is set aside with its
//! reason, and the rest of its batch goes on. A server that refuses everything (401, 403, 404)
//! ends the sending; so does the end of the process. Whatever was not delivered by then waits on
//! disk for the next process that talks to the same server.

mod destination;
mod post;
mod spool;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use events::{Event, EventId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub use destination::{Destination, InvalidServer, Token};
use post::Endpoint;
use spool::Appender;
pub use spool::{MAX_SPOOL_BYTES, Spool, SpoolError};
use worker::Backlog;

/// Events that wait for the disk at most. Past it, those that are [offered](Submitter::offer) are
/// dropped and counted.
pub const QUEUE_EVENTS: usize = 10_000;

/// Refused events that are kept with their reason; all are counted.
const MAX_KEPT_REFUSALS: usize = 20;

/// Draining takes no longer than this while the server is away: nothing is lost by it.
const AWAY_DRAIN: Duration = Duration::from_secs(3);

/// How often draining looks how it goes.
const POLL: Duration = Duration::from_millis(50);

/// What became of the events so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubmitReport {
    /// The server has them.
    pub accepted: u64,
    /// The server will never accept them.
    pub refused: u64,
    /// The first of those, with the reason.
    pub refusals: Vec<RefusedEvent>,
    /// The disk did not take them, or not fast enough: they are lost.
    pub dropped: u64,
    /// Why, the first time.
    pub dropped_because: Option<String>,
    /// They are on disk and the server does not have them yet.
    pub waiting: u64,
    /// Why nothing more is sent, when the server refuses everything.
    pub gave_up: Option<String>,
    /// Why the last attempt failed, while it is repeated.
    pub retrying: Option<String>,
}

impl SubmitReport {
    /// Whether the server has every event.
    pub fn is_complete(&self) -> bool {
        self.refused == 0 && self.dropped == 0 && self.waiting == 0 && self.gave_up.is_none()
    }

    /// What is missing at the server and why, in a sentence; `None` when nothing is.
    pub fn shortfall(&self) -> Option<String> {
        if self.is_complete() {
            return None;
        }
        let lost = self.refused + self.dropped;
        let why = self
            .dropped_because
            .clone()
            .or_else(|| self.gave_up.clone())
            .or_else(|| self.refusals.first().map(|refusal| refusal.reason.clone()))
            .or_else(|| self.retrying.clone())
            .unwrap_or_else(|| "there was no time left to send them".to_owned());
        let all = lost + self.waiting + self.accepted;
        let kept = match (self.waiting, lost) {
            (0, _) => String::new(),
            (_, 0) => {
                ", they are kept on disk for `chaos-runner deliver` or the next run".to_owned()
            }
            (waiting, _) => format!(", {waiting} of them are kept on disk for the next run"),
        };
        let missing = lost + self.waiting;
        Some(format!("{missing} of {all} events did not reach the server{kept}: {why}"))
    }
}

/// An event that the server will never accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEvent {
    /// Which; absent when it cannot even be read.
    pub id: Option<EventId>,
    /// What the server says.
    pub reason: String,
}

/// The queue is full: the disk does not take events as fast as they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue of {QUEUE_EVENTS} events is full")]
pub struct QueueFull;

/// The disk did not take an event; the report says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event could not be kept on disk")]
pub struct NotKept;

/// Keeps and sends events in the background.
#[derive(Debug)]
pub struct Submitter {
    queue: mpsc::Sender<Event>,
    awaited: Arc<Awaited>,
    report: Arc<Shared>,
    keeper: JoinHandle<()>,
    worker: JoinHandle<()>,
}

/// Who waits until which event is on disk.
#[derive(Debug, Default)]
struct Awaited(Mutex<BTreeMap<EventId, oneshot::Sender<()>>>);

impl Awaited {
    fn expect(&self, event: EventId) -> oneshot::Receiver<()> {
        let (kept, answer) = oneshot::channel();
        self.waiting().insert(event, kept);
        answer
    }

    /// Answers whoever waits for one of `events`; by going away when they were not kept.
    fn settle(&self, events: &[Event], kept: bool) {
        let mut waiting = self.waiting();
        for answer in events.iter().filter_map(|event| waiting.remove(&event.id)) {
            if kept {
                // Who no longer waits needs no answer.
                let _ = answer.send(());
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<EventId, oneshot::Sender<()>>> {
        // A map is whole between two of its calls, whoever panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    /// Begins to send to a server: first what processes that are gone left in its spool, then
    /// what is offered.
    pub fn start(destination: &Destination, spool: Spool) -> Result<Self, SpoolError> {
        let report = Arc::new(Shared::default());
        let backlog = Arc::new(Backlog::default());
        let left = spool.adopt()?;
        let waiting = left.iter().map(|segment| segment.events).sum();
        report.update(|report| report.waiting = waiting);
        backlog.extend(left);
        let appender = Appender::new(spool.clone())?;
        let (queue, events) = mpsc::channel(QUEUE_EVENTS);
        let awaited = Arc::<Awaited>::default();
        let (keeping, kept, told) = (backlog.clone(), report.clone(), awaited.clone());
        let keep = move || worker::keep(appender, events, &keeping, &kept, &told);
        let keeper = tokio::task::spawn_blocking(keep);
        let endpoint = Endpoint::new(destination);
        let worker = tokio::spawn(worker::send(endpoint, spool, backlog, report.clone()));
        Ok(Self { queue, awaited, report, keeper, worker })
    }

    /// Queues an event, without waiting.
    pub fn offer(&self, event: Event) -> Result<(), QueueFull> {
        self.queue.try_send(event).map_err(|_| {
            self.report.update(|report| {
                report.dropped += 1;
                report.dropped_because.get_or_insert_with(|| QueueFull.to_string());
            });
            QueueFull
        })
    }

    /// Queues an event, however long that takes, and answers when it would survive a loss of
    /// power. One that was not kept is counted as dropped.
    pub async fn keep(&self, event: Event) -> Result<(), NotKept> {
        let kept = self.awaited.expect(event.id);
        self.queue.send(event).await.map_err(|_| NotKept)?;
        tokio::select! {
            biased;
            kept = kept => kept.map_err(|_| NotKept),
            // The one who would answer is gone.
            () = self.queue.closed() => Err(NotKept),
        }
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

    /// Sends what waits, for at most `within` and for as long as the server takes it, and ends.
    /// What is left then stays on disk.
    pub async fn drain(self, within: Duration) -> SubmitReport {
        let Self { queue, report, keeper, mut worker, .. } = self;
        drop(queue);
        let began = Instant::now();
        let mut away_since = None;
        loop {
            tokio::select! {
                _ = &mut worker => break,
                () = tokio::time::sleep(POLL) => {}
            }
            let away = match report.get().retrying {
                Some(_) => away_since.get_or_insert_with(Instant::now).elapsed() >= AWAY_DRAIN,
                None => {
                    away_since = None;
                    false
                }
            };
            if away || began.elapsed() >= within {
                worker.abort();
                // It ends between two requests or in one; either way its report is whole then.
                let _ = worker.await;
                break;
            }
        }
        // Sending may end before everything that was offered is on disk.
        let left = within.saturating_sub(began.elapsed());
        let _ = tokio::time::timeout(left, keeper).await;
        report.get()
    }
}
