//! The event log: the only ground state.
//!
//! Every backend keeps these promises, and the conformance suite holds it to them:
//! - EL-1 an acknowledged append is durable;
//! - EL-2 readers see positions in order, without a gap that later fills;
//! - EL-3 revisions in a stream are gapless;
//! - EL-4 the same event id appended twice is one event and the same answer;
//! - EL-5 a stale expected revision is refused and nothing of the batch is written;
//! - EL-6 on open, a torn unacknowledged tail is dropped; damage anywhere else is an error that
//!   names the place.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod embedded;
#[cfg(feature = "kurrentdb")]
mod kurrentdb;
mod restore;

use ahash::AHashSet;
use futures::future::{BoxFuture, ready};
use futures::stream::BoxStream;

pub use embedded::{Amount, Around, Plan, Policy, PruneError, Pruned, Pruning};
pub use embedded::{Attached, BackedUp, Backup, BackupError, Manifest};
pub use embedded::{ChainHash, EmbeddedLog, OpenError, Options, ParseChainError, Verified, Walked};
#[cfg(feature = "kurrentdb")]
pub use kurrentdb::{KurrentLog, KurrentOpenError, KurrentOptions};
pub use restore::{Restore, RestoreError};

use crate::envelope::{Event, RecordedEvent};
use crate::id::{EventId, StreamId};

/// What the writer believes of the stream it appends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedRevision {
    /// Nothing.
    Any,
    /// The stream has no event yet.
    NoStream,
    /// The stream's last event has this revision.
    Exact(u64),
}

/// Where an event ended up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The event.
    pub id: EventId,
    /// Its number in its stream, from 0.
    pub revision: u64,
    /// Its number in the log, from 1 in the embedded log; only the order means something.
    pub position: u64,
}

/// Why nothing of a batch was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// EL-5.
    #[error("stream {stream:?} is at revision {}, expected {}", shown(*.actual), shown(*.expected))]
    WrongExpectedRevision {
        /// The stream.
        stream: String,
        /// Its last revision; `None` when it has no event.
        actual: Option<u64>,
        /// The revision that was expected; `None` for no stream.
        expected: Option<u64>,
    },
    /// Some ids of the batch are known and others are not, or they are known elsewhere.
    #[error("event {id} was appended before, with other events around it")]
    PartlyKnown {
        /// The first known id.
        id: EventId,
    },
    /// The batch is empty.
    #[error("a batch needs at least one event")]
    Empty,
    /// One id twice in a batch.
    #[error("event {id} stands in the batch twice")]
    RepeatedId {
        /// The id.
        id: EventId,
    },
    /// The batch is larger than the log takes at once.
    #[error("a batch takes at most {max_bytes} bytes, got {got_bytes}")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
        /// What was given.
        got_bytes: usize,
    },
    /// The queue before the log is full; nothing was written and a retry is in place.
    #[error("the log's queue is full")]
    Overloaded,
    /// The disk has no room for the batch. Nothing was written; the log takes events again once
    /// there is room.
    #[error("the disk of the log is full: nothing was written, and it goes on when there is room")]
    DiskFull,
    /// The log can no longer write. The events may or may not be durable; after a restart a
    /// retry with the same ids finds out.
    #[error("the log stopped writing: {0}")]
    Poisoned(String),
    /// The server that keeps the log did not answer in time. The events may or may not be durable;
    /// a retry with the same ids finds out.
    #[error("the log cannot be reached: {0}")]
    Unavailable(String),
    /// The server that keeps the log refuses, and will until somebody changes something there.
    /// Nothing was written.
    #[error("the log's server refused: {0}")]
    Refused(String),
}

fn shown(revision: Option<u64>) -> String {
    revision.map_or_else(|| "no stream".to_owned(), |revision| revision.to_string())
}

/// What became of events that were offered as new.
#[derive(Debug)]
pub enum Offered {
    /// They are in the log, in the order in which they were offered.
    Appended(Vec<Appended>),
    /// Nothing was written: the log has one of the ids, or takes no events of several streams at
    /// once, or not so many.
    Declined(Vec<(StreamId, Event)>),
}

/// What no log takes, whatever it holds.
fn check_batch(ids: impl ExactSizeIterator<Item = EventId>) -> Result<(), AppendError> {
    if ids.len() == 0 {
        return Err(AppendError::Empty);
    }
    let mut seen = AHashSet::with_capacity(ids.len());
    for id in ids {
        if !seen.insert(id) {
            return Err(AppendError::RepeatedId { id });
        }
    }
    Ok(())
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A read failed.
    #[error("reading the log failed")]
    Io(#[from] std::io::Error),
    /// What is stored is not what was written.
    #[error("the log is damaged at {place}: {what}")]
    Damaged {
        /// File and offset, or stream and revision.
        place: String,
        /// What is wrong there.
        what: String,
    },
}

/// An append-only log of events in streams.
///
/// Positions rise with time and are otherwise opaque; 0 is before the first event. Revisions
/// count from 0 in each stream.
pub trait EventLog: Send + Sync + 'static {
    /// Appends `events` to `stream`, all or none, and answers in their order when they are
    /// durable. The same ids again answer the same coordinates, whatever revision is expected.
    fn append(
        &self,
        stream: StreamId,
        expected: ExpectedRevision,
        events: Vec<Event>,
    ) -> BoxFuture<'_, Result<Vec<Appended>, AppendError>>;

    /// Appends events to any streams, all or none, if the log has none of their ids.
    fn append_new(
        &self,
        events: Vec<(StreamId, Event)>,
    ) -> BoxFuture<'_, Result<Offered, AppendError>> {
        Box::pin(ready(Ok(Offered::Declined(events))))
    }

    /// At most `limit` events of `stream` from `from_revision` on; empty past the end and for an
    /// unknown stream.
    fn read_stream(
        &self,
        stream: StreamId,
        from_revision: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>>;

    /// At most `limit` events behind position `after`, in order.
    fn read_all(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>>;

    /// The event with this id.
    fn find(&self, id: EventId) -> BoxFuture<'_, Result<Option<RecordedEvent>, ReadError>> {
        Box::pin(async move { Ok(self.find_each(vec![id]).await?.pop()) })
    }

    /// The events with these ids, as far as the log has them, by position.
    fn find_each(&self, ids: Vec<EventId>) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>>;

    /// Everything behind position `after`, then what is appended, as it becomes durable. Ends
    /// when the log closes.
    fn subscribe(&self, after: u64) -> BoxStream<'static, Result<RecordedEvent, ReadError>>;

    /// Position of the last durable event; 0 when there is none.
    fn head(&self) -> u64;

    /// The head, once everything that was being appended when this was asked is durable or
    /// refused: where this process stamps the time of recording, what follows has a later one. A
    /// log whose server stamps it cannot know, and answers its head.
    fn settled(&self) -> BoxFuture<'_, Result<u64, AppendError>> {
        Box::pin(async { Ok(self.head()) })
    }

    /// The log itself when its files are this process's own: only then can something be taken out
    /// of it.
    fn as_embedded(&self) -> Option<&EmbeddedLog> {
        None
    }

    /// How many events stand behind `position`, for progress and lag. Where positions are dense
    /// that follows from the head.
    fn count_behind(&self, position: u64) -> u64 {
        self.head().saturating_sub(position)
    }
}
