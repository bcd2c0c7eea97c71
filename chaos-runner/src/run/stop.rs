//! Ending a run early.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Why a run ends before its method is through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// A person or the system asked for it, by the named signal.
    Signal(&'static str),
    /// The run's deadline passed.
    Deadline(Duration),
    /// An abort condition was met, or could not be checked; in words.
    AbortCondition(String),
    /// An activity could not be carried out.
    ActivityFailed(String),
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signal(name) => write!(f, "interrupted by {name}"),
            Self::Deadline(after) => write!(f, "the deadline of {after:?} passed"),
            Self::AbortCondition(words) => write!(f, "abort condition: {words}"),
            Self::ActivityFailed(what) => f.write_str(what),
        }
    }
}

/// A request to end a run, seen by everyone who waits. The first reason stands.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    token: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
}

impl Stop {
    /// Asks for the end. Answers whether this was the first time.
    pub fn stop(&self, reason: StopReason) -> bool {
        let first = self.reason.set(reason).is_ok();
        self.token.cancel();
        first
    }

    /// Why the run is to end, when it is.
    pub fn reason(&self) -> Option<&StopReason> {
        self.reason.get()
    }

    /// Waits for the request.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// Waits for `time`, or less when the run is to end; answers whether it was the whole time.
    pub async fn sleep(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.stopped() => false,
            () = tokio::time::sleep(time) => true,
        }
    }
}
