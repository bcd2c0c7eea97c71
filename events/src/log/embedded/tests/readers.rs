//! EL-1, EL-2: what a reader was shown is there after the worst crash, however the syncs behind
//! it went; and it is shown in order, without a gap or a duplicate.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use futures::stream::StreamExt;

use super::simulation::disk::{Disk, Fault, Files, OFFSETS, SEGMENTS};
use super::simulation::random::Random;
use super::*;

fn open_on(disk: &Disk) -> EmbeddedLog {
    let (segments, offsets) = (disk.folder(SEGMENTS), disk.folder(OFFSETS));
    let (index, lock) = (Index::in_memory(Default::default()), File::open("/dev/null").unwrap());
    EmbeddedLog::open_parts(segments, offsets, index, lock, options()).unwrap()
}

/// Appends batches until the log is poisoned, which a sync of derived offsets does not do.
async fn write(log: Arc<EmbeddedLog>, writer: usize) {
    for n in 0..50 {
        let events = (0..1 + n % 3).map(|i| discovered(&format!("c-{writer}-{n}-{i}"))).collect();
        let to = stream(["a", "ab", "b"][writer % 3]);
        match log.append(to, ExpectedRevision::Any, events).await {
            Ok(_) => {}
            Err(AppendError::Poisoned(_)) => return,
            Err(other) => panic!("{other}"),
        }
    }
}

/// Reads the end of the log over and over, each way there is; everything it was shown.
async fn read(log: Arc<EmbeddedLog>, done: Arc<AtomicBool>) -> Vec<RecordedEvent> {
    let mut seen: Vec<RecordedEvent> = Vec::new();
    loop {
        let last_time = done.load(Ordering::SeqCst);
        let new = log.read_all(seen.len() as u64, usize::MAX).await.unwrap();
        for recorded in &new {
            assert_eq!(log.find(recorded.event.id).await.unwrap().as_ref(), Some(recorded));
        }
        seen.extend(new);
        let to = stream("a");
        let own = seen.iter().filter(|recorded| recorded.stream == to).count() as u64;
        let beyond = log.read_stream(to, own, usize::MAX).await.unwrap();
        assert!(beyond.iter().all(|recorded| recorded.position > seen.len() as u64));
        seen.extend(log.read_all(seen.len() as u64, usize::MAX).await.unwrap());
        assert!(beyond.iter().all(|recorded| seen.contains(recorded)));
        if last_time {
            return seen;
        }
        tokio::task::yield_now().await;
    }
}

async fn assert_shown_is_durable(seed: u64) {
    let mut random = Random::new(seed);
    let disk = Disk::with(Files::default(), 64, random.fork());
    let log = Arc::new(open_on(&disk));
    disk.set_fault(10 + random.below(100), Fault::Sync);
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..2).map(|_| tokio::spawn(read(Arc::clone(&log), Arc::clone(&done)))).collect();
    let subscription = tokio::spawn(log.subscribe(0).map(Result::unwrap).collect::<Vec<_>>());
    join_all((0..5).map(|writer| tokio::spawn(write(Arc::clone(&log), writer)))).await;
    done.store(true, Ordering::SeqCst);
    let shown = join_all(readers).await.into_iter().map(Result::unwrap);
    let mut shown: Vec<_> = shown.collect();
    drop(log);
    shown.push(subscription.await.unwrap());

    let after = open_on(&Disk::with(disk.durable(), 64, random.fork()));
    let after = after.read_all(0, usize::MAX).await.unwrap();
    for shown in shown {
        assert!(shown.iter().map(|recorded| recorded.position).eq(1..=shown.len() as u64));
        assert_eq!(shown, after[..shown.len()], "seed {seed}: what was shown is gone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_readers_are_shown_survives_a_failed_sync_and_a_crash() {
    for seed in 0..40 {
        assert_shown_is_durable(seed).await;
    }
}

/// QU-2: an answer as of a time knows everything that can still come with an earlier one.
#[tokio::test]
async fn a_log_is_settled_when_what_was_queued_before_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    let mut queued: Vec<_> = (0..40)
        .map(|n| {
            let events = vec![discovered(&format!("c-{n}"))];
            log.append(stream("a"), ExpectedRevision::Any, events)
        })
        .collect();
    for append in &mut queued {
        let _ = futures::poll!(append);
    }
    let asked_at = Timestamp::now();
    assert_eq!(log.settled().await.unwrap(), 40);
    let later = log.append(stream("b"), ExpectedRevision::Any, vec![discovered("later")]);
    let later = later.await.unwrap()[0];
    let recorded = log.find(later.id).await.unwrap().unwrap();
    assert!(recorded.recorded_at >= asked_at);
}
