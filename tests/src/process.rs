//! The binaries under test, and what they leave behind.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The environment variable by which a test finds every process that it caused.
pub const MARK: &str = "FAULTLINE_TEST_MARK";

/// A binary of the workspace, beside the test that asks.
///
/// # Panics
/// When it was not built.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let beside = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("tests are built into target/PROFILE/deps")
        .join(name);
    assert!(beside.is_file(), "{} is missing: run `cargo build` first", beside.display());
    beside
}

/// A new mark for a process and everything that it starts.
pub fn mark() -> String {
    events::EventId::generate().to_string()
}

/// The processes that carry the mark in their environment, with their command lines.
pub fn marked(mark: &str) -> Vec<(u32, String)> {
    let wanted = format!("{MARK}={mark}");
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id: u32| {
        let environment = std::fs::read(format!("/proc/{id}/environ")).ok()?;
        let carries = environment.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes());
        let command = std::fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
        carries.then(|| (id, command.replace('\0', " ")))
    })
    .collect()
}

/// Asks until there is an answer.
///
/// # Panics
/// When there is none in time.
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < limit, "{what}: not within {} s", limit.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}
