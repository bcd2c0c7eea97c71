//! Where each record of a full segment begins, on disk: `index/offsets/⟨base⟩.off`, one
//! little-endian u32 a record and one for the end of the last. Those of a segment that was pruned
//! are named by its salt as well, so that no crash leaves a segment with the offsets of another.

use std::io;

use super::super::frame::{Header, VERSION};
use super::super::storage::Storage;

fn name(header: &Header) -> String {
    match header.version {
        VERSION => format!("{:020}.off", header.base),
        _ => format!("{:020}-{:016x}.off", header.base, header.salt),
    }
}

/// Whether the offsets of a full segment of `count` records are on disk.
pub fn stored(storage: &dyn Storage, header: &Header, count: u64) -> bool {
    let length = storage.open(&name(header)).and_then(|file| file.len());
    length.is_ok_and(|length| length == (count + 1) * 4)
}

/// Puts the offsets of a full segment on disk, whole or not at all.
pub fn write(storage: &dyn Storage, header: &Header, offsets: &[u32]) -> io::Result<()> {
    let bytes: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
    let name = name(header);
    let unfinished = format!("{name}.tmp");
    let file = storage.create(&unfinished, bytes.len() as u64)?;
    file.write_all_at(&bytes, 0)?;
    file.sync_data()?;
    storage.rename(&unfinished, &name)
}

/// The offsets of at most `limit` records behind the first `skip`, and the end of the last.
pub fn read(
    storage: &dyn Storage,
    header: &Header,
    skip: usize,
    limit: usize,
) -> io::Result<Vec<u32>> {
    let file = storage.open(&name(header))?;
    let stored = usize::try_from(file.len()? / 4).unwrap_or(usize::MAX);
    let count = stored.saturating_sub(skip).min(limit.saturating_add(1));
    let mut bytes = vec![0; count * 4];
    file.read_exact_at(&mut bytes, skip as u64 * 4)?;
    Ok(bytes.as_chunks().0.iter().copied().map(u32::from_le_bytes).collect())
}

/// Removes those of a segment that is no more. They are derived: what stays does no harm.
pub fn remove(storage: &dyn Storage, header: &Header) {
    if let Err(error) = storage.remove(&name(header)) {
        tracing::debug!(log.file = name(header), %error, "offsets of no segment stay");
    }
}

/// Removes what is of none of these segments, while nothing else is at work.
pub fn sweep<'a>(storage: &dyn Storage, headers: impl Iterator<Item = &'a Header>) {
    let known: Vec<String> = headers.map(name).collect();
    let Ok(names) = storage.list() else { return };
    for name in names.iter().filter(|name| name.contains(".off") && !known.contains(name)) {
        if let Err(error) = storage.remove(name) {
            tracing::debug!(log.file = name, %error, "offsets of no segment stay");
        }
    }
}
