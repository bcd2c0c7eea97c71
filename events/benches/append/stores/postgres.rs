//! One table of a server; a connection a writer, so that it groups commits as it can.

use std::path::Path;
use std::time::{Duration, Instant};

use events::Event;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement};

use super::{Work, encoded};
use crate::workload::stream;

const SCHEMA: &str = "
    DROP TABLE IF EXISTS faultline_bench;
    CREATE TABLE faultline_bench (
        position BIGSERIAL PRIMARY KEY,
        id BYTEA NOT NULL UNIQUE,
        stream TEXT NOT NULL,
        revision BIGINT NOT NULL,
        type TEXT NOT NULL,
        metadata BYTEA NOT NULL,
        data BYTEA NOT NULL,
        UNIQUE (stream, revision)
    );";
/// One statement a batch: a round trip an event would measure the round trip.
const INSERT: &str = "
    INSERT INTO faultline_bench (id, stream, revision, type, metadata, data)
    SELECT id, $2, $3 + row_number() OVER (), type, metadata, data
    FROM unnest($1::bytea[], $4::text[], $5::bytea[], $6::bytea[]) AS t (id, type, metadata, data)";

/// Where it is.
#[allow(clippy::disallowed_methods, reason = "a benchmark has no configuration")]
pub fn url() -> Option<String> {
    std::env::var("FAULTLINE_BENCH_POSTGRES").ok()
}

async fn connect() -> Client {
    let url = url().unwrap();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub fn append(runtime: &Runtime, _: &Path, work: Work) -> Duration {
    runtime.block_on(async {
        let first = connect().await;
        first.batch_execute(SCHEMA).await.unwrap();
        let mut ready = Vec::new();
        for batches in work {
            let client = connect().await;
            let insert = client.prepare(INSERT).await.unwrap();
            ready.push((client, insert, batches));
        }
        let started = Instant::now();
        let writers: Vec<_> = ready
            .into_iter()
            .enumerate()
            .map(|(writer, (client, insert, batches))| {
                tokio::spawn(async move {
                    let stream = stream(writer);
                    let mut revision = -1;
                    for batch in batches {
                        commit(&client, &insert, stream.as_str(), revision, &batch).await;
                        revision += batch.len() as i64;
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let time = started.elapsed();
        first.batch_execute("DROP TABLE faultline_bench").await.unwrap();
        time
    })
}

async fn commit(client: &Client, insert: &Statement, stream: &str, last: i64, batch: &[Event]) {
    let ids: Vec<&[u8]> = batch.iter().map(|event| event.id.0.as_bytes().as_slice()).collect();
    let types: Vec<&str> = batch.iter().map(|event| event.data.event_type()).collect();
    let (metadata, data): (Vec<_>, Vec<_>) = batch.iter().map(encoded).unzip();
    client.execute(insert, &[&ids, &stream, &last, &types, &metadata, &data]).await.unwrap();
}
