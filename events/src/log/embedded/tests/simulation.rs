//! EL-1 to EL-6 on a simulated disk, from seeds: an acknowledged event survives every crash, nothing
//! else is ever half there, and damage that no crash does is told with its place.
//!
//! `just sim` runs a range of seeds, `just sim 42` a single one. A seed that once failed is kept
//! in `simulation/seeds.txt` and goes first in every run.

mod damage;
pub mod disk;
mod model;
pub mod random;
mod run;

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use self::run::{Count, Run};

/// Without another wish.
const SEEDS: Range<u64> = 0..48;
/// What the promise is, for those seeds.
const CRASHES: usize = 100_000;

/// Says how to see a failure again.
struct Repeat(u64);

impl Drop for Repeat {
    #[allow(clippy::print_stdout, reason = "shown when the test fails")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed) = self;
            println!(
                "seed {seed} failed; to repeat it: just sim {seed}, or\n  FAULTLINE_SIM_SEEDS={seed} \
                 cargo test -p events --lib simulation -- --nocapture\nKeep it in \
                 simulation/seeds.txt."
            );
        }
    }
}

fn kept() -> Vec<u64> {
    let lines = include_str!("simulation/seeds.txt").lines();
    let seeds = lines.filter_map(|line| line.split('#').next());
    seeds.filter(|seed| !seed.trim().is_empty()).map(|seed| seed.trim().parse().unwrap()).collect()
}

/// A seed, or a range of them, from the environment.
#[allow(clippy::disallowed_methods, reason = "for the recipe of the tests")]
fn wished() -> Option<Range<u64>> {
    let text = std::env::var("FAULTLINE_SIM_SEEDS").ok()?;
    let number = |text: &str| text.parse().expect("a seed such as 42, or a range such as 0..1000");
    Some(match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(&text)..number(&text) + 1,
    })
}

#[test]
#[allow(clippy::print_stdout, reason = "what was done, for those who ask with --nocapture")]
fn acknowledged_events_survive_every_simulated_crash() {
    let started = Instant::now();
    let seeds: Vec<u64> = match wished() {
        Some(seeds) => seeds.collect(),
        None => {
            let kept = kept();
            let others: Vec<u64> = SEEDS.filter(|seed| !kept.contains(seed)).collect();
            [kept, others].concat()
        }
    };
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Count::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _repeat = Repeat(*seed);
                    let count = Run::new(*seed).run();
                    let mut total = total.lock().unwrap();
                    total.crashes += count.crashes;
                    total.in_recovery += count.in_recovery;
                    total.damaged += count.damaged;
                    total.packed += count.packed;
                    total.pruned += count.pruned;
                }
            });
        }
    });
    let Count { crashes, in_recovery, damaged, packed, pruned } = *total.lock().unwrap();
    println!(
        "{} seeds, {crashes} crashes ({in_recovery} of them during recovery), {damaged} damages, \
         {packed} segments compressed, {pruned} pruned, {:.1} s",
        seeds.len(),
        started.elapsed().as_secs_f64()
    );
    assert!(wished().is_some() || crashes >= CRASHES, "{crashes} crashes are too few");
    assert!(wished().is_some() || packed > 0, "no segment was compressed");
    assert!(wished().is_some() || pruned > 0, "no segment was pruned");
}
