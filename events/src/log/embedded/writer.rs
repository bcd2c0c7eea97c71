//! The one thread that writes.
//!
//! It takes what is queued without waiting (a restored batch by itself), decides every request
//! against the index and the requests before it, writes all new records as one frame, syncs,
//! makes them known to the index in memory, moves the head and answers. So a request waits for
//! one sync at most twice, however many there are, and for no index on disk.

mod decide;
mod group;
mod trouble;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use self::group::{Group, Kept, Placed};
use self::trouble::{Failure, Refusal, Trouble, failed};
use super::active::{Active, Next};
use super::compress::Compressor;
use super::frame::{Chain, FRAME_BYTES, FrameBuilder, VERSION, WITH_PRUNED};
use super::index::{Applied, Background, Index};
use super::record::Draft;
use super::segment::Segments;
use crate::id::StreamId;
use crate::log::{AppendError, Appended, ExpectedRevision, RestoreError};

/// Most requests in one group.
const MAX_GROUP_REQUESTS: usize = 1024;
/// A group takes no further request from this size on.
const MAX_GROUP_BYTES: usize = 4 << 20;

/// Encoded events that are to be appended, all or none.
pub enum Batch {
    /// To one stream.
    To {
        /// Which.
        stream: StreamId,
        /// What it must be at.
        expected: ExpectedRevision,
        /// The events; all of them may be known.
        drafts: Vec<Draft>,
    },
    /// To the stream of each. None may be known.
    New(Vec<(StreamId, Draft)>),
}

/// An encoded event of another log's history.
pub struct Historic {
    /// The event.
    pub draft: Draft,
    /// Its stream.
    pub stream: StreamId,
    /// Where it was, and is to be.
    pub at: Appended,
    /// When it was recorded there.
    pub recorded_at: Timestamp,
}

/// What waits. Nobody may be listening for the answer any more; what was written stands all the
/// same.
pub enum Work {
    /// New events.
    Append {
        /// What.
        batch: Batch,
        /// Where the answer goes.
        reply: oneshot::Sender<Answer>,
    },
    /// Events that another log recorded.
    Restore {
        /// What.
        events: Vec<Historic>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<(), RestoreError>>,
    },
    /// Nothing: whoever asks wants to know when it was its turn.
    Settle {
        /// Where the head goes.
        reply: oneshot::Sender<u64>,
    },
}

/// Work with its share of the queue's bytes.
pub struct Request {
    /// What.
    pub work: Work,
    /// The share.
    pub permit: OwnedSemaphorePermit,
}

/// What the thread owns.
pub struct Writer {
    /// Requests.
    pub queue: mpsc::Receiver<Request>,
    /// The segment files.
    pub segments: Arc<Segments>,
    /// The segment that is written.
    pub active: Active,
    /// The index.
    pub index: Index,
    /// What moves the index to disk.
    pub background: Background,
    /// What compresses full segments, if that is wanted.
    pub compressor: Option<Compressor>,
    /// The last durable position.
    pub head: watch::Sender<u64>,
    /// The chain behind it.
    pub chain: Chain,
    /// When its last event was recorded.
    pub recorded_at: Timestamp,
    /// The time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Room that must be left on the disk.
    pub reserve_bytes: u64,
}

/// The answer to an append.
pub type Answer = Result<Vec<Appended>, AppendError>;

impl Writer {
    /// Writes until every sender is gone.
    pub fn run(mut self) {
        let mut kept = Kept::default();
        let mut trouble = Trouble::default();
        let mut next = None;
        while let Some(first) = next.take().or_else(|| self.queue.blocking_recv()) {
            match first.work {
                Work::Append { batch, reply } => {
                    let bytes = first.permit.num_permits();
                    drop(first.permit);
                    let (batches, replies);
                    (batches, replies, next) = self.take_group(batch, reply, bytes);
                    let written = self
                        .unless_poisoned(&mut trouble, |writer| writer.write(batches, &mut kept));
                    match written {
                        Ok(answers) => {
                            for (reply, answer) in replies.into_iter().zip(answers) {
                                let _ = reply.send(answer);
                            }
                        }
                        Err(refusal) => refuse(replies, &refusal),
                    }
                }
                Work::Restore { events, reply } => {
                    drop(first.permit);
                    let written = self
                        .unless_poisoned(&mut trouble, |writer| writer.restore(events, &mut kept));
                    let _ = reply.send(
                        written.unwrap_or_else(|refusal| Err(RestoreError::Append(refusal.into()))),
                    );
                }
                Work::Settle { reply } => {
                    let _ = reply.send(*self.head.borrow());
                }
            }
            if let Err(failure) = self.settle() {
                trouble.failed(failure, *self.head.borrow());
            }
        }
        if let Err(error) = self.background.finish() {
            tracing::warn!(%error, "the index is behind the log: opening it will take longer");
        }
    }

    /// Writes, unless a write failed before.
    fn unless_poisoned<T>(
        &mut self,
        trouble: &mut Trouble,
        write: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Refusal> {
        trouble.check()?;
        let before = *self.head.borrow();
        let written = write(self);
        let head = *self.head.borrow();
        if head > before {
            trouble.written(head);
        }
        written.map_err(|failure| trouble.failed(failure, head))
    }

    /// What nobody waits for.
    fn settle(&mut self) -> Result<(), Failure> {
        self.index.see(Applied { position: *self.head.borrow(), chain: self.chain })?;
        Ok(self.background.settle()?)
    }

    /// The first append of `bytes` and what else is queued already, up to the limits of a group,
    /// and the request behind the group if it was taken already. Their share of the queue is free
    /// again once they are taken.
    fn take_group(
        &mut self,
        first: Batch,
        reply: oneshot::Sender<Answer>,
        mut bytes: usize,
    ) -> (Vec<Batch>, Vec<oneshot::Sender<Answer>>, Option<Request>) {
        let (mut batches, mut replies) = (vec![first], vec![reply]);
        while batches.len() < MAX_GROUP_REQUESTS && bytes < MAX_GROUP_BYTES {
            let Ok(Request { work, permit }) = self.queue.try_recv() else { break };
            match work {
                Work::Append { batch, reply } => {
                    bytes += permit.num_permits();
                    batches.push(batch);
                    replies.push(reply);
                }
                Work::Restore { .. } | Work::Settle { .. } => {
                    return (batches, replies, Some(Request { work, permit }));
                }
            }
        }
        (batches, replies, None)
    }

    /// Answers in the order of the batches; whatever they say is durable.
    fn write(&mut self, batches: Vec<Batch>, kept: &mut Kept) -> Result<Vec<Answer>, Failure> {
        let mut group = Group::default();
        let answers = batches
            .into_iter()
            .map(|batch| self.decide(&mut group, kept, batch))
            .collect::<Result<Vec<_>, _>>()?;
        self.store(group, kept)?;
        Ok(answers)
    }

    /// Writes a piece of another log's history, whole or not at all.
    fn restore(
        &mut self,
        events: Vec<Historic>,
        kept: &mut Kept,
    ) -> Result<Result<(), RestoreError>, Failure> {
        let mut group = Group::default();
        let mut latest = self.recorded_at;
        for event in events {
            if let Err(refusal) = self.check_continues(&group, kept, &event, latest)? {
                return Ok(Err(refusal));
            }
            latest = event.recorded_at;
            group.add_historic(event);
        }
        self.store(group, kept)?;
        Ok(Ok(()))
    }

    /// One write, one sync; then the group is history.
    fn store(&mut self, mut group: Group, kept: &mut Kept) -> Result<(), Failure> {
        if group.placed.is_empty() {
            return Ok(());
        }
        let now = self.recorded_at.max((self.clock)());
        let first = *self.head.borrow() + 1;
        self.make_room(first, &group)?;
        let salt = self.active.salt();
        let mut frame = FrameBuilder::new(std::mem::take(&mut kept.buffer));
        let mut latest = now;
        for Placed { draft, at, recorded_at, .. } in &mut group.placed {
            latest = recorded_at.unwrap_or(now);
            frame.push(draft.place(salt, at.position, at.revision, latest));
        }
        let (bytes, offsets, chain) = frame.finish(salt, first, &self.chain);
        let written = self.active.append(&bytes, &offsets);
        kept.buffer = bytes;
        written.map_err(failed("writing to the segment"))?;
        let position = first + group.placed.len() as u64 - 1;
        self.index.add(group.entries(), Applied { position, chain });
        self.chain = chain;
        self.recorded_at = latest;
        self.head.send_replace(position);
        kept.add(group);
        Ok(())
    }

    /// Begins a new segment if this one cannot take the group from position `first` on.
    fn make_room(&mut self, first: u64, group: &Group) -> Result<(), Failure> {
        let bytes = group.bytes;
        // A version that knows no pruned records refuses the segment by its header.
        let version = if group.pruned { WITH_PRUNED } else { VERSION };
        let (free, reserve) = (self.active.free_bytes(), self.reserve_bytes);
        if free < reserve.saturating_add(bytes as u64) {
            let what = format!("{free} bytes are left, the log keeps {reserve} of them free");
            return Err(Failure::DiskFull(what));
        }
        if !self.active.has_room(FRAME_BYTES + bytes) || self.active.version() < version {
            let bytes = FRAME_BYTES + bytes;
            let next = Next { version, base: first, chain: self.chain, bytes };
            self.active.roll(&self.segments, next).map_err(failed("beginning a new segment"))?;
            if let Some(compressor) = &self.compressor {
                compressor.wake();
            }
        }
        Ok(())
    }
}

fn refuse(replies: Vec<oneshot::Sender<Answer>>, refusal: &Refusal) {
    for reply in replies {
        let _ = reply.send(Err(refusal.clone().into()));
    }
}
