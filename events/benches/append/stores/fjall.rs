//! The library under our index, used as the log itself: the event by position, and the same two
//! index entries that ours has.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use events::Event;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use tokio::runtime::Runtime;

use super::{Work, encoded};
use crate::workload::stream;

/// What a writer must know to place a batch.
#[derive(Default)]
struct Places {
    position: u64,
    revisions: HashMap<String, u64>,
}

pub fn append(_: &Runtime, folder: &Path, work: Work) -> Duration {
    let database = Database::builder(folder.join("fjall")).open().unwrap();
    let events = database.keyspace("events", KeyspaceCreateOptions::default).unwrap();
    let places = Mutex::new(Places::default());
    let started = Instant::now();
    std::thread::scope(|scope| {
        for (writer, batches) in work.into_iter().enumerate() {
            let (database, events, places) = (&database, &events, &places);
            scope.spawn(move || {
                let stream = stream(writer);
                for batch in batches {
                    commit(database, events, places, stream.as_str(), &batch);
                }
            });
        }
    });
    started.elapsed()
}

fn commit(
    database: &Database,
    events: &Keyspace,
    places: &Mutex<Places>,
    stream: &str,
    batch: &[Event],
) {
    let mut changes = database.batch().durability(Some(PersistMode::SyncAll));
    let mut places = places.lock().unwrap();
    for event in batch {
        let id = [b"i", event.id.0.as_bytes().as_slice()].concat();
        assert!(events.get(&id).unwrap().is_none(), "the ids are new");
        places.position += 1;
        let position = places.position.to_be_bytes();
        let revision = places.revisions.entry(stream.to_owned()).or_default();
        let by_stream = [b"s", stream.as_bytes(), b"\0", &revision.to_be_bytes()].concat();
        *revision += 1;
        let (metadata, data) = encoded(event);
        let event_type = event.data.event_type().as_bytes();
        let record =
            [event.id.0.as_bytes(), stream.as_bytes(), event_type, &metadata, &data].concat();
        changes.insert(events, [b"p", position.as_slice()].concat(), record);
        changes.insert(events, id, position);
        changes.insert(events, by_stream, position);
    }
    changes.commit().unwrap();
}
