//! Appending in batches, one writer or many.

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::process::cpu_seconds;
use crate::stores::{LOG, Store, others};
use crate::workload::{Workload, stored_bytes};
use crate::{raw, stores};

/// How often everything is measured in turn.
const ROUNDS: usize = 7;

/// Who appends what.
struct Case {
    name: &'static str,
    writers: usize,
    batches: usize,
    size: usize,
}

const CASES: [Case; 5] = [
    Case { name: "1", writers: 1, batches: 400, size: 1 },
    Case { name: "10", writers: 1, batches: 400, size: 10 },
    Case { name: "100", writers: 1, batches: 200, size: 100 },
    Case { name: "1000", writers: 1, batches: 30, size: 1000 },
    Case { name: "10, from 16 tasks", writers: 16, batches: 80, size: 10 },
];

/// What one way took, by round.
struct Taken {
    name: &'static str,
    times: Vec<Duration>,
    cpu_seconds: f64,
}

pub fn run() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!(
        "appending, medians of {ROUNDS} rounds; the ratio is to raw appends to a growing file"
    );
    for case in &CASES {
        println!("\nbatches of {}", case.name);
        println!(
            "{:>18} {:>10} {:>12} {:>7} {:>10}",
            "", "µs/batch", "events/s", "ratio", "CPU µs/ev"
        );
        report(case, &measure(&runtime, case));
    }
}

fn measure(runtime: &Runtime, case: &Case) -> Vec<Taken> {
    let stores: Vec<Store> = [LOG].into_iter().chain(others()).collect();
    let names = ["raw, growing", "raw, preallocated", "raw, of JSON"].into_iter();
    let names = names.chain(stores.iter().map(|store| store.name));
    let mut taken: Vec<Taken> =
        names.map(|name| Taken { name, times: Vec::new(), cpu_seconds: 0.0 }).collect();
    let mut workload = Workload::new();
    for _ in 0..ROUNDS {
        let mut bytes = 0;
        for (store, taken) in stores.iter().zip(&mut taken[3..]) {
            let folder = tempfile::tempdir().unwrap();
            let work: stores::Work =
                (0..case.writers).map(|_| workload.batches(case.batches, case.size)).collect();
            let before = cpu_seconds();
            taken.times.push((store.append)(runtime, folder.path(), work));
            taken.cpu_seconds += cpu_seconds() - before;
            if store.name == LOG.name {
                bytes = stored_bytes(folder.path()) as usize;
            }
        }
        // Several writers can share a sync; a raw writer of the same bytes would, too.
        let (bytes, times) = (bytes / case.batches, case.batches);
        let folder = tempfile::tempdir().unwrap();
        for (raw, taken) in [raw::growing, raw::preallocated].into_iter().zip(&mut taken) {
            let before = cpu_seconds();
            taken.times.push(raw(folder.path(), bytes, times));
            taken.cpu_seconds += cpu_seconds() - before;
        }
        let work: stores::Work =
            (0..case.writers).map(|_| workload.batches(case.batches, case.size)).collect();
        let before = cpu_seconds();
        taken[2].times.push(raw::of_events(folder.path(), bytes, &work));
        taken[2].cpu_seconds += cpu_seconds() - before;
    }
    taken
}

fn report(case: &Case, taken: &[Taken]) {
    let events = (case.writers * case.batches * case.size) as f64;
    let raw = &taken[0].times;
    for Taken { name, times, cpu_seconds } in taken {
        let seconds = median(times.iter().map(Duration::as_secs_f64).collect());
        let ratios =
            raw.iter().zip(times).map(|(raw, time)| raw.as_secs_f64() / time.as_secs_f64());
        println!(
            "{name:>18} {:>10.0} {:>12.0} {:>7.2} {:>10.1}",
            seconds * 1e6 / case.batches as f64,
            events / seconds,
            median(ratios.collect()),
            cpu_seconds * 1e6 / (events * ROUNDS as f64),
        );
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
