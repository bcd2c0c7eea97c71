//! The one subscription that feeds the index, and with it the head.
//!
//! It resumes behind what the index has, so that a lost connection or a restart neither leaves
//! out an event nor brings one twice.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eventstore::{
    Client, Position, RecordedEvent as Stored, StreamPosition, SubscribeToAllOptions,
    SubscriptionEvent,
};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::SharedIndex;
use super::connection::{Connection, Patience, Trouble};
use super::index::{Index, Place, Seen};
use super::options::KurrentOpenError;
use super::read::{self, Direction};
use super::record;
use crate::id::EventId;

/// Most messages of the server that become one batch of the index.
const AT_ONCE: usize = 512;
/// Events looked at from the end, at once.
const TAIL: usize = 32;

/// Reads the server's log into the index.
pub struct Feed {
    /// The server.
    pub server: Arc<Connection>,
    /// What is fed.
    pub index: SharedIndex,
    /// How far the index is.
    pub seen: Seen,
    /// Moves once the index has what it names.
    pub head: watch::Sender<u64>,
    /// As in `seen`, for everybody.
    pub counts: Arc<Counts>,
}

/// What the feed has counted.
#[derive(Default)]
pub struct Counts {
    /// Events of ours.
    pub events: AtomicU64,
    /// Events that only look like ours.
    pub passed_over: AtomicU64,
}

impl Counts {
    /// As an index has it.
    pub fn of(seen: &Seen) -> Self {
        Self { events: seen.events.into(), passed_over: seen.passed_over.into() }
    }
}

/// Why following ended.
enum Stop {
    /// The connection is to be made again.
    Lost(String),
    /// The log is closed, or its index failed.
    Closed(String),
}

/// Ends a task with its owner.
struct Pump(AbortHandle);

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Feed {
    /// Follows the server until the log closes.
    pub async fn run(mut self) {
        let mut patience = Patience::new(Duration::MAX);
        loop {
            let before = self.seen;
            let (client, number) = self.server.client();
            let Err(stop) = self.follow(client).await;
            match stop {
                Stop::Lost(why) => {
                    tracing::warn!(log.head = self.seen.head, "following the event log: {why}");
                    self.server.replace(number);
                }
                Stop::Closed(why) => {
                    tracing::error!(log.head = self.seen.head, "the event log ends: {why}");
                    return;
                }
            }
            if self.seen != before {
                patience = Patience::new(Duration::MAX);
            }
            // This patience does not end.
            let _ = patience.wait().await;
        }
    }

    async fn follow(&mut self, client: Client) -> Result<Infallible, Stop> {
        let mut options = SubscribeToAllOptions::default()
            .filter(read::only_our_types())
            .requires_leader(true)
            .position(self.seen.checkpoint.map_or(StreamPosition::Start, |(commit, prepare)| {
                StreamPosition::Position(Position { commit, prepare })
            }));
        if let Some(credentials) = self.server.credentials() {
            options = options.authenticated(credentials);
        }
        let (sender, mut messages) = mpsc::channel(AT_ONCE);
        // In a task of its own: what waits for the client's next message must not be dropped.
        let _pump = Pump(tokio::spawn(pump(client, options, sender)).abort_handle());
        let mut group = Vec::with_capacity(AT_ONCE);
        loop {
            if messages.recv_many(&mut group, AT_ONCE).await == 0 {
                return Err(Stop::Lost("the client failed".to_owned()));
            }
            self.take(group.drain(..))?;
        }
    }

    /// Indexes a group and publishes the head; an error in it counts after what came before.
    fn take(
        &mut self,
        group: impl Iterator<Item = Result<SubscriptionEvent, eventstore::Error>>,
    ) -> Result<(), Stop> {
        let mut seen = self.seen;
        let mut events = Vec::new();
        let mut lost = None;
        for message in group {
            match message {
                Ok(SubscriptionEvent::EventAppeared(resolved)) => {
                    events.extend(resolved.event.and_then(|stored| note(&mut seen, &stored)));
                }
                Ok(SubscriptionEvent::Checkpoint(at)) => {
                    seen.checkpoint = seen.checkpoint.max(Some((at.commit, at.prepare)));
                }
                Ok(_) => {}
                Err(error) => lost = Some(Stop::Lost(error.to_string())),
            }
        }
        if seen != self.seen {
            self.index
                .look(|index| index.add(&events, &seen))
                .map_err(|error| Stop::Closed(format!("{error:?}")))?;
            self.seen = seen;
            self.counts.events.store(seen.events, Ordering::Relaxed);
            self.counts.passed_over.store(seen.passed_over, Ordering::Relaxed);
            self.head.send_if_modified(|head| std::mem::replace(head, seen.head) != seen.head);
        }
        lost.map_or(Ok(()), Err)
    }
}

/// Moves `seen` behind an event, and says where it is when it is ours and new.
fn note(seen: &mut Seen, stored: &Stored) -> Option<(EventId, Place)> {
    let at = Some((stored.position.commit, stored.position.prepare));
    if at <= seen.checkpoint {
        return None;
    }
    seen.checkpoint = at;
    if !record::is_ours(stored) {
        seen.passed_over += 1;
        tracing::warn!(
            log.place = record::place(stored),
            "an event has a type of ours, but this software did not write it; it is passed over"
        );
        return None;
    }
    let position = stored.position.commit;
    seen.head = position;
    seen.events += 1;
    seen.at_head = stored.id;
    let stream = stored.stream_id().to_owned();
    Some((EventId(stored.id), Place { position, revision: stored.revision, stream }))
}

async fn pump(
    client: Client,
    options: SubscribeToAllOptions,
    sender: mpsc::Sender<Result<SubscriptionEvent, eventstore::Error>>,
) {
    let mut subscription = client.subscribe_to_all(&options).await;
    loop {
        let message = subscription.next_subscription_event().await;
        let ended = message.is_err();
        if sender.send(message).await.is_err() || ended {
            return;
        }
    }
}

/// Position of the last event of ours on the server; 0 when there is none.
pub async fn last_of_ours(server: &Connection) -> Result<u64, KurrentOpenError> {
    let mut before = None;
    loop {
        let page = read::page_of_all(server, Direction::Backwards, before, TAIL)
            .await
            .map_err(|trouble| KurrentOpenError::Server { why: trouble.to_string() })?;
        if let Some(last) = page.iter().find(|stored| record::is_ours(stored)) {
            return Ok(last.position.commit);
        }
        let Some(first) = page.last() else { return Ok(0) };
        let at = Some((first.position.commit, first.position.prepare));
        if at == before || page.len() < TAIL {
            return Ok(0);
        }
        before = at;
    }
}

/// Opens the index in `folder`; one that does not open, or that belongs to another database, is
/// begun anew.
pub async fn open_index(
    server: &Connection,
    folder: &Path,
    last: u64,
) -> Result<(Index, Seen), KurrentOpenError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| KurrentOpenError::Index {
        folder: folder.display().to_string(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(error.into()))?;
    let opened = Index::open(folder).and_then(|index| index.seen().map(|seen| (index, seen)));
    match opened {
        Ok((index, seen)) if belongs(server, &seen, last).await? => return Ok((index, seen)),
        Ok(_) => tracing::warn!("the index belongs to another database and is built anew"),
        Err(error) if is_locked(&error) => return Err(failed(error.into())),
        Err(error) => tracing::warn!(%error, "the index does not open and is built anew"),
    }
    std::fs::remove_dir_all(folder).map_err(|error| failed(error.into()))?;
    std::fs::create_dir_all(folder).map_err(|error| failed(error.into()))?;
    Ok((Index::open(folder).map_err(|error| failed(error.into()))?, Seen::default()))
}

fn is_locked(error: &fjall::Error) -> bool {
    matches!(error, fjall::Error::Locked)
}

/// Whether the event at the index's head is still there.
async fn belongs(server: &Connection, seen: &Seen, last: u64) -> Result<bool, KurrentOpenError> {
    if seen.head == 0 {
        return Ok(seen.checkpoint.is_none() || last == 0);
    }
    if seen.head > last {
        return Ok(false);
    }
    let at = Some((seen.head, seen.head));
    match read::page_of_all(server, Direction::Forwards, at, 1).await {
        Ok(page) => Ok(page.first().is_some_and(|stored| stored.id == seen.at_head)),
        Err(Trouble::Passing(why)) => Err(KurrentOpenError::Server { why }),
        // Another database may have no event that begins there.
        Err(_) => Ok(false),
    }
}
