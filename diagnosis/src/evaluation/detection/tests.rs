//! Two components, faults that are known, and trouble that nobody explains.

use std::collections::BTreeMap;

use events::catalogue::change::DeploymentRecorded;
use events::catalogue::experiment::{ClearedBy, FaultCleared, FaultInjected};
use events::catalogue::telemetry::{Latency, MetricSnapshotRecorded, Window};
use events::catalogue::topology::DependencyObserved;
use events::value::{Line, NonNegative};
use events::{ComponentName, Event, EventData, EventId, FaultId, FaultKind};
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::detect::Settings;

const WINDOW_S: i64 = 10;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn name(name: &str) -> ComponentName {
    ComponentName::new(name).unwrap()
}

fn event(what: &str, second: i64, data: impl Into<EventData>) -> Event {
    let id = EventId(uuid::Uuid::nil()).derived(&format!("{what} {second}"));
    Event::with_id(id, Line::clipped("/test"), at(second), data.into())
}

fn snapshot(component: &str, window: i64, errors: u64) -> Event {
    let ms = |ms: f64| NonNegative::new(ms).unwrap();
    let start = window * WINDOW_S;
    let data = MetricSnapshotRecorded {
        component: name(component),
        window: Window { start: at(start), duration_ms: WINDOW_S as u64 * 1_000 },
        requests: Some(100),
        errors: Some(errors),
        latency: Some(Latency {
            p50_ms: ms(10.0),
            p95_ms: ms(20.0),
            p99_ms: ms(30.0),
            mean_ms: None,
        }),
        saturation: None,
        cpu_cores: None,
        memory_bytes: None,
        extras: BTreeMap::new(),
    };
    event(component, start + WINDOW_S, data)
}

/// 60 windows; `failing` says in which of them how many of 100 calls of `cart` fail.
fn telemetry(failing: impl Fn(i64) -> u64) -> Vec<Event> {
    let (caller, callee) = (name("gateway"), name("cart"));
    let mut events = vec![event("call", 0, DependencyObserved { caller, callee, protocol: None })];
    for window in 0..60 {
        events.push(snapshot("gateway", window, failing(window)));
        events.push(snapshot("cart", window, failing(window)));
    }
    events
}

fn fault(number: &str, component: &str, from: i64, until: i64) -> [Event; 2] {
    let fault = FaultId::new(number).unwrap();
    let injected = FaultInjected {
        fault: fault.clone(),
        experiment: None,
        kind: FaultKind::new("http_error").unwrap(),
        component: name(component),
        peer: None,
        parameters: BTreeMap::new(),
        deadline_ms: None,
    };
    let cleared = FaultCleared {
        fault,
        experiment: None,
        cleared_by: ClearedBy::Rollback,
        action: Line::clipped("undone"),
        verified: true,
    };
    [event(number, from, injected), event(&format!("end of {number}"), until, cleared)]
}

fn judged(events: &[Event]) -> Score {
    let observed = Observed::of(events);
    score(&observed, &watch(&observed, Settings::default()), &Truth::of(events))
}

#[test]
fn a_fault_is_detected_so_many_windows_after_its_injection() {
    let mut events = telemetry(|window| if (20..24).contains(&window) { 40 } else { 0 });
    events.extend(fault("f", "cart", 203, 241));
    let score = judged(&events);
    let detection = score.injections[0].detection.as_ref().unwrap();
    assert_eq!(score.injections[0].moved, Moved::Yes);
    assert_eq!((detection.windows, detection.seconds), (1, 7.0));
    assert_eq!(detection.component, name("cart"));
    assert!(score.false_alarms.is_empty(), "{:?}", score.false_alarms);
    // 600 s without the first 60, and without what is between 203 and 241 + 50.
    assert_eq!(score.quiet_s, 600.0 - 60.0 - 88.0);
}

#[test]
fn one_that_was_silent_for_long_makes_no_fault_last_longer() {
    let mut events = telemetry(|window| if (20..24).contains(&window) { 40 } else { 0 });
    events.extend(fault("f", "cart", 203, 241));
    let quiet = judged(&events).quiet_s;
    let mut counted = snapshot("cart", 59, 0);
    counted.id = EventId::generate();
    let EventData::MetricSnapshotRecorded(data) = &mut counted.data else { panic!("a snapshot") };
    data.window = Window { start: at(300), duration_ms: 300_000 };
    events.push(counted);
    assert_eq!(judged(&events).quiet_s, quiet);
}

#[test]
fn a_fault_that_moves_nothing_is_no_miss_and_one_that_does_is() {
    let quiet = telemetry(|_| 0);
    let with = |events: Vec<Event>, fault: [Event; 2]| judged(&[events, fault.to_vec()].concat());
    let unmoved = with(quiet, fault("f", "cart", 200, 240));
    assert_eq!(unmoved.injections[0].moved, Moved::No);
    // Two of a hundred are beyond what the detector calls unusual, and not beyond what is felt.
    let subtle =
        with(telemetry(|w| 2 * u64::from((20..24).contains(&w))), fault("f", "cart", 200, 240));
    assert_eq!((subtle.injections[0].moved, &subtle.injections[0].detection), (Moved::Yes, &None));
    let early = with(telemetry(|_| 0), fault("f", "cart", 20, 60));
    assert_eq!(early.injections[0].moved, Moved::Unknown, "too little before it");
    let report = Report::of(&[unmoved, subtle, early]);
    let all = report.kinds.last().unwrap();
    assert_eq!((all.injected, all.moved, all.unknown, all.detected), (3, 1, 1, 0));
    assert_eq!(all.missed, ["f"]);
}

#[test]
fn what_nothing_explains_is_a_false_alarm() {
    let trouble = |window| if (40..44).contains(&window) { 40 } else { 0 };
    let score = judged(&telemetry(trouble));
    assert_eq!(score.false_alarms.len(), 1);
    assert_eq!(score.false_alarms[0].known_at, at(410));
    let report = Report::of(&[score]);
    assert_eq!(report.quiet_hours, 0.15);
    assert!((report.false_alarms_per_hour.unwrap() - 1.0 / 0.15).abs() < 1e-9);
    assert_eq!(report.parts[0].false_alarms, 1, "{:?}", report.parts);

    let deployed = DeploymentRecorded {
        component: name("cart"),
        version: Line::clipped("2"),
        previous_version: None,
        description: None,
    };
    let explained = [telemetry(trouble), vec![event("deployment", 390, deployed)]].concat();
    assert!(judged(&explained).false_alarms.is_empty(), "a deployment explains it");
}

#[test]
fn trouble_from_before_an_injection_detects_nothing() {
    let mut events = telemetry(|window| if (30..40).contains(&window) { 40 } else { 0 });
    events.extend(fault("f", "cart", 350, 390));
    let score = judged(&events);
    assert_eq!(score.injections[0].detection, None, "it began before");
    assert_eq!(score.false_alarms.len(), 1);
}

#[test]
fn the_detector_is_shown_nothing_of_the_truth() {
    let plain = telemetry(|window| if (20..24).contains(&window) { 40 } else { 0 });
    let told = [plain.clone(), fault("f", "cart", 203, 241).to_vec()].concat();
    let (plain, told) = (Observed::of(&plain), Observed::of(&told));
    assert_eq!(plain.events(), told.events());
    assert!(told.events().iter().all(|recorded| is_observed(&recorded.event.data)));
}

#[test]
fn an_incident_that_a_label_explains_is_no_false_alarm() {
    use events::catalogue::incident::{IncidentOpened, IncidentResolved, Severity};
    use events::catalogue::label::{Claim, LabelAssigned};
    use events::value::Ratio;
    use events::{IncidentId, LabelId};

    let incident = IncidentId::new("i").unwrap();
    let opened = IncidentOpened {
        incident: incident.clone(),
        title: Line::clipped("fails"),
        component: name("cart"),
        severity: Severity::Error,
        opened_by: Line::clipped("someone"),
        evidence: vec![snapshot("cart", 40, 40).id],
    };
    let by = Line::clipped("someone");
    let resolved =
        IncidentResolved { incident: incident.clone(), by: by.clone(), resolution: None };
    let label = |claim| LabelAssigned {
        label: LabelId::new("l").unwrap(),
        incident: incident.clone(),
        claim,
        by: by.clone(),
        confidence: Ratio::new(1.0).unwrap(),
        fault: None,
        comment: None,
    };
    let labelled = |claim| {
        let mut events = telemetry(|window| if (40..44).contains(&window) { 40 } else { 0 });
        events.push(event("opened", 412, opened.clone()));
        events.push(event("resolved", 500, resolved.clone()));
        events.push(event("label", 510, label(claim)));
        judged(&events).false_alarms.len()
    };
    assert_eq!(labelled(Claim::RootCause { component: name("cart") }), 0);
    assert_eq!(labelled(Claim::FalsePositive {}), 1);
}

#[test]
fn times_are_ranks_that_were_measured() {
    let mut events = telemetry(|window| u64::from(matches!(window, 20..24 | 40..44)) * 40);
    events.extend(fault("a", "cart", 200, 240));
    events.extend(fault("b", "cart", 395, 440));
    let score = judged(&events);
    let report = Report::of(&[score]);
    let times = report.kinds[0].times.unwrap();
    assert_eq!((times.median_windows, times.p90_windows), (1, 2));
    assert_eq!((times.median_s, times.p90_s), (10.0, 15.0));
    assert_eq!(report.kinds[0].kind, "http_error");
}

#[test]
fn maintenance_is_silence_and_not_quiet() {
    use events::MaintenanceId;
    use events::catalogue::change::{MaintenanceEnded, MaintenanceStarted};
    let maintenance = MaintenanceId::new("m").unwrap();
    let started = MaintenanceStarted {
        maintenance: maintenance.clone(),
        components: vec![name("cart"), name("gateway")],
        reason: Line::clipped("restart"),
    };
    let mut events = telemetry(|window| if (40..44).contains(&window) { 40 } else { 0 });
    let place = events.iter().position(|event| event.time >= at(395)).unwrap();
    events.insert(place, event("begins", 395, started));
    let place = events.iter().position(|event| event.time > at(445)).unwrap();
    events.insert(place, event("ends", 445, MaintenanceEnded { maintenance }));
    let observed = Observed::of(&events);
    let watched = watch(&observed, Settings::default());
    assert!(watched.noticed.is_empty(), "{:?}", watched.noticed);
    let score = score(&observed, &watched, &Truth::of(&events));
    assert_eq!(score.quiet_s, 600.0 - 60.0 - SignedDuration::from_secs(100).as_secs_f64());
}
