//! What the embedded backend promises beyond the conformance suite.

mod backup;
mod codec;
mod damage;
mod failing_disk;
mod model;
mod packed;
mod prune;
mod readers;
mod simulation;
mod torn_tail;
mod verify;

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use tempfile::TempDir;

use super::*;
use crate::catalogue::topology::ComponentDiscovered;
use crate::id::ComponentName;
use crate::log::Restore;
use crate::log::conformance::Backend;
use crate::log::conformance::restore::RestoringBackend;
use crate::value::Line;

/// Segments so small that a handful of events fills one.
const SEGMENT_BYTES: u64 = 4096;

struct InFolder(TempDir);

impl Backend for InFolder {
    fn open(&self) -> BoxFuture<'_, Arc<dyn EventLog>> {
        Box::pin(async { Arc::new(open(self.0.path()).unwrap()) as Arc<dyn EventLog> })
    }
}

crate::conformance!(InFolder(tempfile::tempdir().unwrap()));

impl RestoringBackend for InFolder {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Restore>> {
        Box::pin(async { Arc::new(open(self.0.path()).unwrap()) as Arc<dyn Restore> })
    }
}

crate::restore_conformance!(InFolder(tempfile::tempdir().unwrap()));

fn options() -> Options {
    Options { segment_bytes: SEGMENT_BYTES, ..Options::default() }
}

fn open(folder: &Path) -> Result<EmbeddedLog, OpenError> {
    EmbeddedLog::open(folder, options())
}

fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

fn discovered(name: &str) -> Event {
    Event::new(
        Line::clipped("/test"),
        Timestamp::UNIX_EPOCH,
        ComponentDiscovered {
            component: ComponentName::new(name).unwrap(),
            discovered_by: Line::clipped("a test"),
        },
    )
}

/// A log of `batches` batches of one event in two streams, closed again; what it holds.
async fn filled(folder: &Path, batches: usize) -> Vec<RecordedEvent> {
    let log = open(folder).unwrap();
    for n in 0..batches {
        let to = stream(if n % 3 == 0 { "a" } else { "ab" });
        log.append(to, ExpectedRevision::Any, vec![discovered(&format!("c-{n}"))]).await.unwrap();
    }
    log.read_all(0, usize::MAX).await.unwrap()
}

/// Paths of the segments in order.
fn segment_paths(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    paths.sort();
    paths
}

fn delete_index(folder: &Path) {
    std::fs::remove_dir_all(folder.join("index")).unwrap();
}

/// Start and end of every frame with records in a segment file.
fn frames(segment: &[u8]) -> Vec<(usize, usize)> {
    let mut frames = Vec::new();
    let mut at = frame::HEADER_BYTES;
    while let Some((stored, _)) = frame::peek(&segment[at..]) {
        if stored > frame::FRAME_BYTES {
            frames.push((at, at + stored));
        }
        at += stored;
    }
    frames
}

/// EL-2: of the embedded log, positions are even dense.
#[tokio::test]
async fn positions_are_dense_from_one() {
    let folder = tempfile::tempdir().unwrap();
    let all = filled(folder.path(), 60).await;
    assert!(all.iter().map(|recorded| recorded.position).eq(1..=60));
    assert!(segment_paths(folder.path()).len() > 3);
}

#[tokio::test]
async fn recorded_at_never_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let clock = |seconds: i64| -> Options {
        let now = Timestamp::from_second(seconds).unwrap();
        Options { clock: Arc::new(move || now), ..options() }
    };
    let mut recorded = Vec::new();
    for seconds in [100, 50, 150] {
        let log = EmbeddedLog::open(folder.path(), clock(seconds)).unwrap();
        log.append(stream("s"), ExpectedRevision::Any, vec![discovered("c")]).await.unwrap();
        recorded = log.read_all(0, 10).await.unwrap();
    }
    let seconds: Vec<_> = recorded.iter().map(|r| r.recorded_at.as_second()).collect();
    assert_eq!(seconds, [100, 100, 150]);
}

#[tokio::test]
async fn a_batch_larger_than_a_segment_gets_a_segment_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    let events: Vec<_> = (0..50).map(|n| discovered(&format!("c-{n}"))).collect();
    for _ in 0..2 {
        let retry = log.append(stream("s"), ExpectedRevision::NoStream, events.clone()).await;
        assert_eq!(retry.unwrap().len(), 50);
    }
    log.append(stream("s"), ExpectedRevision::Exact(49), vec![discovered("c")]).await.unwrap();
    drop(log);
    let log = open(folder.path()).unwrap();
    assert_eq!(log.read_stream(stream("s"), 0, 100).await.unwrap().len(), 51);
}

#[tokio::test]
async fn a_batch_over_the_limit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { max_batch_bytes: 1000, ..options() };
    let log = EmbeddedLog::open(folder.path(), options).unwrap();
    let events = (0..10).map(|n| discovered(&format!("c-{n}"))).collect();
    let refusal = log.append(stream("s"), ExpectedRevision::Any, events).await;
    assert!(matches!(refusal, Err(AppendError::TooLarge { max_bytes: 1000, .. })), "{refusal:?}");
    let events = (0..10).map(|n| (stream("s"), discovered(&format!("c-{n}")))).collect();
    assert!(
        matches!(log.append_new(events).await, Ok(Offered::Declined(back)) if back.len() == 10)
    );
    assert_eq!(log.head(), 0);
}

#[tokio::test]
async fn a_second_open_of_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let second = open(folder.path());
    assert!(matches!(second.map(drop), Err(OpenError::Locked { .. })));
    drop(first);
    open(folder.path()).unwrap();
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in [
        Options { segment_bytes: 100, ..options() },
        Options { max_batch_bytes: 2, queue_bytes: 1, ..options() },
        Options { queue_batches: 0, ..options() },
    ] {
        let opened = EmbeddedLog::open(folder.path(), wrong).map(drop);
        assert!(matches!(opened, Err(OpenError::Options(_))));
    }
}
