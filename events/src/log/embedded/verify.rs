//! Reading a whole log again and holding it against everything that is derived from it.

mod places;
mod walk;

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use ahash::AHashMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::places::Sum;
use self::walk::{Bounds, Part};
use super::EmbeddedLog;
use super::frame::Chain;
use super::segment::Segment;
use crate::envelope::RecordHash;
use crate::log::{EventLog, ReadError};

/// Segments that are read at once: hashing keeps a core busy.
const MAX_THREADS: usize = 4;

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
        fmt::Display::fmt(&RecordHash(self.0), f)
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
        let RecordHash(chain) = text.parse().map_err(|_| ParseChainError(text.to_owned()))?;
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
    /// gapless revisions, times of recording, and that the index has each event by its id and by
    /// its place in its stream, and nothing else. `seen` is told of every group, in order.
    ///
    /// Blocks for as long as it takes to read the log.
    pub fn verify(&self, seen: &mut dyn FnMut(Walked)) -> Result<Verified, ReadError> {
        let head = self.head();
        let index = self.index.read().expect("no reader panics with the lock");
        let index = index.as_ref().ok_or_else(|| io::Error::other("the log is closed"))?;
        let all = self.segments.all();
        let first = all.first().ok_or_else(|| io::Error::other("the log has no segment"))?;
        let mut stitched = Stitched {
            log: self,
            position: first.header.base - 1,
            chain: first.header.chain,
            recorded_at: Timestamp::MIN,
            streams: AHashMap::new(),
            sum: Sum::default(),
        };
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
        let numbers: Vec<usize> = (0..all.len()).collect();
        for numbers in numbers.chunks(threads.min(MAX_THREADS)) {
            let parts: Vec<_> = std::thread::scope(|scope| {
                let readers: Vec<_> = numbers
                    .iter()
                    .map(|number| {
                        let following = all.get(number + 1).map(|next| next.header);
                        let bounds = Bounds { following, head };
                        let segment = &all[*number];
                        scope.spawn(move || walk::read(&self.segments, segment, bounds))
                    })
                    .collect();
                readers.into_iter().map(|reader| reader.join()).collect()
            });
            for (number, part) in numbers.iter().zip(parts) {
                let panicked = |_| io::Error::other("reading a segment panicked");
                stitched.add(&all[*number], part.map_err(panicked)??, seen)?;
            }
        }
        if stitched.position < head {
            let last = all.last().expect("there is a first");
            let what = format!("positions from {} are missing", stitched.position + 1);
            return Err(stitched.damaged(last, 0, what));
        }
        if places::in_index(index, head)? != stitched.sum {
            return Err(places::difference(self, index, head)?);
        }
        Ok(Verified {
            position: stitched.position,
            chain: ChainHash(stitched.chain),
            segments: all.len(),
            streams: stitched.streams.len(),
        })
    }
}

/// The segments that were read so far, as one history.
struct Stitched<'a> {
    log: &'a EmbeddedLog,
    position: u64,
    chain: Chain,
    recorded_at: Timestamp,
    /// The next revision of every stream.
    streams: AHashMap<Box<str>, u64>,
    sum: Sum,
}

impl Stitched<'_> {
    fn add(
        &mut self,
        segment: &Arc<Segment>,
        part: Part,
        seen: &mut dyn FnMut(Walked),
    ) -> Result<(), ReadError> {
        let header = segment.header;
        if (header.base, header.chain) != (self.position + 1, self.chain) {
            let what = format!("the segment does not continue position {}", self.position);
            return Err(self.damaged(segment, 0, what));
        }
        let Part { groups, streams, recorded_at, sum } = part;
        for (stream, run) in streams {
            let next = self.streams.get(&stream).copied().unwrap_or_default();
            if run.first != next {
                let what = format!(
                    "position {} has revision {} of stream {stream:?}, expected {next}",
                    run.position, run.first
                );
                return Err(self.damaged(segment, run.offset, what));
            }
            self.streams.insert(stream, run.next);
        }
        if let Some((first, last)) = recorded_at {
            if first < self.recorded_at {
                let before = self.recorded_at;
                let what = format!(
                    "position {} was recorded at {first}, the one before at {before}",
                    header.base
                );
                return Err(self.damaged(segment, 0, what));
            }
            self.recorded_at = last;
        }
        self.sum += sum;
        for group in groups {
            (self.position, self.chain) = (group.position, group.chain.0);
            seen(group);
        }
        Ok(())
    }

    fn damaged(&self, segment: &Segment, offset: u64, what: String) -> ReadError {
        ReadError::Damaged { place: self.log.segments.place(segment, offset), what }
    }
}
