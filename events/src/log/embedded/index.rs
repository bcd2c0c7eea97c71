//! The rebuildable index: which event is where.
//!
//! One keyspace, so that what a crash leaves of it is a prefix of its history, `applied`
//! included. It is never synced for its own sake: what it lost, recovery reads from the log.
//!
//! | key | value |
//! |---|---|
//! | `i` event id | position, revision |
//! | `s` stream id, 0, revision | position |
//! | `a` | last position whose entries are all here, hash chain behind it |
//!
//! Numbers are big-endian, so that a stream's entries are in the order of its revisions.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use super::frame::{CHAIN_START, Chain};
use super::record::array;
use crate::id::EventId;

const APPLIED: &[u8] = b"a";

/// How far the index has read the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The last position.
    pub position: u64,
    /// The chain behind it.
    pub chain: Chain,
}

/// The index. Clones share it.
#[derive(Clone)]
pub struct Index {
    database: Database,
    entries: Keyspace,
}

/// Entries that become visible together.
pub struct Changes {
    batch: fjall::OwnedWriteBatch,
    entries: Keyspace,
}

impl Index {
    /// Opens or creates it.
    pub fn open(path: &Path) -> Result<Self, fjall::Error> {
        let database = Database::builder(path).cache_size(8 << 20).worker_threads(1).open()?;
        let entries = database
            .keyspace("entries", || KeyspaceCreateOptions::default().max_memtable_size(8 << 20))?;
        Ok(Self { database, entries })
    }

    /// How far it has read; the start when it is new.
    pub fn applied(&self) -> Result<Applied, fjall::Error> {
        let Some(value) = self.entries.get(APPLIED)? else {
            return Ok(Applied { position: 0, chain: CHAIN_START });
        };
        Ok(Applied { position: number(&value, 0), chain: array(&value, 8) })
    }

    /// Position and revision of an event.
    pub fn find(&self, id: EventId) -> Result<Option<(u64, u64)>, fjall::Error> {
        let value = self.entries.get(id_key(id))?;
        Ok(value.map(|value| (number(&value, 0), number(&value, 8))))
    }

    /// Position of one revision of a stream.
    pub fn position(&self, stream: &str, revision: u64) -> Result<Option<u64>, fjall::Error> {
        let value = self.entries.get(stream_key(stream, revision))?;
        Ok(value.map(|value| number(&value, 0)))
    }

    /// The last revision of a stream.
    pub fn last_revision(&self, stream: &str) -> Result<Option<u64>, fjall::Error> {
        let all = stream_key(stream, 0)..=stream_key(stream, u64::MAX);
        let Some(last) = self.entries.range(all).next_back() else { return Ok(None) };
        let key = last.key()?;
        Ok(Some(number(&key, key.len() - 8)))
    }

    /// Positions of at most `limit` revisions of a stream.
    pub fn positions(
        &self,
        stream: &str,
        from_revision: u64,
        limit: usize,
    ) -> Result<Vec<u64>, fjall::Error> {
        self.entries
            .range(stream_key(stream, from_revision)..=stream_key(stream, u64::MAX))
            .take(limit)
            .map(|entry| Ok(number(&entry.value()?, 0)))
            .collect()
    }

    /// Loses an entry, as damage would.
    #[cfg(test)]
    pub fn forget(&self, id: EventId) -> Result<(), fjall::Error> {
        self.entries.remove(id_key(id))
    }

    /// An empty set of changes.
    pub fn changes(&self) -> Changes {
        Changes { batch: self.database.batch(), entries: self.entries.clone() }
    }
}

impl Changes {
    /// Adds one event.
    pub fn add(&mut self, id: EventId, stream: &str, revision: u64, position: u64) {
        let mut place = [0; 16];
        place[..8].copy_from_slice(&position.to_be_bytes());
        place[8..].copy_from_slice(&revision.to_be_bytes());
        self.batch.insert(&self.entries, id_key(id), place);
        self.batch.insert(&self.entries, stream_key(stream, revision), position.to_be_bytes());
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Makes them visible, and that the log was read up to `applied`.
    pub fn commit(mut self, applied: Applied) -> Result<(), fjall::Error> {
        let mut value = [0; 40];
        value[..8].copy_from_slice(&applied.position.to_be_bytes());
        value[8..].copy_from_slice(&applied.chain);
        self.batch.insert(&self.entries, APPLIED, value);
        self.batch.commit()
    }
}

fn id_key(id: EventId) -> [u8; 17] {
    let mut key = [b'i'; 17];
    key[1..].copy_from_slice(id.0.as_bytes());
    key
}

/// A stream id has no control character, so the 0 behind it keeps `a` and `ab` apart.
fn stream_key(stream: &str, revision: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(stream.len() + 10);
    key.push(b's');
    key.extend_from_slice(stream.as_bytes());
    key.push(0);
    key.extend_from_slice(&revision.to_be_bytes());
    key
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(array(bytes, at))
}
