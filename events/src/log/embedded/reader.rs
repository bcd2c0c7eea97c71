//! Reading by position. Every read is bounded by a head that its caller took from the watch, so
//! nothing is seen that is not durable.

use super::record::{self, RecordView};
use super::segment::{Segments, Stretch};
use crate::envelope::RecordedEvent;
use crate::log::ReadError;

/// Bytes asked for at once.
const CHUNK_BYTES: u32 = 1 << 20;
/// Offsets held at once.
const CHUNK_RECORDS: usize = 4096;

/// At most `limit` events behind `after`, none behind `head`.
pub fn read_all(
    segments: &Segments,
    after: u64,
    head: u64,
    limit: usize,
) -> Result<Vec<RecordedEvent>, ReadError> {
    let mut events = Vec::new();
    let last = head.min(after.saturating_add(limit as u64));
    scan(segments, after.saturating_add(1), last, &mut |position, view| {
        events.push(view.decode(position)?);
        Ok(())
    })?;
    Ok(events)
}

/// The events at `positions`, which rise.
pub fn read_each(segments: &Segments, positions: &[u64]) -> Result<Vec<RecordedEvent>, ReadError> {
    let mut events = Vec::with_capacity(positions.len());
    // Neighbours in a stream are often neighbours in the log.
    for run in positions.chunk_by(|left, right| left + 1 == *right) {
        scan(segments, run[0], run[run.len() - 1], &mut |position, view| {
            events.push(view.decode(position)?);
            Ok(())
        })?;
    }
    Ok(events)
}

/// Shows the records from `first` to `last` in order.
pub fn scan(
    segments: &Segments,
    first: u64,
    last: u64,
    visit: &mut dyn FnMut(u64, &RecordView<'_>) -> Result<(), String>,
) -> Result<(), ReadError> {
    let mut position = first.max(1);
    let mut buffer = Vec::new();
    while position <= last {
        let limit = usize::try_from(last - position + 1).unwrap_or(CHUNK_RECORDS);
        let Some(stretch) = segments.stretch(position, limit.min(CHUNK_RECORDS))? else {
            return Err(missing(position));
        };
        let segment = &stretch.segment;
        let count = chunk(&stretch.offsets);
        if count == 0 {
            return Err(missing(position));
        }
        let start = stretch.offsets[0];
        if !stretch.offsets.is_sorted() {
            let what = "the offsets of its records are damaged: close the log and delete its index";
            return Err(ReadError::Damaged {
                place: segments.place(segment, u64::from(start)),
                what: what.to_owned(),
            });
        }
        load(&stretch, count, &mut buffer)
            .map_err(|error| segments.unread(segment, u64::from(start), error))?;
        for offset in &stretch.offsets[..count] {
            let skip = offset.saturating_sub(start) as usize;
            let bytes = buffer.get(skip..).unwrap_or_default();
            record::parse(bytes, segment.header.salt, position)
                .and_then(|(view, _)| visit(position, &view))
                .map_err(|what| ReadError::Damaged {
                    place: segments.place(segment, u64::from(*offset)),
                    what,
                })?;
            position += 1;
        }
    }
    Ok(())
}

/// How many records to read at once: at least one, then as many as fit.
fn chunk(offsets: &[u32]) -> usize {
    let Some((first, ends)) = offsets.split_first() else { return 0 };
    let fitting = ends.partition_point(|end| end.saturating_sub(*first) <= CHUNK_BYTES);
    fitting.max(1).min(ends.len())
}

fn load(stretch: &Stretch, count: usize, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    let (start, end) = (stretch.offsets[0], stretch.offsets[count]);
    buffer.clear();
    buffer.resize(end.saturating_sub(start) as usize, 0);
    stretch.file.read_exact_at(buffer, u64::from(start))
}

fn missing(position: u64) -> ReadError {
    ReadError::Damaged {
        place: format!("position {position}"),
        what: "no segment holds it".to_owned(),
    }
}
