//! What a backup says of itself. It is written last and replaced whole: files that it does not
//! name are no part of the backup.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::BackupError;
use crate::log::{ChainHash, Walked};

/// The manifest's name in the folder of a backup.
pub const FILE: &str = "manifest.json";
/// The folder of the segments in it.
pub const SEGMENTS: &str = "segments";
/// The folder of the files beside the log in it.
pub const BESIDE: &str = "beside";
/// The form that is written, and the only one so far.
const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// When it was made.
    pub made_at: Timestamp,
    /// The last event and the chain behind it.
    pub head: Walked,
    /// The log, piece by piece.
    pub segments: Vec<Piece>,
    /// What belongs to the base and is not the log.
    pub beside: Vec<Beside>,
}

/// One segment, or the beginning of the one that was being written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Its name in the folder of segments.
    pub file: String,
    /// Position of its first record.
    pub first: u64,
    /// Position of its last record.
    pub last: u64,
    /// The chain behind that.
    pub chain: ChainHash,
    /// Length of the file.
    pub bytes: u64,
    /// Whether a further segment follows in the log.
    pub sealed: bool,
}

/// A small file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// Its name in the data folder.
    pub name: String,
    /// Its name in the folder of such files.
    pub file: String,
    /// BLAKE3 of its content.
    pub blake3: String,
}

impl Manifest {
    /// Of a backup that is complete.
    pub fn new(made_at: Timestamp, segments: Vec<Piece>, beside: Vec<Beside>) -> Self {
        let head = segments.last().map(|piece| (piece.last, piece.chain));
        let (position, chain) = head.expect("a log has a segment");
        Self { format: FORMAT, made_at, head: Walked { position, chain }, segments, beside }
    }

    /// The manifest in `folder`; `None` where no backup was ever completed.
    pub fn read(folder: &Path) -> Result<Option<Self>, BackupError> {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let path = folder.join(FILE);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(BackupError::io("reading", &path))?,
        };
        let damaged = |error: serde_json::Error| BackupError::damaged(&path, 0, error.to_string());
        let Form { format } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if format != FORMAT {
            let file = path.display().to_string();
            return Err(BackupError::Format { file, found: format, known: FORMAT });
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(damaged)?;
        let names = manifest.segments.iter().map(|piece| &piece.file);
        let beside = manifest.beside.iter().flat_map(|beside| [&beside.name, &beside.file]);
        if let Some(name) = names.chain(beside).find(|name| name.contains('/') || name.is_empty()) {
            return Err(BackupError::damaged(&path, 0, format!("{name:?} is no file of a backup")));
        }
        Ok(Some(manifest))
    }

    /// Makes this what the backup in `folder` is, once everything that it names is durable.
    pub fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("strings and numbers are JSON");
        bytes.push(b'\n');
        let path = folder.join(FILE);
        replace(&path, &bytes).map_err(BackupError::io("writing", &path))
    }
}

/// Puts a whole file in the place of what is there, durably, for its owner alone.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("tmp");
    let mut file = create(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    sync_folder(path.parent().unwrap_or(path))
}

/// A new, empty file that its owner alone may read, whatever was left behind in its place.
pub fn create(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Makes creations, renames and removals in `folder` durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Serialize for ChainHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
