//! The entries that are not in the tables yet.

use std::sync::Arc;

use ahash::AHashMap;

use super::{Applied, Place};
use crate::id::EventId;

/// Where one event is.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// The event.
    pub id: EventId,
    /// Its stream.
    pub stream: &'a str,
    /// Its number there.
    pub revision: u64,
    /// Its number in the log.
    pub position: u64,
}

/// What memory knows of an id.
pub enum Answer {
    /// Position and revision.
    Found((u64, u64)),
    /// The log has no such event.
    Unknown,
    /// The tables, which end at `settled`, have to be asked.
    NotHere { settled: u64 },
}

/// Neighbouring revisions of a stream.
pub struct Run {
    /// The first of them.
    pub first: u64,
    /// The position of each.
    pub positions: Vec<u64>,
}

/// The entries of a stretch of the log.
#[derive(Default)]
pub struct Entries {
    /// Position and revision by id.
    pub ids: AHashMap<EventId, (u64, u64)>,
    /// Revisions by stream.
    pub streams: AHashMap<Box<str>, Run>,
    /// Where the stretch ends.
    pub until: Option<Applied>,
}

/// The entries since the tables' last, the ones that are just being moved there first.
///
/// New UUIDv7 are greater than all of the log, or than all but those that came in at the same
/// time, as far as the clocks of those who append agree: the tables need not be asked for them.
pub struct Recent {
    settled: Applied,
    /// No UUIDv7 of the tables is greater.
    newest_settled: EventId,
    moving: Option<Moving>,
    filling: Entries,
    /// No UUIDv7 of the log is greater.
    newest: EventId,
}

/// What is on its way to the tables.
struct Moving {
    entries: Arc<Entries>,
    /// No UUIDv7 up to there is greater.
    newest: EventId,
}

impl Recent {
    /// Nothing behind `settled`.
    pub fn new(settled: Applied, newest: EventId) -> Self {
        Self { settled, newest_settled: newest, moving: None, filling: Entries::default(), newest }
    }

    /// How far the tables are.
    pub fn settled(&self) -> Applied {
        self.settled
    }

    /// How far the tables and memory are together.
    pub fn known(&self) -> Applied {
        self.stretches().find_map(|entries| entries.until).unwrap_or(self.settled)
    }

    /// The greatest UUIDv7.
    pub fn newest(&self) -> EventId {
        self.newest
    }

    /// The stretches, the newer first.
    fn stretches(&self) -> impl Iterator<Item = &Entries> {
        [Some(&self.filling), self.moved()].into_iter().flatten()
    }

    fn moved(&self) -> Option<&Entries> {
        self.moving.as_ref().map(|moving| &*moving.entries)
    }

    /// What is known of an id.
    pub fn find(&self, id: EventId) -> Answer {
        if is_v7(id) && id > self.newest {
            return Answer::Unknown;
        }
        let mut found = self.stretches().filter_map(|entries| entries.ids.get(&id));
        match found.next() {
            Some(place) => Answer::Found(*place),
            None if is_v7(id) && id > self.newest_settled => Answer::Unknown,
            None => Answer::NotHere { settled: self.settled.position },
        }
    }

    /// The last revision of a stream, if memory has it.
    pub fn last_revision(&self, stream: &str) -> Option<u64> {
        let run = self.stretches().find_map(|entries| entries.streams.get(stream))?;
        Some(run.first + run.positions.len() as u64 - 1)
    }

    /// The first revision that memory has of a stream, `u64::MAX` for none, and the positions of
    /// at most `limit` revisions from `from` or from that one on.
    pub fn positions(&self, stream: &str, from: u64, limit: usize) -> (u64, Vec<u64>) {
        let mut first = u64::MAX;
        let mut positions = Vec::new();
        for entries in [self.moved(), Some(&self.filling)].into_iter().flatten() {
            let Some(run) = entries.streams.get(stream) else { continue };
            first = first.min(run.first);
            let skip = usize::try_from(from.saturating_sub(run.first)).unwrap_or(usize::MAX);
            let wanted = run.positions.iter().skip(skip).take(limit - positions.len());
            positions.extend(wanted);
        }
        (first, positions)
    }

    /// Shows everything that memory has.
    pub fn each(&self, show: &mut dyn FnMut(Place<'_>)) {
        for entries in self.stretches() {
            for (id, (position, revision)) in &entries.ids {
                show(Place::Id { id: *id, position: *position, revision: *revision });
            }
            for (stream, run) in &entries.streams {
                for (position, revision) in run.positions.iter().zip(run.first..) {
                    show(Place::Revision { stream, revision, position: *position });
                }
            }
        }
    }

    /// Adds the next entries, up to `until`.
    pub fn add<'a>(&mut self, entries: impl Iterator<Item = Entry<'a>>, until: Applied) {
        for Entry { id, stream, revision, position } in entries {
            self.filling.ids.insert(id, (position, revision));
            match self.filling.streams.get_mut(stream) {
                Some(run) => run.positions.push(position),
                None => {
                    let run = Run { first: revision, positions: vec![position] };
                    self.filling.streams.insert(stream.into(), run);
                }
            }
            if is_v7(id) {
                self.newest = self.newest.max(id);
            }
        }
        if until.position > self.known().position {
            self.filling.until = Some(until);
        }
    }

    /// Takes what there is if it is at least `least` events and nothing else is on its way.
    pub fn begin_move(&mut self, least: usize) -> Option<Arc<Entries>> {
        if self.moving.is_some() || self.filling.ids.len() < least {
            return None;
        }
        let entries = Arc::new(std::mem::take(&mut self.filling));
        self.moving = Some(Moving { entries: Arc::clone(&entries), newest: self.newest });
        Some(entries)
    }

    /// What was taken is in the tables.
    pub fn end_move(&mut self) {
        if let Some(Moving { entries, newest }) = self.moving.take()
            && let Some(until) = entries.until
        {
            (self.settled, self.newest_settled) = (until, newest);
        }
    }

    /// Events that wait to be moved.
    pub fn waiting(&self) -> usize {
        self.filling.ids.len()
    }
}

fn is_v7(id: EventId) -> bool {
    id.0.get_version_num() == 7
}
