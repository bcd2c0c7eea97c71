//! What loses its measurements keeps its place and its proof, and nothing else changes.

mod policies;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::catalogue::telemetry::{
    CallStatistics, MetricSnapshotRecorded, TelemetryKind, TraceEdgesRecorded, Window,
};
use crate::log::{Backup, PruneError, Pruning};

/// Telemetry of every second number, other events between.
fn event(n: u64) -> Event {
    let window = Window { start: Timestamp::UNIX_EPOCH, duration_ms: 1000 };
    let component = ComponentName::new(format!("c-{n}")).unwrap();
    let event = |data| Event::new(Line::clipped("/test"), Timestamp::UNIX_EPOCH, data);
    match n % 4 {
        0 => event(crate::EventData::from(MetricSnapshotRecorded {
            component,
            window,
            requests: Some(1000 + n),
            errors: Some(n),
            latency: None,
            saturation: None,
            cpu_cores: None,
            memory_bytes: None,
            extras: [].into(),
        })),
        2 => {
            let callee = ComponentName::new("database").unwrap();
            let exemplar_trace_ids = vec![Line::clipped("0af7651916cd43dd8448eb211c80319c")];
            let edge =
                CallStatistics { callee, calls: n, errors: 0, latency: None, exemplar_trace_ids };
            event(TraceEdgesRecorded { caller: component, window, edges: vec![edge] }.into())
        }
        _ => discovered(&format!("c-{n}")),
    }
}

fn is_telemetry(recorded: &RecordedEvent) -> bool {
    TelemetryKind::of_type(recorded.event.data.event_type()).is_some()
}

/// A log of `count` events, closed again, and what it holds.
async fn telemetry(folder: &Path, count: u64) -> Vec<RecordedEvent> {
    let log = open(folder).unwrap();
    for n in 0..count {
        let to = stream(if n % 3 == 0 { "a" } else { "ab" });
        log.append(to, ExpectedRevision::Any, vec![event(n)]).await.unwrap();
    }
    log.read_all(0, usize::MAX).await.unwrap()
}

/// Everything of every kind up to `until`.
fn up_to(until: u64) -> Pruning {
    let until = TelemetryKind::ALL.into_iter().map(|kind| (kind, until)).collect();
    Pruning { until, pinned: Default::default() }
}

fn prune(log: &EmbeddedLog, pruning: &Pruning) -> Pruned {
    log.prune(pruning, &|| false, &mut |_| ()).unwrap()
}

/// What is left of an event that was whole.
fn kept(whole: &RecordedEvent) -> RecordedEvent {
    let mut kept = whole.clone();
    kept.event.data = whole.event.data.kept().unwrap();
    kept.pruned = Some(whole.record_hash());
    kept
}

/// The last position that is in a full segment.
fn full(log: &EmbeddedLog) -> u64 {
    log.segments.all().last().unwrap().header.base - 1
}

/// What a log holds that was pruned up to a position of a full segment.
fn expected(all: &[RecordedEvent], until: u64) -> Vec<RecordedEvent> {
    let reached = |it: &&RecordedEvent| it.position <= until && is_telemetry(it);
    all.iter().map(|it| if reached(&it) { kept(it) } else { it.clone() }).collect()
}

#[tokio::test]
async fn places_and_proof_are_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let all = telemetry(folder.path(), 80).await;
    let log = open(folder.path()).unwrap();
    let before = log.verify(&mut |_| ()).unwrap();
    let last = full(&log);
    assert!(last < 80 && before.segments > 4);
    let pruned = prune(&log, &up_to(1000));
    assert_eq!(pruned.segments, before.segments - 1);
    assert_eq!(pruned.events, last.div_ceil(2));
    assert!(pruned.bytes_after < pruned.bytes_before);
    let expected = expected(&all, last);
    assert!(expected.iter().filter(|it| it.pruned.is_some()).count() > 30);
    let again = prune(&log, &up_to(1000));
    assert_eq!(again, Pruned::default(), "what is pruned is not written again");
    drop(log);
    for with_index in [true, false] {
        if !with_index {
            delete_index(folder.path());
        }
        let log = open(folder.path()).unwrap();
        assert_eq!(log.verify(&mut |_| ()).unwrap(), before, "the chain proves it still");
        assert_eq!(log.read_all(0, 100).await.unwrap(), expected);
        let tenth = log.read_all(9, 1).await.unwrap();
        assert_eq!(tenth, expected[9..10]);
        for recorded in &expected {
            assert_eq!(log.find(recorded.event.id).await.unwrap().as_ref(), Some(recorded));
            // EL-4: a retry of the whole event is answered as ever.
            let (to, id) = (recorded.stream.clone(), recorded.event.id);
            let whole = all[recorded.position as usize - 1].event.clone();
            let again = log.append(to, ExpectedRevision::NoStream, vec![whole]).await.unwrap();
            let (revision, position) = (recorded.revision, recorded.position);
            assert_eq!(again, [Appended { id, revision, position }]);
        }
        let stream_a = log.read_stream(stream("a"), 0, 100).await.unwrap();
        assert!(stream_a.iter().eq(expected.iter().filter(|it| it.stream == stream("a"))));
    }
}

#[tokio::test]
async fn what_is_pinned_and_what_is_not_reached_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let all = telemetry(folder.path(), 80).await;
    let log = open(folder.path()).unwrap();
    let until = BTreeMap::from([(TelemetryKind::Metrics, 30)]);
    let pinned = [all[4].event.id, all[8].event.id].into();
    prune(&log, &Pruning { until, pinned });
    for (was, is) in all.iter().zip(log.read_all(0, 100).await.unwrap()) {
        let metrics = TelemetryKind::of_type(was.event.data.event_type());
        let reached = metrics == Some(TelemetryKind::Metrics) && was.position <= 30;
        let goes = reached && ![5, 9].contains(&was.position);
        assert_eq!(is, if goes { kept(was) } else { was.clone() });
    }
    // Later no longer pinned, it goes.
    prune(&log, &up_to(30));
    assert_eq!(log.read_all(0, 100).await.unwrap(), expected(&all, 30));
    log.verify(&mut |_| ()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_writers_go_on_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let all = telemetry(folder.path(), 200).await;
    let packing = Options { compression: Some(1), ..options() };
    let log = Arc::new(EmbeddedLog::open(folder.path(), packing).unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (log, all, done) = (Arc::clone(&log), all.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut rounds = 0;
            while !done.load(Ordering::SeqCst) || rounds == 0 {
                let seen = log.read_all(0, 200).await.unwrap();
                assert_eq!(seen.len(), 200);
                for (seen, was) in seen.iter().zip(&all) {
                    assert!(seen == was || *seen == kept(was), "{seen:?}");
                }
                rounds += 1;
            }
        })
    };
    let pruner = {
        let log = Arc::clone(&log);
        tokio::task::spawn_blocking(move || {
            for until in (10..=200).step_by(10) {
                prune(&log, &up_to(until));
                log.verify(&mut |_| ()).unwrap();
            }
        })
    };
    for n in 200..260 {
        log.append(stream("more"), ExpectedRevision::Any, vec![event(n)]).await.unwrap();
    }
    pruner.await.unwrap();
    done.store(true, Ordering::SeqCst);
    reader.await.unwrap();
    assert_eq!(log.read_all(0, 200).await.unwrap(), expected(&all, 200));
}

#[tokio::test]
async fn a_pruned_segment_beside_its_compressed_former_form_is_the_one_that_counts() {
    let folder = tempfile::tempdir().unwrap();
    let all = telemetry(folder.path(), 60).await;
    let first = segment_paths(folder.path()).remove(0);
    let packed = first.with_extension("segz");
    let log = open(folder.path()).unwrap();
    log.segments.pack(1, 3, &|| false).unwrap();
    let former = std::fs::read(&packed).unwrap();
    prune(&log, &up_to(1000));
    assert!(first.exists() && !packed.exists());
    let last = full(&log);
    drop(log);
    std::fs::write(&packed, former).unwrap();
    std::fs::write(first.with_extension("seg.tmp"), b"begun").unwrap();
    let log = open(folder.path()).unwrap();
    assert!(!packed.exists() && !first.with_extension("seg.tmp").exists());
    assert_eq!(log.read_all(0, 100).await.unwrap(), expected(&all, last));
}

#[tokio::test]
async fn any_altered_byte_of_a_pruned_segment_is_found() {
    let folder = tempfile::tempdir().unwrap();
    telemetry(folder.path(), 60).await;
    let log = open(folder.path()).unwrap();
    prune(&log, &up_to(1000));
    drop(log);
    let path = segment_paths(folder.path()).remove(1);
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&path, bytes).unwrap();
        let place = match open(folder.path()) {
            Err(OpenError::Damaged { place, .. }) => place,
            Err(other) => panic!("byte {at}: {other}"),
            Ok(log) => match log.verify(&mut |_| ()) {
                Err(ReadError::Damaged { place, .. }) => place,
                other => panic!("byte {at}: {other:?}"),
            },
        };
        assert!(place.contains(path.to_str().unwrap()), "{place}");
    }
}

#[tokio::test]
async fn a_full_disk_prunes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let all = telemetry(folder.path(), 60).await;
    let full = Options { reserve_bytes: u64::MAX / 2, ..options() };
    let log = EmbeddedLog::open(folder.path(), full).unwrap();
    let refused = log.prune(&up_to(1000), &|| false, &mut |_| ());
    assert!(matches!(refused, Err(PruneError::DiskFull { .. })), "{refused:?}");
    assert_eq!(log.read_all(0, 100).await.unwrap(), all);
}

#[tokio::test]
async fn the_next_backup_has_what_is_left_and_the_one_before_was_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (base, to) = (folder.path().join("log"), folder.path().join("backup"));
    let copy = folder.path().join("before");
    let all = telemetry(&base, 60).await;
    let take = |to: &Path| {
        let mut backup = Backup::open(to).unwrap();
        backup.take(&base, &[], Timestamp::UNIX_EPOCH, &mut |_, _| {}).unwrap()
    };
    let first = take(&to);
    take(&copy);
    let log = open(&base).unwrap();
    let last = full(&log);
    let pruned = prune(&log, &up_to(20));
    let second = take(&to);
    assert_eq!(second.head, first.head, "the same history");
    assert_eq!(second.copied, pruned.segments + 1, "what was pruned, and the end");
    let third = take(&to);
    assert_eq!(third.copied, 1);
    prune(&log, &up_to(last));
    take(&to);
    for (from, until) in [(&to, last), (&copy, 0)] {
        let data = tempfile::tempdir().unwrap();
        let restored = data.path().join("data");
        let backup = Backup::existing(from).unwrap();
        backup.check(&mut |_, _| {}).unwrap();
        backup.restore(&restored, &mut |_, _| {}).unwrap();
        let log = open(&restored.join("log")).unwrap();
        log.verify(&mut |_| ()).unwrap();
        assert_eq!(log.read_all(0, 100).await.unwrap(), expected(&all, until));
    }
}

#[tokio::test]
async fn a_pruned_history_is_restored_and_held_against_the_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let all = telemetry(folder.path(), 60).await;
    let log = open(folder.path()).unwrap();
    prune(&log, &up_to(1000));
    let history = log.read_all(0, 100).await.unwrap();
    assert_ne!(history, all);
    let (whole, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut chains = Vec::new();
    for (to, events) in [(&whole, &all), (&other, &history)] {
        let log = open(to.path()).unwrap();
        // An event of a segment in version 1 first, then what needs version 2.
        for event in events {
            log.restore(vec![event.clone()]).await.unwrap();
        }
        assert_eq!(&log.read_all(0, 100).await.unwrap(), events);
        chains.push(log.verify(&mut |_| ()).unwrap().chain);
        drop(log);
        delete_index(to.path());
        assert_eq!(open(to.path()).unwrap().head(), 60);
    }
    assert_eq!(chains[0], chains[1], "the hash stands for the event");
    // Given again whole, it is the history that is there; another one is not.
    let log = open(other.path()).unwrap();
    assert_eq!(log.restore(all.clone()).await.unwrap(), 0);
    let mut forged = all;
    forged[0].event.source = Line::clipped("/someone/else");
    let refused = log.restore(forged).await;
    assert!(matches!(refused, Err(crate::log::RestoreError::Differs { .. })), "{refused:?}");
}
