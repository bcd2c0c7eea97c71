//! Reading a segment from its start, checking everything.

use std::io;
use std::sync::Arc;

use super::frame::{self, Chain, FRAME_BYTES, FrameView, HEADER_BYTES, Header};
use super::record::RecordView;
use super::storage::StoredFile;

const CHUNK_BYTES: usize = 1 << 20;

/// How a segment ends.
pub enum Tail {
    /// With zeros.
    Clean,
    /// With the seal.
    Sealed,
    /// With bytes that are no frame.
    Bad {
        /// What is wrong with the first of them.
        what: String,
        /// Behind the last byte that is not zero.
        end: u64,
        /// Whether a valid frame follows.
        followed: bool,
    },
}

/// What a whole segment holds.
pub struct Found {
    /// The position behind its last record.
    pub next: u64,
    /// The chain there.
    pub chain: Chain,
    /// Offset of the last frame with records; equal to `end` without one.
    pub last_frame: u64,
    /// End of the last frame with records.
    pub end: u64,
    /// Offset of each record, then the end.
    pub offsets: Vec<u32>,
    /// What follows.
    pub tail: Tail,
}

/// One frame.
pub struct Frame<'a> {
    /// The last position in it.
    pub last: u64,
    /// The chain behind it.
    pub chain: Chain,
    /// Its records by position.
    pub records: Vec<(u64, RecordView<'a>)>,
}

/// A reader at a place in a segment.
pub struct Scan {
    window: Window,
    header: Header,
    next: u64,
    chain: Chain,
    last_frame: u64,
    at: u64,
    offsets: Vec<u32>,
    tail: Option<Tail>,
}

impl Scan {
    /// Behind the header.
    pub fn begin(header: Header, file: Arc<dyn StoredFile>) -> io::Result<Self> {
        let at = HEADER_BYTES as u64;
        Ok(Self {
            window: Window::new(file)?,
            header,
            next: header.base,
            chain: header.chain,
            last_frame: at,
            at,
            offsets: Vec::new(),
            tail: None,
        })
    }

    /// Where the next frame begins.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// The next frame; `None` at the end, which [`Self::finish`] describes. The inner error is a
    /// frame that holds and cannot be right all the same.
    pub fn next_frame(&mut self) -> io::Result<Result<Option<Frame<'_>>, String>> {
        let stored = match frame::peek(self.window.at(self.at, FRAME_BYTES)?) {
            Some((stored, _)) => stored,
            None => {
                self.tail = Some(self.tail("no frame begins here".to_owned())?);
                return Ok(Ok(None));
            }
        };
        let (salt, before, at) = (self.header.salt, self.chain, self.at);
        if let Err(what) = frame::check(self.window.at(at, stored)?, salt) {
            self.tail = Some(self.tail(what)?);
            return Ok(Ok(None));
        }
        let view = FrameView::of(self.window.at(at, stored)?);
        if view.base != self.next {
            let what = format!("a frame of position {}, expected {}", view.base, self.next);
            return Ok(Err(what));
        }
        if view.count == 0 {
            if view.chain != before {
                return Ok(Err("the seal does not fit the hash chain".to_owned()));
            }
            self.tail = Some(Tail::Sealed);
            return Ok(Ok(None));
        }
        let records = match view.records(salt, &before) {
            Ok(records) => records,
            Err(what) => return Ok(Err(what)),
        };
        let first = self.next;
        for (offset, _) in &records {
            self.offsets.push(narrow(at + *offset as u64));
        }
        self.next += records.len() as u64;
        self.chain = view.chain;
        self.last_frame = at;
        self.at += view.stored as u64;
        let records = records
            .into_iter()
            .zip(first..)
            .map(|((_, record), position)| (position, record))
            .collect();
        Ok(Ok(Some(Frame { last: self.next - 1, chain: self.chain, records })))
    }

    /// What was found, once there is no further frame.
    pub fn finish(mut self) -> io::Result<Found> {
        self.offsets.push(narrow(self.at));
        Ok(Found {
            next: self.next,
            chain: self.chain,
            last_frame: self.last_frame,
            end: self.at,
            offsets: self.offsets,
            tail: self.tail.unwrap_or(Tail::Clean),
        })
    }

    /// Looks at everything from here on.
    fn tail(&mut self, what: String) -> io::Result<Tail> {
        let mut end = None;
        let mut followed = false;
        let mut at = self.at;
        while at < self.window.length {
            let chunk = self.window.at(at, CHUNK_BYTES)?;
            let length = chunk.len();
            let Some(last) = last_non_zero(chunk) else {
                at += length as u64;
                continue;
            };
            end = Some(at + last as u64 + 1);
            followed = followed || self.frame_within(at, length)?;
            at += length as u64;
        }
        Ok(match end {
            None => Tail::Clean,
            Some(end) => Tail::Bad { what, end, followed },
        })
    }

    /// Whether a valid frame, of this place or later, begins in these bytes.
    fn frame_within(&mut self, start: u64, length: usize) -> io::Result<bool> {
        let candidates = {
            let (left, next) = (self.window.length - start, self.next);
            let bytes = self.window.at(start, length + FRAME_BYTES)?;
            let plausible = |offset: &usize| {
                frame::peek(&bytes[*offset..]).is_some_and(|(stored, base)| {
                    (stored + offset) as u64 <= left
                        && (next..=next.saturating_add(left)).contains(&base)
                })
            };
            (0..length.min(bytes.len())).filter(plausible).collect::<Vec<_>>()
        };
        for offset in candidates {
            let at = start + offset as u64;
            let Some((stored, _)) = frame::peek(self.window.at(at, FRAME_BYTES)?) else { continue };
            if frame::check(self.window.at(at, stored)?, self.header.salt).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn last_non_zero(bytes: &[u8]) -> Option<usize> {
    const STEP: usize = 4096;
    // Compared block by block, which the compiler's memcmp does even in debug builds.
    let blocks = bytes.chunks(STEP).enumerate().rev();
    for (index, block) in blocks {
        if *block != [0; STEP][..block.len()] {
            let last = block.iter().rposition(|byte| *byte != 0)?;
            return Some(index * STEP + last);
        }
    }
    None
}

fn narrow(offset: u64) -> u32 {
    u32::try_from(offset).expect("a segment is below 4 GiB")
}

/// Part of a file in memory.
struct Window {
    file: Arc<dyn StoredFile>,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn new(file: Arc<dyn StoredFile>) -> io::Result<Self> {
        let length = file.len()?;
        Ok(Self { file, length, start: 0, bytes: Vec::new() })
    }

    /// `wanted` bytes from `offset` on, fewer at the end of the file.
    fn at(&mut self, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        let left = self.length.saturating_sub(offset);
        let wanted = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
        let inside =
            offset >= self.start && offset + wanted as u64 <= self.start + self.bytes.len() as u64;
        if !inside {
            let read = wanted.max(CHUNK_BYTES).min(usize::try_from(left).unwrap_or(usize::MAX));
            self.bytes.resize(read, 0);
            self.file.read_exact_at(&mut self.bytes, offset)?;
            self.start = offset;
        }
        let skip = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        Ok(&self.bytes[skip.min(self.bytes.len())..][..wanted])
    }
}
