//! Reads, page by page, of what is ours and at or before a head.

use eventstore::{
    Position, ReadAllOptions, ReadStreamOptions, RecordedEvent as Stored, StreamPosition,
    SubscriptionFilter,
};
use futures::{StreamExt as _, TryStreamExt as _};

use super::connection::{Connection, Trouble};
use super::index::Place;
use super::other;
use super::record::{self, TYPE_PREFIX};
use crate::envelope::RecordedEvent;
use crate::id::{InvalidId, StreamId};
use crate::log::ReadError;

/// Most events of one request.
const PAGE: usize = 512;
/// Most requests at once for the events of one batch.
const READS: usize = 16;

/// Which way `$all` is read.
#[derive(Clone, Copy)]
pub enum Direction {
    /// From a position on, itself included; from the start without one.
    Forwards,
    /// What is before a position; from the end without one.
    Backwards,
}

/// At most `limit` events from position `from` on, itself included. `from` is the position of
/// an event, or 0.
pub async fn all(
    server: &Connection,
    from: u64,
    limit: usize,
    head: u64,
) -> Result<Vec<RecordedEvent>, ReadError> {
    let mut events = Vec::new();
    let mut last = None;
    let mut from = (from > 0).then_some((from, from));
    while events.len() < limit {
        // One more, because the page begins with the last event of the page before.
        let count = (limit - events.len()).min(PAGE) + 1;
        let page = page_of_all(server, Direction::Forwards, from, count).await.map_err(failed)?;
        let full = page.len() == count;
        for stored in page {
            let at = Some((stored.position.commit, stored.position.prepare));
            if at <= last {
                continue;
            }
            if stored.position.commit > head || events.len() == limit {
                return Ok(events);
            }
            last = at;
            events.extend(record::decode(&stored)?);
        }
        if !full {
            break;
        }
        from = last;
    }
    Ok(events)
}

/// At most `limit` events of a stream from a revision on.
pub async fn stream(
    server: &Connection,
    stream: StreamId,
    from_revision: u64,
    limit: usize,
    head: u64,
) -> Result<Vec<RecordedEvent>, ReadError> {
    let mut events = Vec::new();
    let mut from = from_revision;
    while events.len() < limit && from <= i64::MAX as u64 {
        let count = (limit - events.len()).min(PAGE);
        let page = page_of_stream(server, &stream, from, count).await.map_err(failed)?;
        let (full, last) = (page.len() == count, page.last().map(|stored| stored.revision));
        for stored in page {
            if let Some(recorded) = record::decode(&stored)? {
                if recorded.position > head {
                    return Ok(events);
                }
                events.push(recorded);
            }
        }
        match last {
            Some(last) if full => from = last + 1,
            _ => break,
        }
    }
    Ok(events)
}

/// The events at these places: what stands together in a stream is asked for together.
pub async fn places(
    server: &Connection,
    mut places: Vec<Place>,
    head: u64,
) -> Result<Vec<RecordedEvent>, ReadError> {
    places.sort_unstable_by(|a, b| (&a.stream, a.revision).cmp(&(&b.stream, b.revision)));
    let runs = places
        .chunk_by(|a, b| a.stream == b.stream && a.revision + 1 == b.revision)
        .map(|run| Ok((StreamId::new(run[0].stream.as_str())?, run[0].revision, run.len())))
        .collect::<Result<Vec<_>, InvalidId>>()
        .map_err(|error| other(error.to_string()))?;
    let found: Vec<_> = futures::stream::iter(runs)
        .map(|(of, first, length)| stream(server, of, first, length, head))
        .buffer_unordered(READS)
        .try_collect()
        .await?;
    Ok(found.concat())
}

/// Raw events of `$all` whose type is one of ours.
pub async fn page_of_all(
    server: &Connection,
    direction: Direction,
    from: Option<(u64, u64)>,
    count: usize,
) -> Result<Vec<Stored>, Trouble> {
    let mut options =
        ReadAllOptions::default().filter(only_our_types()).requires_leader(true).max_count(count);
    if let Some(credentials) = server.credentials() {
        options = options.authenticated(credentials);
    }
    let at = from.map(|(commit, prepare)| Position { commit, prepare });
    let options = match direction {
        Direction::Forwards => {
            options.position(at.map_or(StreamPosition::Start, StreamPosition::Position)).forwards()
        }
        Direction::Backwards => {
            options.position(at.map_or(StreamPosition::End, StreamPosition::Position)).backwards()
        }
    };
    server
        .ask(|client| {
            let options = options.clone();
            async move {
                let mut page = Vec::new();
                let mut answer = client.read_all(&options).await?;
                while let Some(resolved) = answer.next().await? {
                    page.extend(resolved.event);
                }
                Ok(page)
            }
        })
        .await
}

/// Raw events of a stream; none when the stream is not there.
pub async fn page_of_stream(
    server: &Connection,
    stream: &StreamId,
    from: u64,
    count: usize,
) -> Result<Vec<Stored>, Trouble> {
    let mut options = ReadStreamOptions::default()
        .position(StreamPosition::Position(from))
        .requires_leader(true)
        .max_count(count);
    if let Some(credentials) = server.credentials() {
        options = options.authenticated(credentials);
    }
    let read = server
        .ask(|client| {
            let (options, stream) = (options.clone(), stream.as_str().to_owned());
            async move {
                let mut page = Vec::new();
                let mut answer = client.read_stream(stream, &options).await?;
                while let Some(resolved) = answer.next().await? {
                    page.extend(resolved.event);
                }
                Ok(page)
            }
        })
        .await;
    match read {
        Err(Trouble::NotFound | Trouble::Deleted) => Ok(Vec::new()),
        read => read,
    }
}

/// System events, metadata and links have types that begin with `$`, so they are left out too.
pub fn only_our_types() -> SubscriptionFilter {
    SubscriptionFilter::on_event_type().add_prefix(TYPE_PREFIX)
}

fn failed(trouble: Trouble) -> ReadError {
    ReadError::Io(std::io::Error::other(trouble))
}
