//! The segment that is being written.

use std::io;
use std::sync::Arc;

use super::frame::{self, Chain, FRAME_BYTES, HEADER_BYTES, Header};
use super::segment::{Segment, Segments, file_name};
use super::storage::{Storage, StoredFile, is_full};

/// How far ahead of the records the file is filled with zeros. A write into filled space
/// changes no metadata, which makes its sync about twice as fast.
const FILL_BYTES: u64 = 8 << 20;

/// Why a frame is not in the log.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// There is no room for it. The log is as it was.
    #[error("the disk is full")]
    DiskFull(#[source] io::Error),
    /// What the disk holds now is unknown.
    #[error("{0}")]
    Unknown(#[source] io::Error),
}

/// For an operation that leaves the log as it was when there is no room.
fn not_stored(error: io::Error) -> NotStored {
    if is_full(&error) { NotStored::DiskFull(error) } else { NotStored::Unknown(error) }
}

impl From<NotStored> for io::Error {
    fn from(error: NotStored) -> Self {
        match error {
            NotStored::DiskFull(source) | NotStored::Unknown(source) => source,
        }
    }
}

/// Where the next frame goes.
pub struct Active {
    storage: Arc<dyn Storage>,
    segment: Arc<Segment>,
    file: Arc<dyn StoredFile>,
    /// End of the last frame.
    end: u64,
    /// Length of the file.
    length: u64,
    /// Space is allocated up to here.
    filled: u64,
    /// Length of a new segment.
    segment_bytes: u64,
    salts: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// A segment that is to be begun.
pub struct Next {
    /// Its format version.
    pub version: u32,
    /// Its first position.
    pub base: u64,
    /// The chain before it.
    pub chain: Chain,
    /// Bytes of a frame that it must have room for.
    pub bytes: usize,
}

impl Active {
    /// Goes on behind `end` of an existing segment, whose file holds nothing but zeros there.
    pub fn resume(
        storage: Arc<dyn Storage>,
        segment: Arc<Segment>,
        file: Arc<dyn StoredFile>,
        end: u64,
        segment_bytes: u64,
        salts: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> io::Result<Self> {
        let length = file.len()?;
        Ok(Self { storage, segment, file, end, length, filled: end, segment_bytes, salts })
    }

    /// The salt of the segment.
    pub fn salt(&self) -> u64 {
        self.segment.header.salt
    }

    /// Its format version.
    pub fn version(&self) -> u32 {
        self.segment.header.version
    }

    /// Whether a frame of `bytes` fits, with a seal behind it.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.end + (bytes + FRAME_BYTES) as u64 <= self.length
    }

    /// How much more the disk takes, as far as it says.
    pub fn free_bytes(&self) -> u64 {
        self.storage.free_bytes().unwrap_or(u64::MAX)
    }

    /// Writes a frame and makes it durable. `offsets` are those of its records in it.
    pub fn append(&mut self, frame: &[u8], offsets: &[u32]) -> Result<(), NotStored> {
        self.file.write_all_at(frame, self.end).map_err(|error| self.take_back(error))?;
        let end = self.end + frame.len() as u64;
        if end > self.filled {
            let filled = self.length.min(end + FILL_BYTES);
            match fill(&*self.file, end, filled) {
                Ok(()) => self.filled = filled,
                // The frame itself has its room; its sync is only slower.
                Err(error) if is_full(&error) => {}
                Err(error) => return Err(NotStored::Unknown(error)),
            }
        }
        self.file.sync_data().map_err(NotStored::Unknown)?;
        let start = narrow(self.end);
        self.segment.extend(offsets.iter().map(|offset| start + offset), narrow(end));
        self.end = end;
        Ok(())
    }

    /// Makes a write undone that failed for want of room. Part of it may be in the file, and
    /// what is appended next may be shorter.
    fn take_back(&mut self, error: io::Error) -> NotStored {
        if !is_full(&error) {
            return NotStored::Unknown(error);
        }
        // What is dropped may come back in a crash: then it is a torn group, or lies behind the
        // frame that was written over its beginning, and is no valid frame either way.
        match self.file.cut(self.end, self.length) {
            Ok(()) => {
                self.filled = self.end;
                NotStored::DiskFull(error)
            }
            Err(error) => NotStored::Unknown(error),
        }
    }

    /// Begins the next segment and seals this one. The new
    /// one is durable first: a sealed segment without a successor means that one is missing.
    pub fn roll(
        &mut self,
        segments: &Segments,
        Next { version, base, chain, bytes }: Next,
    ) -> Result<(), NotStored> {
        let header = Header { version, base, salt: (self.salts)(), chain };
        let length = self.segment_bytes.max((HEADER_BYTES + bytes + FRAME_BYTES) as u64);
        let file = create(&*self.storage, &header, length)?;
        // One without a record was replaced just now, by its name.
        if self.segment.header.base < base {
            let seal = frame::seal(self.salt(), base, &chain);
            if let Err(error) = self.file.write_all_at(&seal, self.end) {
                // This segment is written on, so nothing may follow it.
                self.storage.remove(&file_name(base)).map_err(NotStored::Unknown)?;
                self.storage.sync_folder().map_err(NotStored::Unknown)?;
                return Err(self.take_back(error));
            }
            self.file.sync_data().map_err(NotStored::Unknown)?;
        }
        let end = HEADER_BYTES as u64;
        let segment = Arc::new(Segment::written(header, Arc::clone(&file), vec![narrow(end)]));
        segments.roll(Arc::clone(&segment));
        self.segment = segment;
        self.file = file;
        (self.end, self.length, self.filled) = (end, length, end);
        Ok(())
    }
}

/// A new, empty, durable segment of `length` bytes.
pub fn create(
    storage: &dyn Storage,
    header: &Header,
    length: u64,
) -> Result<Arc<dyn StoredFile>, NotStored> {
    let name = file_name(header.base);
    let unfinished = format!("{name}.tmp");
    let file = prepared(storage, header, length, &unfinished)
        .and_then(|file| storage.rename(&unfinished, &name).map(|()| file))
        .map_err(|error| {
            // Left behind, it would be removed when the log is opened, or replaced by the next.
            let _ = storage.remove(&unfinished);
            not_stored(error)
        })?;
    storage.sync_folder().map_err(NotStored::Unknown)?;
    Ok(file)
}

fn prepared(
    storage: &dyn Storage,
    header: &Header,
    length: u64,
    name: &str,
) -> io::Result<Arc<dyn StoredFile>> {
    let file = storage.create(name, length)?;
    file.write_all_at(&header.encode(), 0)?;
    file.sync_data()?;
    Ok(file)
}

/// Writes zeros from `from` to `to`.
pub fn fill(file: &dyn StoredFile, from: u64, to: u64) -> io::Result<()> {
    static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
    let mut at = from;
    while at < to {
        let bytes = (to - at).min(ZEROS.len() as u64) as usize;
        file.write_all_at(&ZEROS[..bytes], at)?;
        at += bytes as u64;
    }
    Ok(())
}

fn narrow(offset: u64) -> u32 {
    u32::try_from(offset).expect("a segment and a batch are limited to less than 4 GiB together")
}
