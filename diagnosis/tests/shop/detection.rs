//! When an incident is opened and when it is over, over every fault and over none.

use diagnosis::detect::{
    Anomaly, Decided, Decision, Detector, Grouping, GroupingSettings, Settings,
};
use events::catalogue::change::MaintenanceStarted;
use events::value::Line;
use events::{ComponentName, Event, EventData, MaintenanceId, RecordedEvent};

use super::fault::Fault;
use super::recording::Run;
use super::system::Build;

fn watch(log: &[RecordedEvent]) -> (Vec<Anomaly>, Vec<Decided>) {
    let mut detector = Detector::new(Settings::default());
    let mut grouping = Grouping::new(GroupingSettings::default());
    let (mut anomalies, mut decided) = (Vec::new(), Vec::new());
    for recorded in log {
        let found = detector.observe(recorded);
        decided.extend(grouping.observe(recorded, &found));
        anomalies.extend(found);
    }
    (anomalies, decided)
}

fn opened(decided: &[Decided]) -> Vec<&Decided> {
    decided.iter().filter(|d| matches!(d.decision, Decision::Open { .. })).collect()
}

fn resolved(decided: &[Decided]) -> usize {
    decided.iter().filter(|d| matches!(d.decision, Decision::Resolve(_))).count()
}

#[test]
fn a_loud_machine_raises_no_alarm() {
    let loud = Build { window_noise: 0.3, slow_window_every: 37, ..Build::default() };
    for seed in 0..3 {
        for requests_per_s in [12.0, 50.0] {
            let log = Run::calm(Build { requests_per_s, ..loud }, 240, seed).record();
            let (anomalies, decided) = watch(&log);
            assert!(anomalies.is_empty(), "seed {seed}: {:#?}", anomalies.first());
            assert!(decided.is_empty());
        }
    }
}

#[test]
fn every_fault_is_noticed_soon_as_one_incident_and_ends() {
    let (mut late, mut wrong, mut windows, mut runs) = (Vec::new(), Vec::new(), 0.0, 0);
    for fault in Fault::all().into_iter().step_by(2) {
        let run = Run { windows: 42, to: 29, ..Run::of(fault, 9, 5) };
        let (_, decided) = watch(&run.record());
        let incidents = opened(&decided);
        runs += 1;
        let Some(first) = incidents.first() else {
            late.push(format!("{fault:?}: never"));
            continue;
        };
        let Decision::Open { began_at, .. } = &first.decision else { unreachable!() };
        let delay = first.at.duration_since(run.start_of(run.from)).as_secs_f64() / 2.0;
        windows += delay;
        if delay > 4.0 {
            late.push(format!("{fault:?}: after {delay} windows"));
        }
        let early = *began_at < run.start_of(run.from);
        if early || incidents.len() != 1 || resolved(&decided) != 1 {
            wrong.push(format!(
                "{fault:?}: early {early}, {} opened, {} resolved",
                incidents.len(),
                resolved(&decided)
            ));
        }
    }
    println!("{runs} faults, mean delay {:.2} windows", windows / runs as f64);
    println!("late: {late:#?}\nwrong: {wrong:#?}");
    assert!(late.len() * 20 <= runs, "{late:#?}");
    assert!(wrong.len() * 20 <= runs, "{wrong:#?}");
}

#[test]
fn calls_that_come_back_after_a_long_silence_are_no_surge() {
    let fault = Fault::new("process_kill", "checkout");
    let run = Run { windows: 75, to: 60, ..Run::of(fault, 0, 5) };
    let (_, decided) = watch(&run.record());
    assert_eq!(opened(&decided).len(), 1);
    assert_eq!(resolved(&decided), 1, "the incident ends although its callees sat idle");
}

#[test]
fn the_same_log_gives_the_same_ids() {
    let log = Run::of(Fault::new("latency", "payments"), 5, 3).record();
    assert_eq!(watch(&log), watch(&log));
    let (anomalies, decided) = watch(&log);
    let mut ids: Vec<_> = anomalies.iter().map(Anomaly::event_id).collect();
    ids.extend(decided.iter().map(|d| d.id));
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "no two events share an id");
}

#[test]
fn maintenance_silences_the_components_it_names() {
    let mut log = Run::of(Fault::new("latency", "gateway"), 8, 3).record();
    let data = MaintenanceStarted {
        maintenance: MaintenanceId::new("m-1").unwrap(),
        components: vec![ComponentName::new("gateway").unwrap()],
        reason: Line::new("moving house").unwrap(),
    };
    assert!(!watch(&log).0.is_empty());
    let first = log[0].clone();
    let event = Event::new(first.event.source.clone(), first.event.time, data);
    log.insert(0, RecordedEvent { stream: event.data.stream(), event, ..first });
    let (anomalies, _) = watch(&log);
    assert!(anomalies.is_empty(), "{anomalies:#?}");
}

/// The same recording, some hours later.
fn later(mut log: Vec<RecordedEvent>, hours: i64) -> Vec<RecordedEvent> {
    for (recorded, number) in log.iter_mut().zip(1u128..) {
        let by = jiff::SignedDuration::from_hours(hours);
        recorded.event.id = recorded.event.id.derived(&format!("{hours} hours later, {number}"));
        recorded.event.time += by;
        match &mut recorded.event.data {
            EventData::MetricSnapshotRecorded(data) => data.window.start += by,
            EventData::TraceEdgesRecorded(data) => data.window.start += by,
            _ => {}
        }
    }
    log
}

#[test]
fn a_recording_of_days_ago_raises_no_alarm_now() {
    let busy = Build { requests_per_s: 60.0, ..Build::default() };
    let idle = Build { requests_per_s: 10.0, ..Build::default() };
    let old = Run::calm(busy, 60, 1).record();
    let now = later(Run::calm(idle, 60, 2).record(), 72);
    let (anomalies, _) = watch(&[old.clone(), now.clone()].concat());
    assert!(anomalies.is_empty(), "{:#?}", anomalies.first());
    let more = later(Run::calm(idle, 60, 3).record(), 73);
    let (anomalies, _) = watch(&[now, old, more].concat());
    assert!(anomalies.is_empty(), "loaded in between: {:#?}", anomalies.first());
}

#[test]
fn a_fault_is_noticed_as_ever_behind_a_recording_of_days_ago() {
    let old = Run::calm(Build::default(), 60, 1).record();
    let run = Run::of(Fault::new("latency", "payments"), 5, 3);
    let alone = watch(&run.record()).1.len();
    let (_, decided) = watch(&[old, later(run.record(), 72)].concat());
    assert_eq!(opened(&decided).len(), 1);
    assert_eq!(decided.len(), alone);
}
