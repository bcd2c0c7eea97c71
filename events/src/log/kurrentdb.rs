//! The log in KurrentDB, or in EventStoreDB from 22.6 on.
//!
//! The server's streams are our streams and its event ids are ours; the position is the commit
//! position in `$all`. An index of our own beside it, derived and fed by one subscription, answers
//! what the server cannot: where an id is, and which position comes next.
//!
//! An event is visible here once the subscription has brought it. So everything that is read, the
//! head included, agrees with the index, and an append answers when its events are visible.
//!
//! Other applications may use the same database: what is not marked as ours is passed over and
//! counted.

mod append;
mod connection;
mod cursor;
mod feed;
mod index;
mod options;
mod read;
mod record;
mod turns;

use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use self::connection::Connection;
use self::feed::{Counts, Feed};
use self::index::Index;
pub use self::options::{KurrentOpenError, KurrentOptions};
use self::turns::Turns;
use super::{AppendError, Appended, EventLog, ExpectedRevision, ReadError};
use crate::envelope::{Event, RecordedEvent};
use crate::id::{EventId, StreamId};

/// Most batches on their way to the server.
const MAX_BATCHES: usize = 1024;
/// Most bytes on their way to the server.
const MAX_BYTES: usize = 32 << 20;

/// The log in KurrentDB. Dropping it ends its subscription and closes its index.
pub struct KurrentLog {
    server: Arc<Connection>,
    index: SharedIndex,
    head: watch::Receiver<u64>,
    feed: JoinHandle<()>,
    turns: Turns,
    batches: Semaphore,
    bytes: Semaphore,
    counts: Arc<Counts>,
    patience: Duration,
}

/// Empty once the log is closed, so that no late reader keeps the index's files open.
#[derive(Clone)]
struct SharedIndex(Arc<RwLock<Option<Index>>>);

impl SharedIndex {
    /// Looks something up; fails once the log is closed.
    fn look<T>(
        &self,
        read: impl FnOnce(&Index) -> Result<T, fjall::Error>,
    ) -> Result<T, ReadError> {
        let index = self.0.read().expect("no reader panics with the lock");
        let index = index.as_ref().ok_or_else(|| other("the log is closed"))?;
        read(index).map_err(|error| ReadError::Io(std::io::Error::other(error)))
    }
}

impl KurrentLog {
    /// Connects, opens the index and waits until it knows everything that the server has; on an
    /// index that is new this reads the whole log once.
    pub async fn open(options: KurrentOptions) -> Result<Self, KurrentOpenError> {
        let server = Arc::new(Connection::new(&options)?);
        let last = feed::last_of_ours(&server).await?;
        let (index, seen) = feed::open_index(&server, &options.index, last).await?;
        let (sender, mut head) = watch::channel(seen.head);
        let index = SharedIndex(Arc::new(RwLock::new(Some(index))));
        let counts = Arc::new(Counts::of(&seen));
        let feed = Feed {
            server: Arc::clone(&server),
            index: index.clone(),
            seen,
            head: sender,
            counts: Arc::clone(&counts),
        };
        let feed = tokio::spawn(feed.run());
        let caught_up = head.wait_for(|head| *head >= last).await.is_ok();
        let log = Self {
            server,
            index,
            head,
            feed,
            turns: Turns::default(),
            batches: Semaphore::new(MAX_BATCHES),
            bytes: Semaphore::new(MAX_BYTES),
            counts,
            patience: options.patience,
        };
        if caught_up { Ok(log) } else { Err(KurrentOpenError::Stopped) }
    }

    /// How many events in the database looked like ours by their type and were written by
    /// somebody else.
    pub fn passed_over(&self) -> u64 {
        self.counts.passed_over.load(Ordering::Relaxed)
    }
}

impl EventLog for KurrentLog {
    fn append(
        &self,
        stream: StreamId,
        expected: ExpectedRevision,
        events: Vec<Event>,
    ) -> BoxFuture<'_, Result<Vec<Appended>, AppendError>> {
        Box::pin(self.append_batch(stream, expected, events))
    }

    fn read_stream(
        &self,
        stream: StreamId,
        from_revision: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        Box::pin(read::stream(&self.server, stream, from_revision, limit, self.head()))
    }

    fn read_all(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        let head = self.head();
        Box::pin(async move {
            let Some(first) = self.index.look(|index| index.first_behind(after))? else {
                return Ok(Vec::new());
            };
            read::all(&self.server, first, limit, head).await
        })
    }

    fn find_each(
        &self,
        mut ids: Vec<EventId>,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        let head = self.head();
        Box::pin(async move {
            ids.sort_unstable();
            ids.dedup();
            let mut places = Vec::new();
            for id in &ids {
                places.extend(self.index.look(|index| index.find(*id))?);
            }
            places.retain(|place| place.position <= head);
            let mut found = read::places(&self.server, places, head).await?;
            found.retain(|recorded| ids.binary_search(&recorded.event.id).is_ok());
            found.sort_unstable_by_key(|recorded| recorded.position);
            Ok(found)
        })
    }

    fn subscribe(&self, after: u64) -> BoxStream<'static, Result<RecordedEvent, ReadError>> {
        let first = self.index.look(|index| index.first_behind(after));
        cursor::subscribe(Arc::clone(&self.server), self.head.clone(), after, first)
    }

    fn head(&self) -> u64 {
        *self.head.borrow()
    }

    fn count_behind(&self, position: u64) -> u64 {
        let all = self.counts.events.load(Ordering::Relaxed);
        // An index that fails has ended the feed, which says so.
        self.index.look(|index| index.count_behind(position, all)).unwrap_or(all)
    }
}

impl Drop for KurrentLog {
    fn drop(&mut self) {
        self.feed.abort();
        if let Ok(mut index) = self.index.0.write() {
            *index = None;
        }
    }
}

fn other(what: impl Into<String>) -> ReadError {
    ReadError::Io(std::io::Error::other(what.into()))
}
