//! A base that is thrown away.

use anyhow::Context;
use diagnosis::evidence::Evidence;
use events::log::{EmbeddedLog, EventLog, Options};
use events::{Event, IncidentId};
use schema::Graph;
use schema::reads::Span;
use tempfile::TempDir;

use crate::operations::import::append_all;

/// Events that are projected at once.
const BATCH: usize = 4_000;

/// A log in a folder of its own, and the graph that it comes to, in memory.
pub(super) struct Base {
    graph: Graph,
    log: EmbeddedLog,
    // Removed with the base.
    _folder: TempDir,
}

impl Base {
    pub(super) async fn empty() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("faultline-").tempdir();
        let folder = folder.context("making a folder for a base")?;
        let options = Options { segment_bytes: 8 << 20, ..Options::default() };
        let log = EmbeddedLog::open(folder.path(), options).context("opening a log")?;
        let graph = Graph::open("mem://").await.context("opening a graph")?;
        Ok(Self { graph, log, _folder: folder })
    }

    /// Records the events, in their order, and projects them.
    pub(super) async fn take(&mut self, events: Vec<Event>) -> anyhow::Result<()> {
        let mut after = self.graph.checkpoint().await.position;
        let events = events.into_iter().map(|event| ((), event)).collect();
        let appended = append_all(&self.log, events).await;
        appended.map_err(|((), error)| error).context("recording events")?;
        loop {
            let batch = self.log.read_all(after, BATCH).await.context("reading the log")?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = last.position;
            self.graph.apply(&batch).await.context("projecting events")?;
        }
    }

    /// What a diagnosis may see of the incident by now.
    pub(super) async fn evidence(
        &self,
        incident: &IncidentId,
        span: Span,
    ) -> anyhow::Result<Evidence> {
        let evidence = self.graph.evidence_over(incident, self.log.head(), span).await?;
        evidence.with_context(|| format!("the graph does not know the incident {incident}"))
    }
}
