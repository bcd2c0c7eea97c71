//! What a request is answered, seen from the log and from the requests before it in its group.

use jiff::Timestamp;

use super::super::record::Draft;
use super::group::{Group, Kept};
use super::trouble::Failure;
use super::{Answer, Batch, Historic, Writer};
use crate::id::{EventId, StreamId};
use crate::log::{AppendError, Appended, ExpectedRevision, RestoreError};

/// Where an id is.
enum Place {
    None,
    Here(Appended),
    /// In another stream.
    Elsewhere,
}

impl Writer {
    /// Decides one request as if those before it in the group were durable: no answer leaves
    /// before they are.
    pub(super) fn decide(
        &self,
        group: &mut Group,
        kept: &Kept,
        batch: Batch,
    ) -> Result<Answer, Failure> {
        match batch {
            Batch::To { stream, expected, drafts } => {
                self.decide_of(group, kept, stream, expected, drafts)
            }
            Batch::New(drafts) => self.decide_new(group, kept, drafts),
        }
    }

    fn decide_of(
        &self,
        group: &mut Group,
        kept: &Kept,
        stream: StreamId,
        expected: ExpectedRevision,
        drafts: Vec<Draft>,
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
        group.reserve(drafts.len());
        let (stream, first) = (group.stream(stream, actual), self.first());
        Ok(Ok(drafts.into_iter().map(|draft| group.add(stream, draft, first)).collect()))
    }

    fn decide_new(
        &self,
        group: &mut Group,
        kept: &Kept,
        drafts: Vec<(StreamId, Draft)>,
    ) -> Result<Answer, Failure> {
        for (_, draft) in &drafts {
            if self.is_known(group, draft.id)? {
                return Ok(Err(AppendError::PartlyKnown { id: draft.id }));
            }
        }
        group.reserve(drafts.len());
        let first = self.first();
        let mut places = Vec::with_capacity(drafts.len());
        for (stream, draft) in drafts {
            let stream = match group.number(&stream) {
                Some(number) => number,
                None => {
                    let last = self.last_revision(group, kept, &stream)?;
                    group.stream(stream, last)
                }
            };
            places.push(group.add(stream, draft, first));
        }
        Ok(Ok(places))
    }

    /// The first position of the group.
    fn first(&self) -> u64 {
        *self.head.borrow() + 1
    }

    fn is_known(&self, group: &Group, id: EventId) -> Result<bool, Failure> {
        Ok(group.find(id).is_some() || self.index.find(id)?.is_some())
    }

    /// Where `id` is, seen from `stream`.
    fn place_of(&self, group: &Group, stream: &StreamId, id: EventId) -> Result<Place, Failure> {
        let (here, at) = if let Some((found, at)) = group.find(id) {
            (found == stream, at)
        } else if let Some((position, revision)) = self.index.find(id)? {
            let here = self.index.position(stream.as_str(), revision)? == Some(position);
            (here, Appended { id, revision, position })
        } else {
            return Ok(Place::None);
        };
        Ok(if here { Place::Here(at) } else { Place::Elsewhere })
    }

    fn last_revision(
        &self,
        group: &Group,
        kept: &Kept,
        stream: &StreamId,
    ) -> Result<Option<u64>, Failure> {
        Ok(match group.last_revision(stream).or_else(|| kept.last_revision(stream)) {
            Some(revision) => Some(revision),
            None => self.index.last_revision(stream.as_str())?,
        })
    }

    /// Whether `event` of another log's history is what follows on the log and the group.
    pub(super) fn check_continues(
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
        if self.is_known(group, id)? {
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
}
