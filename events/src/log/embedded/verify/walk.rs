//! Reading one segment, checking all that can be told without those before it.

use std::io;

use ahash::AHashMap;
use jiff::Timestamp;

use super::places::Sum;
use super::{ChainHash, Walked};
use crate::log::ReadError;
use crate::log::embedded::frame::Header;
use crate::log::embedded::record::RecordView;
use crate::log::embedded::scan::{Scan, Tail};
use crate::log::embedded::segment::{Segment, Segments};

/// Where the reading ends.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// The next segment's header; the last segment has none.
    pub following: Option<Header>,
    /// The last position that is looked at.
    pub head: u64,
}

/// Neighbouring revisions of a stream in one segment.
pub struct Run {
    /// The first.
    pub first: u64,
    /// Its position.
    pub position: u64,
    /// Offset of its frame.
    pub offset: u64,
    /// Behind the last.
    pub next: u64,
    /// What enters the sum for its stream.
    key: u64,
}

/// What a segment holds.
#[derive(Default)]
pub struct Part {
    /// Its groups.
    pub groups: Vec<Walked>,
    /// Its streams.
    pub streams: AHashMap<Box<str>, Run>,
    /// When its first and its last record were recorded.
    pub recorded_at: Option<(Timestamp, Timestamp)>,
    /// What the index must say of it.
    pub sum: Sum,
}

/// Reads a segment up to its end or the head.
pub fn read(segments: &Segments, segment: &Segment, bounds: Bounds) -> Result<Part, ReadError> {
    let unread = |offset: u64| move |error| segments.unread(segment, offset, error);
    let whole = segments.whole(segment.header.base).map_err(unread(0))?;
    let whole = whole.ok_or_else(|| io::Error::other("the segment is gone"))?;
    // Pruned meanwhile, it continues what it continued.
    let header = whole.segment.header;
    let damaged = |offset: u64, what: String| ReadError::Damaged {
        place: segments.place(segment, offset),
        what,
    };
    let mut part = Part::default();
    let mut scan = Scan::begin(header, whole.file).map_err(unread(0))?;
    let mut last = header.base - 1;
    while bounds.following.is_some() || last < bounds.head {
        let at = scan.offset();
        let frame = scan.next_frame().map_err(unread(at))?;
        let Some(frame) = frame.map_err(|what| damaged(at, what))? else { break };
        for (position, record) in &frame.records {
            part.record(*position, at, record).map_err(|what| damaged(at, what))?;
        }
        last = frame.last;
        part.groups.push(Walked { position: last, chain: ChainHash(frame.chain) });
    }
    let found = scan.finish()?;
    let Some(following) = bounds.following else {
        return match last < bounds.head {
            true => Err(damaged(found.end, format!("positions from {} are missing", last + 1))),
            false => Ok(part),
        };
    };
    if !matches!(found.tail, Tail::Sealed) {
        return Err(damaged(found.end, "the segment is full and has no seal".to_owned()));
    }
    if (following.base, following.chain) != (found.next, found.chain) {
        let what = format!("the next segment does not continue position {}", found.next - 1);
        return Err(damaged(found.end, what));
    }
    if whole.offsets != found.offsets {
        let what = format!("the offsets of segment {} are not its records'", header.base);
        return Err(super::places::in_the_index(what));
    }
    Ok(part)
}

impl Part {
    fn record(
        &mut self,
        position: u64,
        offset: u64,
        record: &RecordView<'_>,
    ) -> Result<(), String> {
        let revision = record.revision;
        let key = match self.streams.get_mut(record.stream) {
            None => {
                let key = Sum::stream_key(record.stream);
                let run = Run { first: revision, position, offset, next: revision + 1, key };
                self.streams.insert(record.stream.into(), run);
                key
            }
            Some(run) if run.next == revision => {
                run.next += 1;
                run.key
            }
            Some(run) => {
                return Err(format!(
                    "position {position} has revision {revision} of stream {:?}, expected {}",
                    record.stream, run.next
                ));
            }
        };
        let now = record.recorded_at();
        let (_, before) = self.recorded_at.get_or_insert((now, now));
        if now < *before {
            return Err(format!(
                "position {position} was recorded at {now}, the one before at {before}"
            ));
        }
        *before = now;
        self.sum.add_id(record.id, position, revision);
        self.sum.add_revision(key, revision, position);
        Ok(())
    }
}
