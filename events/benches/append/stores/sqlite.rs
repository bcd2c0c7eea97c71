//! One table, write-ahead log, a sync at every commit.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use events::Event;
use rusqlite::{Connection, params};
use tokio::runtime::Runtime;

use super::{Work, encoded};
use crate::workload::stream;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE events (
        position INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        stream TEXT NOT NULL,
        revision INTEGER NOT NULL,
        type TEXT NOT NULL,
        metadata BLOB NOT NULL,
        data BLOB NOT NULL,
        UNIQUE (stream, revision)
    );";

pub fn append(_: &Runtime, folder: &Path, work: Work) -> Duration {
    let connection = Connection::open(folder.join("events.sqlite")).unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    // It has one writer at a time anyway; waiting for a mutex is cheaper than its busy handler.
    let connection = Mutex::new(connection);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for (writer, batches) in work.into_iter().enumerate() {
            let connection = &connection;
            scope.spawn(move || {
                let stream = stream(writer);
                for batch in batches {
                    commit(&mut connection.lock().unwrap(), stream.as_str(), &batch);
                }
            });
        }
    });
    started.elapsed()
}

fn commit(connection: &mut Connection, stream: &str, batch: &[Event]) {
    let transaction = connection.transaction().unwrap();
    {
        let mut last = transaction
            .prepare_cached("SELECT coalesce(max(revision), -1) FROM events WHERE stream = ?1")
            .unwrap();
        let mut revision: i64 = last.query_row([stream], |row| row.get(0)).unwrap();
        let mut insert = transaction
            .prepare_cached(
                "INSERT INTO events (id, stream, revision, type, metadata, data)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .unwrap();
        for event in batch {
            revision += 1;
            let (metadata, data) = encoded(event);
            let event_type = event.data.event_type();
            let id = event.id.0.as_bytes();
            insert.execute(params![id, stream, revision, event_type, metadata, data]).unwrap();
        }
    }
    transaction.commit().unwrap();
}
