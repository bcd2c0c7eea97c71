//! The entries on disk: two keyspaces of sorted tables, each addition a table of its own, written
//! in order and synced. Ids mostly rise with time, so that their tables hardly overlap and are
//! hardly ever rewritten.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `ids` | event id | position, revision |
//! | `streams` | stream id, 0, revision | the position of this revision, then for each of the next the distance to the one before |
//! | `streams` | 0 | last position whose entries are all here, hash chain behind it, greatest UUIDv7 |
//!
//! Keys have numbers big-endian, so that a stream's entries are in the order of its revisions;
//! values have varints.

use std::path::Path;
use std::sync::Arc;

use fjall::compaction::Leveled;
use fjall::config::PartitioningPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use super::recent::{Entries, Run};
use super::seen::SeenFile;
use super::varint::{push_varint, read_varint};
use super::{Applied, CHAIN_START, Place};
use crate::id::EventId;
use crate::log::embedded::record::array;

const APPLIED: &[u8] = b"\0";
/// Length of a table that others were merged into.
const TABLE_BYTES: u64 = 8 << 20;
/// Most revisions in one entry.
const RUN_REVISIONS: usize = 256;

/// What the index keeps over a restart.
pub trait Tables: Send + Sync {
    /// Position and revision of an event.
    fn find(&self, id: EventId) -> Result<Option<(u64, u64)>, fjall::Error>;
    /// The last revision of a stream.
    fn last_revision(&self, stream: &str) -> Result<Option<u64>, fjall::Error>;
    /// Positions of at most `limit` revisions of a stream.
    fn positions(&self, stream: &str, from: u64, limit: usize) -> Result<Vec<u64>, fjall::Error>;
    /// Shows everything that they have.
    fn each(&self, show: &mut dyn FnMut(Place<'_>)) -> Result<(), fjall::Error>;
    /// Adds a stretch of the log, whose greatest UUIDv7 is at most `newest`.
    fn add(&self, entries: &Entries, newest: EventId) -> Result<(), fjall::Error>;
    /// How far the log was when it last answered, as far as the last run could note it.
    fn seen(&self) -> Result<Applied, fjall::Error>;
    /// Notes how far the log is.
    fn see(&self, seen: Applied) -> Result<(), fjall::Error>;
    /// Loses an entry, as damage would.
    #[cfg(test)]
    fn forget(&self, id: EventId) -> Result<(), fjall::Error>;
}

/// The entries on disk.
pub struct OnDisk {
    ids: Keyspace,
    streams: Keyspace,
    seen: SeenFile,
    /// Closed behind its keyspaces.
    _database: Database,
}

impl OnDisk {
    /// Opens or creates them; how far they are, and the greatest UUIDv7 among them.
    pub fn open(path: &Path) -> Result<(Self, Applied, EventId), fjall::Error> {
        let database = Database::builder(path).cache_size(8 << 20).worker_threads(1).open()?;
        if database.keyspace_exists("entries") {
            let older = std::io::Error::other("an older version of this software wrote it");
            return Err(older.into());
        }
        // Writing a table takes memory in proportion to its length.
        let compaction = Leveled::default().with_table_target_size(TABLE_BYTES);
        // A random id is looked for in every level: whole filters of a few million ids do not fit
        // into the cache, and would be read and checked again for each.
        let in_parts = PartitioningPolicy::new([false, true]);
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(1 << 20)
                .filter_block_partitioning_policy(in_parts.clone())
                .index_block_partitioning_policy(in_parts.clone())
                .compaction_strategy(Arc::new(compaction.clone()))
        };
        let ids = database.keyspace("ids", options)?;
        let streams = database.keyspace("streams", options)?;
        let (applied, newest) = match streams.get(APPLIED)? {
            None => (Applied { position: 0, chain: CHAIN_START }, uuid::Uuid::nil()),
            Some(value) => {
                let position = u64::from_be_bytes(array(&value, 0));
                let newest = uuid::Uuid::from_bytes(array(&value, 40));
                (Applied { position, chain: array(&value, 8) }, newest)
            }
        };
        let seen = SeenFile::open(&path.with_file_name("seen"))?;
        Ok((Self { ids, streams, seen, _database: database }, applied, EventId(newest)))
    }

    /// The last run that begins at `revision` or before.
    fn run_at(&self, stream: &str, revision: u64) -> Result<Option<Run>, fjall::Error> {
        let before = stream_key(stream, 0)..=stream_key(stream, revision);
        let Some(entry) = self.streams.range(before).next_back() else { return Ok(None) };
        let (key, value) = entry.into_inner()?;
        Ok(Some(run(&key, &value)))
    }
}

impl Tables for OnDisk {
    fn find(&self, id: EventId) -> Result<Option<(u64, u64)>, fjall::Error> {
        let Some(value) = self.ids.get(id.0.as_bytes())? else { return Ok(None) };
        let mut rest = &*value;
        Ok(Some((read_varint(&mut rest), read_varint(&mut rest))))
    }

    fn last_revision(&self, stream: &str) -> Result<Option<u64>, fjall::Error> {
        let run = self.run_at(stream, u64::MAX)?;
        Ok(run.map(|run| run.first + run.positions.len() as u64 - 1))
    }

    fn positions(
        &self,
        stream: &str,
        from_revision: u64,
        limit: usize,
    ) -> Result<Vec<u64>, fjall::Error> {
        let Some(first) = self.run_at(stream, from_revision)? else { return Ok(Vec::new()) };
        let mut positions = Vec::new();
        take(&first, from_revision, limit, &mut positions);
        // An addition that a crash made happen twice can begin its runs elsewhere, so that runs
        // overlap; they say the same.
        let rest = stream_key(stream, first.first + 1)..=stream_key(stream, u64::MAX);
        for entry in self.streams.range(rest) {
            if positions.len() >= limit {
                break;
            }
            let (key, value) = entry.into_inner()?;
            let next = from_revision + positions.len() as u64;
            take(&run(&key, &value), next, limit - positions.len(), &mut positions);
        }
        Ok(positions)
    }

    fn each(&self, show: &mut dyn FnMut(Place<'_>)) -> Result<(), fjall::Error> {
        for entry in self.ids.iter() {
            let (key, value) = entry.into_inner()?;
            let mut rest = &*value;
            let id = EventId(uuid::Uuid::from_bytes(array(&key, 0)));
            let (position, revision) = (read_varint(&mut rest), read_varint(&mut rest));
            show(Place::Id { id, position, revision });
        }
        let mut stream = Vec::new();
        let mut next = 0;
        for entry in self.streams.iter() {
            let (key, value) = entry.into_inner()?;
            let Some(of) = key.len().checked_sub(9) else { continue };
            if *stream != key[..of] {
                stream = key[..of].to_vec();
                next = 0;
            }
            // Runs may overlap.
            let run = run(&key, &value);
            let stream = String::from_utf8_lossy(&stream);
            for (position, revision) in run.positions.iter().zip(run.first..) {
                if revision >= next {
                    show(Place::Revision { stream: &stream, revision, position: *position });
                    next = revision + 1;
                }
            }
        }
        Ok(())
    }

    // Ids come first: half an addition is made again as a whole.
    fn add(&self, entries: &Entries, newest: EventId) -> Result<(), fjall::Error> {
        let Some(until) = entries.until else { return Ok(()) };
        let mut ids: Vec<_> = entries.ids.iter().collect();
        ids.sort_unstable_by_key(|(id, _)| **id);
        let mut ingestion = self.ids.start_ingestion()?;
        let mut value = Vec::with_capacity(20);
        for (id, (position, revision)) in ids {
            value.clear();
            push_varint(&mut value, *position);
            push_varint(&mut value, *revision);
            ingestion.write(id.0.as_bytes(), value.as_slice())?;
        }
        ingestion.finish()?;

        let mut streams: Vec<_> = entries.streams.iter().collect();
        streams.sort_unstable_by_key(|(stream, _)| *stream);
        let mut ingestion = self.streams.start_ingestion()?;
        let applied = [&until.position.to_be_bytes()[..], &until.chain, newest.0.as_bytes()];
        ingestion.write(APPLIED, applied.concat())?;
        for (stream, run) in streams {
            let firsts = (run.first..).step_by(RUN_REVISIONS);
            for (first, positions) in firsts.zip(run.positions.chunks(RUN_REVISIONS)) {
                value.clear();
                let mut before = 0;
                for position in positions {
                    push_varint(&mut value, position - before);
                    before = *position;
                }
                ingestion.write(stream_key(stream, first), value.as_slice())?;
            }
        }
        ingestion.finish()
    }

    fn seen(&self) -> Result<Applied, fjall::Error> {
        Ok(self.seen.read()?)
    }

    fn see(&self, seen: Applied) -> Result<(), fjall::Error> {
        Ok(self.seen.write(seen)?)
    }

    #[cfg(test)]
    fn forget(&self, id: EventId) -> Result<(), fjall::Error> {
        self.ids.remove(id.0.as_bytes())
    }
}

fn take(run: &Run, from: u64, limit: usize, positions: &mut Vec<u64>) {
    let skip = usize::try_from(from.saturating_sub(run.first)).unwrap_or(usize::MAX);
    positions.extend(run.positions.iter().skip(skip).take(limit));
}

fn run(key: &[u8], value: &[u8]) -> Run {
    let first = u64::from_be_bytes(array(key, key.len() - 8));
    let mut rest = value;
    let mut positions = Vec::with_capacity(value.len());
    let mut position = 0;
    while !rest.is_empty() {
        position += read_varint(&mut rest);
        positions.push(position);
    }
    Run { first, positions }
}

/// A stream id has no control character, so the 0 behind it keeps `a` and `ab` apart.
fn stream_key(stream: &str, revision: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(stream.len() + 9);
    key.extend_from_slice(stream.as_bytes());
    key.push(0);
    key.extend_from_slice(&revision.to_be_bytes());
    key
}
