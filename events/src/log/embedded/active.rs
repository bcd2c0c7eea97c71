//! The segment that is being written.

use std::io;
use std::sync::Arc;

use super::frame::{self, Chain, FRAME_BYTES, HEADER_BYTES, Header};
use super::segment::{Segment, Segments, file_name};
use super::storage::{Storage, StoredFile};

/// How far ahead of the records the file is filled with zeros. A write into filled space
/// changes no metadata, which makes its sync about twice as fast.
const FILL_BYTES: u64 = 8 << 20;

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

    /// Whether a frame of `bytes` fits, with a seal behind it.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.end + (bytes + FRAME_BYTES) as u64 <= self.length
    }

    /// Writes a frame and makes it durable. `offsets` are those of its records in it.
    pub fn append(&mut self, frame: &[u8], offsets: &[u32]) -> io::Result<()> {
        self.file.write_all_at(frame, self.end)?;
        let end = self.end + frame.len() as u64;
        if end > self.filled {
            let filled = self.length.min(end + FILL_BYTES);
            fill(&*self.file, end, filled)?;
            self.filled = filled;
        }
        self.file.sync_data()?;
        let start = narrow(self.end);
        self.segment.extend(offsets.iter().map(|offset| start + offset), narrow(end));
        self.end = end;
        Ok(())
    }

    /// Begins the next segment, with room for a frame of `bytes`, and seals this one. The new
    /// one is durable first: a sealed segment without a successor means that one is missing.
    pub fn roll(
        &mut self,
        segments: &Segments,
        base: u64,
        chain: Chain,
        bytes: usize,
    ) -> io::Result<()> {
        let header = Header { base, salt: (self.salts)(), chain };
        let length = self.segment_bytes.max((HEADER_BYTES + bytes + FRAME_BYTES) as u64);
        let file = create(&*self.storage, &header, length)?;
        let seal = frame::seal(self.salt(), base, &chain);
        self.file.write_all_at(&seal, self.end)?;
        self.file.sync_data()?;
        let end = HEADER_BYTES as u64;
        let segment = Arc::new(Segment::written(header, Arc::clone(&file), vec![narrow(end)]));
        segments.roll(Arc::clone(&segment))?;
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
) -> io::Result<Arc<dyn StoredFile>> {
    let name = file_name(header.base);
    let unfinished = format!("{name}.tmp");
    let file = storage.create(&unfinished, length)?;
    file.write_all_at(&header.encode(), 0)?;
    file.sync_data()?;
    storage.rename(&unfinished, &name)?;
    storage.sync_folder()?;
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
