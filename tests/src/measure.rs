//! What benchmarks print, and when.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "part of benchmarks")]

use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// A line of a table.
pub fn row(name: &str, value: impl std::fmt::Display) {
    println!("{name:<34} {value}");
}

/// So many a second.
pub fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// Tells on standard error how far a long step is, every few seconds.
pub struct Progress {
    what: &'static str,
    done: usize,
    of: usize,
    started: Instant,
    told: Instant,
}

impl Progress {
    /// Begins a step of `of` things.
    pub fn new(what: &'static str, of: usize) -> Self {
        let now = Instant::now();
        Self { what, done: 0, of, started: now, told: now }
    }

    /// So many more are done.
    pub fn add(&mut self, count: usize) {
        self.done += count;
        let pause = Duration::from_secs(if std::io::stderr().is_terminal() { 1 } else { 10 });
        if self.told.elapsed() >= pause {
            self.told = Instant::now();
            let rate = self.done as f64 / self.started.elapsed().as_secs_f64();
            eprintln!("  {} of {} {}, {rate:.0}/s", self.done, self.of, self.what);
        }
    }
}

/// The resident memory of a process in megabytes.
pub fn memory_mb(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
    kilobytes.map_or(f64::NAN, |kilobytes: f64| kilobytes / 1024.0)
}
