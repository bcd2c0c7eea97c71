//! The rebuildable index: where each event of ours is on the server.
//!
//! One keyspace, written by the feed only, so that what a crash leaves of it is a prefix of its
//! history. It is never synced: what it lost, the subscription brings again.
//!
//! | key | value |
//! |---|---|
//! | `i` event id | position, revision, stream id |
//! | `p` position | how many events of ours stand up to there |
//! | `s` stream id | last revision |
//! | `a` | commit and prepare position that were read, head, id of the event at the head, how many were passed over, how many are ours |
//!
//! Numbers are big-endian, so that positions are in order.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use uuid::Uuid;

use crate::id::EventId;

const SEEN: &[u8] = b"a";

/// The index.
pub struct Index {
    database: Database,
    entries: Keyspace,
}

/// How far the server's log was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Where the subscription resumes; `None` before anything was read.
    pub checkpoint: Option<(u64, u64)>,
    /// Position of the last event of ours; 0 when there is none.
    pub head: u64,
    /// That event.
    pub at_head: Uuid,
    /// How many events were marked like ours and are not.
    pub passed_over: u64,
    /// How many events of ours there are.
    pub events: u64,
}

/// Where an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its position.
    pub position: u64,
    /// Its revision.
    pub revision: u64,
    /// Its stream.
    pub stream: String,
}

impl Index {
    /// Opens or creates it.
    pub fn open(path: &Path) -> Result<Self, fjall::Error> {
        let database = Database::builder(path).cache_size(8 << 20).worker_threads(1).open()?;
        let entries = database
            .keyspace("entries", || KeyspaceCreateOptions::default().max_memtable_size(8 << 20))?;
        Ok(Self { database, entries })
    }

    /// How far it has read.
    pub fn seen(&self) -> Result<Seen, fjall::Error> {
        let Some(value) = self.entries.get(SEEN)? else { return Ok(Seen::default()) };
        Ok(Seen {
            checkpoint: Some((number(&value, 0), number(&value, 8))),
            head: number(&value, 16),
            at_head: Uuid::from_bytes(*value[24..].first_chunk().expect("written whole")),
            passed_over: number(&value, 40),
            events: number(&value, 48),
        })
    }

    /// Where an event is.
    pub fn find(&self, id: EventId) -> Result<Option<Place>, fjall::Error> {
        let value = self.entries.get(id_key(id))?;
        Ok(value.map(|value| Place {
            position: number(&value, 0),
            revision: number(&value, 8),
            stream: String::from_utf8_lossy(&value[16..]).into_owned(),
        }))
    }

    /// The first position behind `after` that an event of ours has.
    pub fn first_behind(&self, after: u64) -> Result<Option<u64>, fjall::Error> {
        let Some(from) = after.checked_add(1) else { return Ok(None) };
        let Some(first) = self.entries.range(position_key(from)..=position_key(u64::MAX)).next()
        else {
            return Ok(None);
        };
        Ok(Some(number(&first.key()?, 1)))
    }

    /// The last revision of a stream.
    pub fn last_revision(&self, stream: &str) -> Result<Option<u64>, fjall::Error> {
        Ok(self.entries.get(stream_key(stream))?.map(|value| number(&value, 0)))
    }

    /// How many events of ours stand behind a position, of `all`.
    pub fn count_behind(&self, position: u64, all: u64) -> Result<u64, fjall::Error> {
        let upto = self.entries.range(position_key(0)..=position_key(position)).next_back();
        let upto = upto.map(|entry| Ok::<_, fjall::Error>(number(&entry.value()?, 0)));
        Ok(all.saturating_sub(upto.transpose()?.unwrap_or(0)))
    }

    /// Adds events, the last ones of those counted in `seen`, and that everything up to `seen` was read, in one step.
    pub fn add(&self, events: &[(EventId, Place)], seen: &Seen) -> Result<(), fjall::Error> {
        let mut batch = self.database.batch();
        let before = seen.events - events.len() as u64;
        for ((id, place), count) in events.iter().zip(before + 1..) {
            let mut value = Vec::with_capacity(16 + place.stream.len());
            value.extend_from_slice(&place.position.to_be_bytes());
            value.extend_from_slice(&place.revision.to_be_bytes());
            value.extend_from_slice(place.stream.as_bytes());
            batch.insert(&self.entries, id_key(*id), value);
            batch.insert(&self.entries, position_key(place.position), count.to_be_bytes());
            batch.insert(&self.entries, stream_key(&place.stream), place.revision.to_be_bytes());
        }
        let (commit, prepare) = seen.checkpoint.unwrap_or_default();
        let mut value = Vec::with_capacity(56);
        for number in [commit, prepare, seen.head] {
            value.extend_from_slice(&number.to_be_bytes());
        }
        value.extend_from_slice(seen.at_head.as_bytes());
        value.extend_from_slice(&seen.passed_over.to_be_bytes());
        value.extend_from_slice(&seen.events.to_be_bytes());
        batch.insert(&self.entries, SEEN, value);
        batch.commit()
    }
}

fn id_key(id: EventId) -> [u8; 17] {
    let mut key = [b'i'; 17];
    key[1..].copy_from_slice(id.0.as_bytes());
    key
}

fn position_key(position: u64) -> [u8; 9] {
    let mut key = [b'p'; 9];
    key[1..].copy_from_slice(&position.to_be_bytes());
    key
}

fn stream_key(stream: &str) -> Vec<u8> {
    [b"s", stream.as_bytes()].concat()
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(*bytes[at..].first_chunk().expect("entries are written whole"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(position: u64, revision: u64) -> Place {
        Place { position, revision, stream: "s".to_owned() }
    }

    #[test]
    fn what_was_added_is_found_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (EventId::generate(), EventId::generate());
        let seen = Seen {
            checkpoint: Some((70, 60)),
            head: 50,
            at_head: second.0,
            passed_over: 3,
            events: 2,
        };
        {
            let index = Index::open(folder.path()).unwrap();
            assert_eq!(index.seen().unwrap(), Seen::default());
            index.add(&[(first, place(7, 0)), (second, place(50, 1))], &seen).unwrap();
        }
        let index = Index::open(folder.path()).unwrap();
        assert_eq!(index.seen().unwrap(), seen);
        assert_eq!(index.find(second).unwrap(), Some(place(50, 1)));
        assert_eq!(index.find(EventId::generate()).unwrap(), None);
        assert_eq!(index.last_revision("s").unwrap(), Some(1));
        assert_eq!(index.last_revision("").unwrap(), None);
        for (after, behind) in [(0, Some(7)), (6, Some(7)), (7, Some(50)), (50, None)] {
            assert_eq!(index.first_behind(after).unwrap(), behind);
        }
        for (position, count) in [(0, 2), (6, 2), (7, 1), (49, 1), (50, 0), (u64::MAX, 0)] {
            assert_eq!(index.count_behind(position, 2).unwrap(), count);
        }
        assert_eq!(index.first_behind(u64::MAX).unwrap(), None);
    }
}
