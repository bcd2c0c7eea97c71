//! What the index says, against what the log has.
//!
//! Looking up every event would take many times as long as reading the log. So both sides are
//! summed up: the index in the order of its keys, the log in that of its positions. Only when
//! the sums differ is every event looked for, to name the first that is not found.

use std::ops::AddAssign;

use super::EmbeddedLog;
use crate::id::EventId;
use crate::log::ReadError;
use crate::log::embedded::in_index as failed;
use crate::log::embedded::index::{Index, Place};
use crate::log::embedded::reader;

/// A sum over places that does not depend on their order. It finds faults, not forgeries: the
/// index is made from the log, which has its hash chain against those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    events: u64,
    ids: u64,
    revisions: u64,
}

impl Sum {
    /// An event that is found by its id.
    pub fn add_id(&mut self, id: EventId, position: u64, revision: u64) {
        let (high, low) = id.0.as_u64_pair();
        self.events += 1;
        self.ids =
            self.ids.wrapping_add(mixed(mixed(mixed(high ^ mixed(low)) ^ position) ^ revision));
    }

    /// A revision of a stream.
    pub fn add_revision(&mut self, stream_key: u64, revision: u64, position: u64) {
        self.revisions =
            self.revisions.wrapping_add(mixed(mixed(stream_key ^ mixed(revision)) ^ position));
    }

    /// What stands for a stream.
    pub fn stream_key(stream: &str) -> u64 {
        let bytes = blake3::hash(stream.as_bytes());
        u64::from_le_bytes(*bytes.as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.ids = self.ids.wrapping_add(other.ids);
        self.revisions = self.revisions.wrapping_add(other.revisions);
    }
}

/// Splitmix64's finaliser.
fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// What the index says of all positions up to `head`.
pub fn in_index(index: &Index, head: u64) -> Result<Sum, ReadError> {
    let mut sum = Sum::default();
    let mut stream_key = (String::new(), Sum::stream_key(""));
    let mut each = |place: Place<'_>| match place {
        Place::Id { id, position, revision } if position <= head => {
            sum.add_id(id, position, revision);
        }
        Place::Revision { stream, revision, position } if position <= head => {
            if stream_key.0 != stream {
                stream_key = (stream.to_owned(), Sum::stream_key(stream));
            }
            sum.add_revision(stream_key.1, revision, position);
        }
        _ => {}
    };
    index.each(&mut each).map_err(failed)?;
    Ok(sum)
}

/// The first event that the index does not find where it is.
pub fn difference(log: &EmbeddedLog, index: &Index, head: u64) -> Result<ReadError, ReadError> {
    let mut first = None;
    let first_position = log.segments.all().first().map_or(1, |first| first.header.base);
    reader::scan(&log.segments, first_position, head, &mut |position, record| {
        if first.is_none() {
            let (id, stream, revision) = (record.id, record.stream, record.revision);
            let by_id = index.find(id).map_err(|error| error.to_string())?;
            let by_stream = index.position(stream, revision).map_err(|error| error.to_string())?;
            if by_id != Some((position, revision)) {
                first = Some(format!("event {id} of position {position} is found at {by_id:?}"));
            } else if by_stream != Some(position) {
                first = Some(format!(
                    "revision {revision} of stream {stream:?} is at position {position} and is \
                     found at {by_stream:?}"
                ));
            }
        }
        Ok(())
    })?;
    Ok(in_the_index(first.unwrap_or_else(|| "it has places that the log does not have".to_owned())))
}

/// For a fault of the index.
pub fn in_the_index(what: String) -> ReadError {
    ReadError::Damaged {
        place: "the index".to_owned(),
        what: format!("{what}; close the log and delete its index, it is made again"),
    }
}
