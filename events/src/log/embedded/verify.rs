//! Reading a whole log again and holding it against everything that is derived from it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::frame::{Chain, Header};
use super::index::Index;
use super::record::RecordView;
use super::scan::{Scan, Tail};
use super::segment::{Segment, file_name};
use super::{EmbeddedLog, in_index};
use crate::id::EventId;
use crate::log::{EventLog, ReadError};

/// The hash of everything up to a position: each group of records adds itself to the hash before.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ChainHash(Chain);

impl From<Chain> for ChainHash {
    fn from(chain: Chain) -> Self {
        Self(chain)
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no chain hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits, got {0:?}")]
pub struct ParseChainError(String);

impl FromStr for ChainHash {
    type Err = ParseChainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseChainError(text.to_owned());
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        let mut chain = Chain::default();
        for (byte, at) in chain.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| refused())?;
        }
        Ok(Self(chain))
    }
}

/// A group of records that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walked {
    /// Its last position.
    pub position: u64,
    /// The chain behind it.
    pub chain: ChainHash,
}

/// A log that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Position of the last event.
    pub position: u64,
    /// The chain behind it: whoever keeps it can tell later that nothing before was altered.
    pub chain: ChainHash,
    /// Segment files.
    pub segments: usize,
    /// Streams.
    pub streams: usize,
}

impl EmbeddedLog {
    /// Reads every record up to the present head: checksums, the hash chain over all segments,
    /// gapless revisions, times of recording, the data itself, and that the index finds each
    /// event by its id and by its place in its stream. `seen` is told of every group.
    ///
    /// Blocks for as long as it takes to read the log.
    pub fn verify(&self, seen: &mut dyn FnMut(Walked)) -> Result<Verified, ReadError> {
        let head = self.head();
        let index = self.index.read().expect("no reader panics with the lock");
        let index = index.as_ref().ok_or_else(|| io::Error::other("the log is closed"))?;
        let segments = self.segments.all();
        let first = segments.first().ok_or_else(|| io::Error::other("the log has no segment"))?;
        let mut walk = Walk {
            log: self,
            index,
            head,
            next: first.header.base,
            chain: first.header.chain,
            recorded_at: Timestamp::MIN,
            revisions: HashMap::new(),
        };
        for (number, segment) in segments.iter().enumerate() {
            let following = segments.get(number + 1).map(|next| next.header);
            // A first batch too large for the segment got one of its own, in the empty one's place.
            if following.is_some_and(|next| next.base == segment.header.base) {
                continue;
            }
            walk.segment(segment, following.as_ref(), seen)?;
        }
        for (stream, next) in &walk.revisions {
            let last = index.last_revision(stream).map_err(in_index)?;
            // A writer may be at work: what is behind the head is not looked at.
            if last.is_none_or(|last| last + 1 < *next) {
                let what = format!("stream {stream:?} ends at {last:?}, expected {}", next - 1);
                return Err(in_the_index(what));
            }
        }
        Ok(Verified {
            position: walk.next - 1,
            chain: ChainHash(walk.chain),
            segments: segments.len(),
            streams: walk.revisions.len(),
        })
    }
}

/// Where the reading is.
struct Walk<'a> {
    log: &'a EmbeddedLog,
    index: &'a Index,
    head: u64,
    next: u64,
    chain: Chain,
    recorded_at: Timestamp,
    /// The next revision of every stream.
    revisions: HashMap<String, u64>,
}

impl Walk<'_> {
    fn segment(
        &mut self,
        segment: &Segment,
        following: Option<&Header>,
        seen: &mut dyn FnMut(Walked),
    ) -> Result<(), ReadError> {
        let header = segment.header;
        let damaged = |offset: u64, what: String| ReadError::Damaged {
            place: self.log.segments.place(segment, offset),
            what,
        };
        if (header.base, header.chain) != (self.next, self.chain) {
            let what = format!("the segment does not continue position {}", self.next - 1);
            return Err(damaged(0, what));
        }
        let mut scan = Scan::begin(header, self.log.segments.file(&file_name(header.base))?)?;
        while following.is_some() || self.next <= self.head {
            let at = scan.offset();
            let Some(frame) = scan.next_frame()?.map_err(|what| damaged(at, what))? else { break };
            for (position, record) in &frame.records {
                self.record(*position, record).map_err(|error| match error {
                    Wrong::Log(what) => damaged(at, what),
                    Wrong::Read(error) => error,
                })?;
            }
            (self.next, self.chain) = (frame.last + 1, frame.chain);
            seen(Walked { position: frame.last, chain: ChainHash(frame.chain) });
        }
        let found = scan.finish()?;
        let Some(following) = following else {
            return match self.next <= self.head {
                true => {
                    Err(damaged(found.end, format!("positions from {} are missing", self.next)))
                }
                false => Ok(()),
            };
        };
        if !matches!(found.tail, Tail::Sealed) {
            return Err(damaged(found.end, "the segment is full and has no seal".to_owned()));
        }
        if (following.base, following.chain) != (found.next, found.chain) {
            let what = format!("the next segment does not continue position {}", found.next - 1);
            return Err(damaged(found.end, what));
        }
        if self.log.segments.offsets(segment)? != found.offsets {
            let what = format!("the offsets of segment {} are not its records'", header.base);
            return Err(in_the_index(what));
        }
        Ok(())
    }

    fn record(&mut self, position: u64, record: &RecordView<'_>) -> Result<(), Wrong> {
        let next = match self.revisions.get_mut(record.stream) {
            Some(next) => next,
            None => self.revisions.entry(record.stream.to_owned()).or_default(),
        };
        if record.revision != *next {
            return Err(Wrong::Log(format!(
                "position {position} has revision {} of stream {:?}, expected {next}",
                record.revision, record.stream
            )));
        }
        *next += 1;
        let recorded_at = record.recorded_at();
        if recorded_at < self.recorded_at {
            let before = self.recorded_at;
            return Err(Wrong::Log(format!(
                "position {position} was recorded at {recorded_at}, the one before at {before}"
            )));
        }
        self.recorded_at = recorded_at;
        record.decode(position).map_err(Wrong::Log)?;
        self.indexed(record.id, record.stream, record.revision, position)
    }

    fn indexed(
        &self,
        id: EventId,
        stream: &str,
        revision: u64,
        position: u64,
    ) -> Result<(), Wrong> {
        let by_id = self.index.find(id).map_err(in_index)?;
        if by_id != Some((position, revision)) {
            let what = format!("event {id} of position {position} is found at {by_id:?}");
            return Err(in_the_index(what).into());
        }
        let by_stream = self.index.position(stream, revision).map_err(in_index)?;
        if by_stream != Some(position) {
            let what = format!(
                "revision {revision} of stream {stream:?} is at position {position} and is found \
                 at {by_stream:?}"
            );
            return Err(in_the_index(what).into());
        }
        Ok(())
    }
}

/// What is wrong with a record.
enum Wrong {
    /// In the log, at the record's frame.
    Log(String),
    /// Elsewhere.
    Read(ReadError),
}

impl From<ReadError> for Wrong {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

fn in_the_index(what: String) -> ReadError {
    ReadError::Damaged {
        place: "the index".to_owned(),
        what: format!("{what}; close the log and delete its index, it is made again"),
    }
}
