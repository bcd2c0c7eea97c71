//! The rebuildable index: which event is where.
//!
//! What was appended last is in memory ([`recent`]), the rest in sorted tables on disk
//! ([`tables`]), to which a thread moves it tens of thousands of events at a time. So an append
//! waits for no index, and an event costs it one insertion into a hash map. What a crash takes
//! from memory, recovery reads from the log again: from [`Index::known`] on.
//!
//! Ids that rise with time (UUIDv7) need no look into the tables to be known as new. Others do, and
//! [`absent`] remembers for the writer what was looked for in vain before.
//!
//! Beside the tables, [`seen`] keeps how far the log was when it last answered: a log that ends
//! before that has lost acknowledged events.

mod absent;
mod background;
#[cfg(test)]
pub mod memory;
mod recent;
mod seen;
mod tables;
mod varint;

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use self::absent::Absent;
pub use self::background::Background;
use self::recent::Recent;
pub use self::recent::{Entries, Entry};
use self::tables::{OnDisk, Tables};
use super::frame::{CHAIN_START, Chain};
use crate::id::EventId;

/// Events whose entries are moved to the tables together. An entry takes about 50 bytes of memory
/// and 100 ns of reading the log again after a crash.
const CHUNK_EVENTS: usize = 65_536;

/// A place in the log's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The last position.
    pub position: u64,
    /// The chain behind it.
    pub chain: Chain,
}

impl Applied {
    /// Before the first event.
    pub const START: Self = Self { position: 0, chain: CHAIN_START };
}

/// One thing that the index says.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// Where an event is.
    Id { id: EventId, position: u64, revision: u64 },
    /// Where a revision is.
    Revision { stream: &'a str, revision: u64, position: u64 },
}

/// The index. Clones share it.
#[derive(Clone)]
pub struct Index {
    tables: Arc<dyn Tables>,
    recent: Arc<RwLock<Recent>>,
    absent: Arc<Mutex<Absent>>,
}

impl Index {
    /// Opens or creates it.
    pub fn open(path: &Path) -> Result<Self, fjall::Error> {
        let (tables, settled, newest) = OnDisk::open(path)?;
        Ok(Self::over(Arc::new(tables), settled, newest))
    }

    fn over(tables: Arc<dyn Tables>, settled: Applied, newest: EventId) -> Self {
        let recent = Arc::new(RwLock::new(Recent::new(settled, newest)));
        Self { tables, recent, absent: Arc::default() }
    }

    /// How far its entries go; what lies behind is to be [added](Self::add) after opening.
    pub fn known(&self) -> Applied {
        self.read(Recent::known)
    }

    /// How far the log is known to have been.
    pub fn applied(&self) -> Result<Applied, fjall::Error> {
        let (seen, known) = (self.tables.seen()?, self.known());
        Ok(if seen.position > known.position { seen } else { known })
    }

    /// Notes how far the log is.
    pub fn see(&self, seen: Applied) -> Result<(), fjall::Error> {
        self.tables.see(seen)
    }

    /// Whether the log has no such event, as far as memory alone can tell.
    pub fn is_new(&self, id: EventId) -> bool {
        matches!(self.read(|recent| recent.find(id)), recent::Answer::Unknown)
    }

    /// Position and revision of an event.
    pub fn find(&self, id: EventId) -> Result<Option<(u64, u64)>, fjall::Error> {
        // Memory first: entries are in the tables before they leave it.
        match self.read(|recent| recent.find(id)) {
            recent::Answer::Found(place) => Ok(Some(place)),
            recent::Answer::Unknown => Ok(None),
            recent::Answer::NotHere { settled } => self.find_in_tables(id, settled),
        }
    }

    /// As [`Self::find`], for what memory did not have behind position `settled`.
    fn find_in_tables(
        &self,
        id: EventId,
        settled: u64,
    ) -> Result<Option<(u64, u64)>, fjall::Error> {
        let absent = || self.absent.lock().expect("nothing panics with the lock");
        if absent().has(settled, id) {
            return Ok(None);
        }
        let found = self.tables.find(id)?;
        if found.is_none() {
            absent().note(settled, id);
        }
        Ok(found)
    }

    /// Position of one revision of a stream.
    pub fn position(&self, stream: &str, revision: u64) -> Result<Option<u64>, fjall::Error> {
        Ok(self.positions(stream, revision, 1)?.pop())
    }

    /// The last revision of a stream.
    pub fn last_revision(&self, stream: &str) -> Result<Option<u64>, fjall::Error> {
        match self.read(|recent| recent.last_revision(stream)) {
            Some(revision) => Ok(Some(revision)),
            None => self.tables.last_revision(stream),
        }
    }

    /// Positions of at most `limit` revisions of a stream.
    pub fn positions(
        &self,
        stream: &str,
        from_revision: u64,
        limit: usize,
    ) -> Result<Vec<u64>, fjall::Error> {
        // What memory has is behind all that the tables have.
        let recent = self.read(|recent| recent.positions(stream, from_revision, limit));
        let (first, positions) = recent;
        let before = usize::try_from(first.saturating_sub(from_revision)).unwrap_or(usize::MAX);
        if before == 0 {
            return Ok(positions);
        }
        let mut all = self.tables.positions(stream, from_revision, limit.min(before))?;
        if all.len() == before {
            all.extend(positions.into_iter().take(limit - before));
        }
        Ok(all)
    }

    /// Shows everything that the index says, in no order.
    pub fn each(&self, show: &mut dyn FnMut(Place<'_>)) -> Result<(), fjall::Error> {
        // What memory shows lies behind `settled`, even where the tables have it already.
        let settled = self.read(|recent| {
            recent.each(show);
            recent.settled().position
        });
        self.tables.each(&mut |place| {
            let (Place::Id { position, .. } | Place::Revision { position, .. }) = place;
            if position <= settled {
                show(place);
            }
        })
    }

    /// Makes the next events of the log known, up to `until`.
    pub fn add<'a>(&self, entries: impl Iterator<Item = Entry<'a>>, until: Applied) {
        self.write(|recent| recent.add(entries, until));
    }

    /// Moves everything to the tables.
    pub fn settle(&self) -> Result<(), fjall::Error> {
        while let Some(entries) = self.write(|recent| recent.begin_move(1)) {
            self.move_to_tables(&entries)?;
        }
        Ok(())
    }

    /// Moves to the tables what is a chunk.
    pub fn settle_chunks(&self) -> Result<(), fjall::Error> {
        while let Some(entries) = self.begin_move() {
            self.move_to_tables(&entries)?;
        }
        Ok(())
    }

    /// What is to be moved to the tables; `None` when that is not a chunk yet, or while the last
    /// is on its way.
    fn begin_move(&self) -> Option<Arc<Entries>> {
        self.write(|recent| recent.begin_move(CHUNK_EVENTS))
    }

    fn move_to_tables(&self, entries: &Entries) -> Result<(), fjall::Error> {
        let newest = self.read(Recent::newest);
        self.tables.add(entries, newest)?;
        self.write(Recent::end_move);
        Ok(())
    }

    /// Events in memory that nobody moves yet.
    fn waiting(&self) -> usize {
        self.read(Recent::waiting)
    }

    fn read<T>(&self, read: impl FnOnce(&Recent) -> T) -> T {
        read(&self.recent.read().expect("nothing panics with the lock"))
    }

    fn write<T>(&self, write: impl FnOnce(&mut Recent) -> T) -> T {
        write(&mut self.recent.write().expect("nothing panics with the lock"))
    }

    /// Loses an entry, as damage would.
    #[cfg(test)]
    pub fn forget(&self, id: EventId) -> Result<(), fjall::Error> {
        self.settle()?;
        self.tables.forget(id)
    }
}
