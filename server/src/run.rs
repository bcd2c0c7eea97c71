//! The server in one process: its parts, their order of starting and of stopping.

mod behind;
mod listeners;
mod sharing;
mod tasks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use events::Timestamp;
use events::log::EventLog;
use schema::graphql::{self, Base, Limits};
use schema::recovery::RecoverError;
use schema::{Graph, LiveGraph};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::auth::{TokenFile, Tokens};
use crate::config::{Config, ConfigError, GraphqlConfig};
use crate::http::{self, Clock, Shared};
use crate::log::{self, LogError};
use crate::meaning;
use crate::metrics::{Metrics, MetricsError};
use crate::observed::{self, ObservedLog};
use crate::otlp::Otlp;
use crate::projection::Progress;
use crate::rate::Rate;
use crate::reactors::Reacted;
use crate::retention::Retention;
use crate::serve::{Tls, TlsError};
use crate::upkeep;
use behind::Behind;
use listeners::{Addresses, Listeners};
use sharing::Sharing;
use tasks::Tasks;

/// A server that listens. Dropping it ends it without draining; [`Self::stop`] drains.
pub struct RunningServer {
    addresses: Addresses,
    encrypted: bool,
    log: Arc<dyn EventLog>,
    graph: LiveGraph,
    progress: Progress,
    reacted: Reacted,
    otlp: Arc<Otlp>,
    drain: Duration,
    sharing: Option<Sharing>,
    tasks: Tasks,
}

impl RunningServer {
    /// Where it listens, the port filled in.
    pub fn address(&self) -> SocketAddr {
        self.addresses.api
    }

    /// Where OTLP over HTTP is taken, beside [`Self::address`].
    pub fn otlp_http(&self) -> Option<SocketAddr> {
        self.addresses.otlp
    }

    /// Where OTLP over gRPC is taken.
    pub fn otlp_grpc(&self) -> Option<SocketAddr> {
        self.addresses.grpc
    }

    /// The same as a URL without a trailing slash.
    pub fn url(&self) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.addresses.api)
    }

    /// The event log.
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// The graph in use.
    pub fn graph(&self) -> Arc<Graph> {
        self.graph.current()
    }

    /// How far the graph has followed the log.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Everything up to this position of the log is decided by the reactors.
    pub fn reacted(&self) -> u64 {
        self.reacted.position()
    }

    /// Returns, with its name, when a part that the server cannot do without has ended.
    pub async fn ended(&self) -> &'static str {
        self.tasks.ended().await
    }

    /// Takes no more requests, finishes the open ones, and ends the rest. The lease of a shared
    /// graph goes to another server at once.
    pub async fn stop(self) -> Result<(), StopError> {
        let late = self.tasks.drain(self.drain).await;
        self.otlp.finish(&*self.log).await;
        if let Some(sharing) = &self.sharing {
            sharing.leave(&*self.log).await;
        }
        match late {
            None => Ok(()),
            Some(part) => Err(StopError(part)),
        }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log did not open.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The graph neither opened nor could be begun anew.
    #[error("opening the graph")]
    Graph(#[from] RecoverError),
    /// The embedding of texts cannot be read.
    #[error("search.embedding")]
    Embedding(#[from] embedding::EmbeddingError),
    /// The shared graph store does not answer.
    #[error("asking for the lease of the graph")]
    Lease(#[from] schema::OpenError),
    /// The numbers could not be set up.
    #[error("setting up the metrics")]
    Metrics(#[from] MetricsError),
    /// The port is taken, or the address is not this machine's.
    #[error("{setting}: listening on {address}")]
    Bind {
        /// Where the address was set.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The port that the system chose is not known.
    #[error("reading the listener's address")]
    Address(#[source] std::io::Error),
}

/// Requests or tasks that did not end in time when the server stopped.
#[derive(Debug, thiserror::Error)]
#[error("{0} did not end within the drain time")]
pub struct StopError(&'static str);

/// Starts a server by the machine's clock. What follows the log (the graph, its projection and the
/// reactors) runs on `behind`, requests run here.
pub async fn run(config: Config, behind: &Handle) -> Result<RunningServer, StartError> {
    config.check()?;
    let log = log::open(&config.storage).await?;
    run_on(log, config, Timestamp::now, behind).await
}

/// Starts a server on a log that is open already: opens the graph or rebuilds it, starts the
/// projection and the reactors, and listens. It answers before the graph has caught up;
/// `/readyz` says when it has.
pub async fn run_on(
    log: Arc<dyn EventLog>,
    config: Config,
    clock: Clock,
    behind: &Handle,
) -> Result<RunningServer, StartError> {
    // Bound first: a taken port must not be found out after a rebuild.
    let listeners = Listeners::bind(&config).await?;
    let addresses = listeners.addresses()?;
    let address = addresses.api;
    let tls = Tls::of(&config.tls).await?;
    let encrypted = tls.is_some();
    let meaning = meaning::configured(&config.search).await?;
    let metrics = Arc::new(Metrics::new(config.telemetry.otlp_endpoint.as_deref())?);
    let log: Arc<dyn EventLog> = Arc::new(ObservedLog::new(log, metrics.clone(), clock));
    let mut tasks = Tasks::new(behind);
    let sharing = Sharing::of(&config, address, &mut tasks).await?;
    let lease = sharing.as_ref().map(|sharing| sharing.lease.clone());
    let Behind { graph, projected, progress, rebuilds, reacted, models } =
        Behind::start(&config, &log, &metrics, sharing.as_ref(), meaning, clock, &mut tasks)
            .await?;
    let (retention, retaining) =
        Retention::new(&config, log.clone(), rebuilds.clone(), metrics.clone(), clock);
    tasks.spawn("the retention", retaining);
    let otlp = Arc::new(Otlp::new(&config, clock));
    metrics.watch(&otlp);
    tasks.spawn("the windows of telemetry", otlp.clone().run(log.clone()));
    let drain = Duration::from_millis(config.http.drain_timeout_ms);
    let limits = limits(&config.graphql);
    let standings = reacted.standings().clone();
    metrics.watch_standings(&standings, clock);
    let base = Base::new(graph.clone(), log.clone(), projected, clock, limits)
        .carrying(observed::carried)
        .with_models(models)
        .standing_by(Arc::new(move |slo| standings.of(slo)));
    let tokens = Tokens::new(config.auth.tokens.clone(), TokenFile::of(&config.storage.data));
    let app = Arc::new(Shared {
        commands: base.commands().clone(),
        schema: graphql::schema(base),
        log: log.clone(),
        graph: graph.clone(),
        progress: progress.clone(),
        metrics,
        reacted: reacted.clone(),
        rebuilds,
        retention,
        otlp: otlp.clone(),
        lease,
        clock,
        tokens: Arc::new(tokens),
        auth_required: config.auth_required(),
        rate: Rate::new(&config.rate),
        draining: tasks.draining.clone(),
        sockets: Arc::new(Semaphore::new(config.graphql.max_sockets)),
        open_sockets: TaskTracker::new(),
        config,
    });
    warn_of(&app, encrypted);
    let upkeep = upkeep::run(app.tokens.clone(), tls.clone(), log.clone(), clock);
    tasks.spawn("the upkeep", upkeep);
    if app.config.telemetry.otlp_endpoint.is_some() {
        tasks.spawn("the numbers", http::keep_levels(app.clone()));
    }
    let draining = tasks.draining.clone();
    tasks.spawn("the HTTP server", async move {
        listeners.serve(&app, tls, draining).await;
        app.open_sockets.close();
        app.open_sockets.wait().await;
    });
    Ok(RunningServer {
        addresses,
        encrypted,
        log,
        graph,
        progress,
        reacted,
        otlp,
        drain,
        sharing,
        tasks,
    })
}

/// Says what an operator may not be aware of.
fn warn_of(app: &Shared, encrypted: bool) {
    let elsewhere = app.config.listens().any(|address| !address.ip().is_loopback());
    if elsewhere && !app.auth_required {
        tracing::warn!("nobody is asked for a token: whoever reaches the port may do everything");
    }
    if elsewhere && app.auth_required && !encrypted {
        tracing::warn!("tokens cross the network in the clear unless a proxy encrypts the line");
    }
    if app.auth_required && app.tokens.current().is_empty() {
        tracing::warn!("there is no token yet: faultline token create makes one");
    }
}

fn limits(config: &GraphqlConfig) -> Limits {
    Limits {
        depth: config.max_depth,
        complexity: config.max_complexity,
        query_bytes: config.max_query_bytes,
        timeout: Duration::from_millis(config.timeout_ms),
        wait: Duration::from_millis(config.wait_ms),
    }
}
