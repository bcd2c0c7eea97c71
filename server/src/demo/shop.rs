//! The demo's hold on the `chaos-runner` binary: the shop that it keeps running, and the
//! experiments that it runs against it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long a shop may take to say that it is ready.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a shop may take to end once it is told to.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// `chaos-runner` beside this binary.
pub fn runner_binary() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("finding this binary")?;
    let beside = this.with_file_name("chaos-runner");
    if !beside.is_file() {
        bail!(
            "the demo starts the binary chaos-runner, expected at {}; `cargo build --bins` makes it",
            beside.display()
        );
    }
    Ok(beside)
}

/// Who describes the shop to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Telemetry {
    /// Its processes, by OpenTelemetry.
    Otlp,
    /// The proxies between them, by events.
    Proxies,
}

/// How a shop is run.
#[derive(Debug)]
pub struct Running<'a> {
    /// URL of the server that it tells.
    pub server: &'a str,
    pub telemetry: Telemetry,
    /// Length of the proxies' windows.
    pub window_ms: u64,
    /// What its users do.
    pub seed: u64,
    /// Folder of the demo.
    pub folder: &'a Path,
}

/// A running shop with its users. It ends when it is stopped, when its standard input closes,
/// which happens even if this process is killed, and with its own parent.
#[derive(Debug)]
pub struct Shop {
    child: Child,
    // Held open: its end is what tells the shop to stop.
    stdin: Option<ChildStdin>,
    control: String,
}

impl Shop {
    /// Starts the shop and waits until it serves its users.
    pub async fn start(
        runner: &Path,
        running: Running<'_>,
        log: std::fs::File,
    ) -> anyhow::Result<Self> {
        let Running { server, telemetry, window_ms, seed, folder } = running;
        let mut command = Command::new(runner);
        command
            .args(["shop", "--json", "--until-stdin-closes", "--control", "127.0.0.1:0"])
            .args(["--server", server, "--window", &format!("{window_ms}ms")])
            .args(["--seed", &seed.to_string()])
            // What it keeps for later belongs to this demo, not to the user's other runs.
            .arg("--state")
            .arg(folder.join("runner"));
        match telemetry {
            Telemetry::Otlp => command.args(["--telemetry", "otlp", "--otlp", server]),
            Telemetry::Proxies => command.args(["--telemetry", "proxies"]),
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C reaches the whole group of the terminal; the demo ends the shop in its turn.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", runner.display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("the shop's standard output is a pipe")?;
        let mut lines = BufReader::new(stdout).lines();
        let control = match tokio::time::timeout(START_LIMIT, ready(&mut lines)).await {
            Ok(control) => control?,
            Err(_) => bail!("the shop was not ready within {} s", START_LIMIT.as_secs()),
        };
        // Whatever else it prints must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, stdin, control })
    }

    /// URL of the shop's control API.
    pub fn control(&self) -> &str {
        &self.control
    }

    /// Ends the shop and waits until its processes are gone.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.stdin.take());
        match tokio::time::timeout(STOP_LIMIT, self.child.wait()).await {
            Ok(status) => {
                status.context("waiting for the shop")?;
                Ok(())
            }
            Err(_) => {
                self.child.kill().await.context("killing the shop")?;
                bail!("the shop did not end within {} s and was killed", STOP_LIMIT.as_secs())
            }
        }
    }
}

async fn ready(lines: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<String> {
    while let Some(line) = lines.next_line().await? {
        if let Ok(Value::Object(said)) = serde_json::from_str(&line)
            && said.get("ready") == Some(&Value::Bool(true))
            && let Some(Value::String(control)) = said.get("control")
        {
            return Ok(control.clone());
        }
    }
    bail!("the shop ended before it was ready; see shop.log in the demo's folder")
}

/// An experiment in its run. What outlives it is undone by the shop at the fault's deadline.
#[derive(Debug)]
pub struct Experiment {
    child: Child,
}

impl Experiment {
    /// Runs the experiment `file` against the shop; its events go to `server`.
    pub fn start(
        runner: &Path,
        file: &Path,
        server: &str,
        shop: &Shop,
        log: std::fs::File,
    ) -> anyhow::Result<Self> {
        let journal = file.with_extension("journal.json");
        let child = Command::new(runner)
            .arg("run")
            .arg(file)
            .args(["--server", server, "--shop", shop.control(), "--json"])
            .arg("--state")
            .arg(file.with_file_name("runner"))
            .arg("--journal")
            .arg(journal)
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("sharing the experiment's log")?)
            .stderr(log)
            .kill_on_drop(true)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", runner.display()))?;
        Ok(Self { child })
    }

    /// Waits for its end. A deviated hypothesis is what the demo is about; anything that kept the
    /// experiment from being carried out is an error.
    pub async fn finished(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait().await.context("waiting for the experiment")?;
        match status.code() {
            Some(0 | 1) => Ok(()),
            _ => bail!("the experiment failed ({status}); see its log in the demo's folder"),
        }
    }

    /// Tells it to undo its fault and to end, and waits for that.
    pub async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // A runner that is gone already has nothing to undo.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            let _ = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await;
        }
    }
}
