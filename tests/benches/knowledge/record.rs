//! What is measured with: recorded events, from files or from a server that has just recorded
//! them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::log::{EmbeddedLog, EventLog, Options};
use events::{Event, Timestamp};
use schema::{Graph, Projector};
use tests::server::Server;
use tests::shop_history::{CALLS, History, WINDOW_MS};

use super::table::Progress;

/// Windows of one fault with its calm before and after.
const WINDOWS: u64 = 100;
/// Components that fail in turn.
const SLOW: [&str; 4] = ["payments", "orders", "catalog", "checkout"];
/// How long a server may take to decide about everything.
const LIMIT: Duration = Duration::from_secs(1_800);

/// Every event of the files and folders, by name; nothing when there are none.
pub fn from_files(path: &Path) -> Vec<Event> {
    let mut files = Vec::new();
    gather(path, &mut files);
    // `cargo bench` runs in the folder of its crate.
    if files.is_empty() && path.is_relative() {
        gather(&Path::new("..").join(path), &mut files);
    }
    files.sort();
    let mut events = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let document = serde_json::from_str(line).unwrap();
            let event = Event::from_cloud_event(document, Timestamp::now());
            events.push(event.unwrap_or_else(|error| panic!("{}: {error}", file.display())));
        }
    }
    events
}

fn gather(path: &Path, files: &mut Vec<PathBuf>) {
    if path.extension().is_some_and(|it| it == "ndjson") && path.is_file() {
        files.push(path.to_owned());
    } else if let Ok(entries) = std::fs::read_dir(path) {
        entries.flatten().for_each(|entry| gather(&entry.path(), files));
    }
}

/// About `count` events of telemetry in which one component after the other is slow for a while,
/// with what an experiment would say of it.
pub fn telemetry(count: usize) -> Vec<Event> {
    let a_round = WINDOWS * 2 * CALLS.len() as u64;
    let rounds = (count as u64).div_ceil(a_round).max(1);
    let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut events = Vec::new();
    for round in 0..rounds {
        let after = Duration::from_millis(round * WINDOWS * WINDOW_MS);
        let slow = SLOW[round as usize % SLOW.len()];
        let (from, to) = (WINDOWS / 2, WINDOWS / 2 + 15 + round % 7);
        let history = History { start: begin + after, windows: WINDOWS, slow, from, to };
        let mut told = history.events();
        // Every history of the same shape has the same ids.
        for event in &mut told {
            event.id = event.id.derived(&format!("round {round}"));
            super::multiply::rename_faults(&mut event.data, round);
        }
        events.extend(told);
    }
    events
}

/// Waits until the server has decided about everything that is in its log.
pub async fn decided(server: &Server) {
    let started = Instant::now();
    loop {
        let metrics = server.text("/metrics").await.unwrap();
        let value = |name: &str| {
            let line = metrics.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().last()?.parse::<f64>().ok()
        };
        let reacted = value("faultline_reactor_position");
        if reacted.is_some() && reacted == value("faultline_log_head_position") {
            return;
        }
        assert!(started.elapsed() < LIMIT, "the server did not decide in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Makes the graph of a log again in an empty store; the events and how long it took.
pub async fn rebuilt(log: &Path) -> (Vec<Event>, Duration) {
    let log = Arc::new(EmbeddedLog::open(log, Options::default()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let url = format!("surrealkv://{}", folder.path().join("graph").display());
    let graph = Arc::new(Graph::open(&url).await.unwrap());
    let projector = Projector::new(graph, log.clone()).await;
    let started = Instant::now();
    projector.catch_up().await.unwrap();
    let time = started.elapsed();
    let mut events = Vec::new();
    let mut progress = Progress::new("read back", log.head() as usize);
    let mut after = 0;
    loop {
        let read = log.read_all(after, 1_000).await.unwrap();
        let Some(last) = read.last() else { return (events, time) };
        after = last.position;
        progress.add(read.len());
        events.extend(read.into_iter().map(|recorded| recorded.event));
    }
}
