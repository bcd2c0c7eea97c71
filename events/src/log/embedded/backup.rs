//! Backups: a copy of a log that may be in use, and a log made of such a copy.
//!
//! ```text
//! backup.lock                              held while a backup is made or read
//! manifest.json                            what is part of the backup; replaced whole, last
//! segments/⟨first⟩-⟨last⟩-⟨header⟩.seg     full segments; those that are compressed as .segz
//! segments/⟨first⟩-⟨last⟩-⟨header⟩.part    the last one, up to a whole durable group of events
//! beside/⟨hash⟩-⟨name⟩                     small files that belong to the base
//! ```
//!
//! Nothing that a manifest names is ever changed, so what was a backup stays one until the next
//! is complete. The log itself is not locked and its server is not asked: full segments do not
//! change, and of the one that is being written everything up to its last whole group is taken.
//! That group may be written and not synced yet, so the copier syncs the file itself before it
//! believes what it read: a backup never knows events that the log could still lose.

mod manifest;
mod piece;
mod put_back;
mod source;

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

pub use self::manifest::Manifest;
use self::manifest::{BESIDE, Beside, Piece, SEGMENTS, replace, sync_folder};
use self::source::{Contained, SegmentFile, segments, unless_gone};
use super::frame::Header;
use super::scan::{Found, Tail};
use super::{ChainHash, Walked};

/// How often a log that changes its files under the copier is begun anew.
const ATTEMPTS: usize = 5;
/// The name of a copy that is not checked yet.
const UNFINISHED: &str = "unfinished.tmp";
/// Locked while someone is at work, and the sign that the folder is for a backup.
const LOCK: &str = "backup.lock";

/// A folder of a backup, locked.
#[derive(Debug)]
pub struct Backup {
    folder: PathBuf,
    manifest: Option<Manifest>,
    _lock: File,
}

/// A small file that belongs to the base and is not the log.
#[derive(Clone, Debug)]
pub struct Attached {
    /// Its name in the data folder.
    pub name: String,
    /// What it holds.
    pub content: Vec<u8>,
}

/// A backup that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// The last event and the chain behind it.
    pub head: Walked,
    /// Pieces of the log.
    pub segments: usize,
    /// Those that were copied now.
    pub copied: usize,
    /// Bytes of all pieces.
    pub bytes: u64,
    /// Bytes of those that were copied now.
    pub copied_bytes: u64,
}

/// Why there is no backup, or no log made of it. What was a backup before is still one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file operation failed.
    #[error("{doing} {path} failed")]
    Io {
        /// What was done.
        doing: &'static str,
        /// With which file.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// What is stored is not what was written.
    #[error("damaged: {place}: {what}")]
    Damaged {
        /// File and offset.
        place: String,
        /// What is wrong there.
        what: String,
    },
    /// A newer version of this software wrote it.
    #[error("{file} has format version {found}, this version reads {known}")]
    Format {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
        /// What can be read.
        known: u32,
    },
    /// Another process is at work on the backup.
    #[error("the backup in {0} is in use")]
    Locked(String),
    /// There is none, or none that was completed.
    #[error("{0} holds no complete backup")]
    NoBackup(String),
    /// The folder is not empty and was never begun as a backup.
    #[error("{0} holds something else than a backup: name an empty folder")]
    Foreign(String),
    /// There is nothing to copy.
    #[error("{0} holds no event log")]
    NoLog(String),
    /// The target of a restoration holds something.
    #[error("{0} is not empty: a backup is restored into a folder of its own")]
    NotEmpty(String),
    /// The log is not the one that the backup was made of.
    #[error(
        "the backup holds another history: it has the hash {expected} at position {position}, the \
         log has {found}; back it up into a folder of its own"
    )]
    Diverges {
        /// The last position of the backup.
        position: u64,
        /// The chain there.
        expected: ChainHash,
        /// What the log has there.
        found: String,
    },
    /// Files of the log went away again and again.
    #[error("segments of {0} went away while they were copied, {ATTEMPTS} times")]
    Restless(String),
}

impl BackupError {
    fn io(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { doing, path: path.clone(), source }
    }

    fn damaged(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        let place = format!("{} at offset {offset}", path.display());
        Self::Damaged { place, what: what.into() }
    }
}

/// Counts what was copied and tells it.
struct Progress<'a> {
    done: u64,
    total: u64,
    told: &'a mut dyn FnMut(u64, u64),
}

impl Progress<'_> {
    fn copied(&mut self, bytes: u64) {
        self.done += bytes;
        (self.told)(self.done, self.total.max(self.done));
    }
}

/// The copy of a log so far.
struct Copied {
    pieces: Vec<Piece>,
    new: usize,
    new_bytes: u64,
}

impl Backup {
    /// The backup in `folder`, or the place for one.
    pub fn open(folder: &Path) -> Result<Self, BackupError> {
        let doing = || BackupError::io("creating", folder);
        let empty = match folder.read_dir() {
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            entries => entries.map_err(doing())?.next().is_none(),
        };
        if !empty && !folder.join(LOCK).is_file() {
            return Err(BackupError::Foreign(folder.display().to_string()));
        }
        std::fs::create_dir_all(folder).map_err(doing())?;
        let locked = Self::locked(folder)?;
        for folder in [SEGMENTS, BESIDE].map(|name| folder.join(name)) {
            std::fs::create_dir_all(folder).map_err(doing())?;
        }
        sync_folder(folder).map_err(doing())?;
        sync_folder(folder.parent().filter(|parent| *parent != Path::new("")).unwrap_or(folder))
            .map_err(doing())?;
        Ok(locked)
    }

    /// The complete backup in `folder`, to be read.
    pub fn existing(folder: &Path) -> Result<Self, BackupError> {
        if !folder.join(manifest::FILE).is_file() {
            return Err(BackupError::NoBackup(folder.display().to_string()));
        }
        Self::locked(folder)
    }

    fn locked(folder: &Path) -> Result<Self, BackupError> {
        let path = folder.join(LOCK);
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(BackupError::io("opening", &path))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(BackupError::Locked(folder.display().to_string()));
            }
            Err(TryLockError::Error(source)) => {
                return Err(BackupError::io("locking", &path)(source));
            }
            Ok(()) => {}
        }
        let manifest = Manifest::read(folder)?;
        Ok(Self { folder: folder.to_owned(), manifest, _lock: lock })
    }

    /// What the backup is, if it was ever completed.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Makes this a backup of the log in `log`, which may be in use, as it is now. What the
    /// backup has already is not copied again. `told` hears how many bytes of how many are
    /// copied.
    ///
    /// `attached` must have been read before: what it says of the log has to be in the copy.
    pub fn take(
        &mut self,
        log: &Path,
        attached: &[Attached],
        now: Timestamp,
        told: &mut dyn FnMut(u64, u64),
    ) -> Result<BackedUp, BackupError> {
        let mut attempts = (0..ATTEMPTS).filter_map(|_| self.copy(log, told).transpose());
        let copied = attempts.next();
        let copied = copied.unwrap_or(Err(BackupError::Restless(log.display().to_string())))?;
        let beside = attached.iter().map(|file| self.attach(file)).collect::<Result<_, _>>()?;
        for folder in [SEGMENTS, BESIDE].map(|name| self.folder.join(name)) {
            sync_folder(&folder).map_err(BackupError::io("syncing", &folder))?;
        }
        let manifest = Manifest::new(now, copied.pieces, beside);
        manifest.write(&self.folder)?;
        self.remove_all_but(&manifest)?;
        let (head, segments) = (manifest.head, manifest.segments.len());
        let bytes = manifest.segments.iter().map(|piece| piece.bytes).sum();
        self.manifest = Some(manifest);
        let (copied, copied_bytes) = (copied.new, copied.new_bytes);
        Ok(BackedUp { head, segments, copied, bytes, copied_bytes })
    }

    /// Copies every segment that there is now; `None` when one of them went away meanwhile: one
    /// without a record, whose writer found no room to seal the one before it.
    fn copy(
        &self,
        log: &Path,
        told: &mut dyn FnMut(u64, u64),
    ) -> Result<Option<Copied>, BackupError> {
        let Some(found) = segments(&log.join("segments"))? else { return Ok(None) };
        if found.is_empty() {
            return Err(BackupError::NoLog(log.display().to_string()));
        }
        let known: Vec<_> = (0..found.len())
            .map(|at| self.known(&found[at], found.get(at + 1)))
            .collect::<Result<_, _>>()?;
        let lengths = found.iter().zip(&known).filter(|(_, known)| known.is_none());
        let total = lengths.map(|(segment, _)| segment.bytes).sum();
        let mut progress = Progress { done: 0, total, told };
        let mut copied = Copied { pieces: Vec::new(), new: 0, new_bytes: 0 };
        let mut contained = Contained::of(self.manifest.as_ref());
        let mut expected = Walked { position: 0, chain: ChainHash::default() };
        for (at, (segment, known)) in found.iter().zip(known).enumerate() {
            segment.continues(expected)?;
            let piece = match known {
                Some(piece) => {
                    contained.see(piece.last, piece.chain);
                    piece
                }
                None => {
                    let next = found.get(at + 1);
                    let copy = self.copy_segment(segment, next, &mut contained, &mut progress)?;
                    let Some(piece) = copy else { return Ok(None) };
                    copied.new += 1;
                    copied.new_bytes += piece.bytes;
                    piece
                }
            };
            expected = Walked { position: piece.last, chain: piece.chain };
            copied.pieces.push(piece);
        }
        contained.check(expected)?;
        Ok(Some(copied))
    }

    /// The copy of a full segment, if the backup has it.
    fn known(
        &self,
        segment: &SegmentFile,
        next: Option<&SegmentFile>,
    ) -> Result<Option<Piece>, BackupError> {
        let (Some(manifest), Some(next)) = (&self.manifest, next) else { return Ok(None) };
        let end = (next.header.base - 1, ChainHash::from(next.header.chain));
        let first = segment.header.base;
        let same = |piece: &&Piece| {
            piece.sealed && piece.first == first && (piece.last, piece.chain) == end
        };
        let Some(piece) = manifest.segments.iter().find(same) else { return Ok(None) };
        let path = self.folder.join(SEGMENTS).join(&piece.file);
        let Ok(file) = piece::open(&path) else { return Ok(None) };
        let length = file.metadata().map_err(BackupError::io("reading", &path))?.len();
        if length != piece.bytes {
            return Ok(None);
        }
        let content = piece::content(&path, &Arc::new(file))?;
        let same = piece::header(&path, &*content)?.1 == segment.stored;
        Ok(same.then(|| piece.clone()))
    }

    /// Copies `segment` and holds the copy against what follows it; `None` when it went away.
    fn copy_segment(
        &self,
        segment: &SegmentFile,
        next: Option<&SegmentFile>,
        contained: &mut Contained,
        progress: &mut Progress<'_>,
    ) -> Result<Option<Piece>, BackupError> {
        let Some((source, segment)) = segment.reopen()? else { return Ok(None) };
        if let Some(piece) = self.left_behind(&segment, next, contained)? {
            progress.copied(segment.bytes);
            return Ok(Some(piece));
        }
        if segment.is_packed() && next.is_none() {
            // It was the last when it was found, and full and compressed since.
            return Ok(None);
        }
        let (path, to) = (&segment.path, self.folder.join(SEGMENTS).join(UNFINISHED));
        let target = Arc::new(piece::copy((path, &*source), &to, progress)?);
        // Whatever was read is on the disk of the log before it counts.
        source.sync_data().map_err(BackupError::io("syncing", path))?;
        let asked = contained.position();
        // Its name says nothing yet: it is what its source is.
        let content = piece::content(path, &target)?;
        let mut walk = piece::walk(path, Arc::clone(&content), segment.header, asked)?;
        if let (None, Tail::Bad { followed: true, .. }) = (next, &walk.found.tail) {
            // Its writer may have been faster than the copy. What a valid group follows was
            // whole before, so that a second look finds it, or it is damaged.
            let (from, into) = ((path.as_path(), &*source), (to.as_path(), &*target));
            piece::copy_from(from, into, walk.found.end, progress)?;
            source.sync_data().map_err(BackupError::io("syncing", path))?;
            let end = walk.found.end;
            walk = piece::walk(path, content, segment.header, asked)?;
            if let (true, Tail::Bad { what, .. }) = (walk.found.end == end, &walk.found.tail) {
                return Err(BackupError::damaged(path, end, what.clone()));
            }
        }
        if let Some(chain) = walk.asked {
            contained.see(asked, chain);
        }
        let bytes = segment.whole(&walk.found, next)?;
        let Found { next: end, chain, .. } = walk.found;
        let file = segment.copy_name(end - 1, next.is_some());
        let writing = || BackupError::io("writing", &to);
        target.set_len(bytes).map_err(writing())?;
        target.sync_all().map_err(writing())?;
        std::fs::rename(&to, to.with_file_name(&file)).map_err(writing())?;
        let (first, last, chain) = (segment.header.base, end - 1, chain.into());
        Ok(Some(Piece { file, first, last, chain, bytes, sealed: next.is_some() }))
    }

    /// A full segment that a backup copied which did not come to its end.
    fn left_behind(
        &self,
        segment: &SegmentFile,
        next: Option<&SegmentFile>,
        contained: &mut Contained,
    ) -> Result<Option<Piece>, BackupError> {
        let Some(Header { base: behind, .. }) = next.map(|next| next.header) else {
            return Ok(None);
        };
        let file = segment.copy_name(behind - 1, true);
        let path = self.folder.join(SEGMENTS).join(&file);
        let Some(copy) = unless_gone(&path)? else { return Ok(None) };
        let length = copy.metadata().map_err(BackupError::io("reading", &path))?.len();
        let content = piece::content(&path, &Arc::new(copy))?;
        if piece::header(&path, &*content)?.1 != segment.stored {
            return Ok(None);
        }
        let walk = piece::walk(&path, content, segment.header, contained.position())?;
        let Ok(_) = segment.whole(&walk.found, next) else { return Ok(None) };
        let bytes = length;
        if let Some(chain) = walk.asked {
            contained.see(contained.position(), chain);
        }
        let (first, last, chain) = (segment.header.base, behind - 1, walk.found.chain.into());
        Ok(Some(Piece { file, first, last, chain, bytes, sealed: true }))
    }

    fn attach(&self, Attached { name, content }: &Attached) -> Result<Beside, BackupError> {
        let blake3 = blake3::hash(content).to_hex().to_string();
        let file = format!("{}-{name}", &blake3[..16]);
        let path = self.folder.join(BESIDE).join(&file);
        replace(&path, content).map_err(BackupError::io("writing", &path))?;
        Ok(Beside { name: name.clone(), file, blake3 })
    }

    /// Removes what no manifest names any more.
    fn remove_all_but(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let pieces = manifest.segments.iter().map(|piece| &piece.file).collect::<Vec<_>>();
        let beside = manifest.beside.iter().map(|beside| &beside.file).collect();
        for (folder, named) in [(SEGMENTS, pieces), (BESIDE, beside)] {
            let folder = self.folder.join(folder);
            let cleaning = || BackupError::io("cleaning", &folder);
            for entry in std::fs::read_dir(&folder).map_err(cleaning())? {
                let entry = entry.map_err(cleaning())?;
                if !named.iter().any(|name| ***name == *entry.file_name()) {
                    std::fs::remove_file(entry.path()).map_err(cleaning())?;
                }
            }
        }
        Ok(())
    }
}
