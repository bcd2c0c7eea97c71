//! What every backend of the log does, as tests that any backend can be put through.
//!
//! A backend implements [`Backend`] in its tests and calls [`conformance!`](crate::conformance),
//! which makes one test of every behaviour. The log may hold other events: each behaviour uses
//! streams and ids of its own and begins at the head it finds.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests: each name says what it holds")]

pub mod restore;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use futures::stream::StreamExt;
use jiff::Timestamp;

use super::{AppendError, Appended, EventLog, ExpectedRevision};
use crate::catalogue::topology::{ComponentDescribed, ComponentDiscovered, Criticality};
use crate::envelope::{Event, RecordedEvent};
use crate::id::{ComponentName, EventId, StreamId};
use crate::value::{Line, Text};

/// A log that can be opened again.
pub trait Backend: Send + Sync {
    /// Opens the one log of this backend. What was opened before has been dropped.
    fn open(&self) -> BoxFuture<'_, Arc<dyn EventLog>>;
}

/// Makes a test of every behaviour; `$backend` is an expression that makes a [`Backend`].
#[macro_export]
macro_rules! conformance {
    ($backend:expr) => {
        $crate::conformance! { $backend =>
            events_are_read_back_as_they_were_given
            positions_rise_and_revisions_are_gapless
            the_same_batch_again_is_one_batch_and_the_same_answer
            a_retry_after_reopening_finds_the_first_answer
            concurrent_retries_are_one_batch
            a_batch_with_known_and_new_ids_is_refused_whole
            ids_known_in_another_stream_are_refused
            a_stale_expected_revision_is_refused_whole
            concurrent_writers_with_one_expectation_have_one_winner
            an_empty_batch_and_a_repeated_id_are_refused
            reads_keep_their_limits
            readers_never_see_a_gap_that_later_fills
            subscriptions_catch_up_and_go_live_without_gap_or_duplicate
            subscriptions_end_when_the_log_closes
            acknowledged_events_survive_reopening
        }
    };
    ($backend:expr => $($behaviour:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $behaviour() {
            $crate::log::conformance::$behaviour(&$backend).await;
        }
    )*};
}

const PATIENCE: Duration = Duration::from_secs(60);

fn fresh_stream() -> StreamId {
    StreamId::new(format!("conformance-{}", EventId::generate())).unwrap()
}

fn event(name: &str) -> Event {
    Event::new(
        Line::clipped("/conformance"),
        Timestamp::UNIX_EPOCH,
        ComponentDiscovered {
            component: ComponentName::new(name).unwrap(),
            discovered_by: Line::clipped("a test"),
        },
    )
}

fn batch(count: usize) -> Vec<Event> {
    (0..count).map(|n| event(&format!("c-{n}"))).collect()
}

fn ids(events: &[Event]) -> Vec<EventId> {
    events.iter().map(|event| event.id).collect()
}

fn recorded_ids(events: &[RecordedEvent]) -> Vec<EventId> {
    events.iter().map(|recorded| recorded.event.id).collect()
}

async fn append<L: EventLog + ?Sized>(
    log: &L,
    stream: &StreamId,
    events: &[Event],
) -> Vec<Appended> {
    log.append(stream.clone(), ExpectedRevision::Any, events.to_vec()).await.unwrap()
}

/// Everything behind `after`, in pages.
async fn all_after(log: &dyn EventLog, mut after: u64) -> Vec<RecordedEvent> {
    let mut all = Vec::new();
    loop {
        let page = log.read_all(after, 7).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = last.position;
        all.extend(page);
    }
}

pub async fn events_are_read_back_as_they_were_given(backend: &dyn Backend) {
    let log = backend.open().await;
    let (start, stream) = (log.head(), fresh_stream());
    let mut full = Event::new(
        Line::clipped("/conformance"),
        "2026-01-31T12:00:00.123456789Z".parse().unwrap(),
        ComponentDescribed {
            component: ComponentName::new("cärt \"✓\"").unwrap(),
            kind: Some(Line::clipped("service")),
            owner: None,
            criticality: Some(Criticality::High),
            description: Some(Text::clipped(&"a long text\n".repeat(500))),
            attributes: [("k".to_owned(), Line::clipped("v"))].into(),
        },
    );
    full.subject = Some(Line::clipped("cart"));
    full.correlation_id = Some(Line::clipped("run-1"));
    full.causation_id = Some(EventId::generate());
    full.traceparent =
        Some(Line::clipped("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    let given = vec![full, event("plain")];
    let answer = append(&*log, &stream, &given).await;

    let from_stream = log.read_stream(stream.clone(), 0, 10).await.unwrap();
    assert_eq!(from_stream.iter().map(|r| r.event.clone()).collect::<Vec<_>>(), given);
    assert!(from_stream.iter().all(|recorded| recorded.stream == stream));
    assert_eq!(log.read_all(start, 10).await.unwrap(), from_stream);
    for (recorded, appended) in from_stream.iter().zip(&answer) {
        let at = Appended {
            id: recorded.event.id,
            revision: recorded.revision,
            position: recorded.position,
        };
        assert_eq!(at, *appended);
        assert_eq!(log.find(appended.id).await.unwrap().as_ref(), Some(recorded));
    }
    assert_eq!(log.find(EventId::generate()).await.unwrap(), None);
}

pub async fn positions_rise_and_revisions_are_gapless(backend: &dyn Backend) {
    let log = backend.open().await;
    let (left, right) = (fresh_stream(), fresh_stream());
    let mut last = log.head();
    for round in 0..5u64 {
        for (stream, size) in [(&left, 3u64), (&right, 2)] {
            let answer = append(&*log, stream, &batch(size as usize)).await;
            for (appended, revision) in answer.iter().zip(round * size..) {
                assert!(appended.position > last, "{} is not behind {last}", appended.position);
                assert_eq!(appended.revision, revision);
                last = appended.position;
            }
            assert_eq!(log.head(), last);
        }
    }
}

pub async fn the_same_batch_again_is_one_batch_and_the_same_answer(backend: &dyn Backend) {
    let log = backend.open().await;
    let (start, stream, given) = (log.head(), fresh_stream(), batch(3));
    let first = append(&*log, &stream, &given).await;
    append(&*log, &stream, &batch(2)).await;
    // EL-4: also when the expected revision is stale by now.
    for expected in [ExpectedRevision::Any, ExpectedRevision::NoStream, ExpectedRevision::Exact(9)]
    {
        assert_eq!(log.append(stream.clone(), expected, given.clone()).await.unwrap(), first);
    }
    assert_eq!(all_after(&*log, start).await.len(), 5);
}

pub async fn a_retry_after_reopening_finds_the_first_answer(backend: &dyn Backend) {
    let (stream, given) = (fresh_stream(), batch(4));
    let log = backend.open().await;
    let first = append(&*log, &stream, &given).await;
    drop(log);
    let log = backend.open().await;
    assert_eq!(append(&*log, &stream, &given).await, first);
    assert_eq!(log.read_stream(stream, 0, 100).await.unwrap().len(), 4);
}

pub async fn concurrent_retries_are_one_batch(backend: &dyn Backend) {
    let log = backend.open().await;
    let (stream, given) = (fresh_stream(), batch(3));
    let tries = (0..20).map(|_| append(&*log, &stream, &given));
    let answers = join_all(tries).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(recorded_ids(&log.read_stream(stream, 0, 100).await.unwrap()), ids(&given));
}

pub async fn a_batch_with_known_and_new_ids_is_refused_whole(backend: &dyn Backend) {
    let log = backend.open().await;
    let (start, stream, known) = (log.head(), fresh_stream(), batch(1));
    append(&*log, &stream, &known).await;
    let mut mixed = batch(2);
    mixed.insert(1, known[0].clone());
    let refusal = log.append(stream.clone(), ExpectedRevision::Any, mixed.clone()).await;
    assert!(
        matches!(refusal, Err(AppendError::PartlyKnown { id }) if id == known[0].id),
        "{refusal:?}"
    );
    assert_eq!(recorded_ids(&all_after(&*log, start).await), ids(&known));
    assert_eq!(log.find(mixed[0].id).await.unwrap(), None);
}

pub async fn ids_known_in_another_stream_are_refused(backend: &dyn Backend) {
    let log = backend.open().await;
    let (here, there, given) = (fresh_stream(), fresh_stream(), batch(2));
    append(&*log, &here, &given).await;
    let refusal = log.append(there.clone(), ExpectedRevision::Any, given).await;
    assert!(matches!(refusal, Err(AppendError::PartlyKnown { .. })), "{refusal:?}");
    assert_eq!(log.read_stream(there, 0, 10).await.unwrap(), []);
}

pub async fn a_stale_expected_revision_is_refused_whole(backend: &dyn Backend) {
    let log = backend.open().await;
    let (start, stream) = (log.head(), fresh_stream());
    let refuse = |expected, actual, shown| {
        let (log, stream) = (&log, stream.clone());
        async move {
            let refusal = log.append(stream.clone(), expected, batch(2)).await;
            let Err(AppendError::WrongExpectedRevision { stream: named, actual: a, expected: e }) =
                refusal
            else {
                panic!("{expected:?} at {actual:?} was answered {refusal:?}");
            };
            assert_eq!((named, a, e), (stream.as_str().to_owned(), actual, shown));
        }
    };
    refuse(ExpectedRevision::Exact(0), None, Some(0)).await;
    let first = batch(2);
    log.append(stream.clone(), ExpectedRevision::NoStream, first.clone()).await.unwrap();
    refuse(ExpectedRevision::NoStream, Some(1), None).await;
    refuse(ExpectedRevision::Exact(0), Some(1), Some(0)).await;
    refuse(ExpectedRevision::Exact(2), Some(1), Some(2)).await;
    let second = batch(1);
    let answer =
        log.append(stream.clone(), ExpectedRevision::Exact(1), second.clone()).await.unwrap();
    assert_eq!(answer[0].revision, 2);
    let expected = [ids(&first), ids(&second)].concat();
    assert_eq!(recorded_ids(&all_after(&*log, start).await), expected);
}

pub async fn concurrent_writers_with_one_expectation_have_one_winner(backend: &dyn Backend) {
    let log = backend.open().await;
    let stream = fresh_stream();
    append(&*log, &stream, &batch(1)).await;
    for round in 0..5 {
        let attempts =
            (0..16).map(|_| log.append(stream.clone(), ExpectedRevision::Exact(round), batch(1)));
        let answers = join_all(attempts).await;
        let winners: Vec<_> = answers.iter().flatten().collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        assert_eq!(winners[0][0].revision, round + 1);
        for answer in &answers {
            assert!(
                matches!(
                    answer,
                    Ok(_) | Err(AppendError::WrongExpectedRevision { actual: Some(_), .. })
                ),
                "{answer:?}"
            );
        }
    }
    assert_eq!(log.read_stream(stream, 0, 100).await.unwrap().len(), 6);
}

pub async fn an_empty_batch_and_a_repeated_id_are_refused(backend: &dyn Backend) {
    let log = backend.open().await;
    let (stream, given) = (fresh_stream(), event("c"));
    let refusal = log.append(stream.clone(), ExpectedRevision::Any, vec![]).await;
    assert!(matches!(refusal, Err(AppendError::Empty)), "{refusal:?}");
    let twice = vec![given.clone(), event("d"), given.clone()];
    let refusal = log.append(stream.clone(), ExpectedRevision::Any, twice).await;
    assert!(
        matches!(refusal, Err(AppendError::RepeatedId { id }) if id == given.id),
        "{refusal:?}"
    );
    assert_eq!(log.read_stream(stream, 0, 10).await.unwrap(), []);
}

pub async fn reads_keep_their_limits(backend: &dyn Backend) {
    let log = backend.open().await;
    let (start, stream, given) = (log.head(), fresh_stream(), batch(6));
    let answer = append(&*log, &stream, &given).await;
    let all = ids(&given);
    let part = |from, limit| {
        let (log, stream) = (&log, stream.clone());
        async move { recorded_ids(&log.read_stream(stream, from, limit).await.unwrap()) }
    };
    assert_eq!(part(0, 2).await, all[..2]);
    assert_eq!(part(4, 10).await, all[4..]);
    assert_eq!(part(2, 0).await, []);
    assert_eq!(part(6, 10).await, []);
    assert_eq!(part(u64::MAX, 10).await, []);
    assert_eq!(log.read_stream(fresh_stream(), 0, 10).await.unwrap(), []);
    assert_eq!(recorded_ids(&log.read_all(start, 2).await.unwrap()), all[..2]);
    assert_eq!(recorded_ids(&log.read_all(answer[3].position, 9).await.unwrap()), all[4..]);
    assert_eq!(log.read_all(start, 0).await.unwrap(), []);
    assert_eq!(log.read_all(log.head(), 9).await.unwrap(), []);
    assert_eq!(log.read_all(u64::MAX, 9).await.unwrap(), []);
}

/// Appends `batches` batches of 1 to 5 events from each of 4 tasks; the ids in all.
async fn append_concurrently(log: &Arc<dyn EventLog>, batches: usize) -> HashSet<EventId> {
    let tasks = (0..4).map(|task| {
        let log = Arc::clone(log);
        tokio::spawn(async move {
            let stream = fresh_stream();
            let mut all = Vec::new();
            for n in 0..batches {
                let events = batch(1 + (n + task) % 5);
                all.extend(ids(&events));
                append(&*log, &stream, &events).await;
            }
            all
        })
    });
    join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect()
}

pub async fn readers_never_see_a_gap_that_later_fills(backend: &dyn Backend) {
    let log = backend.open().await;
    let start = log.head();
    let writing = tokio::spawn({
        let log = Arc::clone(&log);
        async move { append_concurrently(&log, 30).await }
    });
    let mut seen: Vec<RecordedEvent> = Vec::new();
    loop {
        let done = writing.is_finished();
        let head = log.head();
        let now = all_after(&*log, start).await;
        assert!(now.len() >= seen.len());
        assert_eq!(now[..seen.len()], seen, "what was read has changed");
        assert!(now.last().is_none_or(|last| last.position >= head), "read less than the head");
        seen = now;
        if done {
            break;
        }
        tokio::task::yield_now().await;
    }
    let written = writing.await.unwrap();
    assert_eq!(recorded_ids(&seen).into_iter().collect::<HashSet<_>>(), written);
    assert_eq!(seen.len(), written.len());
}

pub async fn subscriptions_catch_up_and_go_live_without_gap_or_duplicate(backend: &dyn Backend) {
    let log = backend.open().await;
    let start = log.head();
    let before = append_concurrently(&log, 10).await;
    let middle = log.head();
    let writing = tokio::spawn({
        let log = Arc::clone(&log);
        async move { append_concurrently(&log, 40).await }
    });
    let (from_start, from_middle) = (log.subscribe(start), log.subscribe(middle));
    let live = writing.await.unwrap();
    let whole = take(from_start, before.len() + live.len()).await;
    assert_eq!(whole, all_after(&*log, start).await);
    let rest = take(from_middle, live.len()).await;
    assert_eq!(rest, all_after(&*log, middle).await);
    assert_eq!(recorded_ids(&rest).into_iter().collect::<HashSet<_>>(), live);

    // One that begins at the head waits for what comes.
    let mut next = log.subscribe(log.head());
    let given = batch(1);
    append(&*log, &fresh_stream(), &given).await;
    let arrived = tokio::time::timeout(PATIENCE, next.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(arrived.event, given[0]);
}

async fn take(
    subscription: futures::stream::BoxStream<'static, Result<RecordedEvent, super::ReadError>>,
    count: usize,
) -> Vec<RecordedEvent> {
    let taken = subscription.take(count).map(Result::unwrap).collect::<Vec<_>>();
    tokio::time::timeout(PATIENCE, taken).await.expect("every event arrives")
}

pub async fn subscriptions_end_when_the_log_closes(backend: &dyn Backend) {
    let log = backend.open().await;
    let start = log.head();
    let given = batch(3);
    append(&*log, &fresh_stream(), &given).await;
    let subscription = log.subscribe(start);
    drop(log);
    let all = subscription.map(Result::unwrap).collect::<Vec<_>>();
    let all = tokio::time::timeout(PATIENCE, all).await.expect("the subscription ends");
    assert_eq!(recorded_ids(&all), ids(&given));
}

pub async fn acknowledged_events_survive_reopening(backend: &dyn Backend) {
    let log = backend.open().await;
    let start = log.head();
    drop(log);
    let mut expected = Vec::new();
    for _ in 0..3 {
        let log = backend.open().await;
        let given = batch(4);
        expected.extend(ids(&given));
        append(&*log, &fresh_stream(), &given).await;
        let head = log.head();
        drop(log);
        let log = backend.open().await;
        assert_eq!(log.head(), head);
        assert_eq!(recorded_ids(&all_after(&*log, start).await), expected);
    }
}
