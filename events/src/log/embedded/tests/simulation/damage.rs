//! Damage that no crash does: it is reported with the file it is in, or does no harm.

use super::super::*;
use super::disk::{Disk, Files, OFFSETS, SEGMENTS};
use super::run::Run;
use crate::log::ReadError;

/// Damages of one log.
const DAMAGES: usize = 30;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    Flip,
    Cut,
    Zeros,
    Missing,
    Doubled,
    Swapped,
    Foreign,
    OffsetsMissing,
    OffsetsCut,
    OffsetsFlip,
}

const ALL: [Damage; 10] = [
    Damage::Flip,
    Damage::Cut,
    Damage::Zeros,
    Damage::Missing,
    Damage::Doubled,
    Damage::Swapped,
    Damage::Foreign,
    Damage::OffsetsMissing,
    Damage::OffsetsCut,
    Damage::OffsetsFlip,
];

impl Run {
    /// Damages a sound log in many ways, one at a time.
    pub fn damage(&mut self, files: Files) {
        for _ in 0..DAMAGES {
            let damage = self.random.pick(&ALL);
            let mut damaged = files.clone();
            if let Some(place) = self.apply(damage, &mut damaged) {
                self.count.damaged += 1;
                self.check_reported(damage, &place, damaged);
            }
        }
    }

    /// Does the damage; where it must be found, unless there is nothing to be damaged that way.
    fn apply(&mut self, damage: Damage, files: &mut Files) -> Option<String> {
        let folder = match damage {
            Damage::OffsetsMissing | Damage::OffsetsCut | Damage::OffsetsFlip => OFFSETS,
            _ => SEGMENTS,
        };
        let names: Vec<String> = files[folder].keys().cloned().collect();
        let name = names.get(self.random.below(names.len().max(1)))?.clone();
        let bytes = files[folder].get_mut(&name)?;
        let used = bytes.iter().rposition(|byte| *byte != 0)? + 1;
        let at = self.random.below(used);
        match damage {
            Damage::Flip | Damage::OffsetsFlip => bytes[at] ^= 1 << self.random.below(8),
            Damage::Cut | Damage::OffsetsCut => bytes.truncate(at),
            Damage::Zeros => {
                let end = (at + 1 + self.random.below(2 * self.sector)).min(bytes.len());
                bytes[at..end].fill(0);
            }
            Damage::Missing | Damage::OffsetsMissing => {
                files[folder].remove(&name);
            }
            Damage::Doubled => {
                let copy = bytes.clone();
                let other = segment::file_name(self.random.next() >> self.random.below(64));
                files[folder].entry(other).or_insert(copy);
            }
            Damage::Swapped => {
                let other = names.iter().find(|other| **other != name)?;
                let bytes = std::mem::take(bytes);
                let other = std::mem::replace(files[folder].get_mut(other)?, bytes);
                files[folder].insert(name.clone(), other);
            }
            Damage::Foreign => {
                files[folder].insert("notes.txt".to_owned(), vec![7; 100]);
                files[folder].insert("1.seg".to_owned(), vec![7; 100]);
            }
        }
        match damage {
            // Its neighbours tell.
            Damage::Missing | Damage::Doubled | Damage::Swapped => Some(".seg".to_owned()),
            _ => Some(name),
        }
    }

    fn check_reported(&mut self, damage: Damage, place: &str, files: Files) {
        let whole = files[SEGMENTS].len();
        let disk = Disk::with(files, self.sector, self.random.fork());
        let offsets = place.ends_with(".off");
        let log = self.open_anyhow(&disk);
        let verified = match &log {
            Err(OpenError::Damaged { place: told, .. }) => {
                assert!(
                    !offsets && told.contains(place),
                    "{damage:?} of {place} is told at {told}"
                );
                return;
            }
            Err(error) => panic!("{damage:?} of {place}: {error}"),
            Ok(log) => log.verify(&mut |_| ()),
        };
        match verified {
            Err(ReadError::Damaged { place: told, .. }) => {
                let fits = told.contains(place) || (offsets && told == "the index");
                assert!(fits, "{damage:?} of {place} is told at {told}");
            }
            Err(error) => panic!("{damage:?} of {place}: {error}"),
            Ok(verified) => {
                assert_eq!(
                    verified.position,
                    self.model.head(),
                    "{damage:?} of {place} is not told"
                );
                assert!(whole >= verified.segments, "{damage:?} of {place}: a segment was made");
            }
        }
    }

    /// The index saw everything: without it, what is missing at the end cannot be known.
    fn open_anyhow(&mut self, disk: &Disk) -> Result<EmbeddedLog, OpenError> {
        let index = self.model.index(self.model.batches.len());
        EmbeddedLog::open_parts(
            disk.folder(SEGMENTS),
            disk.folder(OFFSETS),
            index,
            File::open("/dev/null").unwrap(),
            options(),
        )
    }
}
