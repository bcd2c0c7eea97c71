//! The processes of the shop: started, stopped, paused and redeployed.

mod spawner;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::{Mutex, watch};
use tracing::debug;

use super::child;
use super::otlp::{Delivery, Receiver, TOKEN_VARIABLE};
use super::service::FlawArgs;
use super::topology::{Component, Kind};
pub(crate) use spawner::Spawner;

/// Longest wait for a process to say that it answers.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// Longest wait for a process to finish its requests, send its last telemetry and end.
const STOP_PATIENCE: Duration = Duration::from_secs(4);
/// Most that is kept of what a process wrote that did not come up.
const MAX_LAST_WORDS: u64 = 4_096;
/// Time for the connections of the proxies to move to a new version before the old one ends.
const SWITCH_TIME: Duration = Duration::from_millis(200);

/// Why a process is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("could not start {component} from {}", program.display())]
    Spawn {
        /// What.
        component: &'static str,
        /// The binary.
        program: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It ended, or did not say in time that it answers.
    #[error("{component} did not come up within {START_PATIENCE:?}; it said {said:?}")]
    NotReady {
        /// What.
        component: &'static str,
        /// What it wrote to standard error.
        said: String,
    },
    /// A signal could not be sent.
    #[error("could not send {signal} to {component}")]
    Signal {
        /// To what.
        component: &'static str,
        /// Which.
        signal: Signal,
        /// Why not.
        #[source]
        source: nix::Error,
    },
    /// There is no process to do it to.
    #[error("{component} has no process")]
    NotRunning {
        /// What.
        component: &'static str,
    },
}

/// A version with what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Deployment {
    pub(crate) version: String,
    pub(crate) flaw: FlawArgs,
}

/// A component's process, whichever runs at the moment.
pub(crate) struct Supervised {
    component: &'static Component,
    program: PathBuf,
    arguments: Vec<String>,
    receiver: Option<Receiver>,
    spawner: Arc<Spawner>,
    releases: AtomicU32,
    state: Mutex<State>,
    live: watch::Sender<Option<Live>>,
    target: watch::Sender<Option<SocketAddr>>,
}

struct State {
    process: Option<Process>,
    deployment: Deployment,
    /// What became of the telemetry of the processes that ended.
    delivery: Delivery,
}

/// A process, and what it writes to standard output: that it is ready, and at its end what became
/// of its telemetry.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

/// A process that was told to run and has answered once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) pid: u32,
    pub(crate) admin: SocketAddr,
    business: SocketAddr,
}

impl Supervised {
    /// A component that does not run yet. `arguments` are what its subcommand needs beside what
    /// every process of the shop is told.
    pub(crate) fn new(
        component: &'static Component,
        program: PathBuf,
        arguments: Vec<String>,
        receiver: Option<Receiver>,
        spawner: Arc<Spawner>,
        deployment: Deployment,
    ) -> Self {
        let state = State { process: None, deployment, delivery: Delivery::default() };
        Self {
            component,
            program,
            arguments,
            receiver,
            spawner,
            releases: AtomicU32::new(0),
            state: Mutex::new(state),
            live: watch::Sender::new(None),
            target: watch::Sender::new(None),
        }
    }

    /// The component.
    pub(crate) fn component(&self) -> &'static Component {
        self.component
    }

    /// Its process, while one runs.
    pub(crate) fn live(&self) -> Option<Live> {
        *self.live.borrow()
    }

    /// Where proxies reach it.
    pub(crate) fn target(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.target.subscribe()
    }

    /// What is deployed.
    pub(crate) async fn deployment(&self) -> Deployment {
        self.state.lock().await.deployment.clone()
    }

    /// Starts the deployed version, unless it runs. Answers the version.
    pub(crate) async fn start(&self) -> Result<String, ProcessError> {
        let mut state = self.state.lock().await;
        if self.live().is_none() {
            let (process, live) = self.spawn(&state.deployment).await?;
            state.process = Some(process);
            self.switch_to(Some(live));
        }
        Ok(state.deployment.version.clone())
    }

    /// Ends the process at once, as `kill -9` does. It stays down.
    pub(crate) async fn kill(&self) -> Result<(), ProcessError> {
        let mut state = self.state.lock().await;
        let mut process = state.process.take().ok_or(self.not_running())?;
        // The address stays: connecting to it is refused, as it is when a process has died.
        self.live.send_replace(None);
        // An error says that the process is gone already, which is what was wanted.
        let _ = process.child.start_kill();
        let _ = process.child.wait().await;
        state.delivery.merge(self.untold());
        Ok(())
    }

    /// Puts another version in place of the one that runs: the new one is up before the old one
    /// ends. Answers what was deployed before.
    pub(crate) async fn deploy(&self, deployment: Deployment) -> Result<Deployment, ProcessError> {
        let mut state = self.state.lock().await;
        let (process, live) = self.spawn(&deployment).await?;
        let old = state.process.replace(process);
        self.switch_to(Some(live));
        let before = std::mem::replace(&mut state.deployment, deployment);
        drop(state);
        if let Some(old) = old {
            tokio::time::sleep(SWITCH_TIME).await;
            self.end(old).await;
        }
        Ok(before)
    }

    /// The name of a version that was never deployed here.
    pub(crate) fn next_version(&self) -> String {
        let release = self.releases.fetch_add(1, Ordering::Relaxed) + 1;
        format!("1.{release}.0")
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        let live = self.live().ok_or(self.not_running())?;
        kill(process_id(live.pid), signal).map_err(|source| ProcessError::Signal {
            component: self.component.name,
            signal,
            source,
        })
    }

    /// Ends the process, if one runs, and returns when it is gone. Answers what became of the
    /// telemetry of all processes that the component had.
    pub(crate) async fn stop(&self) -> Delivery {
        let process = self.state.lock().await.process.take();
        self.switch_to(None);
        if let Some(process) = process {
            self.end(process).await;
        }
        self.state.lock().await.delivery
    }

    /// Asks a process to end, kills it when it does not, and notes what it says of its telemetry.
    async fn end(&self, mut process: Process) {
        if let Some(pid) = process.child.id() {
            let pid = process_id(pid);
            // A stopped process would not get the request.
            let _ = kill(pid, Signal::SIGCONT);
            let _ = kill(pid, Signal::SIGTERM);
        }
        let last_words = tokio::time::timeout(STOP_PATIENCE, process.last_words()).await;
        if last_words.is_err() {
            let _ = process.child.kill().await;
        }
        let delivery = last_words.ok().flatten();
        self.state.lock().await.delivery.merge(delivery.unwrap_or_else(|| self.untold()));
    }

    /// What a process leaves that said nothing of its telemetry: nothing where it had none.
    fn untold(&self) -> Delivery {
        if self.receiver.is_some() { Delivery::UNTOLD } else { Delivery::default() }
    }

    fn switch_to(&self, live: Option<Live>) {
        self.live.send_replace(live);
        self.target.send_replace(live.map(|live| live.business));
    }

    fn not_running(&self) -> ProcessError {
        ProcessError::NotRunning { component: self.component.name }
    }

    async fn spawn(&self, deployment: &Deployment) -> Result<(Process, Live), ProcessError> {
        let component = self.component.name;
        let spawned = self.spawner.spawn(self.command(deployment)).await;
        let mut child = spawned.map_err(|source| ProcessError::Spawn {
            component,
            program: self.program.clone(),
            source,
        })?;
        let errors = child.stderr.take();
        match tokio::time::timeout(START_PATIENCE, announcement(&mut child)).await {
            Ok(Some((output, live))) => {
                if let Some(errors) = errors {
                    tokio::spawn(relay(component, errors));
                }
                Ok((Process { child, output }, live))
            }
            Ok(None) | Err(_) => {
                let _ = child.kill().await;
                Err(ProcessError::NotReady { component, said: last_words(errors).await })
            }
        }
    }

    fn command(&self, deployment: &Deployment) -> Command {
        let mut command = Command::new(&self.program);
        let (subcommand, flaws) = match self.component.kind {
            Kind::Database => ("shop-database", Vec::new()),
            Kind::Service | Kind::Client => ("shop-service", deployment.flaw.to_arguments()),
        };
        command
            .arg(subcommand)
            .args(["--parent", &std::process::id().to_string()])
            .args(["--component", self.component.name])
            .args(["--version", &deployment.version])
            .args(&self.arguments)
            .args(self.receiver.iter().flat_map(Receiver::to_arguments))
            .envs(self.receiver.iter().filter_map(Receiver::token).map(|it| (TOKEN_VARIABLE, it)))
            .args(flaws)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C on the terminal is for the supervisor, which ends its processes itself.
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

impl Process {
    /// Waits until the process is gone, and answers what it said of its telemetry.
    async fn last_words(&mut self) -> Option<Delivery> {
        let _ = self.child.wait().await;
        let mut line = String::new();
        self.output.read_line(&mut line).await.ok()?;
        child::parse_delivery(&line)
    }
}

/// What a process announces when it is ready; `None` when it ends before.
async fn announcement(child: &mut Child) -> Option<(BufReader<ChildStdout>, Live)> {
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take()?);
    output.read_line(&mut line).await.ok()?;
    let (business, admin) = child::parse_announcement(&line)?;
    Some((output, Live { pid: child.id()?, admin, business }))
}

/// What a process writes goes to the supervisor's own log: broken connections are what the shop
/// is for, and no news on the terminal.
async fn relay(component: &'static str, errors: ChildStderr) {
    let mut lines = BufReader::new(errors).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        debug!(component, line, "a process of the shop wrote");
    }
}

/// The end of what a process wrote that did not come up.
async fn last_words(errors: Option<ChildStderr>) -> String {
    let mut said = Vec::new();
    if let Some(errors) = errors {
        let mut errors = errors.take(MAX_LAST_WORDS);
        // What was read until then is better than nothing.
        let _ = tokio::time::timeout(STOP_PATIENCE, errors.read_to_end(&mut said)).await;
    }
    String::from_utf8_lossy(&said).trim().to_owned()
}

fn process_id(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("the kernel gives out process ids below 2^22"))
}
