//! What compressing full segments saves, and what reading them costs then, beside the same log as
//! it was written.

use std::path::Path;
use std::time::{Duration, Instant};

use events::log::{EmbeddedLog, EventLog, ExpectedRevision, Options};
use tokio::runtime::Runtime;

use crate::appends::median;
use crate::history::read_raw;
use crate::process::cpu_seconds;
use crate::workload::{Workload, record_bytes, stored_bytes, stream};

const BATCH: usize = 100;
const STREAMS: usize = 50;
const ROUNDS: usize = 3;
/// The fastest, Zstandard's own default, and one for archives.
const LEVELS: [i32; 3] = [1, 3, 9];
/// Small enough that next to nothing stays in the last segment, which is never compressed.
const SEGMENT_BYTES: u64 = 16 << 20;

/// What a log takes.
struct Measured {
    bytes: f64,
    scan: f64,
    verify: f64,
    raw: f64,
}

/// Measures a log of `events` events, as written and at every level.
pub fn run(events: u64) {
    let runtime = Runtime::new().unwrap();
    println!(
        "\ncompression of a log of {events} events; speeds and ratios are medians of {ROUNDS}"
    );
    let plain = tempfile::tempdir().unwrap();
    runtime.block_on(fill(plain.path(), events));
    let records = record_bytes(plain.path()) as f64;
    let written = measure(&runtime, plain.path());
    println!(
        "{:>10} {:>9} {:>12} {:>10} {:>10} {:>10} {:>12}",
        "", "stored MB", "byte/record", "raw read", "scan", "verify", "MB/CPU s"
    );
    tell("as written", &written, &written, records, None);
    for level in LEVELS {
        let cpu = compress(plain.path(), level);
        let packed = measure(&runtime, plain.path());
        tell(&format!("level {level}"), &packed, &written, records, Some(written.bytes / cpu));
        drop(EmbeddedLog::open(plain.path(), options(None)).unwrap());
        refill(&runtime, plain.path(), events);
    }
}

fn options(compression: Option<i32>) -> Options {
    Options { segment_bytes: SEGMENT_BYTES, compression, ..Options::default() }
}

async fn fill(folder: &Path, events: u64) {
    let log = EmbeddedLog::open(folder, options(None)).unwrap();
    let mut workload = Workload::new();
    for batch in 0..events as usize / BATCH {
        let to = stream(batch % STREAMS);
        log.append(to, ExpectedRevision::Any, workload.batch(BATCH)).await.unwrap();
    }
}

/// The same log as written again: what is compressed stays so.
fn refill(runtime: &Runtime, folder: &Path, events: u64) {
    std::fs::remove_dir_all(folder).unwrap();
    runtime.block_on(fill(folder, events));
}

/// Compresses every full segment; CPU seconds.
fn compress(folder: &Path, level: i32) -> f64 {
    let before = cpu_seconds();
    let _log = EmbeddedLog::open(folder, options(Some(level))).unwrap();
    while plain_segments(folder) > 1 {
        std::thread::sleep(Duration::from_millis(20));
    }
    cpu_seconds() - before
}

fn plain_segments(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder.join("segments")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().unwrap() == "seg").count()
}

fn measure(runtime: &Runtime, folder: &Path) -> Measured {
    let log = EmbeddedLog::open(folder, options(None)).unwrap();
    let (mut scans, mut verified, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        raw.push(read_raw(folder));
        let started = Instant::now();
        runtime.block_on(async {
            let mut after = 0;
            while after < log.head() {
                after = log.read_all(after, 1000).await.unwrap().last().unwrap().position;
            }
        });
        scans.push(started.elapsed().as_secs_f64());
        let started = Instant::now();
        log.verify(&mut |_| ()).unwrap();
        verified.push(started.elapsed().as_secs_f64());
    }
    let bytes = stored_bytes(folder) as f64;
    Measured { bytes, scan: median(scans), verify: median(verified), raw: median(raw) }
}

/// Times are told as speeds, those of the log as written being 1.
fn tell(name: &str, it: &Measured, written: &Measured, records: f64, speed: Option<f64>) {
    let speed = speed.map_or_else(String::new, |speed| format!("{:.0}", speed / 1e6));
    println!(
        "{name:>10} {:>9.1} {:>12.3} {:>10.2} {:>10.2} {:>10.2} {speed:>12}",
        it.bytes / 1e6,
        it.bytes / records,
        written.raw / it.raw,
        written.scan / it.scan,
        written.verify / it.verify,
    );
}
