//! What goes wrong between us and the server loses nothing and doubles nothing.

use std::time::Duration;

use events::log::{AppendError, EventLog, ExpectedRevision, KurrentLog, KurrentOptions, ReadError};
use futures::StreamExt;
use tests::kurrentdb::{Double, Fault, Setup};

use crate::{LIMIT, append, batch, copies, event, ids, open, recorded_ids, stream};

#[tokio::test]
async fn an_append_with_an_unknown_outcome_is_there_once() {
    let (double, index) = (Double::start().await, tempfile::tempdir().unwrap());
    let log = open(&double, index.path()).await;
    for fault in [
        Fault::CutBeforeWrite,
        Fault::CutAfterWrite,
        Fault::Unavailable,
        Fault::UnknownAfterWrite,
        Fault::NoLeader,
        Fault::EmptyAnswer,
        Fault::WrongVersion,
        Fault::SlowAnswer(Duration::from_millis(50)),
    ] {
        double.faults().on_append(fault.clone());
        let given = batch(3);
        let answer = append(&log, "s", &given).await;
        assert!(double.faults().are_over());
        for (event, appended) in given.iter().zip(&answer) {
            assert_eq!(copies(&double, event.id), 1, "{fault:?}");
            assert_eq!(log.find(event.id).await.unwrap().unwrap().position, appended.position);
        }
        assert_eq!(append(&log, "s", &given).await, answer, "{fault:?}");
    }
    let all = log.read_stream(stream("s"), 0, 100).await.unwrap();
    assert!(all.iter().map(|recorded| recorded.revision).eq(0..24));
}

#[tokio::test]
async fn a_stale_expectation_is_refused_behind_a_lost_answer_too() {
    let (double, index) = (Double::start().await, tempfile::tempdir().unwrap());
    let log = open(&double, index.path()).await;
    append(&log, "s", &batch(2)).await;
    for fault in [Fault::CutAfterWrite, Fault::UnknownAfterWrite] {
        double.faults().on_append(fault);
        let refusal = log.append(stream("s"), ExpectedRevision::NoStream, batch(1)).await;
        // Refused from the index alone, so the fault still waits for the append that is due.
        assert!(
            matches!(
                refusal,
                Err(AppendError::WrongExpectedRevision { actual: Some(_), expected: None, .. })
            ),
            "{refusal:?}"
        );
        append(&log, "s", &batch(1)).await;
        assert!(double.faults().are_over());
    }
    assert_eq!(log.read_stream(stream("s"), 0, 100).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_subscription_that_is_cut_goes_on_without_gap_or_duplicate() {
    let (double, index) = (Double::start().await, tempfile::tempdir().unwrap());
    let log = open(&double, index.path()).await;
    double.faults().cut_subscriptions_after(Some(3));
    double.cut();
    let following = log.subscribe(0);
    let mut given = Vec::new();
    for n in 0..8 {
        let events = batch(1 + n % 4);
        given.extend(ids(&events));
        append(&log, &format!("s-{}", n % 3), &events).await;
    }
    let followed = following.take(given.len()).map(Result::unwrap).collect::<Vec<_>>();
    let followed = tokio::time::timeout(LIMIT, followed).await.unwrap();
    assert_eq!(recorded_ids(&followed), given);
    assert_eq!(log.read_all(0, 100).await.unwrap(), followed);
}

#[tokio::test]
async fn a_server_that_is_away_is_reported_and_a_retry_finds_out() {
    let (double, index) = (Double::start().await, tempfile::tempdir().unwrap());
    let mut options = KurrentOptions::new(double.url(), index.path());
    options.patience = Duration::from_secs(2);
    let log = KurrentLog::open(options).await.unwrap();
    append(&log, "s", &batch(1)).await;
    let mut following = log.subscribe(log.head());
    double.leave();
    let given = batch(2);
    let refusal = log.append(stream("s"), ExpectedRevision::Any, given.clone()).await;
    assert!(matches!(refusal, Err(AppendError::Unavailable(_))), "{refusal:?}");
    let refusal = log.read_all(0, 10).await;
    assert!(matches!(refusal, Err(ReadError::Io(_))), "{refusal:?}");
    double.come_back();
    // Its client gave up long ago; a retry is as good as a first attempt.
    let answer = loop {
        match log.append(stream("s"), ExpectedRevision::Any, given.clone()).await {
            Ok(answer) => break answer,
            Err(AppendError::Unavailable(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(answer.iter().map(|at| at.revision).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(copies(&double, given[0].id), 1);
    let next = tokio::time::timeout(LIMIT, following.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(next.event, given[0]);
}

#[tokio::test]
async fn what_the_server_refuses_is_told_and_nothing_is_written() {
    let setup = Setup { max_append: 2000, ..Setup::default() };
    let (double, index) = (Double::start_with(setup).await, tempfile::tempdir().unwrap());
    let log = open(&double, index.path()).await;
    let refusal = log.append(stream("s"), ExpectedRevision::Any, batch(100)).await;
    assert!(
        matches!(refusal, Err(AppendError::TooLarge { max_bytes: 2000, got_bytes }) if got_bytes > 2000),
        "{refusal:?}"
    );
    assert_eq!(log.head(), 0);
    append(&log, "gone", &batch(2)).await;
    double.tombstone("gone");
    for name in ["gone", "$ours"] {
        let refusal = log.append(stream(name), ExpectedRevision::Any, vec![event("c")]).await;
        assert!(matches!(refusal, Err(AppendError::Refused(_))), "{refusal:?}");
    }
    assert_eq!(log.read_stream(stream("gone"), 0, 10).await.unwrap(), []);
    append(&log, "s", &batch(1)).await;
}
