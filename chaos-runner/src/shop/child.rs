//! What every process of the shop does around its own work: it ties its life to the supervisor's,
//! begins its telemetry, says where it answers and, in the end, what became of its telemetry.

use std::io::{self, Write};
use std::net::SocketAddr;

use axum::Router;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::error;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::otlp::{Delivery, Identity, ReceiverArgs, Telemetry};
use crate::submit::InvalidServer;

/// What is written to standard error. Broken connections are what the shop is for, and lost
/// telemetry is told by [`end`].
const LOGGED: &str = "warn,deadpool.postgres=off,tokio_postgres=off,opentelemetry=off";

/// What the supervisor tells every process.
#[derive(clap::Args, Clone, Debug)]
pub struct ChildArgs {
    /// Process id of the supervisor; the process ends with it.
    #[arg(long)]
    pub parent: u32,
    /// The component it plays.
    #[arg(long)]
    pub component: String,
    /// The version it reports.
    #[arg(long)]
    pub version: String,
    /// Where its telemetry goes.
    #[command(flatten)]
    pub receiver: ReceiverArgs,
}

/// Why a process of the shop ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The kernel would not kill the process with its parent.
    #[error("could not ask to be killed with the supervisor")]
    ParentDeathSignal(#[source] nix::Error),
    /// The supervisor died before the process could tie itself to it.
    #[error("the supervisor {expected} is gone, the parent is {found}")]
    Orphaned {
        /// Who should be the parent.
        expected: u32,
        /// Who is.
        found: i32,
    },
    /// The process was asked to play what the shop does not have.
    #[error("the shop has no {what} called {name:?}")]
    Unknown {
        /// A service, an upstream, an endpoint.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// A socket, a signal or standard output failed.
    #[error("could not {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The receiver of telemetry cannot be one.
    #[error(transparent)]
    Receiver(#[from] InvalidServer),
    /// The environment configures OpenTelemetry in a way that it cannot be.
    #[error("could not prepare OpenTelemetry")]
    Telemetry(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The database's file could not be opened.
    #[error("could not open the database's file")]
    Store(#[source] rusqlite::Error),
}

impl ChildError {
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// Ties the process to its supervisor, and begins its telemetry and its log.
pub(super) fn begin(args: &ChildArgs) -> Result<Telemetry, ChildError> {
    die_with(args.parent)?;
    let identity = Identity { component: &args.component, version: &args.version };
    let telemetry = Telemetry::start(args.receiver.receiver()?.as_ref(), &identity)?;
    log(&telemetry);
    Ok(telemetry)
}

/// Warnings go to standard error, which the supervisor reads. The telemetry has what the component
/// itself does, and nothing of the libraries that send it: that would have no end.
fn log(telemetry: &Telemetry) {
    let own = ["chaos_runner::shop::service", "chaos_runner::shop::database"];
    let own = Targets::new().with_targets(own.map(|target| (target, LevelFilter::INFO)));
    let errors = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .with_writer(io::stderr)
        .with_filter(EnvFilter::new(LOGGED));
    let bridge = telemetry.bridge().map(|bridge| bridge.with_filter(own));
    // Somebody who plays a component within another program has a log already.
    let _ = tracing_subscriber::registry().with(errors).with(bridge).try_init();
}

/// Sends the last telemetry, and tells the supervisor what became of all of it.
pub(super) async fn end(telemetry: Telemetry) -> Result<(), ChildError> {
    let Some(delivery) = telemetry.end().await else { return Ok(()) };
    let mut line = serde_json::to_vec(&delivery).expect("numbers have a form in JSON");
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush()).map_err(ChildError::io("tell the supervisor"))
}

/// Reads what [`end`] wrote.
pub(super) fn parse_delivery(line: &str) -> Option<Delivery> {
    serde_json::from_str(line).ok()
}

/// The kernel kills this process when its parent dies. The check after the request closes the
/// gap in which the parent may have died already.
fn die_with(parent: u32) -> Result<(), ChildError> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(ChildError::ParentDeathSignal)?;
    let found = getppid().as_raw();
    if i64::from(found) == i64::from(parent) {
        return Ok(());
    }
    Err(ChildError::Orphaned { expected: parent, found })
}

/// A listener on any free port of loopback, and where it is.
pub(super) async fn listen() -> Result<(TcpListener, SocketAddr), ChildError> {
    let listener =
        TcpListener::bind(("127.0.0.1", 0)).await.map_err(ChildError::io("listen on loopback"))?;
    let address = listener.local_addr().map_err(ChildError::io("read the listening address"))?;
    Ok((listener, address))
}

/// Serves `admin` beside the component's own work. It has a listener of its own, so that it
/// answers while the component refuses work.
pub(super) fn serve_admin(listener: TcpListener, admin: Router) {
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, admin).await {
            error!(%error, "the admin listener ended");
        }
    });
}

/// Tells the supervisor where the component and its admin listener answer.
pub(super) fn announce(business: SocketAddr, admin: SocketAddr) -> Result<(), ChildError> {
    let mut out = io::stdout().lock();
    writeln!(out, "ready {business} {admin}")
        .and_then(|()| out.flush())
        .map_err(ChildError::io("tell the supervisor"))
}

/// Reads what [`announce`] wrote.
pub(super) fn parse_announcement(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = line.split_whitespace();
    let (Some("ready"), Some(business), Some(admin), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return None;
    };
    Some((business.parse().ok()?, admin.parse().ok()?))
}

/// Resolves when the supervisor asks the process to finish what it does and end.
pub(super) fn asked_to_end() -> Result<impl Future<Output = ()> + Send + 'static, ChildError> {
    let mut terminate =
        signal(SignalKind::terminate()).map_err(ChildError::io("listen for SIGTERM"))?;
    Ok(async move {
        terminate.recv().await;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcement_is_read_back() {
        let both = ("127.0.0.1:80".parse().unwrap(), "127.0.0.1:81".parse().unwrap());
        assert_eq!(parse_announcement("ready 127.0.0.1:80 127.0.0.1:81\n"), Some(both));
        assert_eq!(parse_announcement("ready 127.0.0.1:80"), None);
        assert_eq!(parse_announcement("panicked at …"), None);
    }

    #[test]
    fn a_process_with_another_parent_refuses_to_run() {
        let parent = u32::try_from(getppid().as_raw()).unwrap();
        let error = die_with(parent + 1).unwrap_err();
        assert!(matches!(error, ChildError::Orphaned { .. }), "{error}");
        prctl::set_pdeathsig(None).unwrap();
    }
}
