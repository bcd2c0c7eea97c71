//! The binaries under test, and what they leave behind.

use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The environment variable by which a test finds every process that it caused.
pub const MARK: &str = "FAULTLINE_TEST_MARK";

/// A binary of the workspace, from the build of the program that asks.
///
/// # Panics
/// When it was not built.
pub fn binary(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a running program has a path");
    let folder = this.parent().expect("a program is in a folder");
    // Tests are built into target/PROFILE/deps, binaries into target/PROFILE.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let beside = folder.join(name);
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

/// A child that does not outlive its limit, nor the test that started it.
pub struct Bounded {
    child: Child,
    over: Arc<AtomicBool>,
}

impl Bounded {
    /// Kills `child` once `limit` has passed.
    pub fn new(child: Child, limit: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (id, watched) = (pid(&child), over.clone());
        thread::spawn(move || {
            let started = Instant::now();
            while started.elapsed() < limit {
                if watched.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep(Duration::from_millis(100));
            }
            let _ = kill(id, Signal::SIGKILL);
        });
        Self { child, over }
    }

    /// The child's pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(pid(&self.child), signal).expect("the child has not been waited for");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("it is this process's child");
        self.over.store(true, Ordering::Relaxed);
        status
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        self.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("process ids fit into 32 bits"))
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
