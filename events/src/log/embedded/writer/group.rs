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
    streams: Vec<StreamId>,
    ids: AHashMap<EventId, usize>,
    revisions: AHashMap<StreamId, u64>,
}

impl Group {
    /// Where the group has an event, and in which stream.
    pub fn find(&self, id: EventId) -> Option<(&StreamId, Appended)> {
        let placed = &self.placed[*self.ids.get(&id)?];
        Some((&self.streams[placed.stream], placed.at))
    }

    /// The last revision of a stream, if the group has one.
    pub fn last_revision(&self, stream: &StreamId) -> Option<u64> {
        self.revisions.get(stream).copied()
    }

    /// What the index is told.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.placed.iter().map(|placed| Entry {
            id: placed.at.id,
            stream: self.streams[placed.stream].as_str(),
            revision: placed.at.revision,
            position: placed.at.position,
        })
    }

    /// Gives `drafts` the next places; `next` is the first position of the group.
    pub fn add(
        &mut self,
        stream: StreamId,
        last_revision: Option<u64>,
        drafts: Vec<Draft>,
        next: u64,
    ) -> Vec<Appended> {
        let mut revision = last_revision.map_or(0, |last| last + 1);
        let mut places = Vec::with_capacity(drafts.len());
        self.placed.reserve(drafts.len());
        self.ids.reserve(drafts.len());
        for draft in drafts {
            let position = next + self.placed.len() as u64;
            let at = Appended { id: draft.id, revision, position };
            self.push(draft, at, None);
            places.push(at);
            revision += 1;
        }
        self.revisions.insert(stream.clone(), revision - 1);
        self.streams.push(stream);
        places
    }

    /// Gives an event the place that it had.
    pub fn add_historic(&mut self, event: Historic) {
        let Historic { draft, stream, at, recorded_at } = event;
        self.push(draft, at, Some(recorded_at));
        self.revisions.insert(stream.clone(), at.revision);
        self.streams.push(stream);
    }

    /// Adds a record of the stream that is added next.
    fn push(&mut self, draft: Draft, at: Appended, recorded_at: Option<Timestamp>) {
        self.bytes += draft.len();
        self.pruned |= draft.is_pruned;
        self.ids.insert(at.id, self.placed.len());
        self.placed.push(Placed { draft, stream: self.streams.len(), at, recorded_at });
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
        if self.revisions.len() + group.revisions.len() > MAX_CACHED_STREAMS {
            self.revisions.clear();
        }
        self.revisions.extend(group.revisions);
    }

    /// The last revision of a stream, if it is at hand.
    pub fn last_revision(&self, stream: &StreamId) -> Option<u64> {
        self.revisions.get(stream).copied()
    }
}
