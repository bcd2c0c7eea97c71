//! The entries of an index as a map in memory.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, RwLock};

use fjall::UserValue;

use super::{Index, Store};

/// All entries, by key.
pub type Entries = BTreeMap<Vec<u8>, Vec<u8>>;
/// The same for every clone of an index.
pub type Shared = Arc<RwLock<Entries>>;

impl Index {
    /// An index that is only as durable as the process.
    pub fn in_memory(entries: Entries) -> Self {
        Self(Store::Memory(Arc::new(RwLock::new(entries))))
    }

    /// What is in an index that is in memory.
    pub fn entries(&self) -> Entries {
        self.with_entries(Entries::clone)
    }

    /// Whether an index that is in memory has these entries and no others.
    pub fn holds(&self, expected: &Entries) -> bool {
        self.with_entries(|entries| entries == expected)
    }

    fn with_entries<T>(&self, see: impl FnOnce(&Entries) -> T) -> T {
        match &self.0 {
            Store::Memory(entries) => see(&entries.read().unwrap()),
            Store::Disk { .. } => panic!("this index is on disk"),
        }
    }
}

pub fn get(entries: &Shared, key: &[u8]) -> Option<UserValue> {
    entries.read().unwrap().get(key).map(UserValue::from)
}

pub fn last_key(entries: &Shared, keys: RangeInclusive<Vec<u8>>) -> Option<UserValue> {
    entries.read().unwrap().range(keys).next_back().map(|(key, _)| UserValue::from(key))
}

pub fn values(entries: &Shared, keys: RangeInclusive<Vec<u8>>, limit: usize) -> Vec<UserValue> {
    let entries = entries.read().unwrap();
    entries.range(keys).take(limit).map(|(_, value)| UserValue::from(value)).collect()
}

pub fn remove(entries: &Shared, key: &[u8]) {
    entries.write().unwrap().remove(key);
}

pub fn add(entries: &Shared, new: Entries) {
    entries.write().unwrap().extend(new);
}
