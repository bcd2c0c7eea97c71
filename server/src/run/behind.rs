//! What stands behind the log: the graph, the projection into it, its rebuilds, and the reactors.

use std::sync::Arc;

use embedding::Meanings;
use events::log::EventLog;
use schema::recovery::RecoverError;
use schema::{Lease, LiveGraph, Models, Projected, Projector};
use tokio_util::task::AbortOnDropHandle;

use super::sharing::Sharing;
use super::tasks::Tasks;
use crate::config::Config;
use crate::http::Clock;
use crate::http::error::chain;
use crate::metrics::Metrics;
use crate::projection::Progress;
use crate::reactors::{Reacted, Reactors, School, SharedReactors};
use crate::rebuilding::Rebuilds;

/// Where these parts can be asked how far they are. They run as tasks of the server.
pub(super) struct Behind {
    pub(super) graph: LiveGraph,
    pub(super) projected: Projected,
    pub(super) progress: Progress,
    pub(super) rebuilds: Rebuilds,
    pub(super) reacted: Reacted,
    pub(super) models: Models,
}

impl Behind {
    /// Opens the graph, or begins it anew, and starts what moves it.
    pub(super) async fn start(
        config: &Config,
        log: &Arc<dyn EventLog>,
        metrics: &Arc<Metrics>,
        sharing: Option<&Sharing>,
        meaning: Option<Meanings>,
        clock: Clock,
        tasks: &mut Tasks,
    ) -> Result<Self, RecoverError> {
        let url = config.storage.graph_url();
        let lease = sharing.map(|sharing| sharing.lease.clone());
        let opening = open(url.clone(), log.clone(), lease, meaning);
        let opened = AbortOnDropHandle::new(tasks.behind.spawn(opening)).await;
        let (graph, projector) =
            opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let runtime = tasks.behind.clone();
        // All that is spawned here from now on runs there.
        let _behind = runtime.enter();
        let (projected, successor) = (projector.projected(), projector.successor());
        let progress = Progress::new(projected.watch());
        let role = sharing.map(|sharing| sharing.lease.role());
        match sharing.map(|sharing| (sharing.lease.clone(), url.clone())) {
            None => tasks.spawn("the projection", async move { ended(projector.run().await) }),
            Some((lease, url)) => tasks.spawn("the projection", async move {
                ended(projector.run_shared(&url, &lease).await);
            }),
        }
        let (rebuilds, rebuilding) = Rebuilds::new(url, log.clone(), successor, role, clock);
        tasks.spawn("the rebuilds", rebuilding);
        let (reacted, models) = (Reacted::default(), Models::default());
        let behind = Self { graph, projected, progress, rebuilds, reacted, models };
        if config.reactors.enabled {
            behind.react(config, log.clone(), metrics.clone(), sharing, clock, tasks);
        }
        Ok(behind)
    }

    fn react(
        &self,
        config: &Config,
        log: Arc<dyn EventLog>,
        metrics: Arc<Metrics>,
        sharing: Option<&Sharing>,
        clock: Clock,
        tasks: &mut Tasks,
    ) {
        let (graph, progress) = (self.graph.clone(), self.progress.clone());
        let school = School { log, graph, progress, models: self.models.clone(), metrics, clock };
        let reacted = self.reacted.clone();
        let Some(Sharing { lease, decided }) = sharing else {
            let reactors = Reactors::new(config, school, reacted);
            return tasks.spawn("the reactors", async move { ended(reactors.run().await) });
        };
        let (lease, decided, config) = (lease.clone(), decided.clone(), config.clone());
        let reactors = SharedReactors { config, school, lease, reacted, decided };
        tasks.spawn("the reactors", async move { ended(reactors.run().await) });
    }
}

async fn open(
    url: String,
    log: Arc<dyn EventLog>,
    lease: Option<Arc<Lease>>,
    meaning: Option<Meanings>,
) -> Result<(LiveGraph, Projector<dyn EventLog>), RecoverError> {
    let graph = match lease {
        None => schema::open_or_rebuild(&url, log.as_ref()).await?,
        Some(lease) => schema::open_shared(&url, log.as_ref(), &lease).await?,
    };
    if let Some(meaning) = meaning {
        graph.index().understand(Arc::new(meaning));
    }
    let graph = LiveGraph::from(Arc::new(graph));
    let projector = Projector::new(graph.clone(), log).await;
    Ok((graph, projector))
}

fn ended<E: std::error::Error + 'static>(result: Result<(), E>) {
    if let Err(error) = result {
        tracing::error!(error = chain(&error), "a part of the server failed");
    }
}
