//! Taking over the history of another log.

use futures::future::BoxFuture;
use jiff::Timestamp;

use super::{AppendError, EventLog, ReadError};
use crate::envelope::RecordedEvent;
use crate::id::EventId;

/// A log that can hold the history of another one exactly: the same positions, revisions and
/// times of recording, so that everything that is derived from it comes out the same.
pub trait Restore: EventLog {
    /// Adds `events`, which stand in the order of their positions, behind the last event, all or
    /// none, and answers when they are durable. Those that the log has already are held against
    /// what it has and passed over, so that an interrupted restoration can be begun again.
    /// Answers how many were new.
    fn restore(&self, events: Vec<RecordedEvent>) -> BoxFuture<'_, Result<usize, RestoreError>>;
}

/// Why nothing of a history was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The log holds another event at this place.
    #[error("position {position} holds event {found}, expected {expected}: another history")]
    Diverges {
        /// Where.
        position: u64,
        /// What the log has.
        found: EventId,
        /// What was to be restored.
        expected: EventId,
    },
    /// The log holds this event at this place and says something else of it.
    #[error("position {position} holds event {id} with another content, stream or time")]
    Differs {
        /// Where.
        position: u64,
        /// The event.
        id: EventId,
    },
    /// An event is missing, or stands at another place than it had.
    #[error("expected the event of position {expected}, got that of position {got}")]
    Position {
        /// What follows on the log.
        expected: u64,
        /// What was given.
        got: u64,
    },
    /// The revision is not the next of its stream.
    #[error("position {position}: expected revision {expected} of stream {stream:?}, got {got}")]
    Revision {
        /// Where.
        position: u64,
        /// The stream.
        stream: String,
        /// What follows.
        expected: u64,
        /// What was given.
        got: u64,
    },
    /// The id is in the log, or in the batch, at another place.
    #[error("position {position}: event {id} is in the log already")]
    KnownId {
        /// Where.
        position: u64,
        /// The event.
        id: EventId,
    },
    /// The time of recording goes back.
    #[error("position {position}: recorded at {got}, the event before at {latest}")]
    RecordedAt {
        /// Where.
        position: u64,
        /// When the event before was recorded.
        latest: Timestamp,
        /// What was given.
        got: Timestamp,
    },
    /// The log takes nothing, or not that much at once.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// What the log has could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl RestoreError {
    /// Position of the event that was refused, if it was one.
    pub fn position(&self) -> Option<u64> {
        match self {
            Self::Diverges { position, .. }
            | Self::Differs { position, .. }
            | Self::Position { got: position, .. }
            | Self::Revision { position, .. }
            | Self::KnownId { position, .. }
            | Self::RecordedAt { position, .. } => Some(*position),
            Self::Append(_) | Self::Read(_) => None,
        }
    }
}
