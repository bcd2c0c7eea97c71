//! The program under test and what it leaves behind.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_chaos-runner");

/// Longest wait for anything; only a failing test waits that long.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub const SLOW_PAYMENTS: &str = r#"
title: Slow payments
description: Payments take their time.
tags: [test]
extensions:
  - {name: faultline, span_ms: 1500}
steady-state-hypothesis:
  title: Payments are quick
  probes:
    - name: p95 of payments
      type: probe
      tolerance: [0, 300]
      provider: {type: faultline, signal: p95_ms, component: payments}
method:
  - name: delay payments
    type: action
    provider:
      type: faultline
      fault: latency
      component: payments
      arguments: {delay_ms: 400}
      duration_ms: DURATION
rollbacks:
  - name: undo it, which is done by then
    type: action
    provider: {type: faultline, clear: delay payments}
"#;

/// A program under test: JSON lines on standard output, and nothing left behind.
pub struct Program {
    pub child: Child,
    pub lines: Lines<BufReader<ChildStdout>>,
    pub stdin: ChildStdin,
}

impl Program {
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--json").arg("--state").arg(folder.join("state"));
        command.current_dir(folder).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let stdin = child.stdin.take().unwrap();
        Self { child, lines, stdin }
    }

    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// The next line that `wanted` accepts.
    pub async fn line(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                let line: Value = serde_json::from_str(&line).unwrap();
                if wanted(&line) {
                    return line;
                }
            }
            panic!("the program ended without the expected line");
        };
        timeout(PATIENCE, wait).await.expect("the expected line in time")
    }

    pub async fn event(&mut self, name: &str) -> Value {
        self.line(|line| line["event"] == name).await
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    pub async fn end(mut self) -> ExitStatus {
        let wait = async {
            // Reading on keeps the pipe from filling up.
            while self.lines.next_line().await.unwrap().is_some() {}
            self.child.wait().await.unwrap()
        };
        timeout(PATIENCE, wait).await.expect("the program ends")
    }
}

/// Processes whose command line says that they belong to the supervisor `pid`.
pub fn processes_of(pid: u32) -> Vec<String> {
    let wanted = format!("--parent\0{pid}\0");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok())
        .filter(|command| command.contains(&wanted))
        .collect()
}

pub fn experiment(folder: &Path, duration_ms: u64) -> PathBuf {
    let path = folder.join("slow.yaml");
    let mut file = std::fs::File::create(&path).unwrap();
    let text = SLOW_PAYMENTS.replace("DURATION", &duration_ms.to_string());
    file.write_all(text.as_bytes()).unwrap();
    path
}

pub async fn open_shop(folder: &Path) -> (Program, String) {
    let arguments = ["shop", "--until-stdin-closes", "--window", "500ms"];
    let mut shop = Program::start(folder, &arguments);
    let ready = shop.line(|line| line["ready"] == true).await;
    let control = ready["control"].as_str().unwrap().to_owned();
    (shop, control)
}
