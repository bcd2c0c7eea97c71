//! What the log costs, as ratios to what the disk itself does with the same bytes in the same
//! run: a disk's speed differs from machine to machine and from minute to minute, the ratio says
//! what we add to it. Everything is measured several times in turn, and the median is printed.
//!
//! ```text
//! cargo bench -p events --bench append -- [--only appends|history|compression] [--events N] \
//!     [--random-ids]
//! ```
//!
//! It works in the system's folder for temporary files; `TMPDIR` names another disk.
//! `FAULTLINE_BENCH_POSTGRES` names a PostgreSQL to compare with (a connection string; a table
//! `faultline_bench` is made there and dropped again).
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

mod appends;
mod compression;
mod history;
mod process;
mod raw;
mod stores;
mod workload;

use workload::Ids;

/// Events of a history, unless `--events` says otherwise: what a run of a minute takes.
const DEFAULT_EVENTS: u64 = 500_000;

fn main() {
    let mut only = None;
    let mut events = DEFAULT_EVENTS;
    let mut ids = Ids::Rising;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only = arguments.next(),
            "--events" => events = arguments.next().unwrap().replace('_', "").parse().unwrap(),
            "--random-ids" => ids = Ids::Random,
            // What cargo adds.
            "--bench" => {}
            // The history's child, see there.
            history::CHILD => return history::be_killed(arguments),
            other => panic!("unknown argument {other:?}"),
        }
    }
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    if wanted("appends") {
        appends::run();
    }
    if wanted("history") {
        history::run(events, ids);
    }
    if wanted("compression") {
        compression::run(events);
    }
}
