//! One task that keeps events on disk, and one that sends what is there.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::Event;
use rand::RngExt;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use super::post::{Answer, Endpoint};
use super::spool::{Appender, Batch, Segment, Spool};
use super::{Awaited, MAX_KEPT_REFUSALS, RefusedEvent, Shared};

/// Most events in a request.
const BATCH_EVENTS: usize = 200;

/// First wait before a repetition; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Longest wait that nobody asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Segments to send, in order. The last one may still grow.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    segments: VecDeque<Segment>,
    /// Nothing will be appended any more.
    closed: bool,
}

/// What is to be done next.
enum Next {
    /// A view of the segment that has events to send.
    Send(io::Result<Segment>),
    /// Everything is sent; more may come.
    Wait,
    /// Everything is sent and nothing will come.
    End,
}

impl Backlog {
    pub(super) fn extend(&self, segments: Vec<Segment>) {
        self.state().segments.extend(segments);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is behind the lock is a list; no panic leaves it half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn appended(&self, begun: Option<Segment>, end: u64, events: u64) {
        let mut state = self.state();
        state.segments.extend(begun);
        if let Some(last) = state.segments.back_mut() {
            last.end = end;
            last.events += events;
        }
        drop(state);
        self.changed.notify_one();
    }

    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// Removes segments that are through, apart from the one that grows.
    fn next(&self) -> Next {
        let mut state = self.state();
        loop {
            let last = state.segments.len() == 1 && !state.closed;
            match state.segments.front() {
                None if state.closed => return Next::End,
                None => return Next::Wait,
                Some(segment) if !segment.is_through() => return Next::Send(segment.view()),
                Some(_) if last => return Next::Wait,
                Some(_) => {}
            }
            if let Some(segment) = state.segments.pop_front()
                && let Err(error) = segment.remove()
            {
                tracing::warn!(%error, "a delivered file of the spool could not be removed");
            }
        }
    }

    fn dealt_with(&self, end: u64, events: u64) {
        if let Some(first) = self.state().segments.front_mut()
            && let Err(error) = first.dealt_with(end, events)
        {
            // Another process would send again what the server has, which is harmless.
            tracing::warn!(%error, "could not note in the spool what was delivered");
        }
    }
}

/// Keeps what arrives until the queue is closed. Blocks.
pub(super) fn keep(
    mut appender: Appender,
    mut queue: mpsc::Receiver<Event>,
    backlog: &Backlog,
    report: &Shared,
    awaited: &Awaited,
) {
    let mut events = Vec::new();
    while queue.blocking_recv_many(&mut events, BATCH_EVENTS) > 0 {
        let count = events.len() as u64;
        let appended = appender.append(&events);
        let kept = appended.is_ok();
        match appended {
            Ok(appended) => {
                report.update(|report| report.waiting += count);
                backlog.appended(appended.begun, appended.end, count);
            }
            Err(error) => {
                let why = crate::run::describe(&error);
                let first = report.get().dropped == 0;
                if first {
                    tracing::error!(error = why, "events are lost");
                }
                report.update(|report| {
                    report.dropped += count;
                    report.dropped_because.get_or_insert(why);
                });
            }
        }
        // Who waits for the answer finds the report true.
        awaited.settle(&events, kept);
        events.clear();
    }
    backlog.close();
}

/// Sends what is in the backlog until it is closed and empty, or the server takes nothing.
pub(super) async fn send(
    endpoint: Endpoint,
    spool: Spool,
    backlog: Arc<Backlog>,
    report: Arc<Shared>,
) {
    let sender = Sender { endpoint, spool, report };
    loop {
        let segment = match backlog.next() {
            Next::Send(segment) => segment,
            Next::Wait => {
                backlog.changed.notified().await;
                continue;
            }
            Next::End => return,
        };
        let read = tokio::task::spawn_blocking(move || segment?.next(BATCH_EVENTS)).await;
        let batch = match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(batch) => batch,
            Err(error) => {
                let why = format!("could not read the spool {}: {error}", spool_path(&sender));
                tracing::error!(error = why, "no more events are sent");
                sender.report.update(|report| report.gave_up = Some(why));
                return;
            }
        };
        let (end, count) = (batch.end, batch.lines.len() as u64);
        if !sender.send(batch).await {
            return;
        }
        backlog.dealt_with(end, count);
    }
}

fn spool_path(sender: &Sender) -> String {
    sender.spool.path().display().to_string()
}

struct Sender {
    endpoint: Endpoint,
    spool: Spool,
    report: Arc<Shared>,
}

impl Sender {
    /// Sends a batch until all of it is dealt with; false when the server takes nothing.
    async fn send(&self, batch: Batch) -> bool {
        // Parts to send by themselves, the next one last.
        let mut held = vec![batch.lines];
        let mut wait = FIRST_WAIT;
        while let Some(mut events) = held.pop() {
            while !events.is_empty() {
                match self.endpoint.post(&events).await {
                    Answer::Later { why, after } => {
                        self.retry_later(why, after.unwrap_or_else(|| jittered(wait))).await;
                        wait = (wait * 2).min(LONGEST_WAIT);
                    }
                    Answer::Closed { why } => {
                        tracing::error!(
                            error = why,
                            "the server takes no events; they stay on disk"
                        );
                        self.report.update(|report| report.gave_up = Some(why));
                        return false;
                    }
                    answer => {
                        if self.report.get().retrying.is_some() {
                            tracing::info!("the server takes events again");
                            self.report.update(|report| report.retrying = None);
                        }
                        self.settle(answer, &mut events, &mut held);
                    }
                }
            }
        }
        true
    }

    async fn retry_later(&self, why: String, wait: Duration) {
        if self.report.get().retrying.is_none() {
            let spool = spool_path(self);
            tracing::warn!(
                error = why,
                "the server takes no events now: they are kept in {spool} and sent later"
            );
        }
        self.report.update(|report| report.retrying = Some(why));
        tokio::time::sleep(wait).await;
    }

    /// Takes what is dealt with out of `events`.
    fn settle(&self, answer: Answer, events: &mut Vec<String>, held: &mut Vec<Vec<String>>) {
        match answer {
            Answer::Later { .. } | Answer::Closed { .. } => {}
            Answer::Accepted => {
                let accepted = events.drain(..).count() as u64;
                self.report.update(|report| {
                    report.accepted += accepted;
                    report.waiting = report.waiting.saturating_sub(accepted);
                });
            }
            Answer::Refused { events: refused } => {
                let mut index = 0;
                let mut known = false;
                events.retain(|event| {
                    let reason = refused.iter().find(|(place, _)| *place == index);
                    index += 1;
                    if let Some((_, reason)) = reason {
                        known = true;
                        self.refuse(event, reason);
                    }
                    reason.is_none()
                });
                if !known {
                    let why = "the server refused the batch for events that are not in it";
                    self.settle(Answer::RefusedWhole { why: why.to_owned() }, events, held);
                }
            }
            // Halving finds the event at fault, or a size that the server takes.
            Answer::RefusedWhole { .. } if events.len() > 1 => {
                held.push(events.split_off(events.len() / 2));
            }
            Answer::RefusedWhole { why } => {
                for event in events.drain(..) {
                    self.refuse(&event, &why);
                }
            }
        }
    }

    fn refuse(&self, line: &str, reason: &str) {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| line.into());
        let event_type = event["type"].as_str().unwrap_or("an unreadable event");
        let id = event["id"].as_str().and_then(|id| id.parse().ok());
        tracing::warn!(event.r#type = event_type, error = reason, "the server refused an event");
        if let Err(error) = self.spool.set_aside(&event, reason) {
            tracing::warn!(%error, "a refused event could not be set aside");
        }
        self.report.update(|report| {
            report.refused += 1;
            report.waiting = report.waiting.saturating_sub(1);
            if report.refusals.len() < MAX_KEPT_REFUSALS {
                report
                    .refusals
                    .push(RefusedEvent { id, reason: format!("{event_type}: {reason}") });
            }
        });
    }
}

/// Somewhere between half of the wait and all of it, so that many senders do not come back at
/// the same moment.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.5..=1.0))
}
