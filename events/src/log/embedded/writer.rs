//! The one thread that writes.
//!
//! It takes what is queued without waiting (a restored batch by itself), decides every request
//! against the index and the requests before it, writes all new records as one frame, syncs,
//! updates the index, moves the head and answers. So a request waits for one sync at most twice, however many there are.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::active::{Active, NotStored};
use super::frame::{Chain, FRAME_BYTES, FrameBuilder};
use super::index::{Applied, Index};
use super::record::Draft;
use super::segment::Segments;
use crate::id::{EventId, StreamId};
use crate::log::{AppendError, Appended, ExpectedRevision, RestoreError};

/// Most requests in one group.
const MAX_GROUP_REQUESTS: usize = 1024;
/// A group takes no further request from this size on.
const MAX_GROUP_BYTES: usize = 4 << 20;
/// Streams whose last revision is kept at hand.
const MAX_CACHED_STREAMS: usize = 16_384;

/// What is to be appended.
pub struct Batch {
    /// To which stream.
    pub stream: StreamId,
    /// What it must be at.
    pub expected: ExpectedRevision,
    /// The encoded events.
    pub drafts: Vec<Draft>,
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

/// A group that is not in the log, or may not be.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Nothing of it is.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// What happened is unknown until the log is opened again.
    #[error("{what} failed: {source}")]
    Io { what: &'static str, source: std::io::Error },
    #[error("the index failed: {0}")]
    Index(#[from] fjall::Error),
}

fn failed(what: &'static str) -> impl FnOnce(NotStored) -> Failure {
    move |error| match error {
        NotStored::DiskFull(source) => Failure::DiskFull(format!("{what} failed: {source}")),
        NotStored::Unknown(source) => Failure::Io { what, source },
    }
}

/// What everyone in a group that is not in the log is told.
#[derive(Clone)]
enum Refusal {
    DiskFull,
    Poisoned(String),
}

impl From<Refusal> for AppendError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::DiskFull => Self::DiskFull,
            Refusal::Poisoned(reason) => Self::Poisoned(reason),
        }
    }
}

/// What earlier groups left behind.
#[derive(Default)]
struct Trouble {
    /// Why nothing is written any more.
    poison: Option<String>,
    /// The last group found the disk full.
    full: bool,
}

/// The answer to an append.
pub type Answer = Result<Vec<Appended>, AppendError>;

/// What the thread keeps from group to group to do less; nothing depends on it.
#[derive(Default)]
struct Kept {
    /// The last revision of some streams.
    revisions: HashMap<StreamId, u64>,
    /// The memory of the last frame.
    buffer: Vec<u8>,
}

impl Kept {
    fn add(&mut self, revisions: HashMap<StreamId, u64>) {
        if self.revisions.len() + revisions.len() > MAX_CACHED_STREAMS {
            self.revisions.clear();
        }
        self.revisions.extend(revisions);
    }
}

/// A record with its place.
struct Placed {
    draft: Draft,
    stream: StreamId,
    at: Appended,
    /// When another log recorded it; `None` is now.
    recorded_at: Option<Timestamp>,
}

/// Where an id is.
enum Place {
    None,
    Here(Appended),
    /// In another stream.
    Elsewhere,
}

/// What the requests of a group add to the index, before it knows.
#[derive(Default)]
struct Group {
    placed: Vec<Placed>,
    ids: HashMap<EventId, usize>,
    revisions: HashMap<StreamId, u64>,
    bytes: usize,
}

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
        }
    }

    /// Writes, unless a write failed before. A failure now is the last, but for a full disk.
    fn unless_poisoned<T>(
        &mut self,
        trouble: &mut Trouble,
        write: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Refusal> {
        if let Some(reason) = &trouble.poison {
            return Err(Refusal::Poisoned(reason.clone()));
        }
        let before = *self.head.borrow();
        let written = write(self);
        let head = *self.head.borrow();
        match written {
            Ok(written) => {
                if head > before && std::mem::take(&mut trouble.full) {
                    tracing::info!(log.head = head, "the disk has room again");
                }
                Ok(written)
            }
            Err(Failure::DiskFull(what)) => {
                if !std::mem::replace(&mut trouble.full, true) {
                    tracing::warn!(
                        log.head = head,
                        "nothing is appended until the disk has room: {what}"
                    );
                }
                Err(Refusal::DiskFull)
            }
            Err(failure) => {
                let reason = format!(
                    "{failure}; whether the last events are durable is unknown: check the disk \
                     and open the log again, which finds out"
                );
                tracing::error!(log.head = head, "{reason}");
                Err(Refusal::Poisoned(trouble.poison.insert(reason).clone()))
            }
        }
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
        if group.placed.is_empty() {
            return Ok(answers);
        }
        self.store(&mut group, &mut kept.buffer)?;
        kept.add(group.revisions);
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
        if !group.placed.is_empty() {
            self.store(&mut group, &mut kept.buffer)?;
            kept.add(group.revisions);
        }
        Ok(Ok(()))
    }

    /// Whether `event` is what follows on the log and the group.
    fn check_continues(
        &self,
        group: &Group,
        kept: &Kept,
        event: &Historic,
        latest: Timestamp,
    ) -> Result<Result<(), RestoreError>, Failure> {
        let Appended { id, revision, position } = event.at;
        let expected = *self.head.borrow() + group.placed.len() as u64 + 1;
        if position != expected {
            return Ok(Err(RestoreError::Position { expected, got: position }));
        }
        if group.ids.contains_key(&id) || self.index.find(id)?.is_some() {
            return Ok(Err(RestoreError::KnownId { position, id }));
        }
        let last = self.last_revision(group, kept, &event.stream)?;
        let expected = last.map_or(0, |last| last + 1);
        if revision != expected {
            let stream = event.stream.to_string();
            return Ok(Err(RestoreError::Revision { position, stream, expected, got: revision }));
        }
        if event.recorded_at < latest {
            let got = event.recorded_at;
            return Ok(Err(RestoreError::RecordedAt { position, latest, got }));
        }
        Ok(Ok(()))
    }

    fn last_revision(
        &self,
        group: &Group,
        kept: &Kept,
        stream: &StreamId,
    ) -> Result<Option<u64>, Failure> {
        Ok(match group.revisions.get(stream).or_else(|| kept.revisions.get(stream)) {
            Some(revision) => Some(*revision),
            None => self.index.last_revision(stream.as_str())?,
        })
    }

    /// Decides one request as if those before it in the group were durable: no answer leaves
    /// before they are.
    fn decide(
        &self,
        group: &mut Group,
        kept: &Kept,
        Batch { stream, expected, drafts }: Batch,
    ) -> Result<Answer, Failure> {
        // Ids come first: a retry that succeeded unseen finds the stream moved by itself.
        let mut places = Vec::new();
        let mut known = None;
        for draft in &drafts {
            match self.place_of(group, &stream, draft.id)? {
                Place::None => continue,
                Place::Here(at) => places.push(at),
                Place::Elsewhere => {}
            }
            known.get_or_insert(draft.id);
        }
        if places.len() == drafts.len() {
            return Ok(Ok(places));
        }
        if let Some(id) = known {
            return Ok(Err(AppendError::PartlyKnown { id }));
        }
        let actual = self.last_revision(group, kept, &stream)?;
        let holds = match expected {
            ExpectedRevision::Any => true,
            ExpectedRevision::NoStream => actual.is_none(),
            ExpectedRevision::Exact(revision) => actual == Some(revision),
        };
        if !holds {
            let expected = match expected {
                ExpectedRevision::Exact(revision) => Some(revision),
                ExpectedRevision::Any | ExpectedRevision::NoStream => None,
            };
            let stream = stream.into();
            return Ok(Err(AppendError::WrongExpectedRevision { stream, actual, expected }));
        }
        Ok(Ok(group.add(stream, actual, drafts, *self.head.borrow() + 1)))
    }

    /// Where `id` is, seen from `stream`.
    fn place_of(&self, group: &Group, stream: &StreamId, id: EventId) -> Result<Place, Failure> {
        let (here, at) = if let Some(index) = group.ids.get(&id) {
            let placed = &group.placed[*index];
            (placed.stream == *stream, placed.at)
        } else if let Some((position, revision)) = self.index.find(id)? {
            let here = self.index.position(stream.as_str(), revision)? == Some(position);
            (here, Appended { id, revision, position })
        } else {
            return Ok(Place::None);
        };
        Ok(if here { Place::Here(at) } else { Place::Elsewhere })
    }

    /// One write, one sync, one index batch; then the group is history.
    fn store(&mut self, group: &mut Group, buffer: &mut Vec<u8>) -> Result<(), Failure> {
        let now = self.recorded_at.max((self.clock)());
        let first = *self.head.borrow() + 1;
        let (free, reserve) = (self.active.free_bytes(), self.reserve_bytes);
        if free < reserve.saturating_add(group.bytes as u64) {
            let what = format!("{free} bytes are left, the log keeps {reserve} of them free");
            return Err(Failure::DiskFull(what));
        }
        if !self.active.has_room(FRAME_BYTES + group.bytes) {
            self.active
                .roll(&self.segments, first, self.chain, FRAME_BYTES + group.bytes)
                .map_err(failed("beginning a new segment"))?;
        }
        let salt = self.active.salt();
        let mut frame = FrameBuilder::new(std::mem::take(buffer));
        let mut latest = now;
        for Placed { draft, at, recorded_at, .. } in &mut group.placed {
            latest = recorded_at.unwrap_or(now);
            frame.push(draft.place(salt, at.position, at.revision, latest));
        }
        let (bytes, offsets, chain) = frame.finish(salt, first, &self.chain);
        let written = self.active.append(&bytes, &offsets);
        *buffer = bytes;
        written.map_err(failed("writing to the segment"))?;
        let mut changes = self.index.changes();
        for Placed { stream, at, .. } in &group.placed {
            changes.add(at.id, stream.as_str(), at.revision, at.position);
        }
        let position = first + group.placed.len() as u64 - 1;
        changes.commit(Applied { position, chain })?;
        self.chain = chain;
        self.recorded_at = latest;
        self.head.send_replace(position);
        Ok(())
    }
}

impl Group {
    /// Gives `drafts` the next places; `next` is the first position of the group.
    fn add(
        &mut self,
        stream: StreamId,
        last_revision: Option<u64>,
        drafts: Vec<Draft>,
        next: u64,
    ) -> Vec<Appended> {
        let mut revision = last_revision.map_or(0, |last| last + 1);
        let mut places = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let position = next + self.placed.len() as u64;
            let at = Appended { id: draft.id, revision, position };
            self.bytes += draft.len();
            self.ids.insert(draft.id, self.placed.len());
            let stream = stream.clone();
            self.placed.push(Placed { draft, stream, at, recorded_at: None });
            places.push(at);
            revision += 1;
        }
        self.revisions.insert(stream, revision - 1);
        places
    }

    /// Gives an event the place that it had.
    fn add_historic(&mut self, event: Historic) {
        let Historic { draft, stream, at, recorded_at } = event;
        self.bytes += draft.len();
        self.ids.insert(at.id, self.placed.len());
        self.revisions.insert(stream.clone(), at.revision);
        self.placed.push(Placed { draft, stream, at, recorded_at: Some(recorded_at) });
    }
}

fn refuse(replies: Vec<oneshot::Sender<Answer>>, refusal: &Refusal) {
    for reply in replies {
        let _ = reply.send(Err(refusal.clone().into()));
    }
}
