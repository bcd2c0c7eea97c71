//! The index is derived; and the database may hold what is not ours.

use bytes::Bytes;
use events::log::{EventLog, ExpectedRevision};
use tests::kurrentdb::{Double, Proposed};

use crate::{append, batch, event, ids, open, recorded_ids, stream};

/// As another application writes.
fn foreign(event_type: &str) -> Proposed {
    let metadata = [("type", event_type), ("content-type", "application/json")];
    Proposed {
        id: event("unused").id.0,
        metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        custom_metadata: Bytes::new(),
        data: Bytes::from_static(b"{}"),
    }
}

#[tokio::test]
async fn what_others_wrote_is_passed_over_and_counted() {
    let (double, folder) = (Double::start().await, tempfile::tempdir().unwrap());
    double.write("orders-1", vec![foreign("order-placed"), foreign("order-paid")]);
    let log = open(&double, folder.path()).await;
    assert_eq!(log.head(), 0);
    let mut given = batch(2);
    append(&log, "s", &given).await;
    // Into a stream of ours, with a type that is not, and with one that looks like it.
    double
        .write("s", vec![foreign("order-placed"), foreign("io.faultline.component.discovered.v1")]);
    let last = vec![event("last")];
    let answer = append(&log, "s", &last).await;
    given.extend(last);
    assert_eq!(answer[0].revision, 4);
    assert_eq!(recorded_ids(&log.read_all(0, 10).await.unwrap()), ids(&given));
    assert_eq!(recorded_ids(&log.read_stream(stream("s"), 0, 3).await.unwrap()), ids(&given));
    assert_eq!(log.passed_over(), 1);
    let refusal = log.append(stream("s"), ExpectedRevision::Exact(1), batch(1)).await;
    assert!(refusal.unwrap_err().to_string().contains("revision 4"));
    drop(log);
    assert_eq!(open(&double, folder.path()).await.passed_over(), 1);
}

#[tokio::test]
async fn positions_between_events_are_answered_too() {
    let (double, folder) = (Double::start().await, tempfile::tempdir().unwrap());
    let log = open(&double, folder.path()).await;
    let given = batch(5);
    let answer = append(&log, "s", &given).await;
    for (n, at) in answer.iter().enumerate() {
        for (after, first) in [(at.position - 1, n), (at.position, n + 1), (at.position + 1, n + 1)]
        {
            let read = log.read_all(after, 10).await.unwrap();
            assert_eq!(recorded_ids(&read), ids(&given[first..]));
        }
    }
}

#[tokio::test]
async fn a_deleted_index_is_built_again_and_a_foreign_one_is_not_used() {
    let (double, folder) = (Double::start().await, tempfile::tempdir().unwrap());
    let given = batch(3);
    let first = open(&double, folder.path()).await;
    let answer = append(&first, "s", &given).await;
    let head = first.head();
    drop(first);
    std::fs::remove_dir_all(folder.path()).unwrap();
    let again = open(&double, folder.path()).await;
    assert_eq!(again.head(), head);
    assert_eq!(append(&again, "s", &given).await, answer);
    drop(again);

    let other = Double::start().await;
    let log = open(&other, folder.path()).await;
    assert_eq!((log.head(), log.find(given[0].id).await.unwrap()), (0, None));
    append(&log, "s", &batch(1)).await;
    drop(log);
    let log = open(&double, folder.path()).await;
    assert_eq!(append(&log, "s", &given).await, answer);
}
