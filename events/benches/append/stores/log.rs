use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::log::{EmbeddedLog, EventLog, ExpectedRevision, Options};
use tokio::runtime::Runtime;

use super::Work;
use crate::workload::stream;

pub fn append(runtime: &Runtime, folder: &Path, work: Work) -> Duration {
    let log = Arc::new(EmbeddedLog::open(folder, Options::default()).unwrap());
    runtime.block_on(async {
        let started = Instant::now();
        let writers: Vec<_> = work
            .into_iter()
            .enumerate()
            .map(|(writer, batches)| {
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let stream = stream(writer);
                    for batch in batches {
                        log.append(stream.clone(), ExpectedRevision::Any, batch).await.unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        started.elapsed()
    })
}
