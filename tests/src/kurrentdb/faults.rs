//! What the double does wrong on purpose.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

/// What happens to one append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut before anything is written.
    CutBeforeWrite,
    /// The connection is cut when it is written, before the answer.
    CutAfterWrite,
    /// `UNAVAILABLE`, nothing written.
    Unavailable,
    /// `UNKNOWN`, although it is written.
    UnknownAfterWrite,
    /// It is written, and the answer comes this much later.
    SlowAnswer(Duration),
    /// This node is not the leader and does not know who is.
    NoLeader,
    /// A wrong expected version, whatever is expected.
    WrongVersion,
    /// An answer without a result.
    EmptyAnswer,
}

/// Faults that wait for their append, and for their subscription.
#[derive(Default)]
pub struct Faults {
    appends: Mutex<VecDeque<Fault>>,
    cut_after: Mutex<Option<usize>>,
}

impl Faults {
    /// The next append suffers `fault`; several queue up.
    pub fn on_append(&self, fault: Fault) {
        self.appends.lock().expect("no holder panics").push_back(fault);
    }

    /// Every subscription's connection is cut after so many events, until this is taken back.
    pub fn cut_subscriptions_after(&self, events: Option<usize>) {
        *self.cut_after.lock().expect("no holder panics") = events;
    }

    pub(super) fn next(&self) -> Option<Fault> {
        self.appends.lock().expect("no holder panics").pop_front()
    }

    pub(super) fn cut_after(&self) -> Option<usize> {
        *self.cut_after.lock().expect("no holder panics")
    }

    /// Whether every fault has happened.
    pub fn are_over(&self) -> bool {
        self.appends.lock().expect("no holder panics").is_empty()
    }
}
