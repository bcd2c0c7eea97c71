//! The event log as the server uses it: counts what is appended, and records who did what.
//!
//! Both stand here, around the log, and not in the handlers: whichever way an event comes in, it
//! is counted, and whichever way someone labels or merges, it is audited. Whose request it is
//! travels with the request's task.

use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use events::catalogue::audit::{AuditOutcome, AuditRecorded};
use events::log::{
    AppendError, Appended, EmbeddedLog, EventLog, ExpectedRevision, Offered, ReadError,
};
use events::value::Line;
use events::{Event, EventData, EventId, RecordedEvent, StreamId, Timestamp};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tracing::Instrument;

use crate::auth::{Caller, Scope, scope_of_event};
use crate::http::Clock;
use crate::metrics::Metrics;
use crate::trace_context;

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

/// Carries out `work`, which another task will do, on behalf of whose request this is.
pub(crate) fn carried(work: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
    let caller = CALLER.try_with(Clone::clone).ok().flatten();
    CALLER.scope(caller, work).boxed()
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

    /// Appends and audits in a task of its own: a client that goes away, or the time limit of its
    /// request, must not come between the two.
    async fn observed(
        &self,
        stream: StreamId,
        expected: ExpectedRevision,
        mut events: Vec<Event>,
    ) -> Result<Vec<Appended>, AppendError> {
        let audit = self.prepare(events.iter_mut());
        let (log, metrics) = (self.log.clone(), self.metrics.clone());
        in_a_task(async move {
            let count = Count::of(&*log, &events);
            let appended = log.append(stream, expected, events).await?;
            count.and_audit(&*log, &metrics, &appended, audit).await?;
            Ok(appended)
        })
        .await
    }

    /// The same of events that may all be new.
    async fn observed_new(
        &self,
        mut events: Vec<(StreamId, Event)>,
    ) -> Result<Offered, AppendError> {
        let audit = self.prepare(events.iter_mut().map(|(_, event)| event));
        let (log, metrics) = (self.log.clone(), self.metrics.clone());
        in_a_task(async move {
            let count = Count::of(&*log, events.iter().map(|(_, event)| event));
            let offered = log.append_new(events).await?;
            if let Offered::Appended(appended) = &offered {
                count.and_audit(&*log, &metrics, appended, audit).await?;
            }
            Ok(offered)
        })
        .await
    }

    /// Tells the events whose trace they belong to, and answers what is to be audited of them.
    fn prepare<'e>(&self, events: impl Iterator<Item = &'e mut Event>) -> Vec<Event> {
        let context = trace_context::current();
        let caller = CALLER.try_with(Clone::clone).ok().flatten();
        let mut audit = Vec::new();
        for event in events {
            if let Some(context) = &context {
                event.traceparent.get_or_insert_with(|| context.clone());
            }
            audit.extend(caller.as_ref().and_then(|caller| self.audit(caller, event)));
        }
        audit
    }

    fn audit(&self, caller: &Caller, event: &Event) -> Option<Event> {
        let (action, incident) = answered_for(&event.data)?;
        // These may be a machine's too, which has no such scope.
        if scope_of_event(&event.data) != Scope::Label && !caller.may(Scope::Label) {
            return None;
        }
        let data = entry(caller, action, incident, Some(event.id));
        let id = event.id.derived("audit");
        let mut audit = Event::with_id(id, Line::clipped(SOURCE), (self.clock)(), data);
        audit.causation_id = Some(event.id);
        Some(audit)
    }
}

/// Does `work` in a task of its own, but for its first step: queued here, appends that were made
/// one behind the other do not change places.
async fn in_a_task<T: Send + 'static>(
    work: impl Future<Output = Result<T, AppendError>> + Send + 'static,
) -> Result<T, AppendError> {
    let mut work = work.in_current_span().boxed();
    if let Poll::Ready(done) = futures::poll!(&mut work) {
        return done;
    }
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => Err(AppendError::Poisoned(error.to_string())),
    }
}

/// What is about to be appended, to be counted when it is.
struct Count {
    types: Vec<&'static str>,
    started: Instant,
    /// What stands at or before this place was there already: a repeat counts nothing.
    head: u64,
}

impl Count {
    fn of<'e>(log: &dyn EventLog, events: impl IntoIterator<Item = &'e Event>) -> Self {
        let types = events.into_iter().map(|event| event.data.event_type()).collect();
        Self { types, started: Instant::now(), head: log.head() }
    }

    async fn and_audit(
        self,
        log: &dyn EventLog,
        metrics: &Metrics,
        appended: &[Appended],
        audit: Vec<Event>,
    ) -> Result<(), AppendError> {
        let new = appended.iter().zip(self.types).filter(|(at, _)| at.position > self.head);
        let new: Vec<&'static str> = new.map(|(_, event_type)| event_type).collect();
        metrics.appended(&new, self.started.elapsed());
        // Behind the event, not before it: the audit tells what was done. Its ids follow from
        // the events, so that a repeat after a crash in between completes it and adds nothing.
        match record(log, audit).await? {
            0 => {}
            count => metrics.appended_of(AUDIT_RECORDED, count),
        }
        Ok(())
    }
}

fn entry(caller: &Caller, action: &str, subject: &str, event: Option<EventId>) -> AuditRecorded {
    AuditRecorded {
        actor: caller.name.clone(),
        token: caller.token.clone(),
        peer: caller.peer.map(|peer| Line::clipped(&peer.to_string())),
        action: Line::clipped(action),
        subject: Some(Line::clipped(subject)),
        outcome: AuditOutcome::Done,
        event,
        request: caller.request.clone(),
    }
}

/// Records that the caller did what has no event of its own.
pub(crate) async fn did(
    log: &dyn EventLog,
    caller: &Caller,
    action: &str,
    subject: &str,
    now: Timestamp,
) -> Result<(), AppendError> {
    let data = entry(caller, action, subject, None);
    let audit = Event::with_id(EventId::generate(), Line::clipped(SOURCE), now, data);
    log.append(audit.data.stream(), ExpectedRevision::Any, vec![audit]).await.map(drop)
}

/// Appends entries of the audit, all of one stream; answers how many were new.
pub(crate) async fn record(log: &dyn EventLog, mut audit: Vec<Event>) -> Result<u64, AppendError> {
    loop {
        audit = missing(log, audit).await;
        let Some(stream) = audit.first().map(|entry| entry.data.stream()) else {
            return Ok(0);
        };
        let head = log.head();
        match log.append(stream, ExpectedRevision::Any, audit.clone()).await {
            Ok(appended) if appended.iter().all(|at| at.position > head) => {
                return Ok(appended.len() as u64);
            }
            // Someone took an id since it was looked for: it is looked at what stands there.
            Ok(_) | Err(AppendError::PartlyKnown { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The entries that the log does not have. One whose id was taken for something else gets
/// another: nobody shall do unseen what they prepared an id for.
async fn missing(log: &dyn EventLog, audit: Vec<Event>) -> Vec<Event> {
    let mut missing = Vec::with_capacity(audit.len());
    for mut entry in audit {
        match log.find(entry.id).await {
            Ok(None) => {}
            // Someone did it before, and answers for it.
            Ok(Some(known)) if tells_the_same(&known.event.data, &entry.data) => continue,
            Ok(Some(known)) => {
                let by = known.event.data.event_type();
                tracing::error!(id = %entry.id, by, "an audit's id was taken");
                entry.id = EventId::generate();
            }
            Err(error) => {
                tracing::error!(id = %entry.id, %error, "it is not known whether this is audited");
                entry.id = EventId::generate();
            }
        }
        missing.push(entry);
    }
    missing
}

/// Whether both are of the same deed, whoever did it.
fn tells_the_same(known: &EventData, entry: &EventData) -> bool {
    match (known, entry) {
        (EventData::AuditRecorded(known), EventData::AuditRecorded(entry)) => {
            (&known.event, &known.action, &known.subject)
                == (&entry.event, &entry.action, &entry.subject)
        }
        _ => false,
    }
}

/// What people answer for, and on which incident.
fn answered_for(data: &EventData) -> Option<(&'static str, &str)> {
    Some(match data {
        EventData::LabelAssigned(data) => ("label.assign", data.incident.as_str()),
        EventData::LabelRetracted(data) => ("label.retract", data.incident.as_str()),
        EventData::FeedbackGiven(data) => ("feedback.give", data.incident.as_str()),
        EventData::IncidentOpened(data) => ("incident.open", data.incident.as_str()),
        EventData::MitigationApplied(data) => ("mitigation.apply", data.incident.as_str()),
        EventData::IncidentMitigated(data) => ("incident.mitigate", data.incident.as_str()),
        EventData::IncidentAcknowledged(data) => ("incident.acknowledge", data.incident.as_str()),
        EventData::IncidentResolved(data) => ("incident.resolve", data.incident.as_str()),
        EventData::IncidentReopened(data) => ("incident.reopen", data.incident.as_str()),
        EventData::IncidentMerged(data) => ("incident.merge", data.incident.as_str()),
        EventData::PostmortemPublished(data) => ("postmortem.publish", data.incident.as_str()),
        EventData::ModelSelected(data) => {
            ("model.select", data.model.as_ref().map_or("none", |model| model.as_str()))
        }
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

    fn append_new(
        &self,
        events: Vec<(StreamId, Event)>,
    ) -> BoxFuture<'_, Result<Offered, AppendError>> {
        self.observed_new(events).boxed()
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

    fn find_each(&self, ids: Vec<EventId>) -> BoxFuture<'_, Result<Vec<RecordedEvent>, ReadError>> {
        self.log.find_each(ids)
    }

    fn subscribe(&self, after: u64) -> BoxStream<'static, Result<RecordedEvent, ReadError>> {
        self.log.subscribe(after)
    }

    fn head(&self) -> u64 {
        self.log.head()
    }

    fn settled(&self) -> BoxFuture<'_, Result<u64, AppendError>> {
        self.log.settled()
    }

    fn as_embedded(&self) -> Option<&EmbeddedLog> {
        self.log.as_embedded()
    }

    fn count_behind(&self, position: u64) -> u64 {
        self.log.count_behind(position)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use events::log::Options;
    use futures::StreamExt;

    use super::*;
    use crate::auth::MUTATIONS;

    /// The verb behind what it is done to, as in `label.assign` for `assignLabels`.
    fn action_of(mutation: &str) -> String {
        let noun = mutation.find(|it: char| it.is_ascii_uppercase()).unwrap();
        let (verb, noun) = mutation.split_at(noun);
        format!("{}.{verb}", noun.to_ascii_lowercase().trim_end_matches('s'))
    }

    /// What needs the scope of people, and what every mutation records, is what people answer for.
    #[test]
    fn every_action_of_people_is_audited() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/tests/fixtures");
        let mut actions = BTreeSet::new();
        let mut read = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read(file.unwrap().path()).unwrap();
            let document = serde_json::from_slice(&text).unwrap();
            let event = Event::from_cloud_event(document, events::Timestamp::UNIX_EPOCH).unwrap();
            let action = answered_for(&event.data).map(|(action, _)| action.to_owned());
            let of_people = scope_of_event(&event.data) == Scope::Label;
            assert!(action.is_some() || !of_people, "{}", event.data.event_type());
            actions.extend(action);
            read += 1;
        }
        assert!(read >= EventData::TYPES.len());
        let mutations = MUTATIONS.iter().map(|(name, _)| action_of(name)).collect();
        assert_eq!(actions, mutations);
    }

    fn audit(of: EventId, action: &str) -> Event {
        let caller = Caller::anonymous(crate::auth::Scopes::default());
        let data = entry(&caller, action, "i-1", Some(of));
        let at = events::Timestamp::UNIX_EPOCH;
        Event::with_id(of.derived("audit"), Line::clipped(SOURCE), at, data)
    }

    #[tokio::test]
    async fn a_request_that_is_dropped_is_audited_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(folder.path(), Options::default()).unwrap());
        let metrics = Arc::new(Metrics::new(None).unwrap());
        let observed = ObservedLog::new(log.clone(), metrics, Timestamp::now);
        let data = serde_json::json!({ "incident": "i-1", "by": "alice" });
        let data = EventData::from_json("io.faultline.incident.acknowledged.v1", data).unwrap();
        let event =
            Event::with_id(EventId::generate(), Line::clipped(SOURCE), Timestamp::now(), data);
        let append = observed.append(event.data.stream(), ExpectedRevision::Any, vec![event]);
        let caller = Caller::anonymous(crate::auth::Scopes::new([Scope::Label]));
        let mut request = on_behalf_of(caller, append).boxed();
        assert!(futures::poll!(&mut request).is_pending());
        drop(request);
        let waiting = log.subscribe(0).take(2).collect::<Vec<_>>();
        let recorded = tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap();
        let last = recorded.into_iter().last().unwrap().unwrap();
        assert_eq!(last.event.data.event_type(), AUDIT_RECORDED);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn appends_stay_in_the_order_in_which_they_were_made() {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(folder.path(), Options::default()).unwrap());
        let metrics = Arc::new(Metrics::new(None).unwrap());
        let observed = ObservedLog::new(log.clone(), metrics, Timestamp::now);
        let made: Vec<EventId> = (0..200).map(|_| EventId::generate()).collect();
        let appends = made.iter().map(|id| {
            let data = serde_json::json!({ "incident": format!("i-{id}"), "by": "alice" });
            let data = EventData::from_json("io.faultline.incident.acknowledged.v1", data).unwrap();
            let event = Event::with_id(*id, Line::clipped(SOURCE), Timestamp::now(), data);
            observed.append(event.data.stream(), ExpectedRevision::Any, vec![event])
        });
        futures::future::try_join_all(appends).await.unwrap();
        let recorded = log.read_all(0, made.len()).await.unwrap();
        assert_eq!(recorded.iter().map(|it| it.event.id).collect::<Vec<_>>(), made);
    }

    #[tokio::test]
    async fn an_audit_whose_id_was_taken_is_recorded_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(folder.path(), Options::default()).unwrap();
        let [first, second] = [EventId::generate(), EventId::generate()];
        // Someone was there before with the id of the first one's audit.
        let mut other = audit(second, "label.assign");
        other.id = first.derived("audit");
        assert_eq!(record(&log, vec![other]).await.unwrap(), 1);
        let both = || vec![audit(first, "label.retract"), audit(second, "label.assign")];
        assert_eq!(record(&log, both()).await.unwrap(), 2);
        let recorded = log.read_all(1, 10).await.unwrap();
        let told: Vec<bool> = [first, second]
            .into_iter()
            .map(|of| {
                let of = |it: &RecordedEvent| match &it.event.data {
                    EventData::AuditRecorded(data) => data.event == Some(of),
                    _ => false,
                };
                recorded.iter().any(of)
            })
            .collect();
        assert_eq!(told, [true, true]);
        // What is known as it is adds nothing.
        assert_eq!(record(&log, vec![audit(second, "label.assign")]).await.unwrap(), 0);
    }
}
