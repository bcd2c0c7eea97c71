//! Up to where the reactors have decided, so that a restart does not diagnose everything anew.
//!
//! It may be lost or be too low: whatever is decided again has the same ids.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How many events may be decided again after a crash.
const WRITE_EVERY: u64 = 200;

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    position: u64,
}

/// The position, in memory and in its file.
#[derive(Debug)]
pub(super) struct Checkpoint {
    file: PathBuf,
    position: u64,
    written: u64,
}

impl Checkpoint {
    /// Reads the file; one that is missing, unreadable or ahead of the log counts as 0.
    pub(super) fn read(file: PathBuf, head: u64) -> Self {
        let stored = std::fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok())
            .map_or(0, |stored| stored.position);
        let position = if stored > head { 0 } else { stored };
        Self { file, position, written: position }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Everything up to `position` is decided and appended.
    pub(super) fn advance(&mut self, position: u64) {
        self.position = position;
        if position >= self.written + WRITE_EVERY {
            self.write();
        }
    }

    /// Writes the file; a failure costs time after the next start, nothing else.
    pub(super) fn write(&mut self) {
        let next = self.file.with_extension("next");
        let stored = Stored { position: self.position };
        let written = serde_json::to_vec(&stored)
            .map_err(std::io::Error::other)
            .and_then(|bytes| std::fs::write(&next, bytes))
            .and_then(|()| std::fs::rename(&next, &self.file));
        match written {
            Ok(()) => self.written = self.position,
            Err(error) => {
                tracing::warn!(%error, "the reactors' checkpoint was not written");
                self.written = self.position;
            }
        }
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        if self.position > self.written {
            self.write();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_survives_and_never_runs_ahead_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reactors.json");
        let mut checkpoint = Checkpoint::read(file.clone(), 500);
        assert_eq!(checkpoint.position(), 0);
        checkpoint.advance(300);
        drop(checkpoint);
        assert_eq!(Checkpoint::read(file.clone(), 300).position(), 300);
        assert_eq!(Checkpoint::read(file.clone(), 299).position(), 0, "another log");
        std::fs::write(&file, "{").unwrap();
        assert_eq!(Checkpoint::read(file, 300).position(), 0);
    }
}
