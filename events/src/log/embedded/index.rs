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

#[cfg(test)]
pub mod memory;

use std::path::Path;

use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, UserValue};

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
pub struct Index(Store);

#[derive(Clone)]
enum Store {
    Disk {
        database: Database,
        entries: Keyspace,
    },
    /// For simulations: a disk of theirs cannot be put behind the other.
    #[cfg(test)]
    Memory(memory::Shared),
}

/// Entries that become visible together.
pub struct Changes(Batch);

enum Batch {
    Disk {
        batch: fjall::OwnedWriteBatch,
        entries: Keyspace,
    },
    #[cfg(test)]
    Memory {
        new: memory::Entries,
        entries: memory::Shared,
    },
}

impl Index {
    /// Opens or creates it.
    pub fn open(path: &Path) -> Result<Self, fjall::Error> {
        let database = Database::builder(path).cache_size(8 << 20).worker_threads(1).open()?;
        let entries = database
            .keyspace("entries", || KeyspaceCreateOptions::default().max_memtable_size(8 << 20))?;
        Ok(Self(Store::Disk { database, entries }))
    }

    fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<UserValue>, fjall::Error> {
        match &self.0 {
            Store::Disk { entries, .. } => entries.get(key),
            #[cfg(test)]
            Store::Memory(entries) => Ok(memory::get(entries, key.as_ref())),
        }
    }

    /// How far it has read; the start when it is new.
    pub fn applied(&self) -> Result<Applied, fjall::Error> {
        let Some(value) = self.get(APPLIED)? else {
            return Ok(Applied { position: 0, chain: CHAIN_START });
        };
        Ok(Applied { position: number(&value, 0), chain: array(&value, 8) })
    }

    /// Position and revision of an event.
    pub fn find(&self, id: EventId) -> Result<Option<(u64, u64)>, fjall::Error> {
        let value = self.get(id_key(id))?;
        Ok(value.map(|value| (number(&value, 0), number(&value, 8))))
    }

    /// Position of one revision of a stream.
    pub fn position(&self, stream: &str, revision: u64) -> Result<Option<u64>, fjall::Error> {
        let value = self.get(stream_key(stream, revision))?;
        Ok(value.map(|value| number(&value, 0)))
    }

    /// The last revision of a stream.
    pub fn last_revision(&self, stream: &str) -> Result<Option<u64>, fjall::Error> {
        let all = stream_key(stream, 0)..=stream_key(stream, u64::MAX);
        let last = match &self.0 {
            Store::Disk { entries, .. } => entries.range(all).next_back().map(Guard::key),
            #[cfg(test)]
            Store::Memory(entries) => memory::last_key(entries, all).map(Ok),
        };
        let Some(key) = last.transpose()? else { return Ok(None) };
        Ok(Some(number(&key, key.len() - 8)))
    }

    /// Positions of at most `limit` revisions of a stream.
    pub fn positions(
        &self,
        stream: &str,
        from_revision: u64,
        limit: usize,
    ) -> Result<Vec<u64>, fjall::Error> {
        let all = stream_key(stream, from_revision)..=stream_key(stream, u64::MAX);
        match &self.0 {
            Store::Disk { entries, .. } => {
                entries.range(all).take(limit).map(|entry| Ok(number(&entry.value()?, 0))).collect()
            }
            #[cfg(test)]
            Store::Memory(entries) => Ok(memory::values(entries, all, limit)
                .iter()
                .map(|value| number(value, 0))
                .collect()),
        }
    }

    /// Loses an entry, as damage would.
    #[cfg(test)]
    pub fn forget(&self, id: EventId) -> Result<(), fjall::Error> {
        match &self.0 {
            Store::Disk { entries, .. } => entries.remove(id_key(id)),
            Store::Memory(entries) => {
                memory::remove(entries, &id_key(id));
                Ok(())
            }
        }
    }

    /// An empty set of changes.
    pub fn changes(&self) -> Changes {
        Changes(match &self.0 {
            Store::Disk { database, entries } => {
                Batch::Disk { batch: database.batch(), entries: entries.clone() }
            }
            #[cfg(test)]
            Store::Memory(entries) => {
                Batch::Memory { new: memory::Entries::new(), entries: entries.clone() }
            }
        })
    }
}

impl Changes {
    /// Adds one event.
    pub fn add(&mut self, id: EventId, stream: &str, revision: u64, position: u64) {
        let mut place = [0; 16];
        place[..8].copy_from_slice(&position.to_be_bytes());
        place[8..].copy_from_slice(&revision.to_be_bytes());
        self.insert(&id_key(id), &place);
        self.insert(&stream_key(stream, revision), &position.to_be_bytes());
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) {
        match &mut self.0 {
            Batch::Disk { batch, entries } => batch.insert(entries, key, value),
            #[cfg(test)]
            Batch::Memory { new, .. } => {
                new.insert(key.to_vec(), value.to_vec());
            }
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Batch::Disk { batch, .. } => batch.len(),
            #[cfg(test)]
            Batch::Memory { new, .. } => new.len(),
        }
    }

    /// Makes them visible, and that the log was read up to `applied`.
    pub fn commit(mut self, applied: Applied) -> Result<(), fjall::Error> {
        let mut value = [0; 40];
        value[..8].copy_from_slice(&applied.position.to_be_bytes());
        value[8..].copy_from_slice(&applied.chain);
        self.insert(APPLIED, &value);
        match self.0 {
            Batch::Disk { batch, .. } => batch.commit(),
            #[cfg(test)]
            Batch::Memory { new, entries } => {
                memory::add(&entries, new);
                Ok(())
            }
        }
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
