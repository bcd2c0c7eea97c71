//! How far the log was when it last answered, in a file of 44 bytes that is written in place and
//! not synced: a process that is killed leaves it whole, and a machine that loses power may lose
//! it, which costs a check and nothing else.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Applied;
use crate::log::embedded::record::array;

const BYTES: usize = 44;

/// The file: position, chain, CRC-32C of both.
pub struct SeenFile(File);

impl SeenFile {
    /// Opens or creates it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        Ok(Self(options.read(true).write(true).create(true).truncate(false).open(path)?))
    }

    /// What it says; the start when that is not what was written.
    pub fn read(&self) -> io::Result<Applied> {
        let mut bytes = [0; BYTES];
        if self.0.metadata()?.len() != BYTES as u64 {
            return Ok(Applied::START);
        }
        self.0.read_exact_at(&mut bytes, 0)?;
        if crc32c::crc32c(&bytes[..40]) != u32::from_le_bytes(array(&bytes, 40)) {
            return Ok(Applied::START);
        }
        Ok(Applied { position: u64::from_le_bytes(array(&bytes, 0)), chain: array(&bytes, 8) })
    }

    /// Replaces it.
    pub fn write(&self, seen: Applied) -> io::Result<()> {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&seen.position.to_le_bytes());
        bytes[8..40].copy_from_slice(&seen.chain);
        let crc = crc32c::crc32c(&bytes[..40]);
        bytes[40..].copy_from_slice(&crc.to_le_bytes());
        self.0.write_all_at(&bytes, 0)
    }
}
