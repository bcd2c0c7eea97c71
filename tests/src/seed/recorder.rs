//! Records a suite on a shop and a server of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use chaos_runner::shop::control::{ControlClient, FaultSpec, LoadShape};
use events::catalogue::change::{MaintenanceEnded, MaintenanceStarted};
use events::catalogue::experiment::ClearedBy;
use events::catalogue::fault_kind;
use events::value::Line;
use events::{ComponentName, Event, EventData, FaultId, MaintenanceId, Timestamp};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::Recording;
use super::programme::Item;
use crate::process::binary;
use crate::server::Server;

/// Length of a telemetry window, as in the demo.
pub const WINDOW: Duration = Duration::from_secs(2);

/// How long a window of OpenTelemetry waits for what is under way, as in the demo.
const LATENESS: Duration = Duration::from_millis(2_500);

/// Nothing of a recording takes longer than this.
const LONGEST: Duration = Duration::from_secs(2 * 3_600);

/// An incident may take so long to end and to be labelled after its experiment.
const SETTLE_LIMIT: Duration = Duration::from_secs(45);

/// A fault without an incident is given up so long after its experiment.
const NOTICE_LIMIT: Duration = Duration::from_secs(10);

/// How often the server is asked what is new.
const POLL: Duration = Duration::from_millis(300);

/// Events of a page.
const PAGE: usize = 1_000;

/// A recording in progress.
pub struct Recorder {
    server: Server,
    shop: Option<(Child, ChildStdin)>,
    control: ControlClient,
    folder: PathBuf,
    /// Every line so far, in the order of the log.
    lines: Vec<Value>,
    next: u64,
    recording: Recording,
}

/// Who describes the shop to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Telemetry {
    /// Its processes, by OpenTelemetry.
    Otlp,
    /// The proxies between them, by events.
    Proxies,
}

/// What came of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// An incident was noticed, is over and labelled.
    Labelled,
    /// None was noticed.
    No,
    /// One was, and was not over or not labelled in time.
    Late,
}

impl Recorder {
    /// Starts a server and a shop whose data is in `folder`.
    pub async fn start(folder: &Path, telemetry: Telemetry, seed: u64) -> anyhow::Result<Self> {
        let mut log = std::fs::File::create(folder.join("server.log"))?;
        let hear = move |line| {
            // A log that cannot be written is no reason to stop recording.
            let _ = writeln!(log, "{line}");
        };
        let settings = folder.join("faultline.toml");
        let (window_ms, lateness_ms) = (WINDOW.as_millis(), LATENESS.as_millis());
        let windows =
            format!("[otlp.windows]\nwindow_ms = {window_ms}\nlateness_ms = {lateness_ms}\n");
        std::fs::write(&settings, windows)?;
        let flags = ["--config", &settings.display().to_string()];
        let server = Server::start_for(&folder.join("data"), &flags, LONGEST, hear).await;
        let source: &[&str] = match telemetry {
            Telemetry::Otlp => &["--telemetry", "otlp", "--otlp", server.url()],
            Telemetry::Proxies => &["--telemetry", "proxies"],
        };
        let mut shop = Command::new(binary("chaos-runner"))
            .args(["shop", "--json", "--until-stdin-closes", "--server", server.url()])
            .args(["--window", &format!("{window_ms}ms"), "--seed", &seed.to_string(), "--state"])
            .arg(folder.join("shop"))
            .args(source)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting the shop")?;
        let stdin = shop.stdin.take().context("the shop's standard input is a pipe")?;
        let stdout = shop.stdout.take().context("the shop's standard output is a pipe")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = lines.next_line().await?.context("the shop ended at once")?;
        let ready: Value = serde_json::from_str(&ready)?;
        // What it says later must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let control = ready["control"].as_str().context("the shop says where it is controlled")?;
        Ok(Self {
            control: ControlClient::new(control),
            server,
            shop: Some((shop, stdin)),
            folder: folder.to_owned(),
            lines: Vec::new(),
            next: 0,
            recording: Recording::default(),
        })
    }

    /// What was recorded so far.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Lets the shop serve its users for a time.
    pub async fn calm(&mut self, time: Duration) -> anyhow::Result<()> {
        tokio::time::sleep(time).await;
        self.look().await
    }

    /// Lets as many users come as `shape` says, for a time.
    pub async fn users(&mut self, shape: &LoadShape, time: Duration) -> anyhow::Result<()> {
        self.control.set_load(shape).await?;
        self.calm(time).await
    }

    /// Sends events of others than the shop and the runner.
    pub async fn publish(&mut self, events: &[Event]) -> anyhow::Result<()> {
        let documents: Vec<_> = events.iter().map(Event::to_cloud_event).collect();
        let (status, answer) = self.server.post(&documents).await?;
        ensure!(status == 200, "the server answered {status}: {answer}");
        self.look().await
    }

    /// Runs an experiment as anybody would, and waits for the end of its incident.
    pub async fn run(&mut self, item: &Item) -> anyhow::Result<Noticed> {
        let file = item.write(&self.folder)?;
        let log = std::fs::File::create(file.with_extension("log"))?;
        let known: Vec<FaultId> = self.recording.faults().cloned().collect();
        let mut child = Command::new(binary("chaos-runner"))
            .arg("run")
            .arg(&file)
            .args(["--server", self.server.url(), "--shop", self.control.base_url(), "--state"])
            .arg(self.folder.join("runner"))
            .arg("--journal")
            .arg(file.with_extension("journal.json"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("starting the runner")?;
        let status = child.wait().await?;
        // 1: the steady state deviated, which is what most are for.
        if !matches!(status.code(), Some(0 | 1)) {
            let said = std::fs::read_to_string(file.with_extension("log")).unwrap_or_default();
            bail!("{} did not run to its end ({status}):\n{said}", item.name);
        }
        let ended = Instant::now();
        loop {
            self.look().await?;
            let new: Vec<_> = self.recording.faults().filter(|it| !known.contains(it)).collect();
            ensure!(!new.is_empty() || ended.elapsed() < NOTICE_LIMIT, "no fault was injected");
            let labelled = !new.is_empty() && new.iter().all(|it| self.recording.is_labelled(it));
            match (labelled, self.recording.any_open()) {
                (true, false) => return Ok(Noticed::Labelled),
                (false, false) if ended.elapsed() > NOTICE_LIMIT => return Ok(Noticed::No),
                _ if ended.elapsed() > SETTLE_LIMIT => return Ok(Noticed::Late),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// More users for a while: a ramp up, bursts, and back to what is usual.
    pub async fn busy_hour(&mut self, ramp: Duration, bursts: Duration) -> anyhow::Result<()> {
        let usual = self.control.load().await?;
        let LoadShape::Steady { rps } = usual else { bail!("users are steady at first") };
        let over_ms = u64::try_from(ramp.as_millis())?;
        let shape = LoadShape::Ramp { from_rps: rps, to_rps: rps * 1.5, over_ms };
        self.users(&shape, ramp).await?;
        let (every_ms, burst_ms) = (10_000, 2_000);
        let shape = LoadShape::Burst { base_rps: rps, burst_rps: rps * 1.75, every_ms, burst_ms };
        self.users(&shape, bursts).await?;
        self.control.set_load(&usual).await?;
        Ok(())
    }

    /// Planned work on a component: its process is ended and started again.
    pub async fn maintenance(&mut self, component: &str, reason: &str) -> anyhow::Result<()> {
        let component: ComponentName = component.parse()?;
        let id = format!("restart-{component}-{}", Timestamp::now().as_second());
        let maintenance = MaintenanceId::new(id)?;
        let source = Line::new("/operator")?;
        let event = |data: EventData| Event::new(source.clone(), Timestamp::now(), data);
        let started = MaintenanceStarted {
            maintenance: maintenance.clone(),
            components: vec![component.clone()],
            reason: Line::new(reason)?,
        };
        self.publish(&[event(started.into())]).await?;
        let spec = FaultSpec {
            fault: None,
            kind: fault_kind::named(fault_kind::PROCESS_KILL),
            component,
            peer: None,
            arguments: Default::default(),
            duration_ms: None,
        };
        let ended = self.control.inject(&spec).await?;
        let begun = self.control.clear(&ended.fault, ClearedBy::Rollback).await?;
        ensure!(begun.verified, "{} did not come back", spec.component);
        self.publish(&[event(MaintenanceEnded { maintenance }.into())]).await?;
        self.settled().await
    }

    /// Waits until no incident is open.
    async fn settled(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        self.calm(WINDOW * 2).await?;
        while self.recording.any_open() && began.elapsed() < SETTLE_LIMIT {
            self.calm(POLL).await?;
        }
        Ok(())
    }

    /// Ends the shop, waits until the server has nothing more to say, and gives every event.
    pub async fn finish(mut self) -> anyhow::Result<(Vec<Value>, Recording)> {
        self.settled().await?;
        if let Some((mut shop, stdin)) = self.shop.take() {
            drop(stdin);
            shop.wait().await?;
        }
        let mut quiet_since = Instant::now();
        while quiet_since.elapsed() < WINDOW {
            let before = self.next;
            self.look().await?;
            if self.next != before {
                quiet_since = Instant::now();
            }
            tokio::time::sleep(POLL).await;
        }
        Ok((self.lines, self.recording))
    }

    /// Reads what is new in the log.
    async fn look(&mut self) -> anyhow::Result<()> {
        loop {
            let path = format!("/v1/events?after={}&limit={PAGE}", self.next);
            let (status, mut page) = self.server.get(&path).await?;
            ensure!(status == 200, "the server answered {status}: {page}");
            let Value::Array(lines) = page["events"].take() else { bail!("a page has events") };
            self.next = page["next"].as_u64().context("a page says what is next")?;
            let last = lines.len() < PAGE;
            for line in &lines {
                let event = Event::from_cloud_event(line.clone(), Timestamp::now())?;
                self.recording.add(&event);
            }
            self.lines.extend(lines);
            if last {
                return Ok(());
            }
        }
    }
}
