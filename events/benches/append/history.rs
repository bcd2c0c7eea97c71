//! A long history: what it takes on disk, in memory and in CPU time, how fast it is read, and how
//! soon it is open again after a crash.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use events::log::{EmbeddedLog, EventLog, ExpectedRevision, Options};
use tokio::task::JoinSet;

use crate::appends::median;
use crate::process::{cpu_seconds, resident_bytes};
use crate::workload::{Ids, Workload, record_bytes, stored_bytes, stream};

/// Argument of the child that fills the log and is killed.
pub const CHILD: &str = "fill-until-killed";
const RANDOM: &str = "random-ids";

const BATCH: usize = 100;
/// Batches on their way at once.
const IN_FLIGHT: usize = 32;
const STREAMS: usize = 50;
const ROUNDS: usize = 3;

/// Measures a history of `events` events.
pub fn run(events: u64, ids: Ids) {
    let folder = tempfile::tempdir().unwrap();
    println!("\na history of {events} events, written in batches of {BATCH}; ids: {ids:?}");
    fill_and_kill(folder.path(), events, ids, true);
    let reopened: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            drop(EmbeddedLog::open(folder.path(), Options::default()).unwrap());
            let seconds = started.elapsed().as_secs_f64();
            fill_and_kill(folder.path(), 20_000, ids, false);
            seconds
        })
        .collect();
    let worst = reopened.iter().copied().fold(0.0, f64::max);
    println!(
        "reopened after kill -9 in {:.0} ms, at worst {:.0} ms",
        median(reopened) * 1e3,
        worst * 1e3
    );
    on_disk(folder.path());
    reading(folder.path());
}

/// Runs the child until it has appended `events`, and kills it while it goes on.
fn fill_and_kill(folder: &Path, events: u64, ids: Ids, tell: bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(CHILD)
        .arg(folder)
        .arg(events.to_string())
        .args((ids == Ids::Random).then_some(RANDOM))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line == "filled" {
            break;
        }
        if tell {
            println!("{line}");
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Appends for ever, and says when `events` are there.
pub fn be_killed(mut arguments: impl Iterator<Item = String>) {
    let folder = arguments.next().unwrap();
    let events: u64 = arguments.next().unwrap().parse().unwrap();
    let ids = if arguments.next().as_deref() == Some(RANDOM) { Ids::Random } else { Ids::Rising };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(fill(Path::new(&folder), events, ids));
}

async fn fill(folder: &Path, events: u64, ids: Ids) {
    let generator = generator_cpu_micros();
    let before = resident_bytes();
    let log = Arc::new(EmbeddedLog::open(folder, Options::default()).unwrap());
    let mut workload = Workload::new().with(ids);
    let mut on_the_way = JoinSet::new();
    let (mut appended, mut peak) = (0, 0);
    let tell_every = (events / 10).max(1);
    let mut told = 0;
    let (started, cpu) = (Instant::now(), cpu_seconds());
    loop {
        while on_the_way.len() < IN_FLIGHT {
            let (log, batch) = (Arc::clone(&log), workload.batch(BATCH));
            let stream = stream(appended as usize / BATCH % STREAMS);
            on_the_way.spawn(async move {
                // As the server does, to tell a retry from an id that is taken.
                let ids = batch.iter().map(|event| event.id).collect();
                assert!(log.find_each(ids).await.unwrap().is_empty());
                log.append(stream, ExpectedRevision::Any, batch).await.unwrap();
            });
            appended += BATCH as u64;
        }
        on_the_way.join_next().await.unwrap().unwrap();
        peak = peak.max(resident_bytes().saturating_sub(before));
        let head = log.head();
        if appended / tell_every > told && told < 10 {
            told = appended / tell_every;
            println!("  memory up to {head:>9} events: peak {:.1} MB", peak as f64 / 1e6);
        }
        if told == 10 {
            told += 1;
            let (time, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
            let each = cpu * 1e6 / appended as f64;
            println!("written at {:.0} events/s", appended as f64 / time);
            println!(
                "CPU {:.2} µs an event, without {generator:.2} to make one up",
                each - generator
            );
            println!("filled");
            std::io::stdout().flush().unwrap();
        }
    }
}

/// What an event costs that is made up and dropped.
fn generator_cpu_micros() -> f64 {
    const EVENTS: usize = 200_000;
    let mut workload = Workload::new();
    let before = cpu_seconds();
    for _ in 0..EVENTS / BATCH {
        std::hint::black_box(workload.batch(BATCH));
    }
    (cpu_seconds() - before) * 1e6 / EVENTS as f64
}

fn on_disk(folder: &Path) {
    let segments = stored_bytes(folder) as f64;
    let index = folder_bytes(&folder.join("index")) as f64;
    println!(
        "segments {:.0} MB, {:.3} stored bytes a byte of records; index {:.0} MB",
        segments / 1e6,
        segments / record_bytes(folder) as f64,
        index / 1e6
    );
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => folder_bytes(&entry.path()),
            false => entry.metadata().unwrap().len(),
        })
        .sum()
}

fn reading(folder: &Path) {
    let log = EmbeddedLog::open(folder, Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let bytes = stored_bytes(folder) as f64;
    let (mut raw, mut verified) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        raw.push(read_raw(folder));
        let started = Instant::now();
        log.verify(&mut |_| ()).unwrap();
        verified.push(started.elapsed().as_secs_f64());
    }
    let typed = runtime.block_on(async {
        let started = Instant::now();
        let mut after = 0;
        while after < log.head() {
            after = log.read_all(after, 1000).await.unwrap().last().unwrap().position;
        }
        started.elapsed().as_secs_f64()
    });
    let raw = median(raw);
    for (name, seconds) in [("raw", raw), ("verify", median(verified)), ("typed", typed)] {
        println!(
            "{name:>10} {:>10.0} events/s, {:>6.0} stored MB/s, {:.2} of raw",
            log.head() as f64 / seconds,
            bytes / seconds / 1e6,
            raw / seconds,
        );
    }
}

/// Reads every segment file as it is.
pub fn read_raw(folder: &Path) -> f64 {
    let mut buffer = vec![0; 1 << 20];
    let started = Instant::now();
    for entry in std::fs::read_dir(folder.join("segments")).unwrap() {
        let file = std::fs::File::open(entry.unwrap().path()).unwrap();
        let mut at = 0;
        loop {
            let read = file.read_at(&mut buffer, at).unwrap();
            if read == 0 {
                break;
            }
            std::hint::black_box(&buffer);
            at += read as u64;
        }
    }
    started.elapsed().as_secs_f64()
}
