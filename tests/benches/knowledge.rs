//! How fast the knowledge base answers, starts and is made again, and what memory it takes.
//!
//! Two servers' worth of history are measured. First the real server: recorded telemetry with
//! faults in it is posted, its reactors find the incidents, and it is started again with a current
//! graph. Then what it recorded, or `seed-data/*.ndjson` where there is any, is multiplied, with
//! other ids and times, to as many incidents as are asked for, and every kind of question is put
//! through GraphQL and, in the same run, as the bare SurrealQL statements that it needs at least.
//! The ratio of the two says what we add; the milliseconds also say what machine it was.
//!
//! `cargo bench --workspace --bench knowledge -- --incidents 10000,100000`; a small run:
//! `-- --events 1000 --incidents 200 --questions 20`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

#[path = "knowledge/bare.rs"]
mod bare;
#[path = "knowledge/questions.rs"]
mod questions;
#[path = "knowledge/record.rs"]
mod record;
#[path = "knowledge/table.rs"]
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;

use tests::measure::{Progress, memory_mb, rate, row};
use tests::{recorded, shop_history};

/// What to measure, and how much of it.
#[derive(Debug, Parser)]
pub struct Sizes {
    /// Events in the log that the server is started with; 0 leaves the server out.
    #[arg(long, default_value_t = 100_000)]
    events: usize,
    /// Numbers of incidents to ask at, rising.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000")]
    incidents: Vec<usize>,
    /// Questions of each kind.
    #[arg(long, default_value_t = 300)]
    questions: usize,
    /// Where the graph of the questions is: `mem` or `surrealkv`.
    #[arg(long, default_value = "surrealkv")]
    store: String,
    /// Recorded events to multiply: files or folders of NDJSON.
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
    let sizes = Sizes::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&sizes));
}

async fn measure(sizes: &Sizes) {
    let folder = tempfile::tempdir().unwrap();
    let mut recorded = recorded::from_files(&sizes.recorded);
    if recorded.is_empty() || sizes.events > 0 {
        let data = folder.path().join("server");
        let made = start_and_rebuild(&data, sizes.events.max(1_000)).await;
        if recorded.is_empty() {
            recorded = made;
        }
    }
    questions::measure(sizes, &recorded, folder.path()).await;
}

/// A server with a log of so many events: the first start, a start with a current graph, its
/// memory, and how fast the graph is made again. Answers what is in its log.
async fn start_and_rebuild(data: &std::path::Path, events: usize) -> Vec<events::Event> {
    println!("\n== start and rebuild ==");
    let begin = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut posted = Vec::new();
    for round in shop_history::rounds(begin) {
        posted.extend(round);
        if posted.len() >= events {
            break;
        }
    }
    let server = served(data).await;
    let mut progress = Progress::new("posted", posted.len());
    let started = Instant::now();
    for batch in posted.chunks(200) {
        let documents: Vec<_> = batch.iter().map(events::Event::to_cloud_event).collect();
        let (status, answer) = server.post(&documents).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        progress.add(batch.len());
    }
    let posting = started.elapsed();
    record::decided(&server).await;
    row("events posted", format!("{} at {:.0}/s", posted.len(), rate(posted.len(), posting)));
    row(
        "projected and decided behind",
        format!("{:.1} s", (started.elapsed() - posting).as_secs_f64()),
    );
    row("memory after that", format!("{:.0} MB", memory_mb(server.id())));
    server.stop();

    let (mut fastest, mut server) = (Duration::MAX, None);
    for _ in 0..3 {
        if let Some(running) = server.take() {
            tests::server::Server::stop(running);
        }
        let started = Instant::now();
        server = Some(served(data).await);
        row("start to readiness", format!("{:.2} s", started.elapsed().as_secs_f64()));
        fastest = fastest.min(started.elapsed());
    }
    let server = server.unwrap();
    record::decided(&server).await;
    row("the fastest of three", format!("{:.2} s (to be at most 2)", fastest.as_secs_f64()));
    row("idle memory", format!("{:.0} MB (to be at most 300)", memory_mb(server.id())));
    server.stop();

    let (made, rebuilt) = record::rebuilt(&data.join("log")).await;
    let rate = rate(made.len(), rebuilt);
    row("rebuild", format!("{} events at {rate:.0}/s (to be at least 10,000)", made.len()));
    made
}

/// A server that is ready; only what goes wrong is told.
async fn served(data: &std::path::Path) -> tests::server::Server {
    let hear = |line: String| {
        if line.contains("WARN") || line.contains("ERROR") {
            eprintln!("{line}");
        }
    };
    tests::server::Server::start_for(data, &[], Duration::from_secs(7_200), hear).await
}
