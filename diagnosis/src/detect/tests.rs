//! The detector over windows of one component.

use events::Event;
use events::catalogue::incident::{IncidentOpened, IncidentResolved, Severity};
use events::catalogue::telemetry::{
    Latency, LogPattern, LogPatternsRecorded, LogSeverity, MetricSnapshotRecorded,
};

use super::*;

const WINDOW_S: i64 = 10;

fn window(number: i64) -> Window {
    let start = Timestamp::from_second(1_767_225_600 + number * WINDOW_S).unwrap();
    Window { start, duration_ms: WINDOW_S as u64 * 1_000 }
}

fn recorded(number: i64, data: impl Into<EventData>) -> RecordedEvent {
    let data = data.into();
    let what = format!("{} {number}", data.event_type());
    let id = EventId(uuid::Uuid::nil()).derived(&what);
    let event = Event::with_id(id, Line::clipped("/test"), window(number).end(), data);
    RecordedEvent {
        stream: event.data.stream(),
        revision: 0,
        position: 1,
        recorded_at: event.time,
        event,
        pruned: None,
    }
}

fn snapshot(number: i64, errors: u64) -> RecordedEvent {
    let ms = |ms: f64| NonNegative::new(ms).unwrap();
    let latency =
        Latency { p50_ms: ms(10.0), p95_ms: ms(20.0), p99_ms: ms(30.0), mean_ms: Some(ms(12.0)) };
    let data = MetricSnapshotRecorded {
        component: "cart".parse().unwrap(),
        window: window(number),
        requests: Some(100),
        errors: Some(errors),
        latency: Some(latency),
        saturation: None,
        cpu_cores: None,
        memory_bytes: None,
        extras: BTreeMap::new(),
    };
    recorded(number, data)
}

/// The windows with an anomaly, of windows in which so many of 100 requests failed.
fn unusual(errors: impl IntoIterator<Item = u64>) -> Vec<i64> {
    let mut detector = Detector::new(Settings::default());
    let mut found = Vec::new();
    for (number, errors) in (0..).zip(errors) {
        let anomalies = detector.observe(&snapshot(number, errors));
        found.extend(
            anomalies
                .iter()
                .map(|it| it.window.start.duration_since(window(0).start).as_secs() / WINDOW_S),
        );
    }
    found
}

#[test]
fn a_burst_of_load_is_told_when_it_lasts_or_is_overwhelming() {
    let first = |rate: u64| {
        let mut detector = Detector::new(Settings::default());
        let requests = |number| if number < 30 { 100 } else { rate };
        (0..60).find(|number| {
            let mut window = snapshot(*number, 0);
            let EventData::MetricSnapshotRecorded(data) = &mut window.event.data else { panic!() };
            data.requests = Some(requests(*number));
            !detector.observe(&window).is_empty()
        })
    };
    assert_eq!(first(250), None);
    assert_eq!(first(400), Some(33), "the fourth window of ten seconds");
    assert_eq!(first(700), Some(30));
}

#[test]
fn who_is_wild_for_a_moment_now_and_then_must_be_wild_for_longer() {
    // Every tenth window is wild.
    let blips = |window: i64| if window % 10 == 9 { 50 } else { 0 };
    let often = unusual((0..100).map(blips));
    assert_eq!(often, [9, 19, 29], "three times are a habit");
    let then_lasting = (0..100).map(blips).chain([0, 50, 50, 50, 0]);
    assert_eq!(unusual(then_lasting), [9, 19, 29, 102, 103], "what lasts is told");
}

#[test]
fn what_fails_for_however_long_is_usual_only_if_a_person_ended_its_incident() {
    let opened = |number| {
        recorded(
            number,
            IncidentOpened {
                incident: "i".parse().unwrap(),
                title: Line::clipped("cart fails"),
                component: "cart".parse().unwrap(),
                severity: Severity::Critical,
                opened_by: Line::clipped(OPENED_BY),
                evidence: Vec::new(),
            },
        )
    };
    let resolved = |number, by: &str| {
        let resolved = IncidentResolved {
            incident: "i".parse().unwrap(),
            by: Line::clipped(by),
            resolution: None,
        };
        recorded(number, resolved)
    };
    let last_of = |by: Option<&str>| {
        let mut detector = Detector::new(Settings::default());
        let mut last = 0;
        for number in 0..630 {
            if number == 31 {
                detector.observe(&opened(number));
            }
            if let Some(by) = by.filter(|_| number == 230) {
                detector.observe(&resolved(number, by));
            }
            let errors = if number < 30 { 0 } else { 90 };
            if !detector.observe(&snapshot(number, errors)).is_empty() {
                last = number;
            }
        }
        last
    };
    assert_eq!(last_of(None), 629, "it fails");
    assert_eq!(last_of(Some(OPENED_BY)), 629, "nobody looked at it");
    let learned = 230 + Settings::default().relearn_after as i64;
    assert!((learned - 2..=learned + 1).contains(&last_of(Some("ada"))), "ada lives with it");
}

#[test]
fn new_errors_in_the_log_that_go_on_are_an_anomaly() {
    let logs = |number: i64, template: &str, severity: LogSeverity| {
        let template = Line::clipped(template);
        let pattern = LogPattern { template, severity, count: 4, exemplar_trace_ids: Vec::new() };
        let component = "cart".parse().unwrap();
        let patterns = vec![pattern];
        recorded(number, LogPatternsRecorded { component, window: window(number), patterns })
    };
    let parts = |severity: LogSeverity| {
        let mut detector = Detector::new(Settings::default());
        let mut parts = Vec::new();
        for number in 0..16 {
            let template = if number < 10 { "slow query" } else { "NullPointerException" };
            let severity = if number < 10 { LogSeverity::Error } else { severity };
            for report in [logs(number, template, severity), snapshot(number, 0)] {
                for anomaly in detector.observe(&report) {
                    parts.extend(anomaly.parts.iter().map(part_name));
                }
            }
        }
        parts
    };
    let told = parts(LogSeverity::Error);
    assert!(told.len() >= 3 && told.iter().all(|part| part == "logs"), "{told:?}");
    assert_eq!(parts(LogSeverity::Warning), [""; 0], "warnings alone are none");
}
