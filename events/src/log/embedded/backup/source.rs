//! The segments of a log that may be in use, as a copier finds them.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::frame::{FRAME_BYTES, HEADER_BYTES, Header};
use super::super::scan::{Found, Tail};
use super::super::segment::{base_of, file_name, packed_base_of, packed_name};
use super::{BackupError, Manifest, piece};
use crate::log::{ChainHash, Walked};

/// A segment of the log as it was found.
pub struct SegmentFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself.
    pub header: Header,
    /// The same as it is stored.
    pub stored: [u8; HEADER_BYTES],
    /// Length of the file.
    pub bytes: u64,
}

/// Every segment in order; `None` when one went away meanwhile.
pub fn segments(folder: &Path) -> Result<Option<Vec<SegmentFile>>, BackupError> {
    let listing = || BackupError::io("listing", folder);
    let mut bases = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(Vec::new())),
        entries => entries.map_err(listing())?,
    };
    for entry in entries {
        let name = entry.map_err(listing())?.file_name();
        bases.extend(name.to_str().and_then(|name| base_of(name).or(packed_base_of(name))));
    }
    bases.sort_unstable();
    // For a moment a segment is there in both forms.
    bases.dedup();
    let mut found = Vec::with_capacity(bases.len());
    for base in bases {
        let Some((_, segment)) = SegmentFile::open(folder, base)? else { return Ok(None) };
        found.push(segment);
    }
    Ok(Some(found))
}

/// The file, unless there is none.
pub fn unless_gone(path: &Path) -> Result<Option<File>, BackupError> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(BackupError::io("reading", path)),
    }
}

impl SegmentFile {
    /// The segment that begins at `base`, unless it is gone. The compressed one has its name
    /// before the other is removed.
    fn open(folder: &Path, base: u64) -> Result<Option<(Arc<File>, Self)>, BackupError> {
        for path in [file_name(base), packed_name(base)].map(|name| folder.join(name)) {
            let Some(file) = unless_gone(&path)? else { continue };
            let file = Arc::new(file);
            let (header, stored) = piece::header(&path, &*piece::content(&path, &file)?)?;
            if header.base != base {
                let what = format!("the header says that the segment begins at {}", header.base);
                return Err(BackupError::damaged(&path, 16, what));
            }
            let bytes = file.metadata().map_err(BackupError::io("reading", &path))?.len();
            return Ok(Some((file, Self { path, header, stored, bytes })));
        }
        Ok(None)
    }

    /// The file as it is now: the same records may be kept in another form since it was found.
    pub fn reopen(&self) -> Result<Option<(Arc<File>, Self)>, BackupError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let Some((file, segment)) = Self::open(folder, self.header.base)? else { return Ok(None) };
        if segment.header.chain != self.header.chain {
            let what = "the segment continues another history than a moment before";
            return Err(BackupError::damaged(&segment.path, 32, what));
        }
        Ok(Some((file, segment)))
    }

    /// Whether it is compressed.
    pub fn is_packed(&self) -> bool {
        piece::is_packed(&self.path)
    }

    /// What its copy is called: never the same for another content.
    pub fn copy_name(&self, last: u64, sealed: bool) -> String {
        let extension = match sealed {
            true if self.is_packed() => piece::PACKED,
            true => "seg",
            false => "part",
        };
        let crc = crc32c::crc32c(&self.stored);
        format!("{:020}-{last:020}-{crc:08x}.{extension}", self.header.base)
    }

    /// Whether it begins where the copy so far ends.
    pub fn continues(&self, expected: Walked) -> Result<(), BackupError> {
        let Header { base, chain, .. } = self.header;
        if base != expected.position + 1 {
            let position = expected.position + 1;
            let what = format!("expected a segment that begins at position {position}");
            return Err(BackupError::damaged(&self.path, 16, what));
        }
        if ChainHash::from(chain) != expected.chain {
            let what = "the hash chain does not continue that of the segment before";
            return Err(BackupError::damaged(&self.path, 32, what));
        }
        Ok(())
    }

    /// How many bytes of the file hold, if that is all of it where another one follows.
    pub fn whole(&self, found: &Found, next: Option<&Self>) -> Result<u64, BackupError> {
        let Some(next) = next else { return self.whole_without(found) };
        let complete = (found.next, found.chain) == (next.header.base, next.header.chain);
        match &found.tail {
            Tail::Sealed if complete && self.is_packed() => Ok(self.bytes),
            Tail::Sealed if complete => Ok(found.end + FRAME_BYTES as u64),
            // Its successor is there first: the seal is being written.
            _ if complete => Ok(found.end),
            Tail::Bad { what, .. } => {
                Err(BackupError::damaged(&self.path, found.end, what.as_str()))
            }
            Tail::Clean | Tail::Sealed => {
                let (end, base) = (found.next - 1, next.header.base);
                let what =
                    format!("it ends at position {end}, and the next segment begins at {base}");
                Err(BackupError::damaged(&self.path, found.end, what))
            }
        }
    }

    /// The same of a segment that had no successor when it was found. One that is sealed has one
    /// by now, which was there before the seal.
    fn whole_without(&self, found: &Found) -> Result<u64, BackupError> {
        let next = self.path.with_file_name(file_name(found.next));
        let packed = self.path.with_file_name(packed_name(found.next));
        if matches!(found.tail, Tail::Sealed) && !next.is_file() && !packed.is_file() {
            let what = format!("the segment is sealed, and {} is missing", next.display());
            return Err(BackupError::damaged(&self.path, found.end, what));
        }
        Ok(found.end)
    }
}

/// Whether the log still has what the backup has.
pub struct Contained {
    head: Option<Walked>,
    found: Option<ChainHash>,
}

impl Contained {
    /// Nothing is found yet.
    pub fn of(manifest: Option<&Manifest>) -> Self {
        Self { head: manifest.map(|manifest| manifest.head), found: None }
    }

    /// The position that matters; one that no segment has when none does.
    pub fn position(&self) -> u64 {
        self.head.map_or(u64::MAX, |head| head.position)
    }

    /// The log has this chain there.
    pub fn see(&mut self, position: u64, chain: ChainHash) {
        if position == self.position() {
            self.found = Some(chain);
        }
    }

    /// Whether the log, which ends at `end`, has it.
    pub fn check(&self, end: Walked) -> Result<(), BackupError> {
        let Some(Walked { position, chain }) = self.head else { return Ok(()) };
        let found = match self.found {
            Some(found) if found == chain => return Ok(()),
            Some(found) => found.to_string(),
            None if end.position < position => format!("none, and ends at {}", end.position),
            None => "none".to_owned(),
        };
        Err(BackupError::Diverges { position, expected: chain, found })
    }
}
