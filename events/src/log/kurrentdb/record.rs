//! How an event is kept on the server.
//!
//! | there | here |
//! |---|---|
//! | event id, stream, event number | id, stream, revision |
//! | commit position | position |
//! | event type, data | type, data (JSON) |
//! | `created` | recorded at, to 100 ns |
//! | user metadata (JSON) | everything else, with the mark `faultline`: the version of this form |
//!
//! `$correlationId` and `$causationId` are the server's own names: its tools follow them.

use eventstore::{EventData as Proposed, RecordedEvent as Stored};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalogue::EventData;
use crate::envelope::{Event, RecordedEvent};
use crate::id::{EventId, StreamId};
use crate::log::ReadError;
use crate::value::Line;

/// What the types of our events begin with.
pub const TYPE_PREFIX: &str = "io.faultline.";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Metadata {
    faultline: u32,
    source: Line,
    time: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Line>,
    #[serde(rename = "$correlationId", default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Line>,
    #[serde(rename = "$causationId", default, skip_serializing_if = "Option::is_none")]
    causation_id: Option<EventId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<Line>,
}

#[derive(Deserialize)]
struct Mark {
    faultline: u32,
}

/// The event as the server is to keep it, and how many bytes of data and metadata that is.
pub fn encode(event: &Event) -> (Proposed, usize) {
    let metadata = serde_json::to_vec(&Metadata {
        faultline: VERSION,
        source: event.source.clone(),
        time: event.time,
        subject: event.subject.clone(),
        correlation_id: event.correlation_id.clone(),
        causation_id: event.causation_id,
        traceparent: event.traceparent.clone(),
    })
    .expect("strings, a time and a UUID are JSON");
    // Encoded here, because the client says nothing about the length of what it encoded.
    let data = serde_json::value::to_raw_value(&event.data)
        .expect("the catalogue has string keys and finite numbers only");
    let bytes = data.get().len() + metadata.len();
    let proposed = Proposed::json(event.data.event_type(), &data)
        .expect("what was encoded once is encoded again")
        .id(event.id.0)
        .metadata(metadata.into());
    (proposed, bytes)
}

/// Whether we wrote it: by its type, its mark, and that it is no part of a transaction, which
/// only other clients could begin and in which positions are shared.
pub fn is_ours(stored: &Stored) -> bool {
    stored.event_type.starts_with(TYPE_PREFIX)
        && stored.position.commit == stored.position.prepare
        && serde_json::from_slice::<Mark>(&stored.custom_metadata)
            .is_ok_and(|mark| mark.faultline > 0)
}

/// The typed event; `None` when it is not ours.
pub fn decode(stored: &Stored) -> Result<Option<RecordedEvent>, ReadError> {
    if !is_ours(stored) {
        return Ok(None);
    }
    let damaged = |what: String| ReadError::Damaged { place: place(stored), what };
    if stored.position.commit > i64::MAX as u64 {
        return Err(damaged(
            "the server does not say where in the log it is; EventStoreDB 22.6 or later is needed"
                .to_owned(),
        ));
    }
    let metadata: Metadata = serde_json::from_slice(&stored.custom_metadata)
        .map_err(|error| damaged(format!("its metadata: {error}")))?;
    let data = EventData::from_stored(&stored.event_type, &stored.data)
        .map_err(|error| damaged(format!("its data: {error}")))?;
    let stream = StreamId::new(stored.stream_id()).map_err(|error| damaged(error.to_string()))?;
    Ok(Some(RecordedEvent {
        event: Event {
            id: EventId(stored.id),
            source: metadata.source,
            subject: metadata.subject,
            time: metadata.time,
            correlation_id: metadata.correlation_id,
            causation_id: metadata.causation_id,
            traceparent: metadata.traceparent,
            data,
        },
        stream,
        revision: stored.revision,
        position: stored.position.commit,
        recorded_at: created(stored).map_err(damaged)?,
        pruned: None,
    }))
}

/// Stream and revision, for people.
pub fn place(stored: &Stored) -> String {
    format!("stream {:?}, revision {}", stored.stream_id(), stored.revision)
}

/// The client cuts its own `created` to seconds; the metadata has ticks of 100 ns since 1970.
fn created(stored: &Stored) -> Result<Timestamp, String> {
    let ticks = stored.metadata.get("created").ok_or("no time of recording")?;
    let ticks: i128 = ticks.parse().map_err(|_| format!("recorded at {ticks:?}"))?;
    Timestamp::from_nanosecond(ticks * 100).map_err(|error| error.to_string())
}
