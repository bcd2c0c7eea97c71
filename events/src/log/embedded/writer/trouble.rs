//! What a write that failed means for those who wait and for what comes after.

use super::super::active::NotStored;
use crate::log::AppendError;

/// A group that is not in the log, or may not be.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing of it is.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// What happened is unknown until the log is opened again.
    #[error("{what} failed: {source}")]
    Io { what: &'static str, source: std::io::Error },
    #[error("the index failed: {0}")]
    Index(#[from] fjall::Error),
}

/// For an operation named `what`.
pub fn failed(what: &'static str) -> impl FnOnce(NotStored) -> Failure {
    move |error| match error {
        NotStored::DiskFull(source) => Failure::DiskFull(format!("{what} failed: {source}")),
        NotStored::Unknown(source) => Failure::Io { what, source },
    }
}

/// What everyone in a group that is not in the log is told.
#[derive(Clone)]
pub enum Refusal {
    DiskFull,
    Poisoned(String),
}

impl From<Refusal> for AppendError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::DiskFull => Self::DiskFull,
            Refusal::Poisoned(reason) => Self::Poisoned(reason),
        }
    }
}

/// What earlier groups left behind.
#[derive(Default)]
pub struct Trouble {
    /// Why nothing is written any more.
    poison: Option<String>,
    /// The last group found the disk full.
    full: bool,
}

impl Trouble {
    /// Refuses what comes after a write that failed.
    pub fn check(&self) -> Result<(), Refusal> {
        self.poison.clone().map_or(Ok(()), |reason| Err(Refusal::Poisoned(reason)))
    }

    /// Something was written; `head` is the last durable position.
    pub fn written(&mut self, head: u64) {
        if std::mem::take(&mut self.full) {
            tracing::info!(log.head = head, "the disk has room again");
        }
    }

    /// Something was not written. That is the last write, but for a full disk.
    pub fn failed(&mut self, failure: Failure, head: u64) -> Refusal {
        if let Failure::DiskFull(what) = failure {
            if !std::mem::replace(&mut self.full, true) {
                tracing::warn!(
                    log.head = head,
                    "nothing is appended until the disk has room: {what}"
                );
            }
            return Refusal::DiskFull;
        }
        let reason = format!(
            "{failure}; whether the last events are durable is unknown: check the disk and open \
             the log again, which finds out"
        );
        tracing::error!(log.head = head, "{reason}");
        Refusal::Poisoned(self.poison.insert(reason).clone())
    }
}
