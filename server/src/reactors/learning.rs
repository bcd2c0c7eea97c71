//! Labels → models: what was said of past incidents is learned, beside everything else.
//!
//! A label, a feedback or the end of a labelled incident makes it time. What is learned is tried
//! on incidents that were left out, compared with the model before and with what is known without
//! labels, and recorded as `ModelTrained`. The model itself is not kept in the log: it is what its
//! method learns up to a position (ADR 26).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use diagnosis::codebook::Lesson;
use diagnosis::learning::{LEAST_INCIDENTS, Studied};
use diagnosis::rank::methods;
use events::catalogue::model::ModelTrained;
use events::log::{AppendError, EventLog, ExpectedRevision, ReadError};
use events::value::{Finite, Line};
use events::{ComponentName, Event, EventData, FaultKind, IncidentId, ModelId, RecordedEvent};
use schema::reads::ReadGraphError;
use schema::{LiveGraph, Models};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::reaction::source;
use crate::http::Clock;
use crate::http::error::chain;
use crate::metrics::Metrics;
use crate::projection::{Progress, ProjectionStopped};

/// What comes within it is learned from at once: sessions of labels.
const PAUSE: Duration = Duration::from_millis(500);
/// Before what failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Which position is to be learned up to, as the log is followed.
#[derive(Debug, Default)]
pub(super) struct Due {
    changed: u64,
    learned: u64,
}

impl Due {
    /// Takes the next event of the log.
    pub(super) fn observe(&mut self, recorded: &RecordedEvent) {
        match &recorded.event.data {
            EventData::LabelAssigned(_)
            | EventData::LabelRetracted(_)
            | EventData::FeedbackGiven(_)
            | EventData::IncidentResolved(_)
            | EventData::IncidentReopened(_)
            | EventData::IncidentMerged(_) => self.changed = recorded.position,
            EventData::ModelTrained(data)
                if data.method.as_str() == methods()[0].name()
                    && data.data_to_position < recorded.position =>
            {
                self.learned = self.learned.max(data.data_to_position);
            }
            _ => {}
        }
    }

    /// The position, while nothing was learned up to there.
    fn position(&self) -> Option<u64> {
        (self.changed > self.learned).then_some(self.changed)
    }
}

/// Learns in a task of its own, which ends with this.
#[derive(Debug)]
pub(super) struct Learner {
    wanted: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Drop for Learner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Learner {
    pub(super) fn start(school: School) -> Self {
        let (wanted, asked) = watch::channel(0);
        Self { wanted, task: tokio::spawn(school.run(asked)) }
    }

    /// Learns up to what is due, if anything is.
    pub(super) fn learn(&self, due: &Due) {
        if let Some(position) = due.position() {
            self.wanted.send_if_modified(|wanted| {
                let further = position > *wanted;
                *wanted = position.max(*wanted);
                further
            });
        }
    }
}

/// What learning needs.
#[derive(Clone)]
pub(crate) struct School {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) graph: LiveGraph,
    pub(crate) progress: Progress,
    pub(crate) models: Models,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
}

#[derive(Debug, thiserror::Error)]
enum LearnError {
    #[error("the graph could not be asked")]
    Graph(#[from] ReadGraphError),
    #[error(transparent)]
    Projection(#[from] ProjectionStopped),
    #[error("the log could not be read")]
    Log(#[from] ReadError),
    #[error("the model could not be recorded")]
    Append(#[from] AppendError),
}

impl School {
    async fn run(self, mut wanted: watch::Receiver<u64>) {
        if let Err(error) = self.learn_again().await {
            tracing::warn!(error = chain(&error), "the model in use is not learned again yet");
        }
        while wanted.changed().await.is_ok() {
            tokio::time::sleep(PAUSE).await;
            let position = *wanted.borrow_and_update();
            if let Err(error) = self.learn(position).await {
                tracing::warn!(error = chain(&error), "nothing was learned; it is tried again");
                tokio::time::sleep(RETRY).await;
                wanted.mark_changed();
            }
        }
    }

    /// After a start nothing is in memory.
    async fn learn_again(&self) -> Result<(), LearnError> {
        self.progress.reached(self.log.head()).await?;
        let graph = self.graph.current();
        if let Some(used) = graph.model_in_use(self.progress.projected()).await? {
            self.models.learned(&graph, used.learned_to).await?;
        }
        Ok(())
    }

    #[tracing::instrument(skip(self), fields(otel.name = "learn"))]
    async fn learn(&self, position: u64) -> Result<(), LearnError> {
        self.progress.reached(position).await?;
        let graph = self.graph.current();
        let studied = self.models.studied(&graph, position).await?;
        // Others may have been recorded since the label.
        let now = self.progress.projected();
        let known = match graph.newest_model(now).await? {
            Some(newest) if newest.learned_to >= position => return Ok(()),
            Some(newest) => self.models.studied(&graph, newest.learned_to).await?,
            None => Vec::new(),
        };
        if facts(&studied).eq(facts(&known)) {
            return Ok(());
        }
        let before = match graph.model_in_use(now).await? {
            Some(used) => self.models.studied(&graph, used.learned_to).await?,
            None => Vec::new(),
        };
        let started = std::time::Instant::now();
        let (report, model) = self.models.tried(studied, before).await;
        let weights = finite(model.weights());
        if report.rejected.is_none() {
            self.models.keep(position, model);
        }
        let method = methods()[0].name();
        let id = ModelId::new(format!("{method}-{position}"))
            .expect("a name and a number make a short id");
        tracing::info!(
            model = %id,
            rejected = report.rejected.as_ref().map(Line::as_str),
            learned.ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "learned from labels"
        );
        self.record(ModelTrained {
            model: id,
            method: Line::clipped(method),
            weights,
            data_from_position: 1,
            data_to_position: position,
            metrics: finite(report.after),
            metrics_before: finite(report.before),
            rejected: report.rejected,
        })
        .await
    }

    /// Its id derives from the event up to which was learned: once is enough.
    async fn record(&self, trained: ModelTrained) -> Result<(), LearnError> {
        let to = trained.data_to_position;
        let Some(last) = self.log.read_all(to - 1, 1).await?.pop() else { return Ok(()) };
        let id = last.event.id.derived("model");
        let mut event = Event::with_id(id, Line::clipped(source::LEARNER), (self.clock)(), trained);
        event.causation_id = Some(last.event.id);
        event.traceparent.clone_from(&last.event.traceparent);
        let (stream, event_type) = (event.data.stream(), event.data.event_type());
        match self.log.append(stream, ExpectedRevision::Any, vec![event]).await {
            Ok(_) => self.metrics.decided(event_type),
            Err(
                error @ (AppendError::Overloaded
                | AppendError::DiskFull
                | AppendError::Unavailable(_)),
            ) => return Err(error.into()),
            // To learn the same again would not help.
            Err(error) => tracing::error!(error = chain(&error), "a model was not recorded"),
        }
        Ok(())
    }
}

/// What was learned from: the same again teaches nothing new, and neither do too few.
fn facts(
    studied: &[Studied],
) -> impl Iterator<Item = (&IncidentId, &Option<ComponentName>, &Option<FaultKind>, f64, &Option<Line>)>
{
    let enough = studied.len() >= LEAST_INCIDENTS;
    studied.iter().filter(move |_| enough).map(|Studied { incident, lesson, .. }| {
        let Lesson { cause, kind, confidence, by, .. } = lesson;
        (incident, cause, kind, *confidence, by)
    })
}

fn finite(values: BTreeMap<String, f64>) -> BTreeMap<String, Finite> {
    let finite =
        values.into_iter().filter_map(|(name, value)| Some((name, Finite::new(value).ok()?)));
    finite.collect()
}
