//! A subscription is a cursor over the log; the head's watch only wakes it. So there is no
//! moment between catching up and being live, or between two connections, at which an event
//! could be lost or doubled.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;

use super::connection::Connection;
use super::read;
use crate::envelope::RecordedEvent;
use crate::log::ReadError;

/// Events read at once.
const AHEAD: usize = 512;
/// How long to wait before a read that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

struct Cursor {
    server: Arc<Connection>,
    head: watch::Receiver<u64>,
    /// Where the next read begins: the position of an event, or 0.
    from: u64,
    /// The last position that was read.
    after: u64,
    ready: VecDeque<RecordedEvent>,
    failed: Option<ReadError>,
    ended: bool,
}

/// Everything behind `after`, until the feed is gone and everything was seen. `first` is the
/// first position behind `after`, when there is one yet.
pub fn subscribe(
    server: Arc<Connection>,
    head: watch::Receiver<u64>,
    after: u64,
    first: Result<Option<u64>, ReadError>,
) -> BoxStream<'static, Result<RecordedEvent, ReadError>> {
    let (first, failed) = match first {
        Ok(first) => (first, None),
        Err(error) => (None, Some(error)),
    };
    let from = first.unwrap_or_else(|| *head.borrow());
    let ready = VecDeque::new();
    let cursor = Cursor { server, head, from, after, ready, failed, ended: false };
    stream::unfold(cursor, |mut cursor| async move {
        let next = cursor.next().await?;
        cursor.ended = next.is_err();
        Some((next, cursor))
    })
    .boxed()
}

impl Cursor {
    async fn next(&mut self) -> Option<Result<RecordedEvent, ReadError>> {
        if self.ended {
            return None;
        }
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            let head = *self.head.borrow_and_update();
            if head <= self.after {
                // An error means that the head will not move again.
                self.head.changed().await.ok()?;
                continue;
            }
            match read::all(&self.server, self.from, AHEAD, head).await {
                Ok(events) => self.take(events, head),
                // The server is away; nothing is lost by waiting for it.
                Err(ReadError::Io(error)) if self.head.has_changed().is_ok() => {
                    tracing::warn!(%error, "a subscription waits for the event log");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn take(&mut self, events: Vec<RecordedEvent>, head: u64) {
        let full = events.len() == AHEAD;
        self.from = events.last().map_or(self.from, |last| last.position);
        let after = self.after;
        self.ready.extend(events.into_iter().filter(|event| event.position > after));
        // What ends before the head was cleared away on the server.
        self.after = if full { self.from } else { head };
    }
}
