//! What the server decides by itself, from the log and the graph, as events.
//!
//! One task follows the log in order. Everything it keeps is a fold over the log, and the id of
//! everything it appends derives from the event that caused it: a crash or a replay repeats
//! nothing. Time is the events' own; the wall clock decides nothing.
//!
//! - measurements → error budgets that burn ([`diagnosis::objectives`]);
//! - telemetry → anomalies → incidents, their symptoms and their end ([`diagnosis::detect`]);
//! - an open incident → diagnoses, from what was known up to a position: the graph, and the last
//!   minutes of measurements (`attempts`);
//! - labels → models (`learning`);
//! - a diagnosis → remedies that helped before (`remedies`);
//! - an injected fault → labels and the mitigation of its incident (`truth`).

mod attempts;
mod checkpoint;
mod diagnose;
mod early_ends;
mod learning;
mod reaction;
mod remedies;
mod rounds;
mod shared;
mod truth;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diagnosis::detect::{Anomaly, Decided, Detector, Grouping, GroupingSettings, Settings};
use diagnosis::evidence::RecentWindows;
use diagnosis::objectives::Burned;
use events::catalogue::diagnosis::DiagnosisProposed;
use events::log::{AppendError, EventLog, ExpectedRevision, ReadError};
use events::value::Line;
use events::{Event, EventData, EventId, IncidentId, RecordedEvent};
use futures::StreamExt;
use futures::future::join_all;
use tracing::Instrument;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::standings::Standings;
use crate::trace_context;
use attempts::Attempts;
use checkpoint::Checkpoint;
pub(crate) use checkpoint::Checkpoint as ReactorCheckpoint;
use diagnose::Diagnostician;
use early_ends::EarlyEnds;
pub(crate) use learning::School;
use learning::{Due, Learner};
use reaction::{of_incident, source};
use remedies::Remedies;
pub(crate) use shared::{SharedReactors, leave};
use truth::Truth;

/// How long the reactors wait before they offer the log again what it had no room for.
const RETRY: Duration = Duration::from_millis(100);

/// Where the reactors are, for those who look from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reacted(Arc<Levels>);

#[derive(Debug, Default)]
struct Levels {
    position: AtomicU64,
    open_incidents: AtomicU64,
    standings: Standings,
}

impl Reacted {
    /// Everything up to this position of the log is decided.
    pub(crate) fn position(&self) -> u64 {
        self.0.position.load(Ordering::Relaxed)
    }

    /// How many incidents are open.
    pub(crate) fn open_incidents(&self) -> u64 {
        self.0.open_incidents.load(Ordering::Relaxed)
    }

    /// How components and objectives stand.
    pub(crate) fn standings(&self) -> &Standings {
        &self.0.standings
    }
}

/// Why the reactors ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReactorError {
    /// The log could not be read.
    #[error("the reactors could not read the log")]
    Read(#[from] ReadError),
    /// The log refused an event for good.
    #[error("the reactors could not append {event_type}")]
    Append {
        /// What.
        event_type: &'static str,
        /// Why.
        source: AppendError,
    },
}

/// See the [module](self).
pub(crate) struct Reactors {
    log: Arc<dyn EventLog>,
    metrics: Arc<Metrics>,
    checkpoint: Checkpoint,
    early_ends: EarlyEnds,
    detector: Detector,
    grouping: Grouping,
    recent: RecentWindows,
    truth: Truth,
    attempts: Attempts,
    remedies: Remedies,
    diagnostician: Diagnostician,
    due: Due,
    /// The end of the log when it began to be followed.
    began_at: u64,
    /// `None` where nothing is to be learned.
    learner: Option<Learner>,
    open: BTreeSet<IncidentId>,
    reacted: Reacted,
}

impl Reactors {
    /// The reactors of the only server.
    pub(crate) fn new(config: &Config, school: School, reacted: Reacted) -> Self {
        let checkpoint = Checkpoint::read(&config.storage.data, school.log.head());
        Self { reacted, ..Self::resumed(checkpoint, config, school) }
    }

    fn resumed(checkpoint: Checkpoint, config: &Config, school: School) -> Self {
        let School { log, graph, progress, models, metrics, .. } = school.clone();
        let max_similar = config.reactors.max_similar;
        Self {
            checkpoint,
            log,
            metrics,
            diagnostician: Diagnostician::new(graph, progress, models, max_similar),
            learner: config.reactors.learn.then(|| Learner::start(school)),
            early_ends: EarlyEnds::default(),
            detector: Detector::new(Settings::default()),
            grouping: Grouping::new(GroupingSettings::default()),
            recent: RecentWindows::default(),
            truth: Truth::default(),
            attempts: Attempts::new(config.reactors.max_diagnoses),
            remedies: Remedies::default(),
            due: Due::default(),
            began_at: 0,
            open: BTreeSet::new(),
            reacted: Reacted::default(),
        }
    }

    /// Follows the log until it closes. A log that can no longer write leaves nothing to decide:
    /// the reactors rest, and requests are told by the log itself.
    pub(crate) async fn run(self) -> Result<(), ReactorError> {
        match self.follow().await {
            Err(ReactorError::Append {
                source: source @ (AppendError::Poisoned(_) | AppendError::Refused(_)),
                event_type,
            }) => {
                tracing::error!(event.type = event_type, %source, "reactors rest");
                std::future::pending().await
            }
            ended => ended,
        }
    }

    async fn follow(mut self) -> Result<(), ReactorError> {
        self.reacted.standings().forget();
        self.began_at = self.log.head();
        let mut events = self.log.subscribe(0);
        while let Some(recorded) = events.next().await {
            self.handle(&recorded?).await?;
        }
        Ok(())
    }

    /// Below the checkpoint the folds advance and nothing is appended: it is in the log.
    async fn handle(&mut self, recorded: &RecordedEvent) -> Result<(), ReactorError> {
        let decides = self.checkpoint.decides(recorded.position);
        let end = self.early_ends.observe(recorded);
        self.count(recorded);
        self.remedies.observe(recorded);
        self.due.observe(recorded);
        self.recent.observe(recorded);
        let anomalies = self.detector.observe(recorded);
        let mut decided = self.grouping.observe(recorded, &anomalies);
        if let Some(end) = &end {
            self.count(end);
            self.detector.observe(end);
            decided.extend(self.grouping.observe(end, &[]));
        }
        let mut follows: Vec<Event> = anomalies.iter().map(anomaly_event).collect();
        follows.extend(decided.into_iter().map(incident_event));
        follows.extend(self.truth.observe(recorded, end.as_ref(), self.grouping.topology()));
        follows.extend(self.reacted.standings().observe(recorded).into_iter().map(burned_event));
        for event in &mut follows {
            event.traceparent.clone_from(&recorded.event.traceparent);
        }
        if decides {
            self.append(follows).await?;
        }
        for attempt in self.attempts.observe(recorded) {
            let span = tracing::info_span!(
                "diagnose",
                incident.id = %attempt.incident,
                log.position = attempt.position
            );
            trace_context::follow_event(&span, recorded.event.traceparent.as_ref());
            self.attempt(&attempt, decides).instrument(span).await?;
        }
        if let Some(end) = &end {
            self.attempts.observe(end);
        }
        if decides {
            self.checkpoint.advance(recorded.position);
        }
        self.reacted.0.position.store(recorded.position, Ordering::Relaxed);
        // What was due before may have been learned further on.
        if let Some(learner) = self.learner.as_ref().filter(|_| recorded.position >= self.began_at)
        {
            learner.learn(&self.due);
        }
        Ok(())
    }

    async fn attempt(
        &mut self,
        attempt: &attempts::Attempt,
        decides: bool,
    ) -> Result<(), ReactorError> {
        let known = self.log.find(attempt.event_id()).await?;
        if let Some(EventData::DiagnosisProposed(proposal)) = known.map(|known| known.event.data) {
            if decides {
                self.suggest_again(attempt, &proposal).await?;
            }
            self.attempts.settle(&attempt.incident, Some(&proposal));
            return Ok(());
        }
        let found = if decides {
            // A graph that could not be asked is no answer; the next window is another chance.
            let Ok(found) = self.diagnostician.diagnose(attempt, &self.recent).await else {
                return Ok(());
            };
            found
        } else {
            None
        };
        let Some((proposal, past)) = found.filter(|(found, _)| self.attempts.is_news(found)) else {
            self.attempts.settle(&attempt.incident, None);
            return Ok(());
        };
        let id = attempt.event_id();
        let mut follows = vec![of_incident(
            id,
            source::DIAGNOSIS,
            &attempt.incident,
            attempt.cause,
            attempt.at,
            proposal.clone(),
        )];
        follows.extend(self.remedies.suggest(attempt.opened, id, attempt.at, &proposal, &past));
        self.append(follows).await?;
        self.attempts.settle(&attempt.incident, Some(&proposal));
        Ok(())
    }

    /// A crash may have come between a diagnosis and what it suggests. The suggestions have ids of
    /// their own, so that those that are there stay one.
    async fn suggest_again(
        &self,
        attempt: &attempts::Attempt,
        proposal: &DiagnosisProposed,
    ) -> Result<(), ReactorError> {
        // Nothing to learn from a graph that could not be asked; that was logged.
        let Ok(past) = self.diagnostician.past(attempt).await else { return Ok(()) };
        let id = attempt.event_id();
        self.append(self.remedies.suggest(attempt.opened, id, attempt.at, proposal, &past)).await
    }

    /// Appends each event on its own: after a crash some may be in the log and others not.
    /// Offered together, they share a sync and keep their order.
    async fn append(&self, mut events: Vec<Event>) -> Result<(), ReactorError> {
        let head = self.log.head();
        while !events.is_empty() {
            let answers = join_all(events.iter().map(|event| {
                let stream = event.data.stream();
                self.log.append(stream, ExpectedRevision::Any, vec![event.clone()])
            }))
            .await;
            let mut again = Vec::new();
            for (event, answer) in events.into_iter().zip(answers) {
                let event_type = event.data.event_type();
                match answer {
                    Ok(appended) => {
                        if appended.iter().any(|at| at.position > head) {
                            self.metrics.decided(event_type);
                            tracing::info!(event.type = event_type, event.id = %event.id, "decided");
                        }
                    }
                    Err(
                        AppendError::Overloaded
                        | AppendError::DiskFull
                        | AppendError::Unavailable(_),
                    ) => again.push(event),
                    Err(AppendError::PartlyKnown { id }) => tracing::error!(
                        event.id = %id,
                        event.type = event_type,
                        "a client took the id of a decision in another stream; passed over",
                    ),
                    Err(source) => return Err(ReactorError::Append { event_type, source }),
                }
            }
            events = again;
            if !events.is_empty() {
                tokio::time::sleep(RETRY).await;
            }
        }
        Ok(())
    }

    fn count(&mut self, recorded: &RecordedEvent) {
        match &recorded.event.data {
            EventData::IncidentOpened(data) => self.open.insert(data.incident.clone()),
            EventData::IncidentReopened(data) => self.open.insert(data.incident.clone()),
            EventData::IncidentResolved(data) => self.open.remove(&data.incident),
            EventData::IncidentMerged(data) => self.open.remove(&data.incident),
            _ => return,
        };
        self.reacted.0.open_incidents.store(self.open.len() as u64, Ordering::Relaxed);
    }
}

fn anomaly_event(anomaly: &Anomaly) -> Event {
    let mut event = Event::with_id(
        anomaly.event_id(),
        Line::clipped(source::DETECTOR),
        anomaly.window.end(),
        anomaly.to_data(),
    );
    event.causation_id = anomaly.evidence.first().copied();
    event
}

fn burned_event(burned: Burned) -> Event {
    let slo = Line::clipped(burned.data.slo.as_str());
    let mut event =
        Event::with_id(burned.id, Line::clipped(source::OBJECTIVES), burned.at, burned.data);
    event.subject = Some(slo);
    event.causation_id = Some(burned.cause);
    event
}

fn incident_event(decided: Decided) -> Event {
    let (id, cause, at): (EventId, EventId, _) = (decided.id, decided.cause, decided.at);
    let data = decided.data();
    let incident = match &data {
        EventData::IncidentOpened(data) => Some(data.incident.clone()),
        EventData::SymptomAttached(data) => Some(data.incident.clone()),
        EventData::IncidentMitigated(data) => Some(data.incident.clone()),
        EventData::IncidentResolved(data) => Some(data.incident.clone()),
        _ => None,
    };
    let mut event = Event::with_id(id, Line::clipped(source::DETECTOR), at, data);
    event.correlation_id = incident.map(|incident| Line::clipped(incident.as_str()));
    event.causation_id = Some(cause);
    event
}
