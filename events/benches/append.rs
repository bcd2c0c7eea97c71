//! What an append costs, as ratios to a raw append and `fdatasync` of the same bytes in the same
//! run: the disk's own speed differs from machine to machine, the ratio says what we add to it.
//!
//! `cargo bench -p events` runs it on the system's folder for temporary files; `TMPDIR` names
//! another disk.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::catalogue::telemetry::{Latency, MetricSnapshotRecorded, Window};
use events::log::{EmbeddedLog, EventLog, ExpectedRevision, Options};
use events::value::{Line, NonNegative, Ratio};
use events::{ComponentName, Event, StreamId, Timestamp};

/// Events of one measurement, fewer where every one has a sync of its own.
const EVENTS: usize = 20_000;
const MAX_SYNCS: usize = 500;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    println!("{:<22} {:>12} {:>12} {:>7}", "batches of", "log ev/s", "raw ev/s", "ratio");
    for size in [1, 10, 100, 1000] {
        let batches = (EVENTS / size).min(MAX_SYNCS);
        report(&size.to_string(), runtime.block_on(measure(1, batches, size)));
    }
    report("10, from 16 tasks", runtime.block_on(measure(16, MAX_SYNCS / 4, 10)));
    runtime.block_on(scan());
}

/// One way of appending, measured.
struct Measured {
    events: usize,
    log: Duration,
    /// The same bytes in the same batches by one raw writer.
    raw: Duration,
}

fn report(name: &str, Measured { events, log, raw }: Measured) {
    let rate = |time: Duration| events as f64 / time.as_secs_f64();
    let ratio = raw.as_secs_f64() / log.as_secs_f64();
    println!("{name:<22} {:>12.0} {:>12.0} {ratio:>7.2}", rate(log), rate(raw));
}

fn snapshot(n: usize) -> Event {
    let ms = |ms| NonNegative::new(ms).unwrap();
    let latency = Latency { p50_ms: ms(12.5), p95_ms: ms(48.0), p99_ms: ms(120.25), mean_ms: None };
    Event::new(
        Line::clipped("/shop/proxy"),
        Timestamp::now(),
        MetricSnapshotRecorded {
            component: ComponentName::new(format!("component-{}", n % 50)).unwrap(),
            window: Window { start: Timestamp::now(), duration_ms: 10_000 },
            requests: Some(1200),
            errors: Some(n as u64 % 40),
            latency: Some(latency),
            saturation: Some(Ratio::new(0.75).unwrap()),
            cpu_cores: Some(ms(0.4)),
            memory_bytes: Some(ms(73_400_320.0)),
            extras: [].into(),
        },
    )
}

async fn measure(tasks: usize, batches: usize, size: usize) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(EmbeddedLog::open(folder.path(), Options::default()).unwrap());
    let work: Vec<Vec<Vec<Event>>> = (0..tasks)
        .map(|_| (0..batches).map(|_| (0..size).map(snapshot).collect()).collect())
        .collect();
    let started = Instant::now();
    let tasks: Vec<_> = work
        .into_iter()
        .enumerate()
        .map(|(task, batches)| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let stream = StreamId::new(format!("telemetry-{task}")).unwrap();
                for batch in batches {
                    log.append(stream.clone(), ExpectedRevision::Any, batch).await.unwrap();
                }
            })
        })
        .collect();
    let writers = tasks.len();
    for task in tasks {
        task.await.unwrap();
    }
    let log_time = started.elapsed();
    let events = writers * batches * size;
    let batch_bytes = stored_bytes(folder.path()) / (writers * batches);
    // Several tasks share a sync; a raw writer of the same bytes would, too.
    let raw = raw_append(folder.path(), batch_bytes * writers, batches);
    Measured { events, log: log_time, raw }
}

/// Bytes up to the last one that is not zero, over all segments.
fn stored_bytes(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("segments"))
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .map(|bytes| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1))
        .sum()
}

fn raw_append(folder: &Path, bytes: usize, times: usize) -> Duration {
    let block = vec![0x5a; bytes];
    let mut file = File::create(folder.join("raw")).unwrap();
    let started = Instant::now();
    for _ in 0..times {
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
    }
    started.elapsed()
}

/// Reading everything back, typed, against reading the same bytes.
async fn scan() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), Options::default()).unwrap();
    let stream = StreamId::new("telemetry").unwrap();
    for _ in 0..EVENTS / 1000 {
        let batch = (0..1000).map(snapshot).collect();
        log.append(stream.clone(), ExpectedRevision::Any, batch).await.unwrap();
    }
    let started = Instant::now();
    let mut after = 0;
    while after < EVENTS as u64 {
        after = log.read_all(after, 1000).await.unwrap().last().unwrap().position;
    }
    let time = started.elapsed().as_secs_f64();
    let megabytes = stored_bytes(folder.path()) as f64 / 1e6;
    println!(
        "\nread back: {:.0} typed events/s, {:.0} MB/s, {:.0} bytes stored an event",
        EVENTS as f64 / time,
        megabytes / time,
        megabytes * 1e6 / EVENTS as f64,
    );
}
