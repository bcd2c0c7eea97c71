//! What every log does that can take over another one's history.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{append, batch, event, fresh_stream};
use crate::envelope::RecordedEvent;
use crate::log::{ExpectedRevision, Restore, RestoreError};

/// A log that can be opened again.
pub trait RestoringBackend: Send + Sync {
    /// Opens the one log of this backend, which is empty at first. What was opened before has
    /// been dropped.
    fn open(&self) -> BoxFuture<'_, Arc<dyn Restore>>;
}

/// Makes a test of every behaviour; `$backend` is an expression that makes a
/// [`RestoringBackend`].
#[macro_export]
macro_rules! restore_conformance {
    ($backend:expr) => {
        $crate::restore_conformance! { $backend =>
            a_restored_history_is_the_same
            a_restoration_can_be_begun_again
            another_history_is_refused_whole
            a_history_with_a_gap_is_refused_whole
            times_of_recording_never_go_back
            what_is_appended_afterwards_follows_the_history
        }
    };
    ($backend:expr => $($behaviour:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $behaviour() {
            $crate::log::conformance::restore::$behaviour(&$backend, &$backend).await;
        }
    )*};
}

/// Twelve events in three streams, as the first log recorded them.
async fn history(original: &dyn RestoringBackend) -> Vec<RecordedEvent> {
    let log = original.open().await;
    let streams = [fresh_stream(), fresh_stream(), fresh_stream()];
    for stream in streams.iter().cycle().take(6) {
        append(&*log, stream, &batch(2)).await;
    }
    log.read_all(0, 100).await.unwrap()
}

async fn all(log: &dyn Restore) -> Vec<RecordedEvent> {
    log.read_all(0, 1_000).await.unwrap()
}

pub async fn a_restored_history_is_the_same(
    original: &dyn RestoringBackend,
    backend: &dyn RestoringBackend,
) {
    let history = history(original).await;
    {
        let log = backend.open().await;
        for piece in history.chunks(5) {
            assert_eq!(log.restore(piece.to_vec()).await.unwrap(), piece.len());
        }
        assert_eq!(all(&*log).await, history);
    }
    let log = backend.open().await;
    assert_eq!(all(&*log).await, history, "after opening again");
    for recorded in &history {
        let found = log.find(recorded.event.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(recorded));
        let stream = recorded.stream.clone();
        let found = log.read_stream(stream, recorded.revision, 1).await.unwrap();
        assert_eq!(found.first(), Some(recorded));
    }
}

pub async fn a_restoration_can_be_begun_again(
    original: &dyn RestoringBackend,
    backend: &dyn RestoringBackend,
) {
    let history = history(original).await;
    let log = backend.open().await;
    assert_eq!(log.restore(history[..7].to_vec()).await.unwrap(), 7);
    assert_eq!(log.restore(history.clone()).await.unwrap(), history.len() - 7);
    assert_eq!(log.restore(history.clone()).await.unwrap(), 0);
    assert_eq!(all(&*log).await, history);
}

pub async fn another_history_is_refused_whole(
    original: &dyn RestoringBackend,
    backend: &dyn RestoringBackend,
) {
    let history = history(original).await;
    let log = backend.open().await;
    log.restore(history[..6].to_vec()).await.unwrap();

    let mut other = history.clone();
    other[3].event = event("another");
    let refusal = log.restore(other).await;
    assert!(matches!(refusal, Err(RestoreError::Diverges { position: 4, .. })), "{refusal:?}");

    let mut altered = history.clone();
    altered[2].event.data = event("altered").data;
    let refusal = log.restore(altered).await;
    assert!(matches!(refusal, Err(RestoreError::Differs { position: 3, .. })), "{refusal:?}");

    let mut known = history.clone();
    known[8].event = history[1].event.clone();
    let refusal = log.restore(known).await;
    assert!(matches!(refusal, Err(RestoreError::KnownId { position: 9, .. })), "{refusal:?}");
    assert_eq!(all(&*log).await, history[..6]);
}

pub async fn a_history_with_a_gap_is_refused_whole(
    original: &dyn RestoringBackend,
    backend: &dyn RestoringBackend,
) {
    let history = history(original).await;
    let log = backend.open().await;
    let refusal = log.restore(history[1..].to_vec()).await;
    assert!(matches!(refusal, Err(RestoreError::Position { expected: 1, got: 2 })), "{refusal:?}");
    let mut jump = history.clone();
    jump[5].revision += 1;
    let refusal = log.restore(jump).await;
    assert!(matches!(refusal, Err(RestoreError::Revision { position: 6, .. })), "{refusal:?}");
    assert_eq!(log.head(), 0);
}

pub async fn times_of_recording_never_go_back(
    original: &dyn RestoringBackend,
    backend: &dyn RestoringBackend,
) {
    let mut history = history(original).await;
    let earlier = history[0].recorded_at.as_second() - 100;
    history[6].recorded_at = jiff::Timestamp::from_second(earlier).unwrap();
    let log = backend.open().await;
    let refusal = log.restore(history.clone()).await;
    assert!(matches!(refusal, Err(RestoreError::RecordedAt { position: 7, .. })), "{refusal:?}");
    log.restore(history[..6].to_vec()).await.unwrap();
    let refusal = log.restore(history[6..].to_vec()).await;
    assert!(matches!(refusal, Err(RestoreError::RecordedAt { position: 7, .. })), "{refusal:?}");
    assert_eq!(log.head(), 6);
}

pub async fn what_is_appended_afterwards_follows_the_history(
    original: &dyn RestoringBackend,
    backend: &dyn RestoringBackend,
) {
    let history = history(original).await;
    let log = backend.open().await;
    log.restore(history.clone()).await.unwrap();
    let last = &history[history.len() - 1];
    let expected = ExpectedRevision::Exact(last.revision);
    let appended = log.append(last.stream.clone(), expected, batch(1)).await.unwrap();
    assert_eq!((appended[0].position, appended[0].revision), (13, last.revision + 1));
    let found = log.find(appended[0].id).await.unwrap().unwrap();
    assert!(found.recorded_at >= last.recorded_at);
}
