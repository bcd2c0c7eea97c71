//! Events on disk, on their way to one server.
//!
//! Every process appends to segments of its own, a CloudEvent a line, and syncs before an event
//! counts as kept. A segment is read from its begin; how far it was dealt with stands beside it
//! (`NAME.sent`), and it is removed when all of it was. That note is not synced: an event that
//! is sent twice has the same id twice, which the server takes once, and one that is not sent
//! is lost.

mod segment;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use events::Event;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) use segment::{Batch, Segment};

use crate::state::{self, StateError, StateFolder};

/// Bytes that the events of one server may take on disk, unless said otherwise.
pub const MAX_SPOOL_BYTES: u64 = 256 * 1024 * 1024;

/// A segment that has grown to this size is followed by another one, so that what was delivered
/// is removed now and then.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// Events that a server refused for good are kept up to this size, for whoever looks into it.
const MAX_REFUSED_BYTES: u64 = 16 * 1024 * 1024;

/// Why an event could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// There is no place for it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The disk does not take it.
    #[error("could not write to the spool {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The limit is reached.
    #[error(
        "the spool {} is full: {used} of {max} bytes wait for the server; `chaos-runner deliver` \
         sends them", path.display()
    )]
    Full {
        /// The folder.
        path: PathBuf,
        /// What is there.
        used: u64,
        /// What may be.
        max: u64,
    },
}

/// The spool of one server.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    max_bytes: u64,
}

/// What a spool says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Address {
    server: String,
}

impl Spool {
    /// The spool for events to `server`, made when it is missing.
    pub fn open(state: &StateFolder, server: &str, max_bytes: u64) -> Result<Self, SpoolError> {
        let server = server.trim_end_matches('/');
        let name = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, server.as_bytes());
        let folder = state.folder(&format!("spool/{}", name.simple()))?;
        let address = folder.join("server.json");
        if !address.exists() {
            let text = json!(Address { server: server.to_owned() }).to_string();
            state::write_durably(&address, text.as_bytes())
                .map_err(|source| SpoolError::Io { path: address, source })?;
        }
        Ok(Self { folder, max_bytes })
    }

    /// The servers that have a spool.
    pub fn servers(state: &StateFolder) -> Result<Vec<String>, SpoolError> {
        let root = state.folder("spool")?;
        let error = |source| SpoolError::Io { path: root.clone(), source };
        let mut servers = Vec::new();
        for entry in std::fs::read_dir(&root).map_err(error)? {
            let text = std::fs::read(entry.map_err(error)?.path().join("server.json"));
            let address = text.ok().and_then(|text| serde_json::from_slice::<Address>(&text).ok());
            servers.extend(address.map(|address| address.server));
        }
        servers.sort();
        Ok(servers)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Keeps events for the next process that talks to the server.
    pub fn keep(&self, events: &[Event]) -> Result<(), SpoolError> {
        if events.is_empty() {
            return Ok(());
        }
        Appender::new(self.clone())?.append(events).map(|_| ())
    }

    /// Throws away what processes that are gone left; answers how many events that were.
    pub fn discard(&self) -> Result<u64, SpoolError> {
        let mut discarded = 0;
        for segment in self.adopt()? {
            discarded += segment.events;
            let path = segment.path().to_owned();
            segment.remove().map_err(|source| SpoolError::Io { path, source })?;
        }
        Ok(discarded)
    }

    /// Segments whose processes are gone, oldest first.
    pub(super) fn adopt(&self) -> Result<Vec<Segment>, SpoolError> {
        let mut adopted = Vec::new();
        for path in self.segments()? {
            let error = |source| SpoolError::Io { path: path.clone(), source };
            if let Some(file) = state::adopt(&path).map_err(error)? {
                adopted.push(Segment::read(path.clone(), file).map_err(error)?);
            }
        }
        Ok(adopted)
    }

    fn segments(&self) -> Result<Vec<PathBuf>, SpoolError> {
        let error = |source| SpoolError::Io { path: self.folder.clone(), source };
        let entries = std::fs::read_dir(&self.folder).map_err(error)?;
        let paths: io::Result<Vec<_>> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut paths = paths.map_err(error)?;
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "events"));
        paths.sort();
        Ok(paths)
    }

    fn used_bytes(&self) -> Result<u64, SpoolError> {
        let sizes = self.segments()?.into_iter().filter_map(|path| path.metadata().ok());
        Ok(sizes.map(|file| file.len()).sum())
    }

    /// Keeps an event that the server will never take, with the reason, beside the spool.
    pub(super) fn set_aside(&self, event: &Value, reason: &str) -> io::Result<()> {
        let path = self.folder.join("refused.ndjson");
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
        if file.metadata()?.len() < MAX_REFUSED_BYTES {
            writeln!(file, "{}", json!({ "reason": reason, "event": event }))?;
        }
        Ok(())
    }
}

/// Appends events to segments of this process.
#[derive(Debug)]
pub(super) struct Appender {
    spool: Spool,
    current: Option<(PathBuf, File, u64)>,
    number: u32,
    used: u64,
}

/// Where appended events ended up.
#[derive(Debug)]
pub(super) struct Appended {
    /// The segment, when it is a new one.
    pub(super) begun: Option<Segment>,
    /// Where the segment ends now.
    pub(super) end: u64,
}

impl Appender {
    pub(super) fn new(spool: Spool) -> Result<Self, SpoolError> {
        let used = spool.used_bytes()?;
        Ok(Self { spool, current: None, number: 0, used })
    }

    /// Appends events; they are durable when this returns.
    pub(super) fn append(&mut self, events: &[Event]) -> Result<Appended, SpoolError> {
        let mut bytes = Vec::new();
        for event in events {
            bytes.extend_from_slice(event.to_cloud_event().to_string().as_bytes());
            bytes.push(b'\n');
        }
        self.make_room(bytes.len() as u64)?;
        let begun = match &self.current {
            Some((_, _, length)) if *length < self.segment_bytes() => None,
            _ => Some(self.begin()?),
        };
        let (path, file, length) = self.current.as_mut().expect("a segment was just begun");
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        if let Err(source) = written {
            // Half a line would spoil the next one. What is before it stays.
            let _ = file.set_len(*length);
            return Err(SpoolError::Io { path: path.clone(), source });
        }
        *length += bytes.len() as u64;
        self.used += bytes.len() as u64;
        Ok(Appended { begun, end: *length })
    }

    /// So that a small spool is not one segment, which is removed at the end only.
    fn segment_bytes(&self) -> u64 {
        SEGMENT_BYTES.min(self.spool.max_bytes / 4)
    }

    fn make_room(&mut self, wanted: u64) -> Result<(), SpoolError> {
        let max = self.spool.max_bytes;
        if self.used + wanted > max {
            // What was delivered since is gone from the folder.
            self.used = self.spool.used_bytes()?;
        }
        if self.used + wanted > max {
            return Err(SpoolError::Full { path: self.spool.folder.clone(), used: self.used, max });
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<Segment, SpoolError> {
        loop {
            self.number += 1;
            let path =
                self.spool.folder.join(state::own_name(self.number)).with_extension("events");
            let error = |source| SpoolError::Io { path: path.clone(), source };
            let Some(file) = state::create_locked(&path).map_err(error)? else { continue };
            state::sync_folder_of(&path).map_err(error)?;
            let read = file.try_clone().map_err(error)?;
            self.current = Some((path.clone(), file, 0));
            return Ok(Segment::begun(path, read));
        }
    }
}

#[cfg(test)]
mod tests {
    use events::catalogue::experiment::ExperimentStarted;
    use events::value::Line;
    use events::{ExperimentId, Timestamp};

    use super::*;

    fn event(number: usize) -> Event {
        let experiment = ExperimentId::new(format!("e-{number}")).unwrap();
        let source = Line::new("/test").unwrap();
        Event::new(source, Timestamp::UNIX_EPOCH, ExperimentStarted { experiment })
    }

    fn spool(folder: &Path, max_bytes: u64) -> Spool {
        let state = StateFolder::open(Some(folder), &|_| None).unwrap();
        Spool::open(&state, "http://127.0.0.1:7700/", max_bytes).unwrap()
    }

    #[test]
    fn what_a_process_left_is_read_where_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path(), MAX_SPOOL_BYTES);
        let mut appender = Appender::new(spool.clone()).unwrap();
        let events: Vec<_> = (0..5).map(event).collect();
        let appended = appender.append(&events).unwrap();
        let mut segment = appended.begun.unwrap();
        segment.end = appended.end;
        let batch = segment.next(2).unwrap();
        assert_eq!(batch.lines[1], events[1].to_cloud_event().to_string());
        segment.dealt_with(batch.end, 2).unwrap();
        assert!(spool.adopt().unwrap().is_empty(), "its process lives");
        drop((appender, segment));
        // The process died in the middle of a line.
        let path = spool.segments().unwrap().remove(0);
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"{\"half").unwrap();
        let mut adopted = spool.adopt().unwrap();
        assert_eq!(adopted[0].events, 3);
        let batch = adopted[0].next(100).unwrap();
        assert_eq!(batch.lines[0], events[2].to_cloud_event().to_string());
        assert_eq!(batch.lines.len(), 3);
        adopted[0].dealt_with(batch.end, 3).unwrap();
        assert!(adopted[0].is_through());
        adopted.remove(0).remove().unwrap();
        assert!(spool.segments().unwrap().is_empty());
    }

    #[test]
    fn a_full_spool_says_so_and_has_room_again_after_delivery() {
        let folder = tempfile::tempdir().unwrap();
        let line = event(1).to_cloud_event().to_string().len() as u64 + 1;
        let spool = spool(folder.path(), 2 * line);
        let mut appender = Appender::new(spool.clone()).unwrap();
        let mut segment = appender.append(&[event(1)]).unwrap().begun.unwrap();
        segment.end = appender.append(&[event(2)]).unwrap().end;
        let error = appender.append(&[event(3)]).unwrap_err().to_string();
        assert!(error.contains(&format!("{} of {} bytes", 2 * line, 2 * line)), "{error}");
        segment.dealt_with(segment.end, 2).unwrap();
        segment.remove().unwrap();
        appender.current = None;
        appender.append(&[event(3)]).unwrap();
    }

    #[test]
    fn a_lost_note_sends_again_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path(), MAX_SPOOL_BYTES);
        let mut appender = Appender::new(spool.clone()).unwrap();
        let mut segment = appender.append(&[event(1), event(2)]).unwrap().begun.unwrap();
        segment.end = appender.current.as_ref().unwrap().2;
        segment.dealt_with(segment.next(1).unwrap().end, 1).unwrap();
        std::fs::write(segment.path().with_extension("sent"), "garbage").unwrap();
        drop((appender, segment));
        assert_eq!(spool.adopt().unwrap()[0].events, 2);
    }

    #[test]
    fn only_what_nobody_holds_is_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path(), MAX_SPOOL_BYTES);
        spool.keep(&[event(1), event(2)]).unwrap();
        let mut held = Appender::new(spool.clone()).unwrap();
        held.append(&[event(3)]).unwrap();
        assert_eq!(spool.discard().unwrap(), 2);
        assert_eq!(spool.discard().unwrap(), 0);
        drop(held);
        assert_eq!(spool.discard().unwrap(), 1);
        assert!(spool.segments().unwrap().is_empty());
    }

    #[test]
    fn servers_are_told_apart_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(Some(folder.path()), &|_| None).unwrap();
        let one = Spool::open(&state, "http://a:1", 1).unwrap();
        let same = Spool::open(&state, "http://a:1/", 1).unwrap();
        let other = Spool::open(&state, "http://b:1", 1).unwrap();
        assert_eq!(one.path(), same.path());
        assert_ne!(one.path(), other.path());
        assert_eq!(Spool::servers(&state).unwrap(), ["http://a:1", "http://b:1"]);
    }
}
