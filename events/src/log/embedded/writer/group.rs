//! The records of one group, before they are durable.

use ahash::AHashMap;
use jiff::Timestamp;

use super::super::index::Entry;
use super::super::record::Draft;
use super::Historic;
use crate::id::{EventId, StreamId};
use crate::log::Appended;

/// Streams whose last revision is kept at hand.
const MAX_CACHED_STREAMS: usize = 16_384;

/// A record with its place.
pub struct Placed {
    /// The record.
    pub draft: Draft,
    /// Its stream, by its number in the group.
    stream: usize,
    /// Its place.
    pub at: Appended,
    /// When another log recorded it; `None` is now.
    pub recorded_at: Option<Timestamp>,
}

/// What the requests of a group add to the log, before it knows.
#[derive(Default)]
pub struct Group {
    /// The records.
    pub placed: Vec<Placed>,
    /// Their length.
    pub bytes: usize,
    /// Whether some of them were pruned in the log that they come from.
    pub pruned: bool,
    /// The streams with their last revisions.
    streams: Vec<(StreamId, Option<u64>)>,
    numbers: AHashMap<StreamId, usize>,
    ids: AHashMap<EventId, usize>,
}

impl Group {
    /// Where the group has an event, and in which stream.
    pub fn find(&self, id: EventId) -> Option<(&StreamId, Appended)> {
        let placed = &self.placed[*self.ids.get(&id)?];
        Some((&self.streams[placed.stream].0, placed.at))
    }

    /// The last revision of a stream, if the group has one.
    pub fn last_revision(&self, stream: &StreamId) -> Option<u64> {
        self.streams[self.number(stream)?].1
    }

    /// What the index is told.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.placed.iter().map(|placed| Entry {
            id: placed.at.id,
            stream: self.streams[placed.stream].0.as_str(),
            revision: placed.at.revision,
            position: placed.at.position,
        })
    }

    /// Makes room for events that are about to be added.
    pub fn reserve(&mut self, events: usize) {
        self.placed.reserve(events);
        self.ids.reserve(events);
    }

    /// The number of a stream in the group, where it has one.
    pub fn number(&self, stream: &StreamId) -> Option<usize> {
        self.numbers.get(stream).copied()
    }

    /// Gives a stream, of which the log has the revisions up to `last`, a number if it has none.
    pub fn stream(&mut self, stream: StreamId, last: Option<u64>) -> usize {
        *self.numbers.entry(stream).or_insert_with_key(|stream| {
            self.streams.push((stream.clone(), last));
            self.streams.len() - 1
        })
    }

    /// Gives an event the next place of the stream with this number; `first` is the first position
    /// of the group.
    pub fn add(&mut self, stream: usize, draft: Draft, first: u64) -> Appended {
        let revision = self.streams[stream].1.map_or(0, |last| last + 1);
        let at = Appended { id: draft.id, revision, position: first + self.placed.len() as u64 };
        self.push(stream, draft, at, None);
        at
    }

    /// Gives an event the place that it had.
    pub fn add_historic(&mut self, event: Historic) {
        let Historic { draft, stream, at, recorded_at } = event;
        let stream = self.stream(stream, None);
        self.push(stream, draft, at, Some(recorded_at));
    }

    fn push(&mut self, stream: usize, draft: Draft, at: Appended, recorded_at: Option<Timestamp>) {
        self.streams[stream].1 = Some(at.revision);
        self.bytes += draft.len();
        self.pruned |= draft.is_pruned;
        self.ids.insert(at.id, self.placed.len());
        self.placed.push(Placed { draft, stream, at, recorded_at });
    }
}

/// What the thread keeps from group to group to do less; nothing depends on it.
#[derive(Default)]
pub struct Kept {
    /// The last revision of some streams.
    revisions: AHashMap<StreamId, u64>,
    /// The memory of the last frame.
    pub buffer: Vec<u8>,
}

impl Kept {
    /// A group became durable.
    pub fn add(&mut self, group: Group) {
        if self.revisions.len() + group.streams.len() > MAX_CACHED_STREAMS {
            self.revisions.clear();
        }
        let last = |(stream, last): (StreamId, Option<u64>)| Some((stream, last?));
        self.revisions.extend(group.streams.into_iter().filter_map(last));
    }

    /// The last revision of a stream, if it is at hand.
    pub fn last_revision(&self, stream: &StreamId) -> Option<u64> {
        self.revisions.get(stream).copied()
    }
}
