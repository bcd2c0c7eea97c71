//! The one sender of a queue.

use std::sync::Arc;
use std::time::Duration;

use events::Event;
use rand::RngExt;
use tokio::sync::mpsc;

use super::post::{Answer, Endpoint};
use super::{MAX_KEPT_REFUSALS, RefusedEvent, Shared};

/// Most events in a request.
const BATCH_EVENTS: usize = 200;

/// First wait before a repetition; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Longest wait that nobody asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Sends what arrives until the queue is closed and empty.
pub(super) async fn run(endpoint: Endpoint, mut queue: mpsc::Receiver<Event>, report: Arc<Shared>) {
    let mut sender = Sender { endpoint, held: Vec::new(), queue: &mut queue, report };
    while sender.take().await {
        while let Some(batch) = sender.held.pop() {
            sender.send(batch).await;
        }
    }
}

/// Events in hand, and those behind them. What it still holds when it is dropped was not sent.
struct Sender<'a> {
    endpoint: Endpoint,
    /// Batches to send, the next one last.
    held: Vec<Vec<Event>>,
    queue: &'a mut mpsc::Receiver<Event>,
    report: Arc<Shared>,
}

/// A batch on its way, counted as unsent unless it was dealt with.
struct InFlight {
    events: Vec<Event>,
    report: Arc<Shared>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let unsent = self.events.len() as u64;
        self.report.update(|report| report.unsent += unsent);
    }
}

impl Drop for Sender<'_> {
    fn drop(&mut self) {
        let held: usize = self.held.iter().map(Vec::len).sum();
        let mut unsent = held as u64;
        while self.queue.try_recv().is_ok() {
            unsent += 1;
        }
        self.report.update(|report| report.unsent += unsent);
    }
}

impl Sender<'_> {
    /// Waits for events and takes a batch; false at the end of the queue.
    async fn take(&mut self) -> bool {
        let mut batch = Vec::new();
        let taken = self.queue.recv_many(&mut batch, BATCH_EVENTS).await;
        self.held.push(batch);
        taken > 0
    }

    /// Sends a batch until it is dealt with. Parts of it that are to be sent by themselves are
    /// put in hand.
    async fn send(&mut self, events: Vec<Event>) {
        let mut in_flight = InFlight { events, report: self.report.clone() };
        let mut wait = FIRST_WAIT;
        while !in_flight.events.is_empty() {
            if self.report.get().gave_up.is_some() {
                return;
            }
            let answer = self.endpoint.post(&in_flight.events).await;
            if let Answer::Later { why, after } = answer {
                self.retry_later(why, after.unwrap_or_else(|| jittered(wait))).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                continue;
            }
            self.report.update(|report| report.retrying = None);
            self.settle(answer, &mut in_flight.events);
        }
    }

    async fn retry_later(&self, why: String, wait: Duration) {
        let outage_began = self.report.get().retrying.is_none();
        if outage_began {
            tracing::warn!(error = why, "events wait: the server does not take them yet");
        }
        self.report.update(|report| report.retrying = Some(why));
        tokio::time::sleep(wait).await;
    }

    /// Takes what is dealt with out of `events`.
    fn settle(&mut self, answer: Answer, events: &mut Vec<Event>) {
        match answer {
            Answer::Later { .. } => {}
            Answer::Accepted => {
                let accepted = events.drain(..).count() as u64;
                self.report.update(|report| report.accepted += accepted);
            }
            Answer::Refused { events: refused } => {
                let mut index = 0;
                let mut known = false;
                events.retain(|event| {
                    let reason = refused.iter().find(|(place, _)| *place == index);
                    index += 1;
                    if let Some((_, reason)) = reason {
                        known = true;
                        refuse(&self.report, event, reason);
                    }
                    reason.is_none()
                });
                if !known {
                    let why = "the server refused the batch for events that are not in it";
                    self.settle(Answer::RefusedWhole { why: why.to_owned() }, events);
                }
            }
            // Halving finds the event at fault, or a size that the server takes.
            Answer::RefusedWhole { .. } if events.len() > 1 => {
                let second = events.split_off(events.len() / 2);
                self.held.push(second);
            }
            Answer::RefusedWhole { why } => {
                for event in events.drain(..) {
                    refuse(&self.report, &event, &why);
                }
            }
            Answer::Closed { why } => {
                tracing::error!(error = why, "the server takes no events; no more are sent");
                self.report.update(|report| report.gave_up = Some(why));
            }
        }
    }
}

fn refuse(report: &Shared, event: &Event, reason: &str) {
    let event_type = event.data.event_type();
    tracing::warn!(event.id = %event.id, event.r#type = event_type, error = reason, "the server refused an event");
    report.update(|report| {
        report.refused += 1;
        if report.refusals.len() < MAX_KEPT_REFUSALS {
            let reason = format!("{event_type}: {reason}");
            report.refusals.push(RefusedEvent { id: event.id, reason });
        }
    });
}

/// Somewhere between half of the wait and all of it, so that many senders do not come back at
/// the same moment.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.5..=1.0))
}
