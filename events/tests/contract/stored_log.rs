//! A log as version 1 wrote it, three sealed segments, one being written and no index, is still
//! opened, proven and written on; so is the same log with its telemetry pruned, in version 2.
//!
//! The fixture is never written again. `write_the_fixture` below wrote it, and writes that of a
//! new format version into a folder of its own, once `folder` is told its number:
//! `cargo test -p events --test contract write_the_fixture -- --ignored`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use events::catalogue::telemetry::TelemetryKind;
use events::log::{EmbeddedLog, EventLog, ExpectedRevision, Options, Pruning};
use events::{Event, EventId, RecordedEvent, StreamId, Timestamp};

use crate::fixtures;

/// The types whose fixtures were stored, by batch; later types are not in the stored log.
const BATCHES: &[&[&str]] = &[
    &["io.faultline.component.discovered.v1"],
    &["io.faultline.fault.injected.v1", "io.faultline.fault.cleared.v1"],
    &["io.faultline.metrics.snapshotrecorded.v1", "io.faultline.traces.edgesrecorded.v1"],
    &["io.faultline.incident.opened.v1"],
    &["io.faultline.diagnosis.proposed.v1", "io.faultline.label.assigned.v1"],
    &["io.faultline.incident.resolved.v1"],
];

/// The chain behind the stored history, as it was when it was written: nothing was altered since.
const CHAIN: &str = "05abba0e9624a396fe7db95d5f0bac0decc6781503ee7e171ffc73fe62a4c606";

fn folder(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/log-v{version}"))
}

fn stored_at() -> Timestamp {
    "2026-02-01T00:00:00.000000001Z".parse().unwrap()
}

fn options() -> Options {
    Options {
        segment_bytes: 4096,
        clock: Arc::new(stored_at),
        salts: Arc::new(|| 0x5a17_5a17_5a17_5a17),
        ..Options::default()
    }
}

/// The batches twice over, each to the stream of its first event.
fn batches() -> Vec<(StreamId, Vec<Event>)> {
    let batch = |types: &&[&str], round: &str| {
        let events: Vec<Event> = types
            .iter()
            .map(|event_type| {
                let document = fixtures::of(event_type);
                let mut event = Event::from_cloud_event(document, Timestamp::UNIX_EPOCH).unwrap();
                event.id = EventId::derived(event.id, round);
                event
            })
            .collect();
        (events[0].data.stream(), events)
    };
    ["first", "second"]
        .into_iter()
        .flat_map(|round| BATCHES.iter().map(move |types| batch(types, round)))
        .collect()
}

async fn assert_stored(log: &EmbeddedLog) {
    let stored = log.read_all(0, 1000).await.unwrap();
    let mut revisions = std::collections::HashMap::new();
    let mut expected = Vec::new();
    for (stream, events) in batches() {
        for event in events {
            let revision = revisions.entry(stream.clone()).or_insert(0);
            expected.push(RecordedEvent {
                event,
                stream: stream.clone(),
                revision: *revision,
                position: expected.len() as u64 + 1,
                recorded_at: stored_at(),
                pruned: None,
            });
            *revision += 1;
        }
    }
    assert_eq!(stored, expected);
}

/// A folder that may be written to.
fn copied(version: u32) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("segments")).unwrap();
    for entry in std::fs::read_dir(folder(version).join("segments")).unwrap() {
        let from = entry.unwrap().path();
        let to = copy.path().join("segments").join(from.file_name().unwrap());
        std::fs::copy(from, to).unwrap();
    }
    copy
}

#[tokio::test]
async fn version_1_is_opened() {
    let copy = copied(1);
    for _ in 0..2 {
        let log = EmbeddedLog::open(copy.path(), options()).unwrap();
        assert_stored(&log).await;
        for (stream, events) in batches() {
            let again = log.append(stream, ExpectedRevision::NoStream, events).await;
            again.expect("the same events again are the same answer");
        }
        assert_stored(&log).await;
    }
}

#[tokio::test]
async fn version_1_is_proven_and_written_on() {
    let copy = copied(1);
    let log = EmbeddedLog::open(copy.path(), options()).unwrap();
    let stored = log.verify(&mut |_| ()).unwrap();
    assert_eq!(stored.chain.to_string(), CHAIN);
    let before = log.read_all(0, 1000).await.unwrap();
    let mut given = Vec::new();
    // Enough to fill the segment that version 1 left behind.
    for (stream, events) in batches() {
        let events: Vec<_> = events
            .into_iter()
            .map(|event| Event { id: EventId::derived(event.id, "third"), ..event })
            .collect();
        given.extend(events.clone());
        log.append(stream, ExpectedRevision::Any, events).await.unwrap();
    }
    drop(log);
    let log = EmbeddedLog::open(copy.path(), options()).unwrap();
    let all = log.read_all(0, 1000).await.unwrap();
    let (old, new) = all.split_at(before.len());
    assert_eq!(old, before);
    assert!(new.iter().map(|recorded| &recorded.event).eq(&given));
    let verified = log.verify(&mut |_| ()).unwrap();
    assert!(verified.segments > stored.segments);
}

/// The version that is written today writes the same bytes.
#[tokio::test]
async fn version_1_is_written() {
    let written = tempfile::tempdir().unwrap();
    write(written.path()).await;
    assert_same(&folder(1).join("segments"), &written.path().join("segments"));
}

fn assert_same(stored: &Path, now: &Path) {
    for entry in std::fs::read_dir(stored).unwrap() {
        let stored = entry.unwrap().path();
        let now = now.join(stored.file_name().unwrap());
        assert!(
            std::fs::read(&stored).unwrap() == std::fs::read(&now).unwrap(),
            "{} is written otherwise: a new format needs a new version",
            stored.display()
        );
    }
}

async fn write(to: &Path) {
    let log = EmbeddedLog::open(to, options()).unwrap();
    for (stream, events) in batches() {
        log.append(stream, ExpectedRevision::Any, events).await.unwrap();
    }
}

/// Prunes a log as version 1 wrote it.
fn prune(folder: &Path) {
    let options = Options { salts: Arc::new(|| 0x9a17_9a17_9a17_9a17), ..options() };
    let log = EmbeddedLog::open(folder, options).unwrap();
    let until = TelemetryKind::ALL.into_iter().map(|kind| (kind, u64::MAX)).collect();
    let pruning = Pruning { until, pinned: Default::default() };
    let pruned = log.prune(&pruning, &|| false, &mut |_| ()).unwrap();
    assert!(pruned.events > 0);
}

/// The history is the one that version 1 wrote, without the measurements of some.
#[tokio::test]
async fn version_2_is_opened_proven_and_written_the_same() {
    let copy = copied(2);
    for _ in 0..2 {
        let log = EmbeddedLog::open(copy.path(), options()).unwrap();
        assert_eq!(log.verify(&mut |_| ()).unwrap().chain.to_string(), CHAIN);
        let (whole, stored) = (copied(1), log.read_all(0, 1000).await.unwrap());
        let whole = EmbeddedLog::open(whole.path(), options()).unwrap();
        let whole = whole.read_all(0, 1000).await.unwrap();
        let pruned = stored.iter().filter(|event| event.pruned.is_some()).count();
        assert!(pruned > 0 && stored.len() == whole.len());
        for (stored, whole) in stored.iter().zip(&whole) {
            if stored.pruned.is_none() {
                assert_eq!(stored, whole);
            } else {
                assert_eq!(stored.record_hash(), whole.record_hash());
                assert_eq!(Some(&stored.event.data), whole.event.data.kept().as_ref());
            }
        }
    }
    let now = copied(1);
    prune(now.path());
    assert_same(&folder(2).join("segments"), &now.path().join("segments"));
}

#[tokio::test]
#[ignore = "writes the fixture of a new format version, once"]
async fn write_the_fixture() {
    let (to, written) = (folder(2), copied(1));
    assert!(!to.exists(), "a stored format is never written again");
    prune(written.path());
    std::fs::create_dir_all(to.join("segments")).unwrap();
    for entry in std::fs::read_dir(written.path().join("segments")).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, to.join("segments").join(from.file_name().unwrap())).unwrap();
    }
}
