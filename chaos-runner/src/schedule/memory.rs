//! What was begun, so that a restart begins nothing twice.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use events::Timestamp;

use super::{Due, Schedule};
use crate::state::{self, StateError, StateFolder};

/// Why the memory of a schedule file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// There is no place for it.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another process runs the same file.
    #[error("{name:?} is run by another process already")]
    Taken {
        /// The schedule file.
        name: String,
    },
    /// The disk does not take it, or it was changed by hand.
    #[error("could not use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The newest due time that was begun, by schedule.
#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
    begun: BTreeMap<String, Timestamp>,
    _lock: File,
}

impl Memory {
    /// The memory of the schedule file `name`, for one process at a time.
    pub fn open(folder: &StateFolder, name: &str) -> Result<Self, MemoryError> {
        let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes()).simple();
        let path = folder.folder("schedules")?.join(format!("{id}.json"));
        let error = |source| MemoryError::Io { path: path.clone(), source };
        let lock = path.with_extension("lock");
        let owned = match state::create_locked(&lock).map_err(error)? {
            Some(file) => Some(file),
            None => state::adopt(&lock).map_err(error)?,
        };
        let lock = owned.ok_or_else(|| MemoryError::Taken { name: name.to_owned() })?;
        let begun = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|it| error(it.into()))?,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(other) => return Err(error(other)),
        };
        Ok(Self { path, begun, _lock: lock })
    }

    /// The next begin of a schedule after `after` that was not begun yet.
    pub fn next(&self, schedule: &Schedule, after: Timestamp) -> Option<Due> {
        let begun = self.begun.get(schedule.name.as_str());
        let mut due = schedule.next(after)?;
        while begun.is_some_and(|begun| due.at <= *begun) {
            due = schedule.next(due.begin)?;
        }
        Some(due)
    }

    /// Takes down that a due time begins; it survives a loss of power when this returns.
    pub fn begin(&mut self, schedule: &Schedule, due: Due) -> Result<(), MemoryError> {
        self.begun.insert(schedule.name.to_string(), due.at);
        let text = serde_json::to_vec(&self.begun).map_err(io::Error::other);
        let written = text.and_then(|text| state::write_durably(&self.path, &text));
        written.map_err(|source| MemoryError::Io { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_is_not_begun_again_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(Some(folder.path()), &|_| None).unwrap();
        let text =
            "schedules: [{name: n, experiments: [latency-payments], every: 1h, jitter: 30m}]";
        let schedule = crate::schedule::read("s.yaml", text).unwrap().schedules.remove(0);
        let now = "2026-03-01T10:00:00Z".parse().unwrap();
        let mut memory = Memory::open(&state, "s.yaml").unwrap();
        assert!(matches!(Memory::open(&state, "s.yaml"), Err(MemoryError::Taken { .. })));
        let first = memory.next(&schedule, now).unwrap();
        memory.begin(&schedule, first).unwrap();
        drop(memory);
        let memory = Memory::open(&state, "s.yaml").unwrap();
        let next = memory.next(&schedule, now).unwrap();
        assert!(next.at > first.at, "{next:?} after {first:?}");
        assert!(Memory::open(&state, "other.yaml").is_ok());
    }
}
