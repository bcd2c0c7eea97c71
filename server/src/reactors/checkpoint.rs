//! Up to where the reactors have decided, so that a restart does not diagnose everything anew,
//! and what they leave alone behind that: imported events bring their own decisions.
//!
//! It may be lost or be too low: whatever is decided again has the same ids.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schema::Decided;
use tokio::sync::watch;

use crate::whole_file;

/// How many events may be decided again after a crash.
const WRITE_EVERY: u64 = 200;

/// Its name in the data folder.
const FILE: &str = "reactors.json";

/// Where it is kept.
#[derive(Debug)]
enum Place {
    /// In the data folder of the only server.
    File(PathBuf),
    /// With the lease, by whoever takes it from here.
    Lease(Arc<watch::Sender<Decided>>),
}

/// The position, in memory and where it is kept.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    place: Place,
    position: u64,
    imported: Vec<(u64, u64)>,
    written: u64,
}

/// What the file in `data` says.
fn stored(file: &Path) -> Option<Decided> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

impl Checkpoint {
    /// Its name in the data folder.
    pub(crate) const FILE: &str = FILE;

    /// Reads the file in `data`; one that is missing, unreadable or ahead of the log counts as 0.
    pub(crate) fn read(data: &Path, head: u64) -> Self {
        let file = data.join(FILE);
        let stored = stored(&file).unwrap_or_default();
        Self::kept(Place::File(file), stored, head)
    }

    /// What a server left with the lease, or the file in `data` when none did yet, and what was
    /// imported here; all further is said to `place`.
    pub(super) fn taken_over(
        left: Option<Decided>,
        data: &Path,
        place: Arc<watch::Sender<Decided>>,
        head: u64,
    ) -> Self {
        let here = stored(&data.join(FILE)).unwrap_or_default();
        let mut known = left.unwrap_or_else(|| here.clone());
        let new = here.imported.into_iter().filter(|range| !known.imported.contains(range));
        known.imported.extend(new.collect::<Vec<_>>());
        known.imported.sort_unstable();
        let mut checkpoint = Self::kept(Place::Lease(place), known, head);
        checkpoint.write();
        checkpoint
    }

    fn kept(place: Place, known: Decided, head: u64) -> Self {
        let kept = Some(known.clone()).filter(|known| known.position <= head).unwrap_or_default();
        let Decided { position, mut imported, .. } = kept;
        // An import that was interrupted, or another log: nothing behind the head is imported yet.
        imported.retain(|(first, _)| *first <= head);
        if let Some((_, last)) = imported.last_mut() {
            *last = (*last).min(head);
        }
        let mut checkpoint = Self { place, position, imported, written: position };
        // At once: when the log has grown, what was dropped must not count again.
        if (known.position, &known.imported) != (checkpoint.position, &checkpoint.imported) {
            checkpoint.write();
        }
        checkpoint
    }

    /// Whether the event at `position` is to be decided about.
    pub(super) fn decides(&self, position: u64) -> bool {
        let inside = |(first, last): &(u64, u64)| (*first..=*last).contains(&position);
        position > self.position && !self.imported.iter().any(inside)
    }

    /// Nothing from `first` to `last` is to be decided about; written at once.
    pub(crate) fn pass_over(&mut self, first: u64, last: u64) {
        match self.imported.last_mut() {
            Some((_, end)) if *end + 1 >= first => *end = (*end).max(last),
            _ => self.imported.push((first, last)),
        }
        self.write();
    }

    /// Less was imported than [`Self::pass_over`] said: the last of it stands at `last`.
    pub(crate) fn pass_over_only_to(&mut self, last: u64) {
        if let Some((first, end)) = self.imported.last_mut() {
            *end = (*end).min(last);
            if *end < *first {
                self.imported.pop();
            }
        }
        self.write();
    }

    /// Everything up to `position` is decided and appended.
    pub(super) fn advance(&mut self, position: u64) {
        self.position = self.position.max(position);
        self.imported.retain(|(_, last)| *last > self.position);
        let at_once = matches!(self.place, Place::Lease(_));
        if at_once || position >= self.written + WRITE_EVERY {
            self.write();
        }
    }

    /// Writes the file, or says what is to be left with the lease; a failure costs time after the
    /// next start, nothing else.
    pub(super) fn write(&mut self) {
        let (position, imported) = (self.position, self.imported.clone());
        let decided = Decided { position, event: None, imported };
        self.written = self.position;
        let file = match &self.place {
            Place::File(file) => file,
            Place::Lease(place) => {
                place.send_replace(decided);
                return;
            }
        };
        let written = serde_json::to_vec(&decided)
            .map_err(std::io::Error::other)
            .and_then(|bytes| whole_file::replace(file, &bytes));
        if let Err(error) = written {
            tracing::warn!(%error, "the reactors' checkpoint was not written");
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
        let mut checkpoint = Checkpoint::read(folder.path(), 500);
        assert!(checkpoint.decides(1));
        checkpoint.advance(300);
        drop(checkpoint);
        let again = Checkpoint::read(folder.path(), 300);
        assert!(!again.decides(300) && again.decides(301));
        assert!(Checkpoint::read(folder.path(), 299).decides(1), "another log");
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(Checkpoint::read(folder.path(), 300).decides(1));
    }

    #[test]
    fn what_was_imported_is_left_alone_and_what_stands_around_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::read(folder.path(), 10);
        checkpoint.advance(8);
        checkpoint.pass_over(11, 20);
        checkpoint.pass_over(21, 30);
        checkpoint.pass_over_only_to(25);
        let longer = Checkpoint::read(folder.path(), 40);
        let decided: Vec<u64> = (7..29).filter(|position| longer.decides(*position)).collect();
        assert_eq!(decided, [9, 10, 26, 27, 28]);
        drop(longer);
        let shorter = Checkpoint::read(folder.path(), 12);
        assert!(!shorter.decides(12) && shorter.decides(13), "what is not there was not imported");
        drop(shorter);
        let mut again = Checkpoint::read(folder.path(), 40);
        let decided: Vec<u64> = (7..15).filter(|position| again.decides(*position)).collect();
        assert_eq!(decided, [9, 10, 13, 14], "nor when the log has grown");
        again.advance(26);
        assert!(again.imported.is_empty() && !again.decides(10) && again.decides(27));
    }
}
