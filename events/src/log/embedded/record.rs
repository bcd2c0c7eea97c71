//! One event as it is stored.
//!
//! All numbers are little-endian:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 4 | length of everything behind `crc` |
//! | 4 | 4 | `crc`: CRC-32C of salt, position, length and everything behind this field |
//! | 8 | 16 | event id |
//! | 24 | 8 | revision |
//! | 32 | 12 | recorded at: seconds i64, nanoseconds i32 |
//! | 44 | 12 | occurred at: the same |
//! | 56 | 2 | length of the stream id |
//! | 58 | 2 | length of the event type |
//! | 60 | 4 | length of the metadata; the highest bit says that the record was pruned |
//! | 64 | … | stream id, event type, metadata (JSON), payload (JSON: the event's data) |
//!
//! In a pruned record, 32 bytes stand between metadata and payload: the BLAKE3 of the record as
//! it was, from offset 8 on. They stand for the record in the hash chain. The payload is what is
//! [kept](crate::EventData::kept) of the data.
//!
//! The position is not stored: it follows from the frame. It is in the checksum, so that a
//! record read from a wrong place is not mistaken for another.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalogue::EventData;
use crate::envelope::{Event, RecordHash, RecordedEvent};
use crate::id::{EventId, StreamId};
use crate::value::Line;

/// Length and checksum.
pub const PREFIX_BYTES: usize = 8;
/// Length of a record without its texts.
pub const FIXED_BYTES: usize = 64;
const REVISION_AT: usize = 24;
const RECORDED_AT: usize = 32;
const STREAM_LENGTH: usize = 56;
const TYPE_LENGTH: usize = 58;
const METADATA_LENGTH: usize = 60;
/// In the length of the metadata, which has at most 30 bits.
const PRUNED: u32 = 1 << 31;
const HASH_BYTES: usize = 32;
/// What memory a record is given at first.
const USUAL_BYTES: usize = 512;

/// The attributes that no reader of the log itself needs.
#[derive(Deserialize)]
struct Metadata {
    source: Line,
    #[serde(default)]
    subject: Option<Line>,
    #[serde(default)]
    correlation_id: Option<Line>,
    #[serde(default)]
    causation_id: Option<EventId>,
    #[serde(default)]
    traceparent: Option<Line>,
}

/// The same, of an event that is encoded.
#[derive(Serialize)]
struct MetadataOf<'a> {
    source: &'a Line,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: &'a Option<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: &'a Option<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: &'a Option<Line>,
}

/// An encoded event that has no place in the log yet.
pub struct Draft {
    /// The event.
    pub id: EventId,
    /// Whether it has only what is kept.
    pub is_pruned: bool,
    bytes: Vec<u8>,
}

/// A record whose checksum holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordView<'a> {
    /// The event.
    pub id: EventId,
    /// Its number in the stream.
    pub revision: u64,
    /// The stream.
    pub stream: &'a str,
    /// Everything the checksum and the hash chain cover.
    pub body: &'a [u8],
    recorded_at: Timestamp,
    occurred_at: Timestamp,
    /// The type of the event, as it was stored.
    pub event_type: &'a str,
    /// The hash of what it was, when its measurements were pruned.
    pub pruned: Option<RecordHash>,
    metadata: &'a [u8],
    payload: &'a [u8],
}

impl Draft {
    /// Encodes `event` of `stream`.
    pub fn new(event: &Event, stream: &StreamId) -> Self {
        Self::encode(event, stream, None)
    }

    /// As [`Self::new`]; `pruned` is the hash of the record as it was, for an event that has only
    /// what is kept.
    pub fn encode(event: &Event, stream: &StreamId, pruned: Option<RecordHash>) -> Self {
        let metadata = MetadataOf {
            source: &event.source,
            subject: &event.subject,
            correlation_id: &event.correlation_id,
            causation_id: event.causation_id,
            traceparent: &event.traceparent,
        };
        let stream = stream.as_str().as_bytes();
        let event_type = event.data.event_type().as_bytes();
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        bytes.extend_from_slice(&[0; PREFIX_BYTES]);
        bytes.extend_from_slice(event.id.0.as_bytes());
        bytes.extend_from_slice(&[0; 20]);
        push_time(&mut bytes, event.time);
        bytes.extend_from_slice(&short(stream.len()).to_le_bytes());
        bytes.extend_from_slice(&short(event_type.len()).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(stream);
        bytes.extend_from_slice(event_type);
        let metadata_at = bytes.len();
        serde_json::to_writer(&mut bytes, &metadata).expect("strings and a UUID are JSON");
        let mut metadata_length = length(bytes.len() - metadata_at);
        if let Some(RecordHash(hash)) = pruned {
            metadata_length |= PRUNED;
            bytes.extend_from_slice(&hash);
        }
        bytes[METADATA_LENGTH..FIXED_BYTES].copy_from_slice(&metadata_length.to_le_bytes());
        serde_json::to_writer(&mut bytes, &event.data)
            .expect("the catalogue has string keys and finite numbers only");
        let behind = length(bytes.len() - PREFIX_BYTES);
        bytes[..4].copy_from_slice(&behind.to_le_bytes());
        Self { id: event.id, is_pruned: pruned.is_some(), bytes }
    }

    /// Stored length in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The finished record.
    pub fn place(
        &mut self,
        salt: u64,
        position: u64,
        revision: u64,
        recorded_at: Timestamp,
    ) -> &[u8] {
        self.bytes[REVISION_AT..RECORDED_AT].copy_from_slice(&revision.to_le_bytes());
        self.bytes[RECORDED_AT..RECORDED_AT + 8]
            .copy_from_slice(&recorded_at.as_second().to_le_bytes());
        self.bytes[RECORDED_AT + 8..RECORDED_AT + 12]
            .copy_from_slice(&recorded_at.subsec_nanosecond().to_le_bytes());
        let crc = checksum(salt, position, &self.bytes[..4], &self.bytes[PREFIX_BYTES..]);
        self.bytes[4..PREFIX_BYTES].copy_from_slice(&crc.to_le_bytes());
        &self.bytes
    }
}

/// What stands in the hash chain for the finished record `bytes`.
pub fn chained_hash(bytes: &[u8]) -> RecordHash {
    let metadata_length = u32::from_le_bytes(array(bytes, METADATA_LENGTH));
    if metadata_length & PRUNED == 0 {
        return RecordHash(blake3::hash(&bytes[PREFIX_BYTES..]).into());
    }
    let stream_length = usize::from(u16::from_le_bytes(array(bytes, STREAM_LENGTH)));
    let type_length = usize::from(u16::from_le_bytes(array(bytes, TYPE_LENGTH)));
    let metadata_length = (metadata_length & !PRUNED) as usize;
    RecordHash(array(bytes, FIXED_BYTES + stream_length + type_length + metadata_length))
}

/// Stored length of the record that begins with `prefix`.
pub fn stored_length(prefix: [u8; 4]) -> usize {
    u32::from_le_bytes(prefix) as usize + PREFIX_BYTES
}

/// Checks and splits the record at the start of `bytes`; what follows it is not looked at.
pub fn parse(bytes: &[u8], salt: u64, position: u64) -> Result<(RecordView<'_>, usize), String> {
    let prefix = bytes.first_chunk::<4>().ok_or("the record's length is cut off")?;
    let stored = stored_length(*prefix);
    if stored < FIXED_BYTES || stored > bytes.len() {
        return Err(format!("a record of {stored} bytes where {} are left", bytes.len()));
    }
    let body = &bytes[PREFIX_BYTES..stored];
    let expected = checksum(salt, position, prefix, body);
    let found = u32::from_le_bytes(array(bytes, 4));
    if expected != found {
        return Err(format!(
            "the record of position {position} has checksum {found:08x}, expected {expected:08x}"
        ));
    }
    // Behind the checksum nothing can be wrong unless the writer was.
    let stream_length = usize::from(u16::from_le_bytes(array(bytes, STREAM_LENGTH)));
    let type_length = usize::from(u16::from_le_bytes(array(bytes, TYPE_LENGTH)));
    let metadata_length = u32::from_le_bytes(array(bytes, METADATA_LENGTH));
    let is_pruned = metadata_length & PRUNED != 0;
    let metadata_length = (metadata_length & !PRUNED) as usize;
    let mut rest = &bytes[FIXED_BYTES..stored];
    let mut take = |length: usize| {
        let (part, after) =
            rest.split_at_checked(length).ok_or("a field is longer than its record")?;
        rest = after;
        Ok::<_, String>(part)
    };
    let stream = text(take(stream_length)?)?;
    let event_type = text(take(type_length)?)?;
    let metadata = take(metadata_length)?;
    let pruned = if is_pruned { Some(RecordHash(array(take(HASH_BYTES)?, 0))) } else { None };
    let view = RecordView {
        id: EventId(uuid::Uuid::from_bytes(array(bytes, 8))),
        revision: u64::from_le_bytes(array(bytes, REVISION_AT)),
        stream,
        body,
        recorded_at: time(bytes, RECORDED_AT)?,
        occurred_at: time(bytes, RECORDED_AT + 12)?,
        event_type,
        pruned,
        metadata,
        payload: rest,
    };
    Ok((view, stored))
}

impl RecordView<'_> {
    /// What stands for the record in the hash chain.
    pub fn hash(&self) -> RecordHash {
        self.pruned.unwrap_or_else(|| RecordHash(blake3::hash(self.body).into()))
    }

    /// The same record in a segment with another salt.
    pub fn salted(&self, salt: u64, position: u64) -> Vec<u8> {
        let behind = length(self.body.len()).to_le_bytes();
        let crc = checksum(salt, position, &behind, self.body);
        [&behind, &crc.to_le_bytes(), self.body].concat()
    }

    /// When the log recorded it.
    pub fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    /// The typed event, of the newest version of its type.
    pub fn decode(&self, position: u64) -> Result<RecordedEvent, String> {
        let metadata: Metadata = serde_json::from_slice(self.metadata)
            .map_err(|error| format!("the metadata of position {position}: {error}"))?;
        let data = EventData::from_stored(self.event_type, self.payload)
            .map_err(|error| format!("the data of position {position}: {error}"))?;
        let stream = StreamId::new(self.stream).map_err(|error| error.to_string())?;
        Ok(RecordedEvent {
            event: Event {
                id: self.id,
                source: metadata.source,
                subject: metadata.subject,
                time: self.occurred_at,
                correlation_id: metadata.correlation_id,
                causation_id: metadata.causation_id,
                traceparent: metadata.traceparent,
                data,
            },
            stream,
            revision: self.revision,
            position,
            recorded_at: self.recorded_at,
            pruned: self.pruned,
        })
    }
}

fn checksum(salt: u64, position: u64, length: &[u8], body: &[u8]) -> u32 {
    let mut crc = crc32c::crc32c(&salt.to_le_bytes());
    crc = crc32c::crc32c_append(crc, &position.to_le_bytes());
    crc = crc32c::crc32c_append(crc, length);
    crc32c::crc32c_append(crc, body)
}

fn push_time(bytes: &mut Vec<u8>, time: Timestamp) {
    bytes.extend_from_slice(&time.as_second().to_le_bytes());
    bytes.extend_from_slice(&time.subsec_nanosecond().to_le_bytes());
}

fn time(bytes: &[u8], at: usize) -> Result<Timestamp, String> {
    let seconds = i64::from_le_bytes(array(bytes, at));
    let nanoseconds = i32::from_le_bytes(array(bytes, at + 8));
    Timestamp::new(seconds, nanoseconds).map_err(|error| error.to_string())
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a batch is limited to less than 4 GiB")
}

fn short(bytes: usize) -> u16 {
    u16::try_from(bytes).expect("a stream id has at most 400 characters, a type fewer")
}

/// `N` bytes at `at`, for a slice that is known to have them.
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("the caller checked the length")
}
