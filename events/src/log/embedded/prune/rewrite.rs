//! One segment written anew.

use std::io;
use std::sync::Arc;

use super::super::frame::{self, FRAME_BYTES, FrameBuilder, HEADER_BYTES, Header, WITH_PRUNED};
use super::super::record::{Draft, RecordView};
use super::super::scan::{Found, Frame, Scan, Tail};
use super::super::segment::{Segment, Segments, Stretch, file_name, offsets};
use super::super::storage::StoredFile;
use super::{PruneError, Pruning};
use crate::log::ReadError;

/// What became of the segment.
pub struct Rewritten {
    /// Records that lost their measurements.
    pub events: u64,
    /// Length up to behind the seal.
    pub length: u64,
}

/// Writes the segment `old` anew and puts it in the place of the old one, which stays as it is
/// when anything fails.
pub fn rewrite(
    segments: &Segments,
    old: Stretch,
    salt: u64,
    pruning: &Pruning,
) -> Result<Rewritten, PruneError> {
    let header = Header { version: WITH_PRUNED, salt, ..old.segment.header };
    let unfinished = format!("{}.tmp", file_name(header.base));
    let failed = |source| PruneError::Write { place: segments.place(&old.segment, 0), source };
    let file = segments.storage().create(&unfinished, HEADER_BYTES as u64).map_err(failed)?;
    let mut copy = Copy { file, header, end: HEADER_BYTES as u64, events: 0, buffer: Vec::new() };
    let found = copy.all(segments, &old, pruning).and_then(|found| {
        let offsets = copy.check(&found).map_err(failed)?;
        offsets::write(segments.offsets(), &header, &offsets).map_err(failed)
    });
    if let Err(error) = found {
        // Left behind, it would be removed when the log is opened, or replaced by the next.
        let _ = segments.storage().remove(&unfinished);
        return Err(error);
    }
    segments.replace(header, &unfinished).map_err(failed)?;
    Ok(Rewritten { events: copy.events, length: copy.end })
}

/// The file that is being written.
struct Copy {
    file: Arc<dyn StoredFile>,
    header: Header,
    /// Where the next frame goes.
    end: u64,
    events: u64,
    buffer: Vec<u8>,
}

impl Copy {
    /// Writes every frame of `old`, pruned, and what is around them; durable when it ends.
    fn all(
        &mut self,
        segments: &Segments,
        old: &Stretch,
        pruning: &Pruning,
    ) -> Result<Found, PruneError> {
        let segment = &old.segment;
        let unread = |offset: u64| move |error| segments.unread(segment, offset, error);
        let damaged = |offset: u64, what: String| ReadError::Damaged {
            place: segments.place(segment, offset),
            what,
        };
        let failed = |source| PruneError::Write { place: segments.place(segment, 0), source };
        self.file.write_all_at(&self.header.encode(), 0).map_err(failed)?;
        let mut scan = Scan::begin(segment.header, Arc::clone(&old.file)).map_err(unread(0))?;
        let mut chain = segment.header.chain;
        loop {
            let at = scan.offset();
            let frame = scan.next_frame().map_err(unread(at))?;
            let Some(frame) = frame.map_err(|what| damaged(at, what))? else { break };
            let bytes = self.frame(segment, &frame, &chain, pruning);
            let bytes = bytes.map_err(|what| damaged(at, what))?;
            chain = frame.chain;
            self.file.write_all_at(&bytes, self.end).map_err(failed)?;
            self.end += bytes.len() as u64;
            self.buffer = bytes;
        }
        let found = scan.finish().map_err(unread(0))?;
        if !matches!(found.tail, Tail::Sealed) {
            return Err(damaged(found.end, "the segment is full and has no seal".to_owned()).into());
        }
        let seal = frame::seal(self.header.salt, found.next, &found.chain);
        self.file.write_all_at(&seal, self.end).map_err(failed)?;
        self.end += FRAME_BYTES as u64;
        self.file.sync_data().map_err(failed)?;
        Ok(found)
    }

    /// A frame with its records pruned. The chain behind it is what it was.
    fn frame(
        &mut self,
        segment: &Segment,
        frame: &Frame<'_>,
        before: &frame::Chain,
        pruning: &Pruning,
    ) -> Result<Vec<u8>, String> {
        let mut builder = FrameBuilder::new(std::mem::take(&mut self.buffer));
        for (position, record) in &frame.records {
            match pruning.takes(*position, record) {
                None => builder.push(&record.salted(self.header.salt, *position)),
                Some(_) => {
                    builder.push(&pruned(record, self.header.salt, *position)?);
                    self.events += 1;
                }
            }
        }
        let first = frame.records.first().map_or(segment.header.base, |(first, _)| *first);
        let (bytes, _, chain) = builder.finish(self.header.salt, first, before);
        match chain == frame.chain {
            true => Ok(bytes),
            false => Err("its pruned records do not give the hash chain that it has".to_owned()),
        }
    }

    /// Reads what was written again and holds it against the segment that it came from; the
    /// offsets of its records.
    fn check(&self, was: &Found) -> io::Result<Vec<u32>> {
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut scan = Scan::begin(self.header, Arc::clone(&self.file))?;
        while scan.next_frame()?.map_err(wrong)?.is_some() {}
        let is = scan.finish()?;
        let same = (is.next, is.chain) == (was.next, was.chain);
        let whole = matches!(is.tail, Tail::Sealed) && is.end + FRAME_BYTES as u64 == self.end;
        match same && whole && is.offsets.len() == was.offsets.len() {
            true => Ok(is.offsets),
            false => Err(wrong("what was pruned does not read the same".to_owned())),
        }
    }
}

/// A record without its measurements.
fn pruned(record: &RecordView<'_>, salt: u64, position: u64) -> Result<Vec<u8>, String> {
    let mut whole = record.decode(position)?;
    let event_type = record.event_type;
    whole.event.data =
        whole.event.data.kept().ok_or_else(|| format!("{event_type} is no telemetry"))?;
    let mut draft = Draft::encode(&whole.event, &whole.stream, Some(record.hash()));
    Ok(draft.place(salt, position, record.revision, record.recorded_at()).to_vec())
}
