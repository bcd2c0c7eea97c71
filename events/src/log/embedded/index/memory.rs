//! Tables as maps in memory, for simulations: a disk of theirs cannot be put behind the others.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use super::recent::{Entries as Stretch, Entry};
use super::tables::Tables;
use super::{Applied, Index, Place};
use crate::id::EventId;

/// All that an index says.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries {
    ids: BTreeMap<EventId, (u64, u64)>,
    revisions: BTreeMap<(Box<str>, u64), u64>,
    applied: Applied,
}

impl Default for Entries {
    fn default() -> Self {
        Self { ids: BTreeMap::new(), revisions: BTreeMap::new(), applied: Applied::START }
    }
}

impl Entries {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }
}

type Shared = Arc<RwLock<Entries>>;

/// Entries that become visible together.
pub struct Changes {
    index: Index,
    entries: Vec<(EventId, String, u64, u64)>,
}

impl Changes {
    /// Adds one event.
    pub fn add(&mut self, id: EventId, stream: &str, revision: u64, position: u64) {
        self.entries.push((id, stream.to_owned(), revision, position));
    }

    /// Makes them visible, and that the log was read up to `applied`.
    pub fn commit(self, applied: Applied) -> Result<(), fjall::Error> {
        let entries = self.entries.iter().map(|(id, stream, revision, position)| Entry {
            id: *id,
            stream,
            revision: *revision,
            position: *position,
        });
        self.index.add(entries, applied);
        self.index.settle()
    }
}

impl Index {
    /// An index that is only as durable as the process.
    pub fn in_memory(entries: Entries) -> Self {
        let v7 = |id: &&EventId| id.0.get_version_num() == 7;
        let newest = entries.ids.keys().filter(v7).max().copied();
        let newest = newest.unwrap_or(EventId(uuid::Uuid::nil()));
        let applied = entries.applied;
        Self::over(Arc::new(InMemory(Shared::new(RwLock::new(entries)))), applied, newest)
    }

    /// What it says.
    pub fn entries(&self) -> Entries {
        let mut all = Entries { applied: self.known(), ..Entries::new() };
        self.each(&mut |place| match place {
            Place::Id { id, position, revision } => {
                all.ids.insert(id, (position, revision));
            }
            Place::Revision { stream, revision, position } => {
                all.revisions.insert((stream.into(), revision), position);
            }
        })
        .unwrap();
        all
    }

    /// Whether it says this and nothing else.
    pub fn holds(&self, expected: &Entries) -> bool {
        self.entries() == *expected
    }

    /// An empty set of changes.
    pub fn changes(&self) -> Changes {
        Changes { index: self.clone(), entries: Vec::new() }
    }
}

struct InMemory(Shared);

impl Tables for InMemory {
    fn find(&self, id: EventId) -> Result<Option<(u64, u64)>, fjall::Error> {
        Ok(self.0.read().unwrap().ids.get(&id).copied())
    }

    fn last_revision(&self, stream: &str) -> Result<Option<u64>, fjall::Error> {
        let entries = self.0.read().unwrap();
        let revisions = (stream.into(), 0)..=(stream.into(), u64::MAX);
        Ok(entries.revisions.range(revisions).next_back().map(|((_, revision), _)| *revision))
    }

    fn positions(&self, stream: &str, from: u64, limit: usize) -> Result<Vec<u64>, fjall::Error> {
        let entries = self.0.read().unwrap();
        let revisions = (stream.into(), from)..=(stream.into(), u64::MAX);
        Ok(entries.revisions.range(revisions).take(limit).map(|(_, position)| *position).collect())
    }

    fn each(&self, show: &mut dyn FnMut(Place<'_>)) -> Result<(), fjall::Error> {
        let entries = self.0.read().unwrap();
        for (id, (position, revision)) in &entries.ids {
            show(Place::Id { id: *id, position: *position, revision: *revision });
        }
        for ((stream, revision), position) in &entries.revisions {
            show(Place::Revision { stream, revision: *revision, position: *position });
        }
        Ok(())
    }

    fn add(&self, new: &Stretch, _: EventId) -> Result<(), fjall::Error> {
        let mut entries = self.0.write().unwrap();
        entries.ids.extend(&new.ids);
        for (stream, run) in &new.streams {
            for (position, revision) in run.positions.iter().zip(run.first..) {
                entries.revisions.insert((stream.clone(), revision), *position);
            }
        }
        entries.applied = new.until.unwrap();
        Ok(())
    }

    fn seen(&self) -> Result<Applied, fjall::Error> {
        Ok(self.0.read().unwrap().applied)
    }

    fn see(&self, _: Applied) -> Result<(), fjall::Error> {
        Ok(())
    }

    fn forget(&self, id: EventId) -> Result<(), fjall::Error> {
        self.0.write().unwrap().ids.remove(&id);
        Ok(())
    }
}
