//! What reads and subscriptions show.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt};

use super::{
    Backend, PATIENCE, all_after, append, append_concurrently, batch, event, fresh_stream, ids,
    recorded_ids,
};
use crate::catalogue::topology::{ComponentDescribed, Criticality};
use crate::envelope::{Event, RecordedEvent};
use crate::id::{ComponentName, EventId};
use crate::log::{Appended, ReadError};
use crate::value::{Line, Text};

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

pub async fn events_of_several_streams_are_found_at_once(backend: &dyn Backend) {
    let log = backend.open().await;
    let start = log.head();
    let streams = [fresh_stream(), fresh_stream()];
    for length in [3, 1, 5] {
        for stream in &streams {
            append(&*log, stream, &batch(length)).await;
        }
    }
    let mut asked = log.read_all(start, 18).await.unwrap();
    // Neighbours of a stream, and events that stand alone.
    asked.retain(|recorded| ![2, 5, 7].contains(&recorded.revision));
    let mut ids = recorded_ids(&asked);
    ids.reverse();
    ids.extend([EventId::generate(), ids[3]]);
    assert_eq!(log.find_each(ids).await.unwrap(), asked);
    assert_eq!(log.find_each(vec![EventId::generate()]).await.unwrap(), []);
    assert_eq!(log.find_each(Vec::new()).await.unwrap(), []);
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

/// EL-2.
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

/// EL-2, for subscriptions.
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
    subscription: BoxStream<'static, Result<RecordedEvent, ReadError>>,
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
