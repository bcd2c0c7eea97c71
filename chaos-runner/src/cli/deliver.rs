//! `deliver`: events that wait on disk.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::server::{StateArgs, TrustArgs};
use crate::progress::{Form, Progress};
use crate::submit::{MAX_SPOOL_BYTES, Spool, Submitter};

/// Longest time for the delivery to one server.
const LIMIT: Duration = Duration::from_secs(600);

/// Arguments of `deliver`.
#[derive(Args, Debug)]
pub(super) struct DeliverArgs {
    /// Only to this server; without it to every server that events wait for.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    folder: StateArgs,
    /// Throws the events away instead: the server is gone for good.
    #[arg(long, requires = "server")]
    discard: bool,
    /// Writes one JSON object a server.
    #[arg(long)]
    pub(super) json: bool,
}

/// Sends what runs that are over could not send.
pub(super) async fn run(args: DeliverArgs, progress: Progress) -> anyhow::Result<Exit> {
    let state = args.folder.open()?;
    let servers = match args.server {
        Some(server) => vec![server],
        None => Spool::servers(&state)?,
    };
    let mut exit = Exit::Held;
    for server in &servers {
        let destination = args.trust.destination(server)?;
        let spool = Spool::open(&state, destination.url(), MAX_SPOOL_BYTES)?;
        if args.discard {
            let discarded = spool.discard()?;
            progress.say(&match progress.form() {
                Form::Json => json!({ "server": server, "discarded": discarded }).to_string(),
                Form::Lines => format!("{server}: {discarded} events discarded"),
            })?;
            continue;
        }
        progress.doing(&format!("sending to {server}"));
        let report = Submitter::start(&destination, spool)?.drain(LIMIT).await;
        progress.done();
        let shortfall = report.shortfall();
        if shortfall.is_some() {
            exit = Exit::NotSubmitted;
        }
        let line = match progress.form() {
            Form::Json => json!({
                "server": server, "delivered": report.accepted, "waiting": report.waiting,
                "refused": report.refused, "shortfall": shortfall,
            })
            .to_string(),
            Form::Lines => {
                let short = shortfall.map(|words| format!("; {words}")).unwrap_or_default();
                format!("{server}: {} events delivered{short}", report.accepted)
            }
        };
        progress.say(&line)?;
    }
    if servers.is_empty() && progress.form() == Form::Lines {
        progress.say(&format!("no events wait in {}", state.path().display()))?;
    }
    Ok(exit)
}
