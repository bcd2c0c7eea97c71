//! One diagnosis: what was known up to a position, given to the pure ranking.

use std::time::Duration;

use diagnosis::diagnose::Ranked;
use diagnosis::evidence::RecentWindows;
use diagnosis::similarity::PastIncident;
use events::DiagnosisId;
use events::catalogue::diagnosis::DiagnosisProposed;
use schema::reads::ReadGraphError;
use schema::{LiveGraph, Models};

use serde::Serialize;
use serde_json::{Map, Value};

use super::attempts::Attempt;
use crate::http::error::chain;
use crate::projection::{Progress, ProjectionStopped};

/// How often a failing graph is asked, and the first pause between.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(100);

/// Reads evidence and ranks it.
pub(crate) struct Diagnostician {
    graph: LiveGraph,
    progress: Progress,
    models: Models,
    max_similar: usize,
}

#[derive(Debug, thiserror::Error)]
enum DiagnoseError {
    #[error("the graph could not be asked")]
    Read(#[from] ReadGraphError),
    #[error(transparent)]
    Projection(#[from] ProjectionStopped),
}

/// The graph could not be asked often enough.
#[derive(Debug)]
pub(super) struct Undiagnosed;

impl Diagnostician {
    pub(crate) fn new(
        graph: LiveGraph,
        progress: Progress,
        models: Models,
        max_similar: usize,
    ) -> Self {
        Self { graph, progress, models, max_similar }
    }

    /// What is proposed, and the part of the past that it resembles; `None` when the graph does not know
    /// the incident. An error was logged: the graph could not be asked.
    pub(super) async fn diagnose(
        &self,
        attempt: &Attempt,
        recent: &RecentWindows,
    ) -> Result<Option<(DiagnosisProposed, Vec<PastIncident>)>, Undiagnosed> {
        self.persistently(attempt, || self.attempt(attempt, recent)).await
    }

    /// The past that an attempt compares with. An error was logged.
    pub(super) async fn past(&self, attempt: &Attempt) -> Result<Vec<PastIncident>, Undiagnosed> {
        self.persistently(attempt, || async {
            self.progress.reached(attempt.position).await?;
            let graph = self.graph.current();
            Ok(graph.past_incidents(attempt.position, Some(&attempt.incident)).await?)
        })
        .await
    }

    /// Asks a failing graph a few times.
    async fn persistently<T, F>(
        &self,
        attempt: &Attempt,
        ask: impl Fn() -> F,
    ) -> Result<T, Undiagnosed>
    where
        F: Future<Output = Result<T, DiagnoseError>>,
    {
        let mut pause = PAUSE;
        for left in (0..TRIES).rev() {
            match ask().await {
                Ok(found) => return Ok(found),
                Err(error) if left == 0 => tracing::error!(
                    incident.id = %attempt.incident,
                    error = chain(&error),
                    "an incident was not diagnosed",
                ),
                Err(_) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
        Err(Undiagnosed)
    }

    async fn attempt(
        &self,
        attempt: &Attempt,
        recent: &RecentWindows,
    ) -> Result<Option<(DiagnosisProposed, Vec<PastIncident>)>, DiagnoseError> {
        let Attempt { incident, position, .. } = attempt;
        self.progress.reached(*position).await?;
        let graph = self.graph.current();
        let Some(evidence) = graph.evidence_beside(recent, incident, *position).await? else {
            return Ok(None);
        };
        let answering = self.models.answering_now(&graph, incident, *position).await?;
        let model = answering.model.clone();
        let title = graph.title_given(incident, *position).await?;
        let ranked = tokio::task::spawn_blocking(move || {
            Ranked::by(answering.ranker(), &evidence, title.as_deref())
        });
        let ranked =
            ranked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        let past = graph.past_for(ranked.lookups(), *position, incident).await?;
        let found = ranked.against(past.near, &past.known);
        let id = attempt.event_id();
        let proposal = DiagnosisProposed {
            incident: incident.clone(),
            diagnosis: DiagnosisId::new(id.to_string()).expect("a UUID's text is 36 characters"),
            method: found.ranking.method,
            model,
            evidence_position: *position,
            abstained: found.ranking.abstained,
            suspects: found.ranking.suspects,
            similar: found.similar.into_iter().take(self.max_similar).collect(),
            fingerprint: object(&found.fingerprint),
            told: object(&found.told).filter(|marks| !marks.is_empty()),
        };
        Ok(Some((proposal, past.known)))
    }
}

/// A structure as the JSON object that it is.
fn object(of: &impl Serialize) -> Option<Map<String, Value>> {
    match serde_json::to_value(of) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}
