//! What a request is answered, seen from the log and from the requests before it in its group.

use jiff::Timestamp;

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
        if group.find(id).is_some() || self.index.find(id)?.is_some() {
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
