//! The command line.

mod deliver;
mod exit;
mod host;
mod journal;
mod journals;
mod list;
mod plan;
mod run;
mod schedule;
mod select;
mod server;
mod session;
mod shop;
mod signals;
mod suite;
mod telemetry;
mod undo;
mod validate;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::experiment::LoadError;
use crate::progress::{Form, Progress};
use crate::schedule::InvalidSchedule;
use crate::shop::ShopOptions;
use crate::state::StateError;
use crate::submit::InvalidServer;
use exit::Exit;
use select::SelectError;
use telemetry::InvalidTelemetry;

/// Runs chaos experiments on a demo shop, and the shop itself.
///
/// Experiments are Chaos Toolkit files (JSON or YAML) with the provider `faultline` for faults
/// and golden signals. Whatever ends a run, its faults are undone before the program ends.
#[derive(Debug, Parser)]
#[command(name = "chaos-runner", version, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Writes more about what it does to standard error; twice for more.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs experiments, one after the other or several at once.
    Run(run::RunArgs),
    /// Runs every shipped experiment and shows a summary.
    Suite(suite::SuiteArgs),
    /// Runs experiments at times, until it is told to end.
    Schedule(schedule::ScheduleArgs),
    /// Proposes what to exercise next, and why.
    Plan(plan::PlanArgs),
    /// Takes over runs from journals.
    Journal(journal::JournalArgs),
    /// Sends the events that wait on disk because their server was away.
    Deliver(deliver::DeliverArgs),
    /// Undoes the faults of runners that were killed.
    Undo(undo::UndoArgs),
    /// Runs the demo shop until it is told to end.
    Shop(shop::ShopArgs),
    /// Checks experiment files and says exactly what is wrong.
    Validate(validate::ValidateArgs),
    /// Lists the shipped experiments and the fault kinds.
    List(list::ListArgs),
    /// Plays a service of the shop.
    #[command(hide = true)]
    ShopService(crate::shop::service::ServiceArgs),
    /// Plays the database of the shop.
    #[command(hide = true)]
    ShopDatabase(crate::shop::database::DatabaseArgs),
}

/// What experiments run on and where their events go.
#[derive(Args, Clone, Debug)]
struct TargetArgs {
    #[command(flatten)]
    server: server::ServerArgs,
    /// Control address of a running shop; without it a shop is started and ended.
    #[arg(
        long,
        value_name = "URL",
        conflicts_with_all = ["window", "seed", "rate", "otlp", "telemetry"]
    )]
    shop: Option<String>,
    #[command(flatten)]
    own: OwnShopArgs,
    /// Experiments that run at the same time; those whose targets meet wait for each other.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    parallel: std::num::NonZeroUsize,
    /// Writes one JSON object a line instead of text.
    #[arg(long)]
    json: bool,
}

/// How the shop is that this program starts.
#[derive(Args, Clone, Debug)]
struct OwnShopArgs {
    /// Length of a telemetry window, such as 2s or 500ms.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_window)]
    window: Duration,
    /// Seed of all that is random in the users and the disturbances.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Requests of the users a second.
    #[arg(long, value_name = "RPS", default_value_t = 40.0, value_parser = parse_rate)]
    rate: f64,
    #[command(flatten)]
    telemetry: telemetry::TelemetryArgs,
}

impl OwnShopArgs {
    fn options(&self, control: std::net::SocketAddr) -> anyhow::Result<ShopOptions> {
        let mut options = ShopOptions {
            program: std::env::current_exe().context("could not find the own program")?,
            control,
            window: self.window,
            seed: self.seed,
            rate_per_second: self.rate,
            ..ShopOptions::default()
        };
        self.telemetry.choose(&mut options, environment)?;
        Ok(options)
    }
}

/// Reads the command line, does what it says, and answers how it went.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not errors; clap knows where each is to be written.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Held.into() };
        }
    };
    let form = match &cli.command {
        Command::Run(args) if args.target.json => Form::Json,
        Command::Suite(args) if args.target.json => Form::Json,
        Command::Shop(args) if args.json => Form::Json,
        Command::Deliver(args) if args.json => Form::Json,
        Command::Undo(args) if args.json => Form::Json,
        Command::Schedule(args) if args.target.json => Form::Json,
        Command::Plan(args) if args.json => Form::Json,
        Command::Journal(args) if args.json() => Form::Json,
        _ => Form::Lines,
    };
    let progress = Progress::new(form);
    // The processes of the shop begin their logs themselves.
    if !matches!(cli.command, Command::ShopService(_) | Command::ShopDatabase(_)) {
        log_to_stderr(cli.verbose, &progress);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("could not start")),
    };
    let outcome = runtime.block_on(dispatch(cli.command, progress));
    // Nothing is left to wait for: what had to be undone was awaited.
    runtime.shutdown_background();
    outcome.map_or_else(|error| failed(&error), ExitCode::from)
}

async fn dispatch(command: Command, progress: Progress) -> anyhow::Result<Exit> {
    match command {
        Command::Run(args) => run::run(args, progress).await,
        Command::Suite(args) => suite::run(args, progress).await,
        Command::Shop(args) => shop::run(args, progress).await,
        Command::Deliver(args) => deliver::run(args, progress).await,
        Command::Undo(args) => undo::run(args, progress).await,
        Command::Schedule(args) => schedule::run(args, progress).await,
        Command::Plan(args) => plan::run(args, progress).await,
        Command::Journal(args) => journal::run(args, progress).await,
        Command::Validate(args) => validate::run(&args),
        Command::List(args) => list::run(&args),
        Command::ShopService(args) => {
            Ok(crate::shop::service::run(args).await.map(|()| Exit::Held)?)
        }
        Command::ShopDatabase(args) => {
            Ok(crate::shop::database::run(args).await.map(|()| Exit::Held)?)
        }
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    use io::Write as _;
    let load = match error.downcast_ref() {
        Some(SelectError::Load(load)) => Some(load),
        _ => error.downcast_ref(),
    };
    let text = match load {
        Some(LoadError::Invalid { source, .. }) => {
            let problems = source.problems.iter().map(|problem| format!("\n  {problem}"));
            format!("{error}{}", problems.collect::<String>())
        }
        _ => format!("{error:#}"),
    };
    // Standard error that is gone is no reason not to end.
    let _ = writeln!(io::stderr(), "error: {text}");
    let usage = load.is_some()
        || error.is::<SelectError>()
        || error.is::<InvalidServer>()
        || error.is::<InvalidTelemetry>()
        || error.is::<StateError>()
        || error.is::<InvalidSchedule>()
        || error.is::<journal::NoJournal>()
        || error.is::<select::Unknown>();
    if usage { Exit::Usage.into() } else { Exit::Failed.into() }
}

fn log_to_stderr(verbose: u8, progress: &Progress) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    // Connections to the database break all the time here: that is no news.
    // That telemetry does not arrive is said by the shop, once, and counted at its end.
    let silenced = "hyper=warn,reqwest=warn,h2=warn,deadpool.postgres=off,tokio_postgres=off,\
                    opentelemetry=off";
    let filter = EnvFilter::new(format!("{level},{silenced}"));
    let bar = progress.bar();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(console::colors_enabled_stderr())
        .with_target(false)
        .with_writer(move || BesideBar(bar.clone()))
        .init();
}

/// Standard error, with the progress bar out of the way.
struct BesideBar(indicatif::ProgressBar);

impl io::Write for BesideBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The environment, for `configuration` and `secrets` of experiments and for the receiver of the
/// shop's telemetry: its one home.
#[allow(clippy::disallowed_methods)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn parse_window(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a time from 100ms to 1h such as 2s, got {text:?}");
    let time: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    let time = Duration::try_from(time).map_err(|_| wrong())?;
    let accepted = Duration::from_millis(100)..=Duration::from_secs(3_600);
    if accepted.contains(&time) { Ok(time) } else { Err(wrong()) }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.0..=10_000.0).contains(rate));
    rate.ok_or_else(|| format!("expected 0 to 10000 requests a second, got {text:?}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_documents_the_exit_codes() {
        insta::assert_snapshot!(Cli::command().render_long_help().to_string());
    }

    #[test]
    fn a_window_is_a_time_with_a_unit() {
        assert_eq!(parse_window("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_window("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["2", "0s", "-1s", "2h", "soon"] {
            assert!(parse_window(wrong).is_err(), "{wrong}");
        }
    }
}
