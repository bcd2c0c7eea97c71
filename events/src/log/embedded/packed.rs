//! A sealed segment that is compressed.
//!
//! It holds the bytes of the segment up to behind its seal, in blocks that are compressed by
//! themselves, so that a record is read without what lies before it. Read through [`Packed`] it is
//! the segment that it was: offsets, checksums and the hash chain are those of the records.
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | `FAULTZST` |
//! | 8 | 4 | format version |
//! | 12 | 4 | length of a block before compression; the last may be shorter |
//! | 16 | 8 | length of all blocks before compression |
//! | 24 | 8 × blocks | where each block ends in the file, and the CRC-32C of the block as stored |
//! | … | 4 | CRC-32C of everything before |
//! | … | … | the blocks: Zstandard frames |
//!
//! A Zstandard frame has bits that change nothing when they flip, so the checksums are those of
//! what is stored: no byte is altered unseen.

use std::io;
use std::sync::{Arc, Mutex};

use super::record::array;
use super::storage::{Storage, StoredFile};

/// The format that is written, and the only one so far.
const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"FAULTZST";
const FIXED_BYTES: usize = 24;
/// Of the table, for a block.
const ENTRY_BYTES: usize = 8;
const CRC_BYTES: usize = 4;
/// Length of a block: larger ones compress little better, and one is unpacked for every record
/// that is read by itself.
const BLOCK_BYTES: u32 = 128 << 10;
/// No segment is longer, and no table of blocks therefore.
const MAX_BYTES: u64 = 4 << 30;

/// A compressed segment, read as if it were not.
pub struct Packed {
    file: Arc<dyn StoredFile>,
    block_bytes: u64,
    length: u64,
    /// Where the first block begins, then where each ends.
    ends: Vec<u32>,
    /// The checksum of each block as it is stored.
    checksums: Vec<u32>,
    /// The block that was read last, by its number.
    last: Mutex<Option<(usize, Vec<u8>)>>,
}

impl Packed {
    /// Reads the table of blocks.
    pub fn open(file: Arc<dyn StoredFile>) -> io::Result<Self> {
        let stored = file.len()?;
        let too_short = || damaged(&format!("the file ends at offset {stored}, within its table"));
        let mut fixed = [0; FIXED_BYTES];
        if stored < FIXED_BYTES as u64 {
            return Err(too_short());
        }
        file.read_exact_at(&mut fixed, 0)?;
        if &fixed[..8] != MAGIC {
            return Err(damaged("it does not begin like a compressed segment"));
        }
        let version = u32::from_le_bytes(array(&fixed, 8));
        if version != VERSION {
            let what = format!("it has format version {version}, this version reads {VERSION}");
            return Err(damaged(&what));
        }
        let block_bytes = u64::from(u32::from_le_bytes(array(&fixed, 12)));
        let length = u64::from_le_bytes(array(&fixed, 16));
        if block_bytes == 0 || length > MAX_BYTES {
            return Err(damaged("its lengths are not those of a segment"));
        }
        let blocks = length.div_ceil(block_bytes) as usize;
        // Before the checksum is known to hold, the table may claim any length.
        let table_bytes = blocks * ENTRY_BYTES;
        if (FIXED_BYTES + table_bytes + CRC_BYTES) as u64 > stored {
            return Err(too_short());
        }
        let mut table = vec![0; table_bytes + CRC_BYTES];
        file.read_exact_at(&mut table, FIXED_BYTES as u64)?;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&fixed), &table[..table_bytes]);
        if crc != u32::from_le_bytes(array(&table, table_bytes)) {
            return Err(damaged("its table of blocks is damaged"));
        }
        let mut ends = vec![(FIXED_BYTES + table.len()) as u32];
        let mut checksums = Vec::with_capacity(blocks);
        for entry in table[..table_bytes].as_chunks::<ENTRY_BYTES>().0 {
            ends.push(u32::from_le_bytes(array(entry, 0)));
            checksums.push(u32::from_le_bytes(array(entry, 4)));
        }
        if !ends.is_sorted() {
            return Err(damaged("its blocks are not in order"));
        }
        let end = ends.last().copied().map_or(0, u64::from);
        if end != stored {
            let what = format!("the file ends at offset {stored}, its last block at {end}");
            return Err(damaged(&what));
        }
        Ok(Self { file, block_bytes, length, ends, checksums, last: Mutex::new(None) })
    }

    fn unpack(&self, number: usize) -> io::Result<Vec<u8>> {
        let (start, end) = (self.ends[number], self.ends[number + 1]);
        let mut packed = vec![0; (end - start) as usize];
        self.file.read_exact_at(&mut packed, u64::from(start))?;
        let (found, expected) = (crc32c::crc32c(&packed), self.checksums[number]);
        if found != expected {
            let what = format!("block {number} has checksum {found:08x}, expected {expected:08x}");
            return Err(damaged(&what));
        }
        let begin = number as u64 * self.block_bytes;
        let expected = self.block_bytes.min(self.length - begin) as usize;
        let block = zstd::bulk::decompress(&packed, expected)
            .map_err(|error| damaged(&format!("block {number} does not unpack: {error}")))?;
        if block.len() != expected {
            return Err(damaged(&format!("block {number} has {} bytes", block.len())));
        }
        Ok(block)
    }
}

impl StoredFile for Packed {
    fn len(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.saturating_add(buffer.len() as u64) > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut last = self.last.lock().expect("nothing panics with the lock");
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            let number = (at / self.block_bytes) as usize;
            let block = match last.take() {
                Some((known, block)) if known == number => block,
                _ => self.unpack(number)?,
            };
            let from = (at % self.block_bytes) as usize;
            let bytes = (block.len() - from).min(buffer.len() - done);
            buffer[done..done + bytes].copy_from_slice(&block[from..from + bytes]);
            *last = Some((number, block));
            done += bytes;
        }
        Ok(())
    }

    fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(damaged("a compressed segment is complete and never written to"))
    }

    fn cut(&self, _: u64, _: u64) -> io::Result<()> {
        Err(damaged("a compressed segment is complete and never cut"))
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the first `length` bytes of `file` compressed, under the name `to` of no other file,
/// durably, and reads them again to be sure of them. Stops early, and says so, when told to.
pub fn pack(
    file: &dyn StoredFile,
    length: u64,
    level: i32,
    storage: &dyn Storage,
    to: &str,
    stop: &dyn Fn() -> bool,
) -> io::Result<bool> {
    let block_bytes = u64::from(BLOCK_BYTES);
    let blocks = length.div_ceil(block_bytes) as usize;
    let mut at = FIXED_BYTES + blocks * ENTRY_BYTES + CRC_BYTES;
    let mut head = Vec::with_capacity(at);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&BLOCK_BYTES.to_le_bytes());
    head.extend_from_slice(&length.to_le_bytes());
    let packed = storage.create(to, at as u64)?;
    let mut compressor = zstd::bulk::Compressor::new(level)?;
    compressor.include_checksum(false)?;
    let mut block = Vec::new();
    for number in 0..blocks {
        if stop() {
            return Ok(false);
        }
        let from = number as u64 * block_bytes;
        block.resize(block_bytes.min(length - from) as usize, 0);
        file.read_exact_at(&mut block, from)?;
        let bytes = compressor.compress(&block)?;
        packed.write_all_at(&bytes, at as u64)?;
        at += bytes.len();
        let end = u32::try_from(at).map_err(|_| damaged("it does not become smaller"))?;
        head.extend_from_slice(&end.to_le_bytes());
        head.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    }
    let crc = crc32c::crc32c(&head);
    head.extend_from_slice(&crc.to_le_bytes());
    packed.write_all_at(&head, 0)?;
    packed.sync_data()?;
    let packed = Packed::open(packed)?;
    for number in 0..blocks {
        let from = number as u64 * block_bytes;
        block.resize(block_bytes.min(length - from) as usize, 0);
        file.read_exact_at(&mut block, from)?;
        if packed.unpack(number)? != block {
            return Err(damaged("what was compressed does not read the same"));
        }
    }
    Ok(true)
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
