//! How far policies reach, and what is pinned against them.

use jiff::SignedDuration;

use super::*;
use crate::log::{Amount, Around, Policy};

#[tokio::test]
async fn policies_reach_by_age_and_by_size_and_never_into_the_segment_that_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let second = |n| Timestamp::from_second(n).unwrap();
    let clock = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let told = Arc::clone(&clock);
    let clock: Arc<dyn Fn() -> Timestamp + Send + Sync> =
        Arc::new(move || second(told.fetch_add(1, Ordering::SeqCst)));
    let log = EmbeddedLog::open(folder.path(), Options { clock, ..options() }).unwrap();
    for n in 0..80 {
        log.append(stream("s"), ExpectedRevision::Any, vec![event(n)]).await.unwrap();
    }
    let all = log.read_all(0, 100).await.unwrap();
    let plan = |policy: Policy, pinned: &[u64], now| {
        let policies = BTreeMap::from([(TelemetryKind::Metrics, policy)]);
        let pinned = pinned.iter().map(|at| all[*at as usize - 1].event.id).collect();
        log.plan(&policies, &pinned, second(now)).unwrap()[&TelemetryKind::Metrics]
    };
    let age =
        |seconds| Policy { max_age: Some(SignedDuration::from_secs(seconds)), ..Policy::default() };
    // Recorded at seconds 0, 4, 8, …: positions 1, 5, 9, …
    let old = plan(age(60), &[5], 80);
    assert_eq!((old.until, old.pruned.events, old.pinned.events), (17, 4, 1));
    assert_eq!(old.whole.events, 20);
    let everything = plan(age(0), &[], 1_000_000);
    assert!(everything.until <= full(&log) && everything.until + 4 > full(&log));
    assert_eq!(plan(Policy::default(), &[], 1_000_000).until, 0);

    let whole = old.whole.bytes;
    let half = plan(Policy { max_bytes: Some(whole / 2), ..Policy::default() }, &[], 80);
    assert!(whole - half.pruned.bytes <= whole / 2, "{half:?}");
    let one_less = half.pruned.events - 1;
    assert!(whole - half.pruned.bytes * one_less / half.pruned.events > whole / 2, "{half:?}");
    let enough = plan(Policy { max_bytes: Some(whole), ..Policy::default() }, &[], 80);
    assert_eq!(enough.pruned, Amount::default());

    let plans = BTreeMap::from([(TelemetryKind::Metrics, half)]);
    let pruned = prune(&log, &Pruning::of(&plans, Default::default()));
    assert_eq!(pruned.events, half.pruned.events);
    let left = plan(Policy { max_bytes: Some(whole / 2), ..Policy::default() }, &[], 80);
    assert_eq!((left.whole.bytes, left.pruned.events), (whole - half.pruned.bytes, 0));
}

/// A window of every ten seconds, which its number tells.
fn snapshot(n: i64) -> Event {
    let mut event = event(0);
    if let crate::EventData::MetricSnapshotRecorded(data) = &mut event.data {
        data.window.start = Timestamp::from_second(n * 10).unwrap();
    }
    event
}

fn of_incident(second: i64, event_type: &str, data: serde_json::Value) -> Event {
    let data = crate::EventData::from_json(event_type, data).unwrap();
    Event::new(Line::clipped("/test"), Timestamp::from_second(second).unwrap(), data)
}

#[tokio::test]
async fn what_is_cited_and_what_is_around_an_incident_is_pinned() {
    use serde_json::json;
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    let opened = |incident: &str, second, evidence: &[EventId]| {
        let data = json!({"incident": incident, "title": "slow", "component": "c",
            "severity": "error", "opened_by": "ada", "evidence": evidence});
        of_incident(second, "io.faultline.incident.opened.v1", data)
    };
    let step = |incident: &str, second, step: &str| {
        let mut data = json!({"incident": incident, "by": "ada"});
        if step == "reopened" {
            data["reason"] = json!("it was not over");
        }
        of_incident(second, &format!("io.faultline.incident.{step}.v1"), data)
    };
    let windows: Vec<Event> = (0..200).map(snapshot).collect();
    let caused = Event { causation_id: Some(windows[7].id), ..discovered("caused") };
    let others = [
        opened("over", 500, &[windows[3].id]),
        step("over", 700, "resolved"),
        step("over", 720, "reopened"),
        step("over", 800, "resolved"),
        opened("open", 1900, &[]),
        caused,
    ];
    for event in windows.iter().chain(&others) {
        log.append(stream("s"), ExpectedRevision::Any, vec![event.clone()]).await.unwrap();
    }
    let seconds = SignedDuration::from_secs;
    let around = Around { before: seconds(100), after: seconds(50) };
    let pinned = log.pinned(around).unwrap();
    for (n, window) in windows.iter().enumerate() {
        let expected = matches!(n, 3 | 7 | 40..=85 | 180..);
        assert_eq!(pinned.contains(&window.id), expected, "window {n}");
    }
    prune(&log, &Pruning { pinned: pinned.clone(), ..up_to(1000) });
    for recorded in log.read_all(0, 200).await.unwrap() {
        let stays = pinned.contains(&recorded.event.id) || recorded.position > full(&log);
        assert_eq!(recorded.pruned.is_none(), stays, "{recorded:?}");
    }
    assert_eq!(log.pinned(around).unwrap(), pinned, "the same from what is left");
}
