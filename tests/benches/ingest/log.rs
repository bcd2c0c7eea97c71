//! What the log takes of these batches when nothing else does anything.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use events::Event;
use events::log::{EmbeddedLog, EventLog, ExpectedRevision, Options};
use futures::future::join_all;

use super::Load;

/// Events a second.
pub async fn rate(folder: &Path, batches: Vec<Vec<Event>>, load: &Load) -> f64 {
    let log = Arc::new(EmbeddedLog::open(folder, Options::default()).unwrap());
    let count: usize = batches.iter().map(Vec::len).sum();
    let batches = Arc::new(Mutex::new(batches.into_iter()));
    let started = Instant::now();
    let tasks = (0..load.connections).map(|_| {
        let (log, batches) = (log.clone(), batches.clone());
        tokio::spawn(async move {
            loop {
                let next = batches.lock().unwrap().next();
                let Some(batch) = next else { return };
                append(&log, batch).await;
            }
        })
    });
    for ended in join_all(tasks).await {
        ended.unwrap();
    }
    count as f64 / started.elapsed().as_secs_f64()
}

/// Stream by stream, all at once, as the server does.
async fn append(log: &EmbeddedLog, batch: Vec<Event>) {
    let mut streams: HashMap<_, Vec<Event>> = HashMap::new();
    for event in batch {
        streams.entry(event.data.stream()).or_default().push(event);
    }
    let parts = streams.into_iter();
    let parts = parts.map(|(stream, events)| log.append(stream, ExpectedRevision::Any, events));
    for appended in join_all(parts).await {
        appended.unwrap();
    }
}
