//! What the graph takes of these events, and the store of their rows.

use std::path::Path;
use std::time::{Duration, Instant};

use events::log::{EmbeddedLog, EventLog, Options};
use schema::Graph;
use tests::measure::{Progress, rate, row};

/// Events in one transaction, as the projector applies them when it catches up.
const BATCH: usize = 1_000;

pub async fn measure(log: &Path, folder: &Path, events: usize) {
    let log = EmbeddedLog::open(log, Options::default()).unwrap();
    let events = events.min(log.head() as usize);
    let graph = empty(folder, "projected").await;
    let mut progress = Progress::new("projected", events);
    let (mut reading, mut applying) = (Duration::ZERO, Duration::ZERO);
    let mut done = 0;
    while done < events {
        let started = Instant::now();
        let read = log.read_all(done as u64, BATCH.min(events - done)).await.unwrap();
        reading += started.elapsed();
        let started = Instant::now();
        graph.apply(&read).await.unwrap();
        applying += started.elapsed();
        done += read.len();
        progress.add(read.len());
    }
    let projecting = reading + applying;
    row("projected", format!("{:.0} events/s", rate(done, projecting)));
    row("of it reading the log", format!("{:.0} %", share(reading, projecting)));

    let bare = empty(folder, "bare").await;
    let copied = bare.copy_bare(&graph).await.unwrap();
    let (rows, of_rows) = (rate(copied.rows, projecting), rate(copied.rows, copied.writing));
    row("rows", format!("{}, {:.2} an event", copied.rows, copied.rows as f64 / done as f64));
    row("rows projected", format!("{rows:.0} rows/s"));
    row("rows inserted bare", format!("{of_rows:.0} rows/s"));
    row("ratio", format!("{:.2} (to be at least 0.7)", rows / of_rows));
}

fn share(part: Duration, whole: Duration) -> f64 {
    100.0 * part.as_secs_f64() / whole.as_secs_f64()
}

async fn empty(folder: &Path, name: &str) -> Graph {
    Graph::open(&format!("surrealkv://{}", folder.join(name).display())).await.unwrap()
}
