//! The server in one process: its parts, their order of starting and of stopping.

mod tasks;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use events::Timestamp;
use events::log::{EmbeddedLog, EventLog, Options};
use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::{Config, ConfigError};
use crate::http::{self, Clock, Shared};
use crate::metrics::{Metrics, MetricsError};
use crate::projection::Progress;
use tasks::Tasks;

/// A server that listens. Dropping it ends it without draining; [`Self::stop`] drains.
pub struct RunningServer {
    address: SocketAddr,
    log: Arc<dyn EventLog>,
    progress: Progress,
    drain: Duration,
    tasks: Tasks,
}

impl RunningServer {
    /// Where it listens, the port filled in.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The event log.
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// How far the graph has followed the log.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Returns, with its name, when a part that the server cannot do without has ended.
    pub async fn ended(&self) -> &'static str {
        self.tasks.ended().await
    }

    /// Takes no more requests, finishes the open ones, and ends the rest.
    pub async fn stop(self) -> Result<(), StopError> {
        match self.tasks.drain(self.drain).await {
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
    #[error("opening the event log in {dir:?}")]
    Log {
        /// Its folder.
        dir: PathBuf,
        /// Why.
        source: events::log::OpenError,
    },
    /// The numbers could not be set up.
    #[error("setting up the metrics")]
    Metrics(#[from] MetricsError),
    /// The port is taken, or the address is not this machine's.
    #[error("listening on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The port that the system chose is not known.
    #[error("reading the listener's address")]
    Address(#[source] std::io::Error),
}

/// Requests or tasks that did not end in time when the server stopped.
#[derive(Debug, thiserror::Error)]
#[error("{0} did not end within the drain time")]
pub struct StopError(&'static str);

/// Starts a server by the machine's clock.
pub async fn run(config: Config) -> Result<RunningServer, StartError> {
    config.check()?;
    let dir = config.storage.log_dir();
    let opened = {
        let dir = dir.clone();
        // Recovery reads files, for seconds when it rebuilds the log's index.
        tokio::task::spawn_blocking(move || EmbeddedLog::open(&dir, Options::default())).await
    };
    let log = match opened {
        Ok(log) => log.map_err(|source| StartError::Log { dir, source })?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    run_on(Arc::new(log), config, Timestamp::now).await
}

/// Starts a server on a log that is open already: opens the graph or rebuilds it, starts the
/// projection and the reactors, and listens. It answers before the graph has caught up;
/// `/readyz` says when it has.
pub async fn run_on(
    log: Arc<dyn EventLog>,
    config: Config,
    clock: Clock,
) -> Result<RunningServer, StartError> {
    // Bound first: a taken port must not be found out after a rebuild.
    let listener = bind(config.http.listen).await?;
    let address = listener.local_addr().map_err(StartError::Address)?;
    let metrics = Arc::new(Metrics::new()?);
    let mut tasks = Tasks::new();
    let (publish, projected) = watch::channel(0);
    let progress = Progress::new(projected);
    tasks.spawn("the projection", project(log.clone(), publish));
    let drain = Duration::from_millis(config.http.drain_timeout_ms);
    let app =
        Arc::new(Shared { config, log: log.clone(), progress: progress.clone(), metrics, clock });
    let draining = tasks.draining.clone();
    tasks.spawn("the HTTP server", async move {
        let serving = axum::serve(listener, http::router(app))
            .with_graceful_shutdown(draining.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "the HTTP server failed");
        }
    });
    Ok(RunningServer { address, log, progress, drain, tasks })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, source })
}

async fn project(log: Arc<dyn EventLog>, publish: watch::Sender<u64>) {
    let mut events = log.subscribe(0);
    while let Some(Ok(event)) = events.next().await {
        publish.send_replace(event.position);
    }
}
