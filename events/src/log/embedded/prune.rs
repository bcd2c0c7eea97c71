//! Taking the measurements out of old telemetry, in place.
//!
//! A pruned record keeps its id, stream, revision, times, type, attributes and what is
//! [kept](crate::EventData::kept) of its data; of the rest the hash stays, by which the chain is
//! still proven. So positions, revisions, retries, readers and the index know no difference.
//!
//! Only full segments are pruned, one at a time: the segment is written anew beside the old one
//! with another salt and format version 2, synced, read again and held against the chain, and
//! then takes its name. A crash leaves one or the other, both whole; to prune again is right.

mod pins;
mod plan;
mod rewrite;

use std::collections::{BTreeMap, HashSet};
use std::io;

pub use self::pins::Around;
pub use self::plan::{Amount, Plan, Policy};
use super::EmbeddedLog;
use super::frame::FRAME_BYTES;
use super::record::RecordView;
use super::segment::Segment;
use crate::catalogue::telemetry::TelemetryKind;
use crate::id::EventId;
use crate::log::ReadError;

/// What is pruned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruning {
    /// Up to which position, by kind. A kind that is not named keeps everything.
    pub until: BTreeMap<TelemetryKind, u64>,
    /// Events that stay whole.
    pub pinned: HashSet<EventId>,
}

/// What was pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Segments that were written anew.
    pub segments: usize,
    /// Records that lost their measurements.
    pub events: u64,
    /// Bytes of those segments before.
    pub bytes_before: u64,
    /// Bytes of those segments now.
    pub bytes_after: u64,
}

/// Why pruning ended early. What was pruned until then is; every segment is whole.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// A segment could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A segment could not be written anew; the old one is in use.
    #[error("pruning {place} failed")]
    Write {
        /// Its file.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// There is no room to write a segment anew beside the old one.
    #[error("the disk has {free} bytes left, pruning a segment needs {needed}")]
    DiskFull {
        /// What is left.
        free: u64,
        /// What is needed: the segment, and what stays free on the disk.
        needed: u64,
    },
}

impl Pruning {
    /// The kind of a record that is to lose its measurements.
    fn takes(&self, position: u64, record: &RecordView<'_>) -> Option<TelemetryKind> {
        let kind = TelemetryKind::of_type(record.event_type)?;
        let within = self.until.get(&kind).is_some_and(|until| position <= *until);
        let takes = within && record.pruned.is_none() && !self.pinned.contains(&record.id);
        takes.then_some(kind)
    }

    /// The last position that it can reach.
    fn end(&self) -> u64 {
        self.until.values().copied().max().unwrap_or_default()
    }
}

impl EmbeddedLog {
    /// Prunes full segments, the oldest first. The log may be read and appended to meanwhile.
    /// Ends early when `stop` says so; `told` hears the last position of every segment that is
    /// done.
    ///
    /// Blocks for as long as it takes to read and write the segments.
    pub fn prune(
        &self,
        pruning: &Pruning,
        stop: &dyn Fn() -> bool,
        told: &mut dyn FnMut(u64),
    ) -> Result<Pruned, PruneError> {
        let mut pruned = Pruned::default();
        let all = self.segments.all();
        for pair in all.windows(2) {
            let [segment, next] = pair else { continue };
            if stop() || segment.header.base > pruning.end() {
                break;
            }
            let last = next.header.base - 1;
            if self.has_any(segment, last, pruning)? {
                self.prune_segment(segment, pruning, &mut pruned)?;
            }
            told(last);
        }
        Ok(pruned)
    }

    /// Whether the segment has a record that is to be pruned.
    fn has_any(&self, segment: &Segment, last: u64, pruning: &Pruning) -> Result<bool, ReadError> {
        let (base, last) = (segment.header.base, last.min(pruning.end()));
        let mut any = false;
        super::reader::scan(&self.segments, base, last, &mut |position, record| {
            any |= pruning.takes(position, record).is_some();
            Ok(())
        })?;
        Ok(any)
    }

    fn prune_segment(
        &self,
        segment: &Segment,
        pruning: &Pruning,
        pruned: &mut Pruned,
    ) -> Result<(), PruneError> {
        let base = segment.header.base;
        {
            let _rewriting = self.segments.rewriting();
            let unread = |error| self.segments.unread(segment, 0, error);
            let Some(old) = self.segments.whole(base).map_err(unread)? else { return Ok(()) };
            let length = old.offsets.last().map_or(0, |end| u64::from(*end) + FRAME_BYTES as u64);
            let free = self.segments.storage().free_bytes().unwrap_or(u64::MAX);
            let needed = length.saturating_add(self.reserve_bytes);
            if free < needed {
                return Err(PruneError::DiskFull { free, needed });
            }
            let salt = (self.salts)();
            let rewritten = rewrite::rewrite(&self.segments, old, salt, pruning)?;
            pruned.segments += 1;
            pruned.events += rewritten.events;
            pruned.bytes_before += length;
            pruned.bytes_after += rewritten.length;
        }
        if let Some(level) = self.compression
            && let Err(error) = self.segments.pack(base, level, &|| false)
        {
            let place = self.segments.place(segment, 0);
            tracing::warn!(log.place = place, %error, "a pruned segment is not compressed");
        }
        Ok(())
    }
}
