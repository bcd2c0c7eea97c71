//! `faultline rebuild`: the graph is made again from the log.

use std::time::Duration;

use anyhow::{Context, bail};
use events::log::EventLog;
use schema::rebuild::{RebuildProgress, rebuild_alone};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::client::Client;
use super::meter::Meter;
use super::{BaseArgs, ServerArgs, open_any_log, tell};

/// How often a server is asked how far it is.
const POLL: Duration = Duration::from_millis(300);

/// Which graph to rebuild.
#[derive(Clone, Debug, clap::Args)]
pub struct RebuildArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Hold the graph before against the rebuilt one and say where they differ; without a server
    /// `faultline verify` does that
    #[arg(long, requires = "server")]
    compare: bool,
}

/// Rebuilds beside the graph in use: on a running server, or in a data folder that nobody holds.
pub async fn run(args: &RebuildArgs) -> anyhow::Result<()> {
    match args.server.client()? {
        Some(client) => on_server(&client, args.compare).await,
        None => offline(&args.base).await,
    }
}

async fn offline(base: &BaseArgs) -> anyhow::Result<()> {
    let config = base.config()?;
    let url = config.storage.graph_url();
    if url == "mem://" {
        bail!("the graph is in memory only: every start of the server rebuilds it");
    }
    let log = open_any_log(&config, true).await?;
    alone(&url, &*log).await
}

/// Rebuilds the graph at `url`, which no server has in use, and tells how it went.
pub(super) async fn alone(url: &str, log: &dyn EventLog) -> anyhow::Result<()> {
    let progress = watch::Sender::new(RebuildProgress::default());
    let mut meter = Meter::new("rebuilding");
    let rebuilding = rebuild_alone(url, log, &progress);
    let graph = shown(rebuilding, progress.subscribe(), &mut meter).await?;
    let position = graph.checkpoint().await.position;
    told(position, meter.elapsed(), progress.borrow().events_per_s)
}

fn told(position: u64, took: Duration, events_per_s: f64) -> anyhow::Result<()> {
    let seconds = took.as_secs_f64();
    tell(&format!(
        "the graph holds the log up to position {position}, made in {seconds:.1} s ({events_per_s:.0} events/s)"
    ))
}

/// Shows progress until the work is done.
pub(super) async fn shown<T>(
    work: impl Future<Output = T>,
    mut progress: watch::Receiver<RebuildProgress>,
    meter: &mut Meter,
) -> T {
    tokio::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            Ok(()) = progress.changed() => {
                let RebuildProgress { position, head, .. } = *progress.borrow_and_update();
                meter.at(position, head);
            }
        }
    };
    meter.end();
    done
}

/// What a server says of its rebuild.
#[derive(Deserialize)]
struct State {
    status: String,
    position: u64,
    head: u64,
    events_per_s: f64,
    difference: Option<String>,
    error: Option<String>,
}

async fn on_server(client: &Client, compare: bool) -> anyhow::Result<()> {
    client.post(&format!("/v1/admin/rebuild?compare={compare}"), &json!({})).await?;
    let mut meter = Meter::new("rebuilding");
    loop {
        let state = client.get("/v1/admin/rebuild").await?;
        let state: State =
            serde_json::from_value(state).context("reading how far the server is")?;
        meter.at(state.position, state.head);
        match state.status.as_str() {
            "running" => tokio::time::sleep(POLL).await,
            "done" => {
                meter.end();
                match state.difference {
                    Some(difference) => tell(&format!(
                        "the graph before was not the fold of the log: {difference}"
                    ))?,
                    None if compare => tell("the graph before was the same")?,
                    None => {}
                }
                return told(state.position, meter.elapsed(), state.events_per_s);
            }
            other => {
                meter.end();
                let why = state.error.unwrap_or_default();
                bail!("the rebuild of {} is {other}: {why}", client.server());
            }
        }
    }
}
