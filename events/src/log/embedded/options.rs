//! How a log is kept, and why it may not open.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::frame;

/// How a log is kept.
#[derive(Clone)]
pub struct Options {
    /// Length of a segment file. A larger group gets a segment of its own length.
    pub segment_bytes: u64,
    /// Most bytes of one batch, as stored.
    pub max_batch_bytes: usize,
    /// Most batches that wait for the writer.
    pub queue_batches: usize,
    /// Most bytes that wait for the writer.
    pub queue_bytes: usize,
    /// While the disk has less room than this, nothing is appended: the index, which is written
    /// behind the log, and whatever else lives on the disk still need some.
    pub reserve_bytes: u64,
    /// The Zstandard level, 1 to 19, at which full segments are compressed behind the writer;
    /// without one they stay as they were written.
    pub compression: Option<i32>,
    /// What `recorded_at` is taken from; a clock that goes back is not followed.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Random numbers, one a segment.
    pub salts: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            max_batch_bytes: 16 << 20,
            queue_batches: 1024,
            queue_bytes: 32 << 20,
            reserve_bytes: 64 << 20,
            compression: None,
            clock: Arc::new(Timestamp::now),
            // The low half of a UUIDv7 is random but for its two variant bits.
            salts: Arc::new(|| uuid::Uuid::now_v7().as_u64_pair().1),
        }
    }
}

/// Why a log cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or this one, has it open.
    #[error("the log in {folder} is open already")]
    Locked {
        /// The log's folder.
        folder: String,
    },
    /// What is stored is not what was acknowledged.
    #[error("the log is damaged at {place}: {what}")]
    Damaged {
        /// File and offset.
        place: String,
        /// What is wrong there.
        what: String,
    },
    /// A newer version of this software wrote it.
    #[error("{file} has format version {found}, this version reads {}", frame::WITH_PRUNED)]
    UnsupportedVersion {
        /// The segment.
        file: String,
        /// Its version.
        found: u32,
    },
    /// A file operation failed.
    #[error("{doing} {path} failed")]
    Io {
        /// What was done.
        doing: &'static str,
        /// With which file.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The index could not be written. It may be deleted: it is rebuilt from the log.
    #[error("the index of the log failed")]
    Index(#[from] fjall::Error),
    /// Options that contradict each other.
    #[error("{0}")]
    Options(&'static str),
}

impl Options {
    /// Refuses limits that cannot all be kept.
    pub(super) fn check(&self) -> Result<(), OpenError> {
        const MAX_BYTES: u64 = 1 << 30;
        if !(4096..=MAX_BYTES).contains(&self.segment_bytes) {
            return Err(OpenError::Options("expected segments of 4 KiB to 1 GiB"));
        }
        if self.max_batch_bytes as u64 > MAX_BYTES || self.max_batch_bytes > self.queue_bytes {
            return Err(OpenError::Options(
                "expected batches of at most 1 GiB and at most the bytes of the queue",
            ));
        }
        if self.compression.is_some_and(|level| !(1..=19).contains(&level)) {
            return Err(OpenError::Options("expected a compression level of 1 to 19"));
        }
        if self.queue_batches == 0 || self.queue_bytes > Semaphore::MAX_PERMITS {
            return Err(OpenError::Options("expected a queue of at least one batch"));
        }
        Ok(())
    }
}
