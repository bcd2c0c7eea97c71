//! The segment files and the offsets of their records.
//!
//! A full segment's offsets are in `index/offsets/⟨base⟩.off`, one little-endian u32 a record
//! and one for the end of the last; those of the segment being written are in memory.
//!
//! A full segment is `⟨base⟩.seg`, or `⟨base⟩.segz` once it is [compressed](super::packed).

use std::io;
use std::sync::{Arc, RwLock};

use super::frame::{FRAME_BYTES, Header};
use super::packed::{self, Packed};
use super::storage::{Storage, StoredFile};
use crate::log::ReadError;

const EXTENSION: &str = ".seg";
const PACKED_EXTENSION: &str = ".segz";

/// Name of the segment that begins at `base`.
pub fn file_name(base: u64) -> String {
    format!("{base:020}{EXTENSION}")
}

/// The base in a segment's name; `None` for any other file.
pub fn base_of(name: &str) -> Option<u64> {
    base_before(name, EXTENSION)
}

/// Name of the segment that begins at `base`, compressed.
pub fn packed_name(base: u64) -> String {
    format!("{base:020}{PACKED_EXTENSION}")
}

/// The base in a compressed segment's name; `None` for any other file.
pub fn packed_base_of(name: &str) -> Option<u64> {
    base_before(name, PACKED_EXTENSION)
}

fn base_before(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension)?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

/// The file of a segment, compressed or not.
pub fn open(storage: &dyn Storage, base: u64) -> io::Result<Arc<dyn StoredFile>> {
    match storage.open(&file_name(base)) {
        // The compressed one has its name before the other is removed.
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            let file = storage.open(&packed_name(base)).map_err(|_| missing)?;
            Ok(Arc::new(Packed::open(file)?))
        }
        opened => opened,
    }
}

enum State {
    /// Offsets of the records, then the end of the last.
    Written {
        file: Arc<dyn StoredFile>,
        offsets: Vec<u32>,
    },
    Sealed,
}

/// One segment, as readers see it.
pub struct Segment {
    /// What it says of itself.
    pub header: Header,
    state: RwLock<State>,
}

/// A stretch of one segment, ready to be read.
pub struct Stretch {
    /// Where the bytes are.
    pub file: Arc<dyn StoredFile>,
    /// Offset of each record, then the end of the last.
    pub offsets: Vec<u32>,
}

/// Every segment of a log.
pub struct Segments {
    storage: Arc<dyn Storage>,
    offsets: Arc<dyn Storage>,
    list: RwLock<Vec<Arc<Segment>>>,
}

impl Segment {
    /// The segment that is written to, with the offsets of its records and their end.
    pub fn written(header: Header, file: Arc<dyn StoredFile>, offsets: Vec<u32>) -> Self {
        Self { header, state: RwLock::new(State::Written { file, offsets }) }
    }

    /// A full segment whose offsets are on disk.
    pub fn sealed(header: Header) -> Self {
        Self { header, state: RwLock::new(State::Sealed) }
    }

    /// Makes records known that begin at `offsets`, the last of which ends at `end`.
    pub fn extend(&self, offsets: impl Iterator<Item = u32>, end: u32) {
        let mut state = self.state.write().expect("no reader panics with the lock");
        if let State::Written { offsets: known, .. } = &mut *state {
            known.pop();
            known.extend(offsets);
            known.push(end);
        }
    }
}

impl Segments {
    /// Segments in the order of their bases.
    pub fn new(
        storage: Arc<dyn Storage>,
        offsets: Arc<dyn Storage>,
        list: Vec<Arc<Segment>>,
    ) -> Self {
        Self { storage, offsets, list: RwLock::new(list) }
    }

    /// Appends a new segment behind the last, whose offsets go to disk.
    pub fn roll(&self, next: Arc<Segment>) {
        let last = {
            let list = self.list.read().expect("no reader panics with the lock");
            Arc::clone(list.last().expect("a log has a segment"))
        };
        if last.header.base == next.header.base {
            let mut list = self.list.write().expect("no reader panics with the lock");
            *list.last_mut().expect("a log has a segment") = next;
            return;
        }
        let offsets = match &*last.state.read().expect("no reader panics with the lock") {
            State::Written { offsets, .. } => offsets.clone(),
            State::Sealed => Vec::new(),
        };
        // They are derived: what cannot be written stays in memory until the log is opened again.
        match write_offsets(&*self.offsets, last.header.base, &offsets) {
            Ok(()) => *last.state.write().expect("no reader panics with the lock") = State::Sealed,
            Err(error) => {
                let file = file_name(last.header.base);
                tracing::warn!(log.file = file, %error, "the offsets of a full segment stay in memory");
            }
        }
        self.list.write().expect("no reader panics with the lock").push(next);
    }

    /// Every segment, in order.
    pub fn all(&self) -> Vec<Arc<Segment>> {
        self.list.read().expect("no reader panics with the lock").clone()
    }

    /// A segment's file.
    pub fn file(&self, segment: &Segment) -> io::Result<Arc<dyn StoredFile>> {
        open(&*self.storage, segment.header.base)
    }

    /// Replaces a full segment by its compressed form, unless that is done, or is stopped. At
    /// every moment at least one of the two is whole and durable.
    pub fn pack(&self, segment: &Segment, level: i32, stop: &dyn Fn() -> bool) -> io::Result<()> {
        let base = segment.header.base;
        let file = match self.storage.open(&file_name(base)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let Some(end) = self.offsets(segment)?.last().copied() else { return Ok(()) };
        let length = u64::from(end) + FRAME_BYTES as u64;
        let (name, unfinished) = (packed_name(base), format!("{}.tmp", packed_name(base)));
        if !packed::pack(&*file, length, level, &*self.storage, &unfinished, stop)? {
            return self.storage.remove(&unfinished);
        }
        self.storage.rename(&unfinished, &name)?;
        self.storage.sync_folder()?;
        self.storage.remove(&file_name(base))
    }

    /// The offsets of all records of a full segment, as readers are given them.
    pub fn offsets(&self, segment: &Segment) -> io::Result<Vec<u32>> {
        if let State::Written { offsets, .. } =
            &*segment.state.read().expect("no writer panics with the lock")
        {
            return Ok(offsets.clone());
        }
        read_offsets(&*self.offsets, segment.header.base, 0, usize::MAX)
    }

    /// The segment that holds `position`.
    pub fn holding(&self, position: u64) -> Option<Arc<Segment>> {
        let list = self.list.read().expect("no reader panics with the lock");
        let after = list.partition_point(|segment| segment.header.base <= position);
        Some(Arc::clone(list.get(after.checked_sub(1)?)?))
    }

    /// At most `limit` records of `segment` from `position` on.
    pub fn stretch(&self, segment: &Segment, position: u64, limit: usize) -> io::Result<Stretch> {
        let skip = usize::try_from(position - segment.header.base).unwrap_or(usize::MAX);
        if let State::Written { file, offsets } =
            &*segment.state.read().expect("no writer panics with the lock")
        {
            let offsets = offsets.iter().skip(skip).take(limit.saturating_add(1)).copied();
            return Ok(Stretch { file: Arc::clone(file), offsets: offsets.collect() });
        }
        let file = open(&*self.storage, segment.header.base)?;
        let offsets = read_offsets(&*self.offsets, segment.header.base, skip, limit)?;
        Ok(Stretch { file, offsets })
    }

    /// For a segment that cannot be read, or not be unpacked.
    pub fn unread(&self, segment: &Segment, offset: u64, error: io::Error) -> ReadError {
        match error.kind() {
            io::ErrorKind::InvalidData => {
                let place = self.place(segment, offset);
                ReadError::Damaged { place, what: error.to_string() }
            }
            _ => error.into(),
        }
    }

    /// How messages show a place.
    pub fn place(&self, segment: &Segment, offset: u64) -> String {
        place(&*self.storage, segment.header.base, offset)
    }
}

/// How messages show an offset in a segment; in a compressed one, in what it holds.
pub fn place(storage: &dyn Storage, base: u64, offset: u64) -> String {
    let (plain, packed) = (file_name(base), packed_name(base));
    let name = match storage.open(&plain).is_err() && storage.open(&packed).is_ok() {
        true => packed,
        false => plain,
    };
    format!("{} at offset {offset}", storage.shown(&name))
}

fn offsets_name(base: u64) -> String {
    format!("{base:020}.off")
}

/// Whether the offsets of a full segment of `count` records are on disk.
pub fn has_offsets(storage: &dyn Storage, base: u64, count: u64) -> bool {
    let stored = storage.open(&offsets_name(base)).and_then(|file| file.len());
    stored.is_ok_and(|stored| stored == (count + 1) * 4)
}

/// Puts the offsets of a full segment on disk, whole or not at all.
pub fn write_offsets(storage: &dyn Storage, base: u64, offsets: &[u32]) -> io::Result<()> {
    let bytes: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
    let name = offsets_name(base);
    let unfinished = format!("{name}.tmp");
    let file = storage.create(&unfinished, bytes.len() as u64)?;
    file.write_all_at(&bytes, 0)?;
    file.sync_data()?;
    storage.rename(&unfinished, &name)
}

fn read_offsets(
    storage: &dyn Storage,
    base: u64,
    skip: usize,
    limit: usize,
) -> io::Result<Vec<u32>> {
    let file = storage.open(&offsets_name(base))?;
    let stored = usize::try_from(file.len()? / 4).unwrap_or(usize::MAX);
    let count = stored.saturating_sub(skip).min(limit.saturating_add(1));
    let mut bytes = vec![0; count * 4];
    file.read_exact_at(&mut bytes, skip as u64 * 4)?;
    Ok(bytes.as_chunks().0.iter().copied().map(u32::from_le_bytes).collect())
}
