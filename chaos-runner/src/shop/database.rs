//! The shop's database: SQLite behind the PostgreSQL protocol, in a process of its own.

mod session;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use pgwire::tokio::process_socket;
use rusqlite::Connection;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::child::{self, ChildArgs, ChildError};
use super::otlp::{Instruments, watch_process};
use super::service::Stats;
use session::Session;

/// Connections at the same time; one more is closed.
const MAX_CONNECTIONS: usize = 64;
/// Statements at the same time that count as full: SQLite writes one at a time.
const FULL_AT_STATEMENTS: usize = 8;
/// How long a statement waits for another one's write.
const LOCK_PATIENCE: Duration = Duration::from_millis(400);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        id INTEGER PRIMARY KEY,
        customer INTEGER NOT NULL,
        items INTEGER NOT NULL,
        total_cents INTEGER NOT NULL,
        payment INTEGER NOT NULL
    );
";

/// Arguments of the hidden subcommand that plays the database.
#[derive(clap::Args, Clone, Debug)]
pub struct DatabaseArgs {
    /// What every process of the shop is told.
    #[command(flatten)]
    pub child: ChildArgs,
    /// The SQLite file; made when absent, kept when the process ends.
    #[arg(long)]
    pub file: PathBuf,
}

/// What is going on in the database.
#[derive(Default)]
struct Activity {
    connections: AtomicUsize,
    statements: AtomicUsize,
}

/// Counts one thing while it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn one(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Plays the database until the supervisor asks it to end.
pub async fn run(args: DatabaseArgs) -> Result<(), ChildError> {
    let telemetry = child::begin(&args.child)?;
    open(&args.file)
        .and_then(|connection| connection.execute_batch(TABLES))
        .map_err(ChildError::Store)?;
    let activity = Arc::new(Activity::default());
    watch(&telemetry.instruments(), &activity);
    let (listener, address) = child::listen().await?;
    let (admin_listener, admin_address) = child::listen().await?;
    info!("database {} accepts connections at {address}", args.child.version);
    child::serve_admin(admin_listener, admin(args.child.version, Arc::clone(&activity)));
    child::announce(address, admin_address)?;
    tokio::select! {
        accepted = accept(listener, args.file, activity) => accepted?,
        () = child::asked_to_end()? => {}
    }
    child::end(telemetry).await
}

/// Watches the process and its connections, by the name that OpenTelemetry's collector has for
/// those of a PostgreSQL server.
fn watch(instruments: &Instruments, activity: &Arc<Activity>) {
    watch_process(instruments);
    let activity = Arc::clone(activity);
    let connections = move || activity.connections.load(Ordering::Relaxed);
    instruments
        .meter
        .i64_observable_up_down_counter("postgresql.backends")
        .with_callback(move |observer| {
            observer.observe(i64::try_from(connections()).unwrap_or(i64::MAX), &[]);
        })
        .build();
}

/// A connection to the file. The write-ahead log lets readers go on while one writes; what a
/// power failure would lose is of no value here.
fn open(file: &PathBuf) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(LOCK_PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    Ok(connection)
}

/// Accepts connections. Their sessions end with it, without a word about each.
async fn accept(
    listener: TcpListener,
    file: PathBuf,
    activity: Arc<Activity>,
) -> Result<(), ChildError> {
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = sessions.join_next() => continue,
        };
        let (socket, _) = accepted.map_err(ChildError::io("accept a connection"))?;
        if activity.connections.load(Ordering::Relaxed) >= MAX_CONNECTIONS {
            warn!("a connection was refused: {MAX_CONNECTIONS} are open");
            continue;
        }
        let connection = open(&file).map_err(ChildError::Store)?;
        let activity = Arc::clone(&activity);
        sessions.spawn(async move {
            let _counted = Counted::one(&activity.connections);
            let session = Arc::new(Session::new(connection, Arc::clone(&activity)));
            if let Err(error) = process_socket(socket, None, session).await {
                info!("a session broke: {error}");
            }
        });
    }
}

fn admin(version: String, activity: Arc<Activity>) -> Router {
    let stats = move || {
        let stats = Stats {
            version: version.clone(),
            in_flight: activity.statements.load(Ordering::Relaxed),
            limit: FULL_AT_STATEMENTS,
            pool: None,
            connections: Some(activity.connections.load(Ordering::Relaxed)),
        };
        async move { Json(stats) }
    };
    Router::new().route("/-/stats", get(stats))
}
