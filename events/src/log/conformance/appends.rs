//! What an append does, and what it refuses.

use futures::future::join_all;

use super::{Backend, all_after, append, batch, event, fresh_stream, ids, recorded_ids};
use crate::log::{AppendError, ExpectedRevision, Offered};

/// EL-2, EL-3.
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

/// EL-4.
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

/// EL-4.
pub async fn a_retry_after_reopening_finds_the_first_answer(backend: &dyn Backend) {
    let (stream, given) = (fresh_stream(), batch(4));
    let log = backend.open().await;
    let first = append(&*log, &stream, &given).await;
    drop(log);
    let log = backend.open().await;
    assert_eq!(append(&*log, &stream, &given).await, first);
    assert_eq!(log.read_stream(stream, 0, 100).await.unwrap().len(), 4);
}

/// EL-4, within a group and from group to group.
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

/// A log may decline all that is offered; one that takes it takes it whole, and never twice.
pub async fn new_events_of_several_streams_are_appended_in_their_order_or_declined_whole(
    backend: &dyn Backend,
) {
    let log = backend.open().await;
    let (start, left, right) = (log.head(), fresh_stream(), fresh_stream());
    append(&*log, &left, &batch(2)).await;
    let before = all_after(&*log, start).await;
    let streams = [&left, &right, &right, &left, &right];
    let given: Vec<_> = streams.into_iter().cloned().zip(batch(5)).collect();
    let mut expected = before.len();
    if let Offered::Appended(places) = log.append_new(given.clone()).await.unwrap() {
        expected += given.len();
        let recorded = all_after(&*log, start).await.split_off(before.len());
        let as_given = recorded.iter().map(|it| (it.stream.clone(), it.event.clone()));
        assert!(as_given.eq(given.iter().cloned()), "{recorded:?}");
        let at = recorded.iter().map(|it| (it.event.id, it.revision, it.position));
        assert!(at.eq(places.iter().map(|at| (at.id, at.revision, at.position))), "{places:?}");
        assert_eq!(places.iter().map(|at| at.revision).collect::<Vec<_>>(), [2, 0, 1, 3, 2]);
    }
    let known = before[1].event.clone();
    for known in [(left.clone(), known.clone()), (right.clone(), known)] {
        let mut offered: Vec<_> = vec![(left.clone(), event("new")), known];
        offered.extend([(right.clone(), event("new"))]);
        let Offered::Declined(back) = log.append_new(offered.clone()).await.unwrap() else {
            panic!("a known event was taken for a new one");
        };
        assert_eq!(back, offered);
    }
    let twice: Vec<_> = streams.into_iter().cloned().zip(vec![event("new"); 2]).collect();
    match log.append_new(twice.clone()).await {
        Err(AppendError::RepeatedId { id }) => assert_eq!(id, twice[0].1.id),
        Ok(Offered::Declined(back)) => assert_eq!(back, twice),
        other => panic!("{other:?}"),
    }
    assert_eq!(all_after(&*log, start).await.len(), expected);

    // One of those who say the same at once is the first; what the others are told is not half of
    // it.
    let offers = join_all((0..8).map(|_| {
        let again: Vec<_> = given.iter().map(|(to, _)| to.clone()).zip(batch(5)).collect();
        let (first, second) = (log.append_new(again.clone()), log.append_new(again));
        async { (first.await.unwrap(), second.await.unwrap()) }
    }))
    .await;
    let taken = |offered: &Offered| usize::from(matches!(offered, Offered::Appended(_)));
    assert!(offers.iter().all(|(first, second)| taken(first) + taken(second) <= 1));
    let appended: usize = offers.iter().map(|(first, second)| taken(first) + taken(second)).sum();
    assert_eq!(all_after(&*log, start).await.len(), expected + 5 * appended);
}

/// EL-5.
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

/// EL-3, EL-5.
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

/// EL-1, as far as an orderly end can show it.
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
