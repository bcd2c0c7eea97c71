//! Ids that were looked for in vain: whoever asks whether an event is known mostly appends it next,
//! and the writer need not look through the tables again.

use ahash::AHashSet;

use crate::id::EventId;

/// Most ids that are remembered.
const MOST: usize = 65_536;

/// Ids that the tables do not have as long as they end at the same position.
#[derive(Default)]
pub struct Absent {
    settled: u64,
    ids: AHashSet<EventId>,
}

impl Absent {
    /// Whether tables that end at `settled` are known not to have it.
    pub fn has(&self, settled: u64, id: EventId) -> bool {
        self.settled == settled && self.ids.contains(&id)
    }

    /// Notes that tables that ended at `settled` when it was looked for do not have it.
    pub fn note(&mut self, settled: u64, id: EventId) {
        if settled < self.settled {
            return;
        }
        if settled > self.settled || self.ids.len() >= MOST {
            self.settled = settled;
            self.ids.clear();
        }
        self.ids.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> EventId {
        EventId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn what_was_not_there_may_be_there_once_the_tables_go_further() {
        let mut absent = Absent::default();
        absent.note(10, id(1));
        assert!(absent.has(10, id(1)));
        assert!(!absent.has(10, id(2)));
        assert!(!absent.has(20, id(1)));
        absent.note(20, id(2));
        absent.note(10, id(3));
        assert!(absent.has(20, id(2)));
        assert!(!absent.has(20, id(1)) && !absent.has(20, id(3)), "looked for before");
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut absent = Absent::default();
        for n in 0..=MOST as u128 {
            absent.note(0, id(n));
        }
        assert!(absent.has(0, id(MOST as u128)) && !absent.has(0, id(0)));
        assert!(absent.ids.len() <= MOST);
    }
}
