//! `shop`: the demo shop by itself.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::OwnShopArgs;
use super::exit::Exit;
use super::host::start_shop;
use super::server::ServerArgs;
use super::signals::Interrupts;
use crate::progress::{Form, Progress};
use crate::shop::Closing;
use crate::shop::otlp::Delivery;

/// How long telemetry that waits may take at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Arguments of `shop`.
#[derive(Args, Debug)]
pub(super) struct ShopArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Loopback address of the control API; port 0 for any.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = parse_loopback)]
    control: SocketAddr,
    #[command(flatten)]
    own: OwnShopArgs,
    /// Ends when standard input is closed: for programs that start a shop and may die.
    #[arg(long)]
    until_stdin_closes: bool,
    /// Writes the ready line as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs the shop until a signal, or the end of standard input, ends it. Everything is undone.
pub(super) async fn run(args: ShopArgs, progress: Progress) -> anyhow::Result<Exit> {
    let interrupts =
        Interrupts::listen(|name| tracing::warn!("{name} again: still ending the shop"))?;
    let submitter = args.server.submitter()?;
    progress.doing("starting the shop");
    let started = tokio::select! {
        started = start_shop(&args.own, args.control, submitter.as_ref()) => started,
        _ = asked_to_end(&interrupts, args.until_stdin_closes) => {
            progress.done();
            return Ok(exit(&interrupts));
        }
    };
    progress.done();
    let shop = started?;
    let control = shop.control_url();
    let ready = match progress.form() {
        Form::Json => json!({ "ready": true, "control": control }).to_string(),
        Form::Lines => format!("the shop is open; control: {control}"),
    };
    if let Err(error) = progress.say(&ready) {
        shop.stop().await;
        return Err(error).context("could not write the ready line");
    }
    asked_to_end(&interrupts, args.until_stdin_closes).await;
    tell(&shop.stop().await, &progress)?;
    if let Some(submitter) = submitter
        && let Some(shortfall) = submitter.drain(DRAIN).await.shortfall()
    {
        tracing::warn!("{shortfall}");
    }
    Ok(exit(&interrupts))
}

/// Says what was undone, and what became of the telemetry.
fn tell(closing: &Closing, progress: &Progress) -> anyhow::Result<()> {
    if let Some(shortfall) = closing.delivery.and_then(|delivery| delivery.shortfall()) {
        tracing::warn!("telemetry: {shortfall}");
    }
    match (progress.form(), closing.delivery) {
        (Form::Json, Some(delivery)) => progress.say(&json!({ "telemetry": delivery }).to_string()),
        (Form::Json, None) => Ok(()),
        (Form::Lines, delivery) => {
            for fault in &closing.cleared {
                progress.say(&format!("undone: {}", fault.action))?;
            }
            if let Some(Delivery { spans, lines, .. }) = delivery {
                let (spans, lines) = (spans.delivered, lines.delivered);
                progress.say(&format!("sent {spans} spans and {lines} log lines"))?;
            }
            progress.say("the shop is closed")
        }
    }
    .context("could not write how the shop ended")
}

/// Being told to end is how a shop ends: only its parent's closing of standard input, which is
/// no signal, and a signal differ in the exit code.
fn exit(interrupts: &Interrupts) -> Exit {
    interrupts.received().map_or(Exit::Held, |received| Exit::Interrupted(received.number))
}

async fn asked_to_end(interrupts: &Interrupts, until_stdin_closes: bool) {
    tokio::select! {
        _ = interrupts.wait() => {}
        () = stdin_closed(), if until_stdin_closes => {}
    }
}

/// Waits for the end of standard input. What arrives before is nobody's.
async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut unread = [0; 256];
    while stdin.read(&mut unread).await.is_ok_and(|length| length > 0) {}
}

fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: Option<SocketAddr> = text.parse().ok();
    address
        .filter(|address| address.ip().is_loopback())
        .ok_or_else(|| format!("expected a loopback address such as 127.0.0.1:0, got {text:?}"))
}
