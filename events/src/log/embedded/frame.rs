//! A group of records that became durable together, and the segment header before them.
//!
//! Frame, all numbers little-endian:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 4 | length of everything behind `crc` |
//! | 4 | 4 | `crc`: CRC-32C of salt, length and everything behind this field |
//! | 8 | 8 | position of the first record |
//! | 16 | 4 | number of records; 0 in the seal that ends a full segment |
//! | 20 | 32 | hash chain: BLAKE3 of the chain before, position, number, and the BLAKE3 of the records' own BLAKE3s |
//! | 52 | … | the records |
//!
//! The chain makes an altered, dropped or inserted record visible to whoever kept a later head,
//! checksums repaired or not. It hashes records one by one, so that the hash of a pruned record
//! can stand for it and its neighbours are still proven.
//!
//! Segment header:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | `FAULTLOG` |
//! | 8 | 4 | format version: 1, or 2 for a segment that may hold pruned records |
//! | 12 | 4 | zero |
//! | 16 | 8 | position of the first record |
//! | 24 | 8 | salt |
//! | 32 | 32 | hash chain before the first record |
//! | 64 | 4 | CRC-32C of everything before |
//!
//! The salt is random and enters every checksum of the segment: no event can carry bytes that
//! pass for a frame.

use super::record::{self, RecordView, array};

/// The format that is written.
pub const VERSION: u32 = 1;
/// The same, of a segment that may hold pruned records: the newest that is read.
pub const WITH_PRUNED: u32 = 2;
/// Bytes of a segment header.
pub const HEADER_BYTES: usize = 68;
/// Bytes of a frame before its records, and of a seal.
pub const FRAME_BYTES: usize = 52;
const PREFIX_BYTES: usize = 8;
const MAGIC: &[u8; 8] = b"FAULTLOG";

/// The hash of everything up to a frame.
pub type Chain = [u8; 32];
/// The chain before position 1.
pub const CHAIN_START: Chain = [0; 32];

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The format version.
    pub version: u32,
    /// Position of the first record.
    pub base: u64,
    /// Enters every checksum.
    pub salt: u64,
    /// The chain before the first record.
    pub chain: Chain,
}

/// Why a segment header is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Another version of this software wrote it.
    Version(u32),
    /// It is not what was written.
    Damaged(String),
}

impl Header {
    /// The stored form.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.base.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        bytes[32..64].copy_from_slice(&self.chain);
        let crc = crc32c::crc32c(&bytes[..64]);
        bytes[64..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderError> {
        if &bytes[..8] != MAGIC {
            return Err(HeaderError::Damaged("it does not begin like a segment".to_owned()));
        }
        let expected = crc32c::crc32c(&bytes[..64]);
        let found = u32::from_le_bytes(array(bytes, 64));
        if expected != found {
            return Err(HeaderError::Damaged(format!(
                "the header has checksum {found:08x}, expected {expected:08x}"
            )));
        }
        let version = u32::from_le_bytes(array(bytes, 8));
        if !(VERSION..=WITH_PRUNED).contains(&version) {
            return Err(HeaderError::Version(version));
        }
        Ok(Self {
            version,
            base: u64::from_le_bytes(array(bytes, 16)),
            salt: u64::from_le_bytes(array(bytes, 24)),
            chain: array(bytes, 32),
        })
    }
}

/// Collects the records of one group.
pub struct FrameBuilder {
    bytes: Vec<u8>,
    record_offsets: Vec<u32>,
    hasher: blake3::Hasher,
}

impl FrameBuilder {
    /// An empty frame. `buffer` is reused.
    pub fn new(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(FRAME_BYTES, 0);
        Self { bytes: buffer, record_offsets: Vec::new(), hasher: blake3::Hasher::new() }
    }

    /// Adds a finished record.
    pub fn push(&mut self, record: &[u8]) {
        self.record_offsets.push(u32::try_from(self.bytes.len()).expect("a frame is below 4 GiB"));
        self.hasher.update(&record::chained_hash(record).0);
        self.bytes.extend_from_slice(record);
    }

    /// Length, number and chain are filled in; hands back the frame, the offset of each record
    /// in it, and the chain behind it.
    pub fn finish(mut self, salt: u64, base: u64, before: &Chain) -> (Vec<u8>, Vec<u32>, Chain) {
        let count = u32::try_from(self.record_offsets.len()).expect("a frame is below 4 GiB");
        let chain = next_chain(before, base, count, &self.hasher);
        let length =
            u32::try_from(self.bytes.len() - PREFIX_BYTES).expect("a frame is below 4 GiB");
        self.bytes[..4].copy_from_slice(&length.to_le_bytes());
        self.bytes[8..16].copy_from_slice(&base.to_le_bytes());
        self.bytes[16..20].copy_from_slice(&count.to_le_bytes());
        self.bytes[20..52].copy_from_slice(&chain);
        let crc = checksum(salt, &self.bytes);
        self.bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        (self.bytes, self.record_offsets, chain)
    }
}

/// The frame that ends a full segment; the chain goes on unchanged.
pub fn seal(salt: u64, next: u64, chain: &Chain) -> [u8; FRAME_BYTES] {
    let mut bytes = [0; FRAME_BYTES];
    bytes[..4].copy_from_slice(&((FRAME_BYTES - PREFIX_BYTES) as u32).to_le_bytes());
    bytes[8..16].copy_from_slice(&next.to_le_bytes());
    bytes[20..52].copy_from_slice(chain);
    let crc = checksum(salt, &bytes);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A frame whose checksum holds.
pub struct FrameView<'a> {
    /// Position of the first record.
    pub base: u64,
    /// Number of records; 0 is a seal.
    pub count: u32,
    /// The chain behind it, as stored.
    pub chain: Chain,
    /// Stored length in bytes.
    pub stored: usize,
    records: &'a [u8],
}

/// What the first bytes of a frame say, not checked but for being possible: its stored length
/// and first position.
pub fn peek(bytes: &[u8]) -> Option<(usize, u64)> {
    let start = bytes.first_chunk::<20>()?;
    let stored = u32::from_le_bytes(array(start, 0)) as usize + PREFIX_BYTES;
    let count = u32::from_le_bytes(array(start, 16)) as usize;
    let least = count.saturating_mul(record::FIXED_BYTES).saturating_add(FRAME_BYTES);
    (stored >= least).then(|| (stored, u64::from_le_bytes(array(start, 8))))
}

/// Checks the frame at the start of `bytes`; its stored length.
pub fn check(bytes: &[u8], salt: u64) -> Result<usize, String> {
    let Some((stored, _)) = peek(bytes) else {
        return Err("no frame begins here".to_owned());
    };
    if stored > bytes.len() {
        return Err(format!("a frame of {stored} bytes where {} are left", bytes.len()));
    }
    let expected = checksum(salt, &bytes[..stored]);
    let found = u32::from_le_bytes(array(bytes, 4));
    if expected != found {
        return Err(format!("the frame has checksum {found:08x}, expected {expected:08x}"));
    }
    Ok(stored)
}

impl<'a> FrameView<'a> {
    /// A frame that was [checked](check).
    pub fn of(frame: &'a [u8]) -> Self {
        Self {
            base: u64::from_le_bytes(array(frame, 8)),
            count: u32::from_le_bytes(array(frame, 16)),
            chain: array(frame, 20),
            stored: frame.len(),
            records: &frame[FRAME_BYTES..],
        }
    }

    /// The records with their offsets in the frame, checked against their own checksums and
    /// against the chain.
    pub fn records(
        &self,
        salt: u64,
        before: &Chain,
    ) -> Result<Vec<(usize, RecordView<'a>)>, String> {
        let mut hasher = blake3::Hasher::new();
        let mut records = Vec::with_capacity(self.count as usize);
        let mut at = 0;
        for position in self.base..self.base.saturating_add(u64::from(self.count)) {
            let (view, stored) = record::parse(&self.records[at..], salt, position)?;
            hasher.update(&view.hash().0);
            records.push((FRAME_BYTES + at, view));
            at += stored;
        }
        if at != self.records.len() {
            return Err(format!("{} bytes behind the last record", self.records.len() - at));
        }
        let expected = if self.count == 0 {
            *before
        } else {
            next_chain(before, self.base, self.count, &hasher)
        };
        if expected != self.chain {
            return Err("the hash chain is broken: a record before was altered, dropped or \
                        inserted"
                .to_owned());
        }
        Ok(records)
    }
}

fn next_chain(before: &Chain, base: u64, count: u32, records: &blake3::Hasher) -> Chain {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(&base.to_le_bytes()).update(&count.to_le_bytes());
    hasher.update(records.finalize().as_bytes());
    hasher.finalize().into()
}

/// Over a whole frame, its own field left out.
fn checksum(salt: u64, frame: &[u8]) -> u32 {
    let mut crc = crc32c::crc32c(&salt.to_le_bytes());
    crc = crc32c::crc32c_append(crc, &frame[..4]);
    crc32c::crc32c_append(crc, &frame[PREFIX_BYTES..])
}
