//! A subscription is a cursor over the log; the head's watch only wakes it. So there is no
//! moment between catching up and being live at which an event could be lost or doubled.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;

use super::reader;
use super::segment::Segments;
use crate::envelope::RecordedEvent;
use crate::log::ReadError;

/// Events read at once.
const AHEAD: usize = 512;

struct Cursor {
    segments: Arc<Segments>,
    head: watch::Receiver<u64>,
    /// The last position that was read.
    after: u64,
    ready: VecDeque<RecordedEvent>,
    failed: bool,
}

/// Everything behind `after`, until the writer is gone and everything was seen.
pub fn subscribe(
    segments: Arc<Segments>,
    head: watch::Receiver<u64>,
    after: u64,
) -> BoxStream<'static, Result<RecordedEvent, ReadError>> {
    let cursor = Cursor { segments, head, after, ready: VecDeque::new(), failed: false };
    stream::unfold(cursor, |mut cursor| async move {
        let next = cursor.next().await?;
        cursor.failed = next.is_err();
        Some((next, cursor))
    })
    .boxed()
}

impl Cursor {
    async fn next(&mut self) -> Option<Result<RecordedEvent, ReadError>> {
        if self.failed {
            return None;
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
            let (segments, after) = (Arc::clone(&self.segments), self.after);
            let read = super::blocking(move || reader::read_all(&segments, after, head, AHEAD));
            match read.await {
                Ok(events) => {
                    self.after += events.len() as u64;
                    self.ready = events.into();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
