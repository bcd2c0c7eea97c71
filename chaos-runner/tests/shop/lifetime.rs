//! Nothing of the shop outlives its supervisor, however that ends.

use std::process::Stdio;
use std::time::{Duration, Instant};

use chaos_runner::shop::control::ControlClient;
use events::catalogue::fault_kind::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::harness::{PATIENCE, is_running, program, spec};

struct Supervisor {
    child: Child,
    control: ControlClient,
}

impl Supervisor {
    async fn start() -> Self {
        let mut child = Command::new(program())
            .args(["shop", "--window", "1s", "--until-stdin-closes", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready: Value =
            serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!(ready["ready"], true);
        // The pipe stays open: a supervisor that cannot write any more would end for that.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, control: ControlClient::new(ready["control"].as_str().unwrap()) }
    }

    /// Its processes, two of them under a fault.
    async fn break_and_list(&self) -> Vec<u32> {
        let status = self.control.status().await.unwrap();
        let pids: Vec<_> = status.components.iter().filter_map(|c| c.pid).collect();
        assert_eq!(pids.len(), 7);
        for (kind, component) in [(PROCESS_PAUSE, "catalog"), (CPU_STARVATION, "cart")] {
            self.control.inject(&spec(kind, component, json!({}))).await.unwrap();
        }
        assert!(pids.iter().all(|pid| is_running(*pid)));
        pids
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    async fn ended(&mut self) {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
    }
}

async fn all_gone(pids: &[u32]) {
    let began = Instant::now();
    while pids.iter().any(|pid| is_running(*pid)) {
        assert!(began.elapsed() < PATIENCE, "still running of {pids:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_supervisor_kills_every_process() {
    let mut supervisor = Supervisor::start().await;
    let pids = supervisor.break_and_list().await;
    supervisor.signal(Signal::SIGKILL);
    supervisor.ended().await;
    all_gone(&pids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_or_the_end_of_input_ends_every_process() {
    for signal in [Some(Signal::SIGINT), Some(Signal::SIGTERM), None] {
        let mut supervisor = Supervisor::start().await;
        let pids = supervisor.break_and_list().await;
        match signal {
            Some(signal) => supervisor.signal(signal),
            None => drop(supervisor.child.stdin.take()),
        }
        supervisor.ended().await;
        assert!(pids.iter().all(|pid| !is_running(*pid)), "after {signal:?}");
    }
}
