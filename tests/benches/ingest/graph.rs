//! What the graph takes of these events, and the store of their rows.

use std::path::Path;
use std::time::Instant;

use events::log::{EmbeddedLog, EventLog, Options};
use schema::Graph;
use schema::executor::Batch;
use tests::measure::{Progress, rate, row};

/// Events in one transaction; the next ones are read and folded meanwhile, as the projector does
/// when it catches up.
const BATCH: usize = 1_000;

pub async fn measure(log: &Path, folder: &Path, events: usize) {
    let log = EmbeddedLog::open(log, Options::default()).unwrap();
    let events = events.min(log.head() as usize);
    let graph = empty(folder, "projected").await;
    let mut progress = Progress::new("projected", events);
    let page = async |after: usize| -> Batch {
        let limit = BATCH.min(events - after);
        Batch::new(log.read_all(after as u64, limit).await.unwrap())
    };
    let started = Instant::now();
    let (mut done, mut batch) = (0, page(0).await);
    let mut next = page(batch.len()).await;
    while !batch.is_empty() {
        let behind = done + batch.len() + next.len();
        let (applied, read) = tokio::join!(graph.apply_before(&batch, Some(&next)), page(behind));
        applied.unwrap();
        done += batch.len();
        progress.add(batch.len());
        batch = std::mem::replace(&mut next, read);
    }
    let projecting = started.elapsed();
    row("projected", format!("{:.0} events/s", rate(done, projecting)));

    let bare = empty(folder, "bare").await;
    let copied = bare.copy_bare(&graph).await.unwrap();
    let (rows, of_rows) = (rate(copied.rows, projecting), rate(copied.rows, copied.writing));
    row("rows", format!("{}, {:.2} an event", copied.rows, copied.rows as f64 / done as f64));
    row("rows projected", format!("{rows:.0} rows/s"));
    row("rows inserted bare", format!("{of_rows:.0} rows/s"));
    row("ratio", format!("{:.2} (to be at least 0.7)", rows / of_rows));
}

async fn empty(folder: &Path, name: &str) -> Graph {
    Graph::open(&format!("surrealkv://{}", folder.join(name).display())).await.unwrap()
}
