//! Appending so that a retry is always safe.
//!
//! The server recognises a repeated append by stream and expected revision; with "any revision"
//! only while it remembers. So `Any` is made exact here: the revision is the one that the index
//! has, and when the stream has moved meanwhile, what moved it is looked at first. Every attempt
//! at one batch that may have had an effect is repeated as it was, so its events can never be
//! there twice.

use eventstore::{AppendToStreamOptions, EventData as Proposed, StreamState};

use super::connection::{CALL, Patience, Trouble};
use super::{KurrentLog, MAX_BYTES, read, record};
use crate::envelope::Event;
use crate::id::{EventId, StreamId};
use crate::log::{AppendError, Appended, ExpectedRevision, ReadError, check_batch};

/// What the index knows of a batch.
enum Known {
    Nothing,
    /// All of it, here.
    All(Vec<Appended>),
    /// This event, and others not or elsewhere.
    Partly(EventId),
}

impl KurrentLog {
    /// The whole of [`EventLog::append`](crate::log::EventLog::append).
    pub(super) async fn append_batch(
        &self,
        stream: StreamId,
        expected: ExpectedRevision,
        events: Vec<Event>,
    ) -> Result<Vec<Appended>, AppendError> {
        check_batch(events.iter().map(|event| event.id))?;
        if stream.as_str().starts_with('$') {
            return Err(AppendError::Refused(format!(
                "stream {:?} begins with $, which KurrentDB keeps for itself",
                stream.as_str()
            )));
        }
        let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
        let (proposed, bytes): (Vec<_>, Vec<_>) = events.iter().map(record::encode).unzip();
        let bytes: usize = bytes.iter().sum();
        if bytes > MAX_BYTES {
            return Err(AppendError::TooLarge { max_bytes: MAX_BYTES, got_bytes: bytes });
        }
        let share = u32::try_from(bytes).unwrap_or(u32::MAX);
        let _batch = self.batches.try_acquire().map_err(|_| AppendError::Overloaded)?;
        let _bytes = self.bytes.try_acquire_many(share).map_err(|_| AppendError::Overloaded)?;
        let _turn = self.turns.take(stream.clone(), ids.clone()).await;
        self.append_in_turn(&stream, expected, &ids, &proposed, bytes).await
    }

    async fn append_in_turn(
        &self,
        stream: &StreamId,
        expected: ExpectedRevision,
        ids: &[EventId],
        proposed: &[Proposed],
        bytes: usize,
    ) -> Result<Vec<Appended>, AppendError> {
        let mut patience = Patience::new(self.patience);
        let mut last = self.last_revision(stream)?;
        // Whether the server was asked for `last`, not only the index.
        let mut asked = false;
        loop {
            // Ids come first: a retry that succeeded unseen finds the stream moved by itself.
            match self.known(stream, ids)? {
                Known::All(places) => return Ok(places),
                Known::Partly(id) => return Err(AppendError::PartlyKnown { id }),
                Known::Nothing => {}
            }
            if !holds(expected, last) {
                if asked {
                    return Err(wrong(stream, expected, last));
                }
                last = self.ask_for_last(stream, last, &patience).await?;
                asked = true;
                continue;
            }
            let trouble = match self.write(stream, last, proposed).await {
                Ok(()) => return self.until_known(stream, ids, &patience).await,
                Err(Trouble::Conflict) => {
                    let before = last;
                    last = self.ask_for_last(stream, last, &patience).await?;
                    asked = true;
                    if last != before {
                        continue;
                    }
                    Trouble::Conflict
                }
                Err(Trouble::TooLarge { max_bytes }) => {
                    return Err(AppendError::TooLarge { max_bytes, got_bytes: bytes });
                }
                Err(Trouble::Refused(why)) => return Err(AppendError::Refused(why)),
                Err(error @ Trouble::Deleted) => {
                    return Err(AppendError::Refused(error.to_string()));
                }
                Err(passing @ (Trouble::Passing(_) | Trouble::NotFound)) => {
                    tracing::warn!("an append is repeated with the same ids: {passing}");
                    passing
                }
            };
            if patience.wait().await.is_err() {
                return Err(AppendError::Unavailable(trouble.to_string()));
            }
        }
    }

    /// One attempt behind revision `last`.
    async fn write(
        &self,
        stream: &StreamId,
        last: Option<u64>,
        proposed: &[Proposed],
    ) -> Result<(), Trouble> {
        let state = last.map_or(StreamState::NoStream, StreamState::StreamRevision);
        let mut options = AppendToStreamOptions::default()
            .stream_state(state)
            .requires_leader(true)
            .deadline(CALL);
        if let Some(credentials) = self.server.credentials() {
            options = options.authenticated(credentials);
        }
        let (stream, proposed) = (stream.as_str().to_owned(), proposed.to_vec());
        self.server
            .call(move |client| async move {
                client.append_to_stream(stream, &options, proposed).await.map(drop)
            })
            .await
    }

    fn last_revision(&self, stream: &StreamId) -> Result<Option<u64>, AppendError> {
        self.index.look(|index| index.last_revision(stream.as_str())).map_err(closed)
    }

    /// What the index knows of `ids`, seen from `stream`.
    fn known(&self, stream: &StreamId, ids: &[EventId]) -> Result<Known, AppendError> {
        let places = self
            .index
            .look(|index| ids.iter().map(|id| index.find(*id)).collect::<Result<Vec<_>, _>>());
        let places = places.map_err(closed)?;
        let here: Vec<_> = ids
            .iter()
            .zip(&places)
            .filter_map(|(id, place)| {
                let place = place.as_ref().filter(|place| place.stream == stream.as_str())?;
                let (revision, position) = (place.revision, place.position);
                Some(Appended { id: *id, revision, position })
            })
            .collect();
        if here.len() == ids.len() {
            return Ok(Known::All(here));
        }
        let known = places.iter().position(Option::is_some);
        Ok(known.map_or(Known::Nothing, |at| Known::Partly(ids[at])))
    }

    /// Waits until the feed has brought what the server has acknowledged.
    async fn until_known(
        &self,
        stream: &StreamId,
        ids: &[EventId],
        patience: &Patience,
    ) -> Result<Vec<Appended>, AppendError> {
        let mut head = self.head.clone();
        loop {
            head.borrow_and_update();
            if let Known::All(places) = self.known(stream, ids)? {
                return Ok(places);
            }
            match tokio::time::timeout_at(patience.until(), head.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(AppendError::Unavailable("the log closes".to_owned())),
                Err(_) => {
                    return Err(AppendError::Unavailable(
                        "the events are written and the subscription does not bring them"
                            .to_owned(),
                    ));
                }
            }
        }
    }

    /// The last revision of a stream that moved behind `last`, once the index has every event of
    /// ours up to it. Events of others count, too: the server counts them.
    async fn ask_for_last(
        &self,
        stream: &StreamId,
        last: Option<u64>,
        patience: &Patience,
    ) -> Result<Option<u64>, AppendError> {
        const PAGE: usize = 512;
        let (mut last, mut newest) = (last, None);
        loop {
            let from = last.map_or(0, |last| last + 1);
            let page = read::page_of_stream(&self.server, stream, from, PAGE)
                .await
                .map_err(|trouble| AppendError::Unavailable(trouble.to_string()))?;
            last = page.last().map_or(last, |stored| stored.revision.into());
            newest = page.iter().rfind(|stored| record::is_ours(stored)).map(|s| s.id).or(newest);
            if page.len() < PAGE {
                break;
            }
        }
        if let Some(newest) = newest {
            let arrived = self.until_indexed(EventId(newest), patience).await;
            arrived.map_err(AppendError::Unavailable)?;
        }
        Ok(last)
    }

    async fn until_indexed(&self, id: EventId, patience: &Patience) -> Result<(), String> {
        let mut head = self.head.clone();
        loop {
            head.borrow_and_update();
            let found = self.index.look(|index| index.find(id));
            if found.map_err(|error| error.to_string())?.is_some() {
                return Ok(());
            }
            match tokio::time::timeout_at(patience.until(), head.changed()).await {
                Ok(Ok(())) => {}
                _ => return Err("the subscription does not bring what was written".to_owned()),
            }
        }
    }
}

fn holds(expected: ExpectedRevision, last: Option<u64>) -> bool {
    match expected {
        ExpectedRevision::Any => true,
        ExpectedRevision::NoStream => last.is_none(),
        ExpectedRevision::Exact(revision) => last == Some(revision),
    }
}

fn wrong(stream: &StreamId, expected: ExpectedRevision, actual: Option<u64>) -> AppendError {
    let expected = match expected {
        ExpectedRevision::Exact(revision) => Some(revision),
        ExpectedRevision::Any | ExpectedRevision::NoStream => None,
    };
    AppendError::WrongExpectedRevision { stream: stream.to_string(), actual, expected }
}

fn closed(error: ReadError) -> AppendError {
    AppendError::Unavailable(format!("the index: {error:?}"))
}
