//! NDJSON files, read in batches of bounded size.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Most lines of a batch.
const BATCH_LINES: usize = 1_000;
/// A batch takes no further line from this size on.
const BATCH_BYTES: usize = 4 << 20;
/// Longest line.
pub(super) const MAX_LINE_BYTES: usize = 8 << 20;

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// A line that is not empty.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) text: String,
}

/// Why a file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The system says no.
    #[error("reading {place}")]
    Read {
        /// Where.
        place: Place,
        /// Why.
        source: std::io::Error,
    },
    /// A line without an end in sight.
    #[error("{place}: expected a line of at most {MAX_LINE_BYTES} bytes")]
    TooLong {
        /// Where.
        place: Place,
    },
}

/// The lines of one file.
pub(super) struct Lines {
    reader: BufReader<File>,
    place: Place,
}

impl Lines {
    pub(super) fn open(file: &Path) -> Result<Self, LineError> {
        let place = Place { file: file.to_owned(), line: 0 };
        match File::open(file) {
            Ok(opened) => Ok(Self { reader: BufReader::new(opened), place }),
            Err(source) => Err(LineError::Read { place, source }),
        }
    }

    /// The next lines, none at the end of the file; empty lines are passed over.
    pub(super) fn batch(&mut self) -> Result<Vec<Line>, LineError> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while lines.len() < BATCH_LINES && bytes < BATCH_BYTES {
            let mut text = String::new();
            self.place.line += 1;
            let place = self.place.clone();
            let limit = MAX_LINE_BYTES as u64 + 1;
            let read = self.reader.by_ref().take(limit).read_line(&mut text);
            match read.map_err(|source| LineError::Read { place: place.clone(), source })? {
                0 => break,
                read if read > MAX_LINE_BYTES => return Err(LineError::TooLong { place }),
                read => bytes += read,
            }
            if !text.trim().is_empty() {
                lines.push(Line { place, text });
            }
        }
        Ok(lines)
    }
}
