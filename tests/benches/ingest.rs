//! How fast events come in and become the graph, with what the same batches cost the log alone and
//! what the same rows cost the store alone.
//!
//! Batches of a hundred CloudEvents, telemetry of a shop with faults in it and the events of
//! recorded incidents among it:
//! 1. appended to a log in this process, by as many tasks as there will be connections;
//! 2. posted to the real server over HTTP, which projects and decides meanwhile;
//! 3. projected once more from its log into an empty graph, and the rows of that graph inserted
//!    into another empty store by bare statements.
//!
//! `cargo bench --workspace --bench ingest`; a small run: `-- --seconds 5`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

#[path = "ingest/graph.rs"]
mod graph;
#[path = "ingest/http.rs"]
mod http;
#[path = "ingest/log.rs"]
mod log;
#[path = "ingest/workload.rs"]
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tests::measure::row;

use workload::Workload;

/// What to measure, and for how long.
#[derive(Debug, Parser)]
struct Load {
    /// Seconds of posting.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Connections.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Events in a batch.
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Most events a second that are made ready beforehand.
    #[arg(long, default_value_t = 100_000)]
    ready: usize,
    /// Events that are projected and whose rows are inserted.
    #[arg(long, default_value_t = 100_000)]
    projected: usize,
    /// Recorded incidents to mix in: files or folders of NDJSON.
    #[arg(long, default_value = "seed-data")]
    recorded: PathBuf,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// As the server has it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let load = Load::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&load));
}

async fn measure(load: &Load) {
    let workload = Workload::of(&load.recorded, load.batch);
    let folder = tempfile::tempdir().unwrap();

    println!("== the log alone ==");
    let count = load.projected.div_ceil(load.batch);
    let alone = log::rate(&folder.path().join("log"), workload.batches(count), load).await;
    row("appended", format!("{alone:.0} events/s"));

    println!("\n== over HTTP ==");
    let data = folder.path().join("server");
    let count = (load.seconds as usize * load.ready).div_ceil(load.batch);
    let posted = http::post(&data, workload.bodies(count), load).await;
    let (seconds, least) = (load.seconds as f64, Duration::from_secs(1));
    let answered = posted.events as f64 / posted.posting.max(least).as_secs_f64();
    row("acknowledged", format!("{answered:.0} events/s, {} in all", posted.events));
    if posted.posting.as_secs_f64() < 0.9 * seconds {
        row("it ended early", format!("{:.0} s: see --ready", posted.posting.as_secs_f64()));
    }
    row("ratio to the log alone", format!("{:.2} (to be at least 0.5)", answered / alone));
    row("refused, to be sent again", posted.refused);
    let meanwhile = posted.projected_meanwhile as f64 / posted.posting.max(least).as_secs_f64();
    row("projected meanwhile", format!("{meanwhile:.0} events/s"));
    let meanwhile = posted.decided_meanwhile as f64 / posted.posting.max(least).as_secs_f64();
    row("decided meanwhile", format!("{meanwhile:.0} events/s"));
    row("greatest lag", format!("{} events", posted.greatest_lag));
    row("ready all the time", if posted.always_ready { "yes" } else { "no: /readyz was 503" });
    let behind = posted.caught_up.as_secs_f64();
    row("graph caught up behind it in", format!("{behind:.1} s"));
    row("most memory of the server", format!("{:.0} MB", posted.memory_mb));

    println!("\n== the graph alone ==");
    graph::measure(&data.join("log"), folder.path(), load.projected).await;
}
