//! From CloudEvents to the log: everything is validated before anything is appended.
//!
//! New events are appended together, whole and in their order, where the log takes them so. Those
//! of which the log knows some, and all that are given to a log that takes one stream at a time,
//! are appended stream by stream. Within a stream that is all or none; across streams it is
//! idempotent: when a part is refused for load, sending the same batch again appends what is
//! missing and answers the positions of the rest.

use std::collections::{HashMap, HashSet};

use events::envelope::InvalidEvent;
use events::log::{AppendError, Appended, EventLog, ExpectedRevision, Offered, ReadError};
use events::{Event, EventData, EventId, RecordedEvent, StreamId, Timestamp};
use futures::future::join_all;
use jiff::SignedDuration;
use serde::Serialize;

/// A batch waits in the log's queue for so many streams at most: one of very many must not take the
/// queue from everyone else.
const STREAMS_AT_ONCE: usize = 256;
/// How often it is looked anew which events of a sender are new, while others tell the same.
const LOOKS: usize = 3;

/// An event of a batch that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// What is wrong, stable across versions.
    pub code: &'static str,
    /// JSON pointer from the event's root.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Where an event of a batch ended up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// The event.
    pub id: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Its number in the stream.
    pub revision: u64,
    /// Its number in the log.
    pub position: u64,
}

/// Why nothing was appended; see [`record`] for the one exception.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Some events are not acceptable.
    #[error("{} of {of} events are invalid", .rejected.len())]
    Invalid {
        /// Which and why.
        rejected: Vec<Rejected>,
        /// Length of the batch.
        of: usize,
    },
    /// An id stands in the log for something else.
    #[error("event {id} was recorded before with another {field}")]
    IdTaken {
        /// The id.
        id: EventId,
        /// What differs.
        field: &'static str,
    },
    /// An expected revision speaks of one stream, the batch has several.
    #[error("an expected revision needs a batch of one stream, got {streams}")]
    MixedStreams {
        /// How many.
        streams: usize,
    },
    /// The log refused.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Takes every event as it was read; if one is invalid the answer lists all that are.
pub fn read(
    offered: impl ExactSizeIterator<Item = Result<Event, InvalidEvent>>,
    received_at: Timestamp,
    max_ahead: SignedDuration,
) -> Result<Vec<Event>, IngestError> {
    let of = offered.len();
    let mut events = Vec::with_capacity(of);
    let mut rejected = Vec::new();
    let mut seen = HashSet::with_capacity(of);
    for (index, event) in offered.enumerate() {
        let event = event
            .map_err(|error| Rejected::new(index, &error))
            .and_then(|event| not_ahead(index, event, received_at, max_ahead))
            .and_then(|event| {
                if seen.insert(event.id) {
                    return Ok(event);
                }
                Err(Rejected {
                    index,
                    code: "repeated_id",
                    pointer: "/id".to_owned(),
                    message: format!("event {} stands in the batch twice", event.id),
                })
            });
        match event {
            Ok(event) => events.push(event),
            Err(error) => rejected.push(error),
        }
    }
    if rejected.is_empty() { Ok(events) } else { Err(IngestError::Invalid { rejected, of }) }
}

impl Rejected {
    fn new(index: usize, error: &InvalidEvent) -> Self {
        Self {
            index,
            code: error.code.as_str(),
            pointer: error.pointer.clone(),
            message: error.message.clone(),
        }
    }
}

/// A wrong clock must not push the detector's idea of now, which is the events' own time.
fn not_ahead(
    index: usize,
    event: Event,
    now: Timestamp,
    max_ahead: SignedDuration,
) -> Result<Event, Rejected> {
    let latest = now.saturating_add(max_ahead).unwrap_or(Timestamp::MAX);
    let window = match &event.data {
        EventData::MetricSnapshotRecorded(data) => Some(&data.window),
        EventData::LogPatternsRecorded(data) => Some(&data.window),
        EventData::TraceEdgesRecorded(data) => Some(&data.window),
        _ => None,
    };
    let ahead = if event.time > latest {
        Some(("/time", event.time))
    } else {
        window.map(|window| ("/data/window/start", window.start)).filter(|(_, at)| *at > latest)
    };
    match ahead {
        None => Ok(event),
        Some((pointer, at)) => Err(Rejected {
            index,
            code: "time_in_future",
            pointer: pointer.to_owned(),
            message: format!(
                "expected a time up to {} s after the server's {now}, got {at}",
                max_ahead.as_secs()
            ),
        }),
    }
}

/// Appends a batch and answers in its order.
///
/// With an expected revision the batch must be of one stream and is appended whole or not at
/// all. Without one, a batch of new events is too, if the log can; otherwise each stream's part
/// is: a part is left out only when the log is overloaded or stops writing, and the same batch
/// sent again completes it. An id that stands in the log
/// for something else is refused, and nothing is written: its sender would believe otherwise
/// that the new content was recorded.
pub async fn record(
    log: &dyn EventLog,
    events: Vec<Event>,
    expected: ExpectedRevision,
) -> Result<Vec<Recorded>, IngestError> {
    if events.is_empty() {
        return Err(AppendError::Empty.into());
    }
    let order: Vec<EventId> = events.iter().map(|event| event.id).collect();
    let mut events = with_streams(events);
    if expected == ExpectedRevision::Any {
        match record_together(log, events).await? {
            Ok(recorded) => return Ok(recorded),
            Err(back) => events = back,
        }
    }
    let parts = by_stream(events);
    if parts.len() > 1 && expected != ExpectedRevision::Any {
        return Err(IngestError::MixedStreams { streams: parts.len() });
    }
    refuse_known(log, &parts).await?;
    let mut places = HashMap::with_capacity(order.len());
    let mut parts = parts.into_iter();
    loop {
        // Many at once, so that one sync of the log serves them.
        let some = parts.by_ref().take(STREAMS_AT_ONCE).map(|(stream, events)| async move {
            let appended = log.append(stream.clone(), expected, events).await?;
            Ok::<_, AppendError>(appended.into_iter().map(move |at| recorded((stream.clone(), at))))
        });
        let appended = join_all(some).await;
        if appended.is_empty() {
            break;
        }
        for part in appended {
            places.extend(part?.map(|recorded| (recorded.id, recorded)));
        }
    }
    Ok(order.iter().filter_map(|id| places.remove(id)).collect())
}

/// Appends those events of which the log does not know the id, for senders that repeat what they
/// said before in other words, and for several that say the same. Answers where the new ones are.
pub async fn record_new(
    log: &dyn EventLog,
    mut events: Vec<Event>,
) -> Result<Vec<Recorded>, IngestError> {
    let mut seen = HashSet::with_capacity(events.len());
    events.retain(|event| seen.insert(event.id));
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let events = match record_together(log, with_streams(events)).await? {
        Ok(recorded) => return Ok(recorded),
        Err(back) => back,
    };
    for left in (0..LOOKS).rev() {
        let known = log.find_each(events.iter().map(|(_, event)| event.id).collect()).await?;
        let known: HashSet<EventId> = known.iter().map(|found| found.event.id).collect();
        let new = events.iter().map(|(_, event)| event).filter(|event| !known.contains(&event.id));
        let new: Vec<Event> = new.cloned().collect();
        if new.is_empty() {
            break;
        }
        match record(log, new, ExpectedRevision::Any).await {
            // Another sender was faster with one of them.
            Err(
                IngestError::IdTaken { .. } | IngestError::Append(AppendError::PartlyKnown { .. }),
            ) if left > 0 => {}
            recorded => return recorded,
        }
    }
    Ok(Vec::new())
}

/// Appends events if the log takes them as new; gives them back if it does not.
async fn record_together(
    log: &dyn EventLog,
    events: Vec<(StreamId, Event)>,
) -> Result<Result<Vec<Recorded>, Vec<(StreamId, Event)>>, AppendError> {
    let streams: Vec<StreamId> = events.iter().map(|(stream, _)| stream.clone()).collect();
    Ok(match log.append_new(events).await? {
        Offered::Appended(places) => Ok(streams.into_iter().zip(places).map(recorded).collect()),
        Offered::Declined(events) => Err(events),
    })
}

fn with_streams(events: Vec<Event>) -> Vec<(StreamId, Event)> {
    events.into_iter().map(|event| (event.data.stream(), event)).collect()
}

/// Refuses events from the future, as [`read`] does.
pub fn check_times(
    events: Vec<Event>,
    now: Timestamp,
    max_ahead: SignedDuration,
) -> Result<Vec<Event>, IngestError> {
    let of = events.len();
    let (mut fine, mut rejected) = (Vec::with_capacity(of), Vec::new());
    for (index, event) in events.into_iter().enumerate() {
        match not_ahead(index, event, now, max_ahead) {
            Ok(event) => fine.push(event),
            Err(error) => rejected.push(error),
        }
    }
    if rejected.is_empty() { Ok(fine) } else { Err(IngestError::Invalid { rejected, of }) }
}

/// Whether an event is the one that the log has under its id. The time is not compared: an event
/// that is sent without one is dated when it is received, each time anew. Of what was pruned, what
/// is kept is compared.
fn same_content(offered: &Event, known: &RecordedEvent) -> Result<(), IngestError> {
    let pruned = known.pruned.is_some();
    let known = &known.event;
    let same_data = match pruned {
        true => offered.data.kept().as_ref() == Some(&known.data),
        false => offered.data == known.data,
    };
    let field = if !same_data {
        "data"
    } else if offered.source != known.source {
        "source"
    } else if offered.subject != known.subject {
        "subject"
    } else if offered.correlation_id != known.correlation_id {
        "correlationid"
    } else if offered.causation_id != known.causation_id {
        "causationid"
    } else {
        return Ok(());
    };
    Err(IngestError::IdTaken { id: offered.id, field })
}

fn recorded((stream, at): (StreamId, Appended)) -> Recorded {
    Recorded { id: at.id, stream, revision: at.revision, position: at.position }
}

/// The events of each stream in their order, the streams in the order of their first event.
fn by_stream(events: Vec<(StreamId, Event)>) -> Vec<(StreamId, Vec<Event>)> {
    let mut parts: Vec<(StreamId, Vec<Event>)> = Vec::new();
    let mut places = HashMap::new();
    for (stream, event) in events {
        let place = *places.entry(stream.clone()).or_insert_with(|| {
            parts.push((stream, Vec::new()));
            parts.len() - 1
        });
        parts[place].1.push(event);
    }
    parts
}

/// An id that stands for something else is refused, and so is, as the log does, a stream's part of
/// which some events are known and others not; here, before any part is written. Whole parts may
/// be known: that is a retry.
async fn refuse_known(
    log: &dyn EventLog,
    parts: &[(StreamId, Vec<Event>)],
) -> Result<(), IngestError> {
    let ids = parts.iter().flat_map(|(_, events)| events.iter().map(|event| event.id));
    let known = log.find_each(ids.collect()).await?;
    let known: HashMap<_, _> = known.iter().map(|found| (found.event.id, found)).collect();
    for (stream, events) in parts {
        let mut first = None;
        for event in events {
            let Some(found) = known.get(&event.id) else { continue };
            if found.stream != *stream {
                return Err(AppendError::PartlyKnown { id: event.id }.into());
            }
            same_content(event, found)?;
            first.get_or_insert(event.id);
        }
        if let Some(id) = first
            && events.iter().any(|event| !known.contains_key(&event.id))
        {
            return Err(AppendError::PartlyKnown { id }.into());
        }
    }
    Ok(())
}
