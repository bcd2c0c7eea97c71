//! The demo as a newcomer runs it, and as a newcomer interrupts it.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::process::{Bounded, MARK, binary, eventually, mark, marked};

/// Two demos at once would be each other's noise.
static ONE_DEMO: Mutex<()> = Mutex::new(());
const DEMO_LIMIT: Duration = Duration::from_secs(400);
const END_LIMIT: Duration = Duration::from_secs(90);

fn alone() -> MutexGuard<'static, ()> {
    ONE_DEMO.lock().unwrap_or_else(PoisonError::into_inner)
}

fn demo(mark: &str, data: &Path, arguments: &[&str]) -> Bounded {
    let child = Command::new(binary("faultline"))
        .args(["demo", "--data"])
        .arg(data)
        .args(arguments)
        .env(MARK, mark)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the demo's binary can be started");
    Bounded::new(child, DEMO_LIMIT)
}

fn nothing_is_left(mark: &str) {
    eventually("every process of the demo is gone", END_LIMIT, || {
        marked(mark).is_empty().then_some(())
    });
}

/// Reads what the demo prints until a line begins with `name`.
fn read_until(out: &mut impl BufRead, name: &str) {
    let mut line = String::new();
    loop {
        line.clear();
        let read = out.read_line(&mut line).expect("the demo prints UTF-8");
        assert!(read > 0, "the demo ended before {name:?}");
        if line.trim_start().starts_with(name) {
            return;
        }
    }
}

#[test]
fn demo_tells_three_incidents_and_leaves_nothing_behind() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let mark = mark();
    let mut child = demo(&mark, &folder.path().join("demo"), &["--exit", "--json", "--seed", "1"]);
    let out = BufReader::new(child.child().stdout.take().expect("stdout is a pipe"));
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(&line.expect("UTF-8")).expect("one JSON document a line"))
        .collect();
    let status = child.wait();
    assert!(status.success(), "{status}");
    let phases: Vec<&str> = lines.iter().filter_map(|line| line["phase"].as_str()).collect();
    assert_eq!(phases, ["x", "y", "random"]);
    for line in &lines {
        assert!(line["truth"]["component"].is_string(), "{line}");
        assert!(line["truth"]["fault_kind"].is_string(), "{line}");
        assert!(line["injected_at"].is_string(), "{line}");
        assert!(line["suspects"].is_array() && line["similar"].is_array(), "{line}");
        assert_eq!(line["incident"].is_string(), line["detected_at"].is_string(), "{line}");
    }
    assert_eq!(lines[0]["truth"]["fault_kind"], lines[1]["truth"]["fault_kind"]);
    assert_ne!(lines[0]["truth"]["component"], lines[1]["truth"]["component"]);
    nothing_is_left(&mark);
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let _alone = alone();
    // What the demo has just said when it is interrupted, and how.
    let moments = [
        ("Faultline demo", Signal::SIGINT),
        ("server", Signal::SIGTERM),
        ("shop", Signal::SIGINT),
        ("injected", Signal::SIGINT),
        ("injected", Signal::SIGKILL),
    ];
    for (moment, how) in moments {
        let folder = tempfile::tempdir().unwrap();
        let mark = mark();
        let mut child = demo(
            &mark,
            &folder.path().join("demo"),
            &["--empty", "--seed", "3", "--window-ms", "1000"],
        );
        let mut out = BufReader::new(child.child().stdout.take().expect("stdout is a pipe"));
        read_until(&mut out, moment);
        child.signal(how);
        // Reading on: a full pipe must not be what keeps the demo alive.
        std::io::copy(&mut out, &mut std::io::sink()).expect("the demo prints UTF-8");
        let status = child.wait();
        assert!(!status.success(), "interrupted at {moment:?} by {how}: {status}");
        nothing_is_left(&mark);
    }
}
