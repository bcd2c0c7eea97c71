//! The `faultline` binary.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use events::Timestamp;
use nix::sys::stat::{Mode, umask};
use server::cli::{Cli, Command, ServeArgs, token};
use server::operations::{backup, export, import, rebuild, seed, verify};
use server::{config, demo, telemetry};
use tokio::signal::unix::{SignalKind, signal};

/// Most of what the graph's store does is to take and give back small pieces of memory: with the
/// system's allocator a rebuild takes half as much processor time again.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<ExitCode> {
    // What is recorded of incidents is for the owner of the base alone.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    let command = Cli::parse().command;
    if !matches!(command, Command::Serve(_) | Command::Demo(_)) {
        telemetry::install_warnings();
    }
    match command {
        Command::Serve(args) => serve(&args)?,
        Command::Demo(args) => return runtime()?.block_on(demo::run(args)),
        Command::Token(args) => print(&token::run(args, Timestamp::now())?)?,
        Command::Rebuild(args) => runtime()?.block_on(rebuild::run(&args))?,
        Command::Verify(args) => return runtime()?.block_on(verify::run(&args)),
        Command::Export(args) => runtime()?.block_on(export::run(&args))?,
        Command::Import(args) => runtime()?.block_on(import::run(&args))?,
        Command::Backup(args) => runtime()?.block_on(backup::back_up(args))?,
        Command::Restore(args) => runtime()?.block_on(backup::restore(args))?,
        Command::Seed(args) => runtime()?.block_on(seed::run(&args))?,
        Command::Schemas => print(&server::schemas()?)?,
        Command::Sdl => print(&server::sdl())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let config = config::load(&args.settings)?;
    if args.print_config {
        return print(&config.to_printable()?);
    }
    runtime()?.block_on(async {
        let _telemetry = telemetry::install(&config.telemetry)?;
        let running = server::run(config).await?;
        tracing::info!(url = running.url(), "listening");
        let stop = stop_asked(&running).await?;
        tracing::info!(why = stop.why(), "draining");
        running.stop().await.context("stopping")?;
        match stop {
            Stop::Asked(_) => Ok(()),
            Stop::Failed(part) => anyhow::bail!("{part} ended; the log says why"),
        }
    })
}

/// Why the server stops.
enum Stop {
    /// The operator said so.
    Asked(&'static str),
    /// A part ended that the server cannot do without.
    Failed(&'static str),
}

impl Stop {
    fn why(&self) -> &'static str {
        match self {
            Self::Asked(signal) => signal,
            Self::Failed(part) => part,
        }
    }
}

async fn stop_asked(running: &server::RunningServer) -> anyhow::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => Stop::Asked("SIGTERM"),
        _ = interrupt.recv() => Stop::Asked("SIGINT"),
        part = running.ended() => Stop::Failed(part),
    })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting tokio")
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()) {
        // `faultline sdl | head` is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}
