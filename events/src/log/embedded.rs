//! The log of one machine: segments of checksummed frames, and an index that is rebuilt from
//! them when it is lost.
//!
//! ```text
//! lock                      held while the log is open
//! segments/⟨base:020⟩.seg   the log: ground state
//! segments/⟨base:020⟩.segz  the same of a full segment, compressed
//! index/                    derived; may be deleted while the log is closed
//!   entries/                event id → place, stream and revision → position
//!   seen                    how far the log was when it last answered
//!   offsets/⟨base:020⟩.off  where each record of a full segment begins; of one that was pruned,
//!                           the salt stands in the name too
//! ```
//!
//! A batch becomes visible only after it is durable. A torn last group is dropped on open;
//! other damage is an error, because losing acknowledged history silently is worse than
//! refusing to start.

mod active;
mod backup;
mod compress;
mod frame;
mod index;
mod options;
mod packed;
mod prune;
mod reader;
mod record;
mod recovery;
mod restore;
mod scan;
mod segment;
mod storage;
mod subscription;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use self::active::Active;
pub use self::backup::{Attached, BackedUp, Backup, BackupError, Manifest};
use self::compress::Compressor;
use self::index::{Background, Index};
pub use self::options::{OpenError, Options};
pub use self::prune::{Amount, Around, Plan, Policy, PruneError, Pruned, Pruning};
use self::record::Draft;
use self::recovery::Recovery;
use self::segment::Segments;
use self::storage::{Folder, Storage};
pub use self::verify::{ChainHash, ParseChainError, Verified, Walked};
use self::writer::{Answer, Batch, Request, Work, Writer};
use super::{AppendError, Appended, EventLog, ExpectedRevision, Offered, ReadError, check_batch};
use crate::envelope::{Event, RecordedEvent};
use crate::id::{EventId, StreamId};

/// How often a folder that is held is tried. A process that begins another one shares its locks
/// with it for a moment, so a folder may seem held when its log was just closed.
const LOCK_ATTEMPTS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The log of one machine. Dropping it finishes what is queued and releases the folder.
pub struct EmbeddedLog {
    queue: Option<mpsc::Sender<Request>>,
    queue_bytes: Arc<Semaphore>,
    head: watch::Receiver<u64>,
    segments: Arc<Segments>,
    /// Empty once the log is closed, so that no late reader keeps the index's files open.
    index: Arc<RwLock<Option<Index>>>,
    writer: Option<JoinHandle<()>>,
    max_batch_bytes: usize,
    reserve_bytes: u64,
    /// What pruned segments are compressed with.
    compression: Option<i32>,
    salts: Arc<dyn Fn() -> u64 + Send + Sync>,
    _lock: File,
}

impl EmbeddedLog {
    /// Opens the log in `folder`, or begins one there. Reads what the last run left behind, so
    /// it may take seconds when the index is rebuilt.
    pub fn open(folder: &Path, options: Options) -> Result<Self, OpenError> {
        let io = |doing| {
            move |source| OpenError::Io { doing, path: folder.display().to_string(), source }
        };
        Folder::create(folder).map_err(io("creating"))?;
        let lock = lock(folder)?;
        let segments = Folder::create(&folder.join("segments")).map_err(io("creating"))?;
        Self::open_on(Arc::new(segments), &folder.join("index"), lock, options)
    }

    /// Opens a log whose segments are in `storage`.
    fn open_on(
        storage: Arc<dyn Storage>,
        index_folder: &Path,
        lock: File,
        options: Options,
    ) -> Result<Self, OpenError> {
        options.check()?;
        let index = open_index(index_folder)?;
        let offsets = offsets_folder(index_folder)?;
        Self::open_parts(storage, offsets, index, lock, options)
    }

    /// Opens a log of which nothing is taken from a folder.
    fn open_parts(
        storage: Arc<dyn Storage>,
        offsets: Arc<dyn Storage>,
        index: Index,
        lock: File,
        options: Options,
    ) -> Result<Self, OpenError> {
        let recovered = Recovery {
            storage: &storage,
            offsets: &offsets,
            index: &index,
            applied: index.applied()?,
            options: &options,
        }
        .run()?;
        let shown = storage.shown("");
        let active = Active::resume(
            Arc::clone(&storage),
            recovered.active,
            recovered.file,
            recovered.end,
            options.segment_bytes,
            Arc::clone(&options.salts),
        )
        .map_err(|source| OpenError::Io {
            doing: "reading",
            path: shown.clone(),
            source,
        })?;
        let segments = Arc::new(Segments::new(storage, offsets, recovered.segments));
        let (head, durable) = watch::channel(recovered.head);
        let (queue, requests) = mpsc::channel(options.queue_batches);
        let no_thread =
            |source| OpenError::Io { doing: "starting a thread for", path: shown.clone(), source };
        let background = Background::start(index.clone()).map_err(no_thread)?;
        let compressor = options
            .compression
            .map(|level| Compressor::start(Arc::clone(&segments), level))
            .transpose()
            .map_err(no_thread)?;
        let writer = Writer {
            background,
            compressor,
            queue: requests,
            segments: Arc::clone(&segments),
            active,
            index: index.clone(),
            head,
            chain: recovered.chain,
            recorded_at: last_recorded_at(&segments, recovered.head)?,
            clock: options.clock,
            reserve_bytes: options.reserve_bytes,
        };
        let writer = std::thread::Builder::new()
            .name("event-log".to_owned())
            .spawn(|| writer.run())
            .map_err(|source| OpenError::Io {
                doing: "starting the writer of",
                path: shown,
                source,
            })?;
        Ok(Self {
            queue: Some(queue),
            queue_bytes: Arc::new(Semaphore::new(options.queue_bytes)),
            head: durable,
            segments,
            index: Arc::new(RwLock::new(Some(index))),
            writer: Some(writer),
            max_batch_bytes: options.max_batch_bytes,
            reserve_bytes: options.reserve_bytes,
            compression: options.compression,
            salts: options.salts,
            _lock: lock,
        })
    }

    async fn enqueue(
        &self,
        stream: StreamId,
        expected: ExpectedRevision,
        events: Vec<Event>,
    ) -> Result<Vec<Appended>, AppendError> {
        check_batch(events.iter().map(|event| event.id))?;
        let drafts: Vec<_> = events.iter().map(|event| Draft::new(event, &stream)).collect();
        let bytes = drafts.iter().map(Draft::len).sum();
        let answer = self.queue_batch(Batch::To { stream, expected, drafts }, bytes)?;
        // While it is written.
        drop(events);
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn enqueue_new(&self, events: Vec<(StreamId, Event)>) -> Result<Offered, AppendError> {
        check_batch(events.iter().map(|(_, event)| event.id))?;
        let drafts: Vec<_> = events
            .iter()
            .map(|(stream, event)| (stream.clone(), Draft::new(event, stream)))
            .collect();
        let bytes = drafts.iter().map(|(_, draft)| draft.len()).sum();
        if bytes > self.max_batch_bytes {
            return Ok(Offered::Declined(events));
        }
        match self.queue_batch(Batch::New(drafts), bytes)?.await {
            Ok(Ok(appended)) => Ok(Offered::Appended(appended)),
            Ok(Err(AppendError::PartlyKnown { .. })) => Ok(Offered::Declined(events)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(stopped()),
        }
    }

    /// Gives the writer a batch with `bytes` of records; what it answers is to be waited for.
    fn queue_batch(
        &self,
        batch: Batch,
        bytes: usize,
    ) -> Result<oneshot::Receiver<Answer>, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.queue_work(Work::Append { batch, reply }, bytes)?;
        Ok(answer)
    }

    /// Gives the writer what it is to do with `bytes` of records.
    fn queue_work(&self, work: Work, bytes: usize) -> Result<(), AppendError> {
        if bytes > self.max_batch_bytes {
            let max_bytes = self.max_batch_bytes;
            return Err(AppendError::TooLarge { max_bytes, got_bytes: bytes });
        }
        let share = u32::try_from(bytes).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.queue_bytes)
            .try_acquire_many_owned(share)
            .map_err(|_| AppendError::Overloaded)?;
        let queue = self.queue.as_ref().expect("only dropping the log takes it");
        queue.try_send(Request { work, permit }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AppendError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })
    }

    /// Runs a read where it may block.
    async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Index, &Segments, u64) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (index, segments) = (Arc::clone(&self.index), Arc::clone(&self.segments));
        let head = self.head();
        blocking(move || {
            let index = index.read().expect("no reader panics with the lock");
            let closed = || std::io::Error::other("the log is closed");
            read(index.as_ref().ok_or_else(closed)?, &segments, head)
        })
        .await
    }
}

impl EventLog for EmbeddedLog {
    fn as_embedded(&self) -> Option<&EmbeddedLog> {
        Some(self)
    }

    fn append(
        &self,
        stream: StreamId,
        expected: ExpectedRevision,
        events: Vec<Event>,
    ) -> BoxFuture<'_, Result<Vec<Appended>, AppendError>> {
        Box::pin(self.enqueue(stream, expected, events))
    }

    fn append_new(
        &self,
        events: Vec<(StreamId, Event)>,
    ) -> BoxFuture<'_, Result<Offered, AppendError>> {
        Box::pin(self.enqueue_new(events))
    }

    fn read_stream(
        &self,
        stream: StreamId,
        from_revision: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        Box::pin(self.reading(move |index, segments, head| {
            let mut positions =
                index.positions(stream.as_str(), from_revision, limit).map_err(in_index)?;
            // The index may be a group ahead of the head that was published.
            positions.retain(|position| *position <= head);
            reader::read_each(segments, &positions)
        }))
    }

    fn read_all(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        let (segments, head) = (Arc::clone(&self.segments), self.head());
        Box::pin(blocking(move || reader::read_all(&segments, after, head, limit)))
    }

    fn find_each(
        &self,
        mut ids: Vec<EventId>,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        Box::pin(async move {
            if let Some(index) = &*self.index.read().expect("no reader panics with the lock") {
                ids.retain(|id| !index.is_new(*id));
            }
            // Who appends asks for what is new.
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            self.reading(move |index, segments, head| {
                let mut positions = Vec::with_capacity(ids.len());
                for id in ids {
                    let place = index.find(id).map_err(in_index)?;
                    positions.extend(place.map(|(position, _)| position).filter(|at| *at <= head));
                }
                positions.sort_unstable();
                positions.dedup();
                reader::read_each(segments, &positions)
            })
            .await
        })
    }

    fn subscribe(&self, after: u64) -> BoxStream<'static, Result<RecordedEvent, ReadError>> {
        subscription::subscribe(Arc::clone(&self.segments), self.head.clone(), after)
    }

    fn head(&self) -> u64 {
        *self.head.borrow()
    }

    fn settled(&self) -> BoxFuture<'_, Result<u64, AppendError>> {
        Box::pin(async {
            let (reply, answer) = oneshot::channel();
            self.queue_work(Work::Settle { reply }, 0)?;
            answer.await.map_err(|_| stopped())
        })
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has told so itself.
            let _ = writer.join();
        }
        if let Ok(mut index) = self.index.write() {
            *index = None;
        }
    }
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let shown = || path.display().to_string();
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|source| OpenError::Io { doing: "opening", path: shown(), source })?;
    for attempt in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt < LOCK_ATTEMPTS => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked { folder: folder.display().to_string() });
            }
            Err(TryLockError::Error(source)) => {
                return Err(OpenError::Io { doing: "locking", path: shown(), source });
            }
        }
    }
    Ok(file)
}

/// An index that does not open is derived state: it is begun anew.
fn open_index(folder: &Path) -> Result<Index, OpenError> {
    let path = folder.join("entries");
    Index::open(&path).or_else(|error| {
        tracing::warn!(%error, "the index of the log does not open and is rebuilt");
        std::fs::remove_dir_all(folder).map_err(|source| OpenError::Io {
            doing: "removing",
            path: folder.display().to_string(),
            source,
        })?;
        Ok(Index::open(&path)?)
    })
}

fn offsets_folder(index_folder: &Path) -> Result<Arc<dyn Storage>, OpenError> {
    let path = index_folder.join("offsets");
    let folder = Folder::create(&path).map_err(|source| OpenError::Io {
        doing: "creating",
        path: path.display().to_string(),
        source,
    })?;
    Ok(Arc::new(folder))
}

fn last_recorded_at(segments: &Segments, head: u64) -> Result<Timestamp, OpenError> {
    let mut last = Timestamp::MIN;
    reader::scan(segments, head, head, &mut |_, record| {
        last = record.recorded_at();
        Ok(())
    })
    .map_err(|error| match error {
        ReadError::Damaged { place, what } => OpenError::Damaged { place, what },
        ReadError::Io(source) => {
            OpenError::Io { doing: "reading", path: format!("position {head}"), source }
        }
    })?;
    Ok(last)
}

fn stopped() -> AppendError {
    AppendError::Poisoned("its writer ended".to_owned())
}

fn in_index(error: fjall::Error) -> ReadError {
    ReadError::Io(std::io::Error::other(error))
}

/// Runs a read where it may block.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(result) => result,
        Err(error) => Err(ReadError::Io(std::io::Error::other(error))),
    }
}
