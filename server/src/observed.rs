//! The event log as the server uses it: counts what is appended, and records who did what.
//!
//! Both stand here, around the log, and not in the handlers: whichever way an event comes in, it
//! is counted, and whichever way someone labels or merges, it is audited. Whose request it is
//! travels with the request's task.

use std::sync::Arc;
use std::time::Instant;

use events::catalogue::audit::{AuditOutcome, AuditRecorded};
use events::log::{AppendError, Appended, EventLog, ExpectedRevision, ReadError};
use events::value::Line;
use events::{Event, EventData, EventId, RecordedEvent, StreamId};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::auth::Caller;
use crate::http::Clock;
use crate::metrics::Metrics;

/// What the server's own events have as their source.
pub(crate) const SOURCE: &str = "/server";
const AUDIT_RECORDED: &str = "io.faultline.audit.recorded.v1";

tokio::task_local! {
    static CALLER: Option<Caller>;
}

/// Carries out `work` so that the caller answers for what it appends.
pub(crate) async fn on_behalf_of<F: Future>(caller: Caller, work: F) -> F::Output {
    CALLER.scope(Some(caller), work).await
}

/// Carries out `work` so that nobody answers for what it appends.
pub(crate) async fn on_nobodys_behalf<F: Future>(work: F) -> F::Output {
    CALLER.scope(None, work).await
}

/// See the [module](self).
pub(crate) struct ObservedLog {
    log: Arc<dyn EventLog>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl ObservedLog {
    pub(crate) fn new(log: Arc<dyn EventLog>, metrics: Arc<Metrics>, clock: Clock) -> Self {
        Self { log, metrics, clock }
    }

    async fn observed(
        &self,
        stream: StreamId,
        expected: ExpectedRevision,
        events: Vec<Event>,
    ) -> Result<Vec<Appended>, AppendError> {
        let caller = CALLER.try_with(Clone::clone).ok().flatten();
        let audit = caller.map(|caller| self.audit(&caller, &events)).unwrap_or_default();
        let types: Vec<(EventId, &'static str)> =
            events.iter().map(|event| (event.id, event.data.event_type())).collect();
        let started = Instant::now();
        // What stands at or before this place was there already: a repeat counts nothing.
        let head = self.log.head();
        let appended = self.log.append(stream, expected, events).await?;
        let new = appended.iter().filter(|at| at.position > head);
        let new: Vec<&'static str> = new
            .filter_map(|at| types.iter().find(|(id, _)| *id == at.id))
            .map(|(_, event_type)| *event_type)
            .collect();
        self.metrics.appended(&new, started.elapsed());
        // Behind the event, not before it: the audit tells what was done. Its ids follow from
        // the events, so that a repeat after a crash in between completes it and adds nothing.
        match record(self.log.as_ref(), audit).await? {
            0 => {}
            count => self.metrics.appended_of(AUDIT_RECORDED, count),
        }
        Ok(appended)
    }

    fn audit(&self, caller: &Caller, events: &[Event]) -> Vec<Event> {
        let entry = |event: &Event| {
            let (action, incident) = answered_for(&event.data)?;
            let data = AuditRecorded {
                actor: caller.name.clone(),
                token: caller.token.clone(),
                peer: caller.peer.map(|peer| Line::clipped(&peer.to_string())),
                action: Line::clipped(action),
                subject: Some(Line::clipped(incident)),
                outcome: AuditOutcome::Done,
                event: Some(event.id),
                request: caller.request.clone(),
            };
            let id = event.id.derived("audit");
            let mut entry = Event::with_id(id, Line::clipped(SOURCE), (self.clock)(), data);
            entry.causation_id = Some(event.id);
            Some(entry)
        };
        events.iter().filter_map(entry).collect()
    }
}

/// Appends entries of the audit, all of one stream; answers how many were new.
pub(crate) async fn record(log: &dyn EventLog, audit: Vec<Event>) -> Result<u64, AppendError> {
    let Some(stream) = audit.first().map(|entry| entry.data.stream()) else {
        return Ok(0);
    };
    let head = log.head();
    match log.append(stream, ExpectedRevision::Any, audit).await {
        Ok(appended) => Ok(appended.iter().filter(|at| at.position > head).count() as u64),
        // Someone else did it before, and answers for it.
        Err(AppendError::PartlyKnown { .. }) => Ok(0),
        Err(error) => Err(error),
    }
}

/// What people answer for, and on which incident.
fn answered_for(data: &EventData) -> Option<(&'static str, &str)> {
    Some(match data {
        EventData::LabelAssigned(data) => ("label.assign", data.incident.as_str()),
        EventData::LabelRetracted(data) => ("label.retract", data.incident.as_str()),
        EventData::FeedbackGiven(data) => ("feedback.give", data.incident.as_str()),
        EventData::IncidentAcknowledged(data) => ("incident.acknowledge", data.incident.as_str()),
        EventData::IncidentResolved(data) => ("incident.resolve", data.incident.as_str()),
        EventData::IncidentReopened(data) => ("incident.reopen", data.incident.as_str()),
        EventData::IncidentMerged(data) => ("incident.merge", data.incident.as_str()),
        EventData::PostmortemPublished(data) => ("postmortem.publish", data.incident.as_str()),
        _ => return None,
    })
}

impl EventLog for ObservedLog {
    fn append(
        &self,
        stream: StreamId,
        expected: ExpectedRevision,
        events: Vec<Event>,
    ) -> BoxFuture<'_, Result<Vec<Appended>, AppendError>> {
        self.observed(stream, expected, events).boxed()
    }

    fn read_stream(
        &self,
        stream: StreamId,
        from_revision: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        self.log.read_stream(stream, from_revision, limit)
    }

    fn read_all(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        self.log.read_all(after, limit)
    }

    fn find(&self, id: EventId) -> BoxFuture<'_, Result<Option<RecordedEvent>, ReadError>> {
        self.log.find(id)
    }

    fn subscribe(&self, after: u64) -> BoxStream<'static, Result<RecordedEvent, ReadError>> {
        self.log.subscribe(after)
    }

    fn head(&self) -> u64 {
        self.log.head()
    }

    fn count_behind(&self, position: u64) -> u64 {
        self.log.count_behind(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Scope, scope_of_event};

    /// What needs the scope of people is what people answer for.
    #[test]
    fn every_action_of_people_is_audited() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/tests/fixtures");
        let mut read = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read(file.unwrap().path()).unwrap();
            let document = serde_json::from_slice(&text).unwrap();
            let event = Event::from_cloud_event(document, events::Timestamp::UNIX_EPOCH).unwrap();
            let of_people = scope_of_event(&event.data) == Scope::Label;
            assert_eq!(
                answered_for(&event.data).is_some(),
                of_people,
                "{}",
                event.data.event_type()
            );
            read += 1;
        }
        assert!(read >= EventData::TYPES.len());
    }
}
