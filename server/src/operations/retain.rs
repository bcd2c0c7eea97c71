//! `faultline retain`: the measurements of old telemetry are taken out of the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use comfy_table::{ContentArrangement, Table, presets};
use events::Timestamp;
use events::log::{EmbeddedLog, EventLog, ExpectedRevision, Pruned, Pruning};
use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::meter::Meter;
use super::{BaseArgs, ServerArgs, open_log, rebuild, tell};
use crate::config::Config;
use crate::retention::{Reach, Survey, Unfinished};

/// How often a server is asked how far it is.
const POLL: Duration = Duration::from_millis(300);

/// Which log to prune.
#[derive(Clone, Debug, clap::Args)]
pub struct RetainArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Only tell what would be pruned
    #[arg(long)]
    dry_run: bool,
}

/// Applies the limits of the section `[retention]`: on a running server, or in a data folder that
/// nobody holds.
pub async fn run(args: &RetainArgs) -> anyhow::Result<()> {
    match args.server.client()? {
        Some(client) => on_server(&client, args.dry_run).await,
        None => offline(&args.base, args.dry_run).await,
    }
}

async fn offline(base: &BaseArgs, dry_run: bool) -> anyhow::Result<()> {
    let config = base.config()?;
    if config.retention.policies().is_empty() {
        bail!(
            "no limit is set in the section [retention] of the configuration, so everything is kept"
        );
    }
    let log = Arc::new(open_log(&config, true).await?);
    let now = Timestamp::now();
    let survey = surveyed(log.clone(), &config, now).await?;
    tell(&table(&survey.reaches()))?;
    if dry_run {
        return tell("nothing was changed");
    }
    let unfinished = Unfinished::of(&config.storage.data);
    let event = survey.event(now);
    if event.is_none() && !unfinished.exists() {
        return tell("there is nothing to prune");
    }
    unfinished.begin().context("noting that pruning begins")?;
    if let Some(event) = event {
        log.append(event.data.stream(), ExpectedRevision::Any, vec![event]).await?;
    }
    told(pruned(log.clone(), survey.pruning).await?)?;
    if config.storage.graph_url() != "mem://" {
        rebuild::alone(&config.storage.graph_url(), &*log).await?;
    }
    unfinished.end().context("noting that the graph is made anew")
}

async fn surveyed(
    log: Arc<EmbeddedLog>,
    config: &Config,
    now: Timestamp,
) -> anyhow::Result<Survey> {
    let retention = config.retention.clone();
    let survey = tokio::task::spawn_blocking(move || Survey::of(&log, &retention, now)).await?;
    survey.context("surveying the log")
}

/// Prunes until it is done or the operator interrupts, which leaves whole segments.
async fn pruned(log: Arc<EmbeddedLog>, pruning: Pruning) -> anyhow::Result<Pruned> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let pruning = tokio::task::spawn_blocking(move || {
        let mut meter = Meter::new("pruning");
        let end = pruning.until.values().copied().max().unwrap_or_default();
        let mut told = |position: u64| meter.at(position.min(end), end);
        let pruned = log.prune(&pruning, &|| stopped.load(Ordering::Relaxed), &mut told);
        meter.end();
        pruned
    });
    tokio::pin!(pruning);
    let mut interrupted = false;
    let pruned = loop {
        tokio::select! {
            pruned = &mut pruning => break pruned?.context("pruning the log")?,
            Ok(()) = tokio::signal::ctrl_c(), if !interrupted => {
                interrupted = true;
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    if interrupted {
        bail!("interrupted: the next run, or start of the server, goes on");
    }
    Ok(pruned)
}

fn told(pruned: Pruned) -> anyhow::Result<()> {
    tell(&format!(
        "pruned {} events in {} segments of the log, which take {} bytes instead of {}",
        pruned.events, pruned.segments, pruned.bytes_after, pruned.bytes_before
    ))
}

fn table(reaches: &[Reach]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["KIND", "WHOLE", "BYTES", "TO PRUNE", "BYTES", "PINNED", "RECORDED UNTIL"]);
    for reach in reaches {
        table.add_row([
            reach.kind.to_string(),
            reach.whole_events.to_string(),
            reach.whole_bytes.to_string(),
            reach.pruned_events.to_string(),
            reach.pruned_bytes.to_string(),
            reach.pinned_events.to_string(),
            reach.recorded_until.map_or_else(|| "-".to_owned(), |at| at.to_string()),
        ]);
    }
    table.trim_fmt()
}

/// What a server says of its run.
#[derive(Deserialize)]
struct State {
    status: String,
    kinds: Vec<Reach>,
    position: u64,
    segments: usize,
    bytes_before: u64,
    bytes_after: u64,
    error: Option<String>,
}

async fn on_server(client: &Client, dry_run: bool) -> anyhow::Result<()> {
    client.post(&format!("/v1/admin/retention?dry_run={dry_run}"), &json!({})).await?;
    let mut meter = Meter::new("pruning");
    let state = loop {
        let state = client.get("/v1/admin/retention").await?;
        let state: State =
            serde_json::from_value(state).context("reading how far the server is")?;
        meter.at(state.position, state.position);
        if !["surveying", "pruning", "rebuilding"].contains(&state.status.as_str()) {
            break state;
        }
        tokio::time::sleep(POLL).await;
    };
    meter.end();
    if state.status != "done" {
        let why = state.error.unwrap_or_default();
        bail!("retention on {} is {}: {why}", client.server(), state.status);
    }
    tell(&table(&state.kinds))?;
    if dry_run {
        return tell("nothing was changed");
    }
    let events = state.kinds.iter().map(|reach| reach.pruned_events).sum();
    let State { segments, bytes_before, bytes_after, .. } = state;
    told(Pruned { segments, events, bytes_before, bytes_after })
}
