//! A file of a spool, as it is read and sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that are read for one request, unless one event is longer.
const READ_BYTES: usize = 512 * 1024;

/// A file of events, locked, and how far it was dealt with.
#[derive(Debug)]
pub(in crate::submit) struct Segment {
    path: PathBuf,
    file: File,
    sent: u64,
    /// What is before it is whole and durable.
    pub(in crate::submit) end: u64,
    /// Events between the two.
    pub(in crate::submit) events: u64,
}

/// Events from a segment, as they stand there.
#[derive(Debug)]
pub(in crate::submit) struct Batch {
    /// A CloudEvent each.
    pub(in crate::submit) lines: Vec<String>,
    /// Where the next one begins.
    pub(in crate::submit) end: u64,
}

impl Segment {
    /// A new one, empty.
    pub(super) fn begun(path: PathBuf, file: File) -> Self {
        Self { path, file, sent: 0, end: 0, events: 0 }
    }

    /// One that is there.
    pub(super) fn read(path: PathBuf, file: File) -> io::Result<Self> {
        let text = std::fs::read(&path)?;
        // The process may have died in mid-write: what has no end was never kept.
        let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        let noted = std::fs::read_to_string(sent_beside(&path)).ok();
        let sent = noted.and_then(|text| text.trim().parse().ok()).unwrap_or(0_u64);
        let sent = sent.min(end as u64);
        let rest = &text[usize::try_from(sent).unwrap_or(end)..end];
        let events = rest.iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(Self { path, file, sent, end: end as u64, events })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The next events, at most `most`. Blocks.
    pub(in crate::submit) fn next(&self, most: usize) -> io::Result<Batch> {
        let left = usize::try_from(self.end - self.sent).unwrap_or(usize::MAX);
        let mut length = READ_BYTES.min(left);
        loop {
            let mut bytes = vec![0; length];
            self.file.read_exact_at(&mut bytes, self.sent)?;
            let mut batch = Batch { lines: Vec::new(), end: self.sent };
            for line in bytes.split_inclusive(|byte| *byte == b'\n').take(most) {
                let Some(line_bytes) = line.strip_suffix(b"\n") else { break };
                batch.lines.push(String::from_utf8_lossy(line_bytes).into_owned());
                batch.end += line.len() as u64;
            }
            if !batch.lines.is_empty() || length == left {
                return Ok(batch);
            }
            length = (length * 2).min(left);
        }
    }

    /// Takes down that everything before `end` was dealt with.
    pub(in crate::submit) fn dealt_with(&mut self, end: u64, events: u64) -> io::Result<()> {
        self.sent = end;
        self.events = self.events.saturating_sub(events);
        std::fs::write(sent_beside(&self.path), end.to_string())
    }

    pub(in crate::submit) fn is_through(&self) -> bool {
        self.sent == self.end
    }

    /// Removes it. It must be through.
    pub(in crate::submit) fn remove(self) -> io::Result<()> {
        // In this order: without the note all would be sent again, which is harmless; a note
        // without its segment would be litter.
        let _ = std::fs::remove_file(sent_beside(&self.path));
        std::fs::remove_file(&self.path)
    }

    /// A second view of it, for another thread.
    pub(in crate::submit) fn view(&self) -> io::Result<Self> {
        let (sent, end, events) = (self.sent, self.end, self.events);
        Ok(Self { path: self.path.clone(), file: self.file.try_clone()?, sent, end, events })
    }
}

fn sent_beside(path: &Path) -> PathBuf {
    path.with_extension("sent")
}
