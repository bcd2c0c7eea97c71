//! The `faultline` binary.

use std::io::Write;
use std::num::NonZero;
use std::process::ExitCode;
#[cfg(target_os = "linux")]
use std::sync::Once;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use events::Timestamp;
use nix::sys::stat::{Mode, umask};
use server::cli::{Cli, Command, ServeArgs, token};
use server::operations::{
    backup, eval, export, import, rebuild, replay, report, retain, seed, verify,
};
use server::{config, demo, telemetry};
use tokio::runtime::{self, Runtime};
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
        Command::Demo(args) => return run(demo::run(args)),
        Command::Token(args) => print(&token::run(args, Timestamp::now())?)?,
        Command::Rebuild(args) => run(rebuild::run(&args))?,
        Command::Retain(args) => run(retain::run(&args))?,
        Command::Verify(args) => return run(verify::run(&args)),
        Command::Export(args) => run(export::run(&args))?,
        Command::Import(args) => run(import::run(&args))?,
        Command::Backup(args) => run(backup::back_up(args))?,
        Command::Restore(args) => run(backup::restore(args))?,
        Command::Seed(args) => run(seed::run(&args))?,
        Command::Report(args) => run(report::run(&args))?,
        Command::Replay(args) => run(replay::run(&args))?,
        Command::Eval(args) => run(eval::run(&args))?,
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
    let mut behind = None;
    let served = run(async {
        let _telemetry = telemetry::install(&config.telemetry)?;
        let behind = behind.insert(runtime_behind()?);
        let running = server::run(config, behind.handle()).await?;
        tracing::info!(url = running.url(), "listening");
        for (transport, address) in [("HTTP", running.otlp_http()), ("gRPC", running.otlp_grpc())] {
            if let Some(address) = address {
                tracing::info!(%address, "listening for OpenTelemetry over {transport}");
            }
        }
        let stop = stop_asked(&running).await?;
        tracing::info!(why = stop.why(), "draining");
        running.stop().await.context("stopping")?;
        match stop {
            Stop::Asked(_) => Ok(()),
            Stop::Failed(part) => anyhow::bail!("{part} ended; the log says why"),
        }
    });
    if let Some(behind) = behind {
        close(&behind);
    }
    served
}

/// How many workers follow the log beside one for each processor. The graph's store answers
/// questions in the task that asks: with a worker a processor, what is learned and diagnosed would
/// hold up what is projected.
const MORE_WORKERS: usize = 4;
/// How far what follows the log yields to requests, of 19.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// The runtime of what follows the log: it has what requests leave of the processors.
fn runtime_behind() -> anyhow::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut runtime = runtime::Builder::new_multi_thread();
    runtime.worker_threads(processors + MORE_WORKERS).thread_name("behind");
    // Elsewhere it would be the whole process that yields.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        // A thread begins as nice as the one that starts it, which may be one of these.
        let nice = getpriority_process(None).map(|nice| (nice + NICE).min(19));
        let told = Once::new();
        runtime.on_thread_start(move || {
            if let Err(error) = nice.and_then(|nice| setpriority_process(None, nice)) {
                told.call_once(|| {
                    tracing::warn!(%error, "what follows the log runs at the priority of requests");
                });
            }
        });
    }
    runtime.enable_all().build().context("starting tokio behind the log")
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

/// How long the tasks of a command that is done may go on.
const CLOSING: Duration = Duration::from_secs(2);

/// Runs a command to its end and to that of its tasks: a graph store that it opened closes in one.
fn run<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut runtime = runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().build().context("starting tokio")?;
    let done = runtime.block_on(command);
    close(&runtime);
    done
}

/// Gives the tasks of a command that is done some time to end.
fn close(runtime: &Runtime) {
    let tasks = runtime.metrics();
    runtime.block_on(async {
        let until = Instant::now() + CLOSING;
        while tasks.num_alive_tasks() > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()) {
        // `faultline sdl | head` is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}
