//! `faultline demo`: breaks a running shop and shows what the base makes of it.
//!
//! The server runs in this process on loopback; the shop and the experiments are the
//! `chaos-runner` binary, and what is shown is asked over HTTP: the demo has no way in that a
//! client does not have.

mod plan;
mod report;
mod shop;
mod watch;

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use events::Timestamp;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};
use tracing::Level;

use crate::RunningServer;
use crate::config::{Config, Listen};
use crate::operations::{open_log, seed};
use plan::{FaultChoice, Phase};
use report::{Outcome, Report};
use shop::{Experiment, Running, Shop, Telemetry};
use watch::{Seen, Watch};

/// Windows of normal operation before the first fault.
const BASELINE_WINDOWS: u32 = 12;
/// How long the server may take to see the end of an incident whose fault is gone.
const SETTLE_LIMIT: Duration = Duration::from_secs(40);
/// How long after the end of an experiment its fault may still be noticed.
const NOTICE_LIMIT: Duration = Duration::from_secs(10);
/// How long a window waits for telemetry that is still under way.
const LATENESS_MS: u64 = 2_500;
/// How often the server is asked.
const POLL: Duration = Duration::from_millis(400);
/// What a shell reports for a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// What the demo can be told.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Folder for the log, the graph and the experiments' journals [default: a new folder below
    /// the system's temporary folder]
    #[arg(long)]
    data: Option<PathBuf>,
    /// What decides which faults are injected where [default: the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// The third fault, as KIND or KIND:COMPONENT; `chaos-runner list` names the kinds
    #[arg(long, value_name = "FAULT")]
    fault: Option<FaultChoice>,
    /// End after the last incident instead of serving until Ctrl-C
    #[arg(long)]
    exit: bool,
    /// Print one JSON line an incident on standard output, everything else on standard error
    #[arg(long)]
    json: bool,
    /// Where the server listens; port 0 takes any
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))]
    listen: SocketAddr,
    /// Length of a telemetry window, in milliseconds
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1_000..=60_000))]
    window_ms: u64,
    /// Folder of recorded incidents to begin with [default: seed-data, here or above the program]
    #[arg(long, value_name = "DIR", conflicts_with = "empty")]
    seed_data: Option<PathBuf>,
    /// Begin without any recorded incidents
    #[arg(long)]
    empty: bool,
    /// Who describes the shop: its processes by OpenTelemetry, or the proxies between them
    #[arg(long, value_enum, default_value_t = Telemetry::Otlp)]
    telemetry: Telemetry,
    /// How long each fault acts, in milliseconds
    #[arg(long, default_value_t = 18_000, value_parser = clap::value_parser!(u64).range(5_000..=600_000))]
    fault_ms: u64,
}

/// Everything of the demo that has to be ended.
struct Demo {
    args: DemoArgs,
    seed: u64,
    folder: PathBuf,
    runner: PathBuf,
    url: String,
    report: Report,
    watch: Watch,
}

/// Runs the demo until its end or until it is interrupted. Either way no fault is left active and
/// no process of the shop alive.
pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let report = Report::new(args.json);
    let runner = shop::runner_binary()?;
    let seed =
        args.seed.unwrap_or_else(|| Timestamp::now().as_millisecond().unsigned_abs() % 100_000);
    let folder = new_folder(args.data.as_deref(), seed)?;
    report.say(format!("Faultline demo, seed {seed}, data in {}", folder.display()));

    let config = config(&args, &folder);
    load_seed_data(&args, &config, &report).await?;
    let server = start_server(config, &folder).await?;
    let url = server.url();
    let watch = Watch::new(&url)?;
    let demo = Demo { args, seed, folder, runner, url, report, watch };
    let mut shop = None;
    let mut experiment = None;
    let ended = tokio::select! {
        result = demo.play(&mut shop, &mut experiment) => result.map(|()| None),
        _ = interrupt.recv() => Ok(Some("interrupted")),
        _ = terminate.recv() => Ok(Some("told to end")),
        _ = hangup.recv() => Ok(Some("the terminal is gone")),
        part = server.ended() => Err(anyhow!("{part} of the demo's server ended; see server.log")),
    };
    if let Ok(Some(why)) = &ended {
        demo.report.say(format!("  {why}: undoing the fault, ending the shop"));
    }
    // The runner first: it undoes its fault while the shop is still there.
    if let Some(experiment) = experiment {
        experiment.stop().await;
    }
    if let Some(shop) = shop {
        shop.stop().await?;
    }
    server.stop().await.context("stopping the demo's server")?;
    Ok(match ended? {
        None => ExitCode::SUCCESS,
        Some(_) => INTERRUPTED.into(),
    })
}

impl Demo {
    async fn play(
        &self,
        running_shop: &mut Option<Shop>,
        running_experiment: &mut Option<Experiment>,
    ) -> anyhow::Result<()> {
        self.report.fact("server", &self.url);
        let waiting = self.report.waiting("starting the shop");
        let running = Running {
            server: &self.url,
            telemetry: self.args.telemetry,
            window_ms: self.args.window_ms,
            seed: self.seed,
            folder: &self.folder,
        };
        let shop = Shop::start(&self.runner, running, self.log("shop")?).await?;
        let shop = running_shop.insert(shop);
        drop(waiting);
        self.report.fact("shop", format!("running with its users, control {}", shop.control()));
        let learning = Duration::from_millis(self.args.window_ms) * BASELINE_WINDOWS;
        let waiting =
            self.report.waiting(&format!("learning what is normal, {} s", learning.as_secs()));
        sleep(learning).await;
        drop(waiting);
        self.report.say("");

        for phase in plan::phases(self.seed, self.args.fault.as_ref()) {
            self.phase(&phase, shop, running_experiment).await?;
        }
        self.farewell();
        if !self.args.exit {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn phase(
        &self,
        phase: &Phase,
        shop: &Shop,
        running: &mut Option<Experiment>,
    ) -> anyhow::Result<()> {
        self.report.say(format!("{}: {phase}", phase.title()));
        let since = Timestamp::now();
        let file = self.folder.join(format!("{}.json", phase.name));
        let experiment = plan::experiment(phase, self.args.fault_ms);
        std::fs::write(&file, serde_json::to_vec_pretty(&experiment)?)
            .with_context(|| format!("writing {}", file.display()))?;
        let log = self.log(phase.name)?;
        let experiment =
            running.insert(Experiment::start(&self.runner, &file, &self.url, shop, log)?);
        let waiting = self.report.waiting("measuring the steady state");
        let mut told = Told::default();
        loop {
            let over = timeout(POLL, experiment.finished()).await;
            self.tell(&self.watch.look(phase).await?, since, &mut told, &waiting).await?;
            if let Ok(result) = over {
                result?;
                break;
            }
        }
        waiting.now("waiting for the end of the incident".to_owned());
        let seen = self.settled(phase, since, &mut told, &waiting).await?;
        drop(waiting);
        *running = None;
        let fault = seen.fault(since).context("the experiment reported no injected fault")?;
        let incident = seen.incident_of(fault);
        let detected_at = match incident.and_then(|incident| incident.opening_event()) {
            Some(event) => Some(self.watch.recorded_at(event).await?),
            None => None,
        };
        self.report.outcome(&Outcome { phase, fault, incident, detected_at });
        Ok(())
    }

    /// Says once when the fault acts and when it was noticed.
    async fn tell(
        &self,
        seen: &Seen,
        since: Timestamp,
        told: &mut Told,
        waiting: &report::Spinner,
    ) -> anyhow::Result<()> {
        let Some(fault) = seen.fault(since) else { return Ok(()) };
        if let (false, Some(at)) = (told.injected, fault.injected_at) {
            told.injected = true;
            self.report.fact("injected", clock(at));
            waiting.now("waiting for the server to notice".to_owned());
        }
        let incident = seen.incident_of(fault);
        if let (false, Some(event)) =
            (told.detected, incident.and_then(|incident| incident.opening_event()))
        {
            told.detected = true;
            let at = self.watch.recorded_at(event).await?;
            let after =
                fault.injected_at.map_or(0.0, |injected| at.duration_since(injected).as_secs_f64());
            self.report.fact("detected", format!("{}, after {after:.1} s", clock(at)));
            waiting.now("diagnosing while the fault acts".to_owned());
        }
        Ok(())
    }

    /// Waits until the incident is over and labelled, or until it is clear that there is none.
    async fn settled(
        &self,
        phase: &Phase,
        since: Timestamp,
        told: &mut Told,
        waiting: &report::Spinner,
    ) -> anyhow::Result<Seen> {
        let ended = Instant::now();
        loop {
            let seen = self.watch.look(phase).await?;
            self.tell(&seen, since, told, waiting).await?;
            let settled = seen.fault(since).is_some_and(|fault| match seen.incident_of(fault) {
                Some(incident) => !seen.any_open() && incident.is_labelled_from(&fault.key),
                None => ended.elapsed() > NOTICE_LIMIT && !seen.any_open(),
            });
            if settled || ended.elapsed() > SETTLE_LIMIT {
                return Ok(seen);
            }
            sleep(POLL).await;
        }
    }

    fn farewell(&self) {
        self.report.say("What happened is in the base now:");
        self.report.fact("GraphQL", format!("{}/graphql", self.url));
        self.report.fact("events", format!("{}/v1/events", self.url));
        self.report.fact("data", self.folder.display());
        if !self.args.exit {
            self.report.say("The shop keeps running; Ctrl-C ends everything.");
        }
    }

    fn log(&self, name: &str) -> anyhow::Result<File> {
        let path = self.folder.join(format!("{name}.log"));
        File::create(&path).with_context(|| format!("creating {}", path.display()))
    }
}

/// What of a phase was said already.
#[derive(Debug, Default)]
struct Told {
    injected: bool,
    detected: bool,
}

fn config(args: &DemoArgs, folder: &Path) -> Config {
    let mut config = Config::default();
    config.http.listen = args.listen;
    // A demo beside a server, or beside another demo, must not be in its way.
    config.otlp.http_listen = Listen::Off;
    config.otlp.grpc_listen = Listen::Off;
    // The API's port takes OTLP too. The shop's SDKs send every other second at least.
    config.otlp.windows.window_ms = args.window_ms;
    config.otlp.windows.lateness_ms = LATENESS_MS;
    config.storage.data = folder.to_path_buf();
    config
}

/// Recorded incidents, so that there is a past to compare with; says what it found.
async fn load_seed_data(args: &DemoArgs, config: &Config, report: &Report) -> anyhow::Result<()> {
    let folder = match &args.seed_data {
        _ if args.empty => None,
        Some(folder) => Some(folder.clone()),
        None => seed::find(),
    };
    let Some(folder) = folder else {
        report.fact("past", "none: the base begins empty");
        return Ok(());
    };
    let files = seed::files_of(&folder)?;
    let log = open_log(config, false).await?;
    let seeded = seed::seed(&log, &config.storage.data, &files).await?;
    let from = folder.canonicalize().unwrap_or(folder);
    report.fact("past", format!("{} recorded events from {}", seeded.new, from.display()));
    Ok(())
}

async fn start_server(config: Config, folder: &Path) -> anyhow::Result<RunningServer> {
    let path = folder.join("server.log");
    let log = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    tracing_subscriber::fmt().with_writer(log).with_ansi(false).with_max_level(Level::INFO).init();
    crate::run(config, &Handle::current()).await.context("starting the demo's server")
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S%.1f UTC").to_string()
}

fn new_folder(wanted: Option<&Path>, seed: u64) -> anyhow::Result<PathBuf> {
    let folder = wanted.map_or_else(
        || {
            let now = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
            std::env::temp_dir().join(format!("faultline-demo-{now}-{seed}"))
        },
        Path::to_path_buf,
    );
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty; the demo starts with an empty base", folder.display());
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    folder.canonicalize().with_context(|| format!("finding {}", folder.display()))
}
