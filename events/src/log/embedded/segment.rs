//! The segment files and the offsets of their records.
//!
//! A full segment's [`offsets`] are on disk; those of the segment being written are in memory.
//!
//! A full segment is `⟨base⟩.seg`, or `⟨base⟩.segz` once it is [compressed](super::packed). When
//! it is [pruned](super::prune), another file takes its place: a reader opens file and offsets
//! together, and goes on with what it opened.

pub mod offsets;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use super::frame::{FRAME_BYTES, HEADER_BYTES, Header};
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
    /// Of which segment.
    pub segment: Arc<Segment>,
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
    /// Held while a full segment is written in another form.
    rewriting: Mutex<()>,
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
        Self { storage, offsets, list: RwLock::new(list), rewriting: Mutex::new(()) }
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
        match offsets::write(&*self.offsets, &last.header, &offsets) {
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

    /// To be held while a full segment is written in another form.
    pub fn rewriting(&self) -> MutexGuard<'_, ()> {
        self.rewriting.lock().expect("nothing panics with the lock")
    }

    /// Replaces the full segment that begins at `base` by its compressed form, unless that is
    /// done, or is stopped. At every moment at least one of the two is whole and durable.
    pub fn pack(&self, base: u64, level: i32, stop: &dyn Fn() -> bool) -> io::Result<()> {
        let _rewriting = self.rewriting();
        let file = match self.storage.open(&file_name(base)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let Some(whole) = self.whole(base)? else { return Ok(()) };
        let Some(end) = whole.offsets.last() else { return Ok(()) };
        let length = u64::from(*end) + FRAME_BYTES as u64;
        let (name, unfinished) = (packed_name(base), format!("{}.tmp", packed_name(base)));
        if !packed::pack(&*file, length, level, &*self.storage, &unfinished, stop)? {
            return self.storage.remove(&unfinished);
        }
        self.storage.rename(&unfinished, &name)?;
        self.storage.sync_folder()?;
        self.storage.remove(&file_name(base))
    }

    /// Puts a segment in the place of the full one that begins where it does. It is whole and
    /// durable under the name `unfinished`, and its offsets are on disk. A crash leaves the one or
    /// the other. [`Self::rewriting`] is held.
    pub fn replace(&self, header: Header, unfinished: &str) -> io::Result<()> {
        let name = file_name(header.base);
        let mut former = None;
        {
            let mut list = self.list.write().expect("no reader panics with the lock");
            let renamed = self.storage.rename(unfinished, &name);
            // One that failed may have been done all the same: readers need what is there.
            if renamed.is_ok() || self.begins_with(&name, &header) {
                for segment in list.iter_mut().filter(|it| it.header.base == header.base) {
                    former = Some(segment.header);
                    *segment = Arc::new(Segment::sealed(header));
                }
            }
            renamed?;
        }
        self.storage.sync_folder()?;
        match self.storage.remove(&packed_name(header.base)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if let Some(former) = former.filter(|former| *former != header) {
            offsets::remove(&*self.offsets, &former);
        }
        Ok(())
    }

    fn begins_with(&self, name: &str, header: &Header) -> bool {
        let mut bytes = [0; HEADER_BYTES];
        let read = self.storage.open(name).and_then(|file| file.read_exact_at(&mut bytes, 0));
        read.is_ok() && bytes == header.encode()
    }

    /// The segment that begins at `base`, all of it.
    pub fn whole(&self, base: u64) -> io::Result<Option<Stretch>> {
        let list = self.list.read().expect("no writer panics with the lock");
        let segment = list.iter().find(|segment| segment.header.base == base);
        segment.map(|segment| self.opened(segment, 0, usize::MAX)).transpose()
    }

    /// At most `limit` records from `position` on, of the segment that holds it; `None` when none
    /// does.
    pub fn stretch(&self, position: u64, limit: usize) -> Result<Option<Stretch>, ReadError> {
        let list = self.list.read().expect("no writer panics with the lock");
        let after = list.partition_point(|segment| segment.header.base <= position);
        let Some(segment) = after.checked_sub(1).and_then(|at| list.get(at)) else {
            return Ok(None);
        };
        let skip = usize::try_from(position - segment.header.base).unwrap_or(usize::MAX);
        let opened = self.opened(segment, skip, limit);
        opened.map(Some).map_err(|error| self.unread(segment, 0, error))
    }

    /// File and offsets of the same form of a segment: the list is held.
    fn opened(&self, segment: &Arc<Segment>, skip: usize, limit: usize) -> io::Result<Stretch> {
        let held = Arc::clone(segment);
        if let State::Written { file, offsets } =
            &*segment.state.read().expect("no writer panics with the lock")
        {
            let offsets = offsets.iter().skip(skip).take(limit.saturating_add(1)).copied();
            let (file, offsets) = (Arc::clone(file), offsets.collect());
            return Ok(Stretch { segment: held, file, offsets });
        }
        let file = open(&*self.storage, segment.header.base)?;
        let offsets = offsets::read(&*self.offsets, &segment.header, skip, limit)?;
        Ok(Stretch { segment: held, file, offsets })
    }

    /// Where the segments are.
    pub fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// Where the offsets of full ones are.
    pub fn offsets(&self) -> &dyn Storage {
        &*self.offsets
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
