use events::catalogue::diagnosis::AnomalyPart;
use events::catalogue::incident::{IncidentMerged, IncidentReopened, MitigationApplied, Severity};
use events::catalogue::telemetry::{CallStatistics, TraceEdgesRecorded, Window};
use events::value::{Finite, NonNegative};
use events::{Event, StreamId};

use super::*;

mod alerts;

const WINDOW_MS: u64 = 2_000;

fn name(name: &str) -> ComponentName {
    ComponentName::new(name).unwrap()
}

fn start(window: u64) -> Timestamp {
    Timestamp::from_millisecond(i64::try_from(1_000_000 + window * WINDOW_MS).unwrap()).unwrap()
}

fn window(number: u64) -> Window {
    Window { start: start(number), duration_ms: WINDOW_MS }
}

fn recorded(position: u64, data: impl Into<EventData>) -> RecordedEvent {
    let id = EventId(uuid::Uuid::from_u128(u128::from(position) + 1));
    let event = Event::with_id(id, Line::new("/test").unwrap(), start(0), data);
    let stream = StreamId::new("test").unwrap();
    RecordedEvent { event, stream, revision: 0, position, recorded_at: start(0), pruned: None }
}

// users → gateway → cart → catalog → a → b → c
fn chain(number: u64) -> Vec<RecordedEvent> {
    let names = ["users", "gateway", "cart", "catalog", "a", "b", "c"];
    let calls = names.windows(2).enumerate().map(|(at, pair)| {
        let edge = CallStatistics {
            callee: name(pair[1]),
            calls: 1,
            errors: 0,
            latency: None,
            exemplar_trace_ids: Vec::new(),
        };
        let (caller, edges) = (name(pair[0]), vec![edge]);
        let data = TraceEdgesRecorded { caller, window: window(number), edges };
        recorded(number * 100 + at as u64, data)
    });
    calls.collect()
}

fn anomaly(component: &str, number: u64, signal: Signal, deviation: f64) -> Anomaly {
    let finite = |n| Finite::new(n).unwrap();
    Anomaly {
        component: name(component),
        window: window(number),
        since: start(number),
        score: NonNegative::new(deviation.abs()).unwrap(),
        parts: vec![AnomalyPart {
            signal,
            observed: finite(0.6),
            baseline: finite(0.0),
            deviation: finite(deviation),
        }],
        evidence: vec![EventId(uuid::Uuid::from_u128(u128::from(number) * 1_000 + 7))],
    }
}

struct Scene {
    grouping: Grouping,
    window: u64,
}

impl Scene {
    fn new() -> Self {
        Self { grouping: Grouping::new(GroupingSettings::default()), window: 0 }
    }

    // A window in which these were found unusual; they are found in its last report.
    fn window(&mut self, anomalies: &[Anomaly]) -> Vec<Decided> {
        let mut events = chain(self.window);
        self.window += 1;
        let last = events.pop().unwrap();
        let mut decided: Vec<Decided> =
            events.iter().flat_map(|event| self.grouping.observe(event, &[])).collect();
        decided.extend(self.grouping.observe(&last, anomalies));
        decided
    }

    fn told(&mut self, data: impl Into<EventData>) -> Vec<Decided> {
        self.grouping.observe(&recorded(900_000 + self.window, data), &[])
    }
}

fn opened(decided: &[Decided]) -> Vec<&IncidentOpened> {
    let opened = decided.iter().filter_map(|decided| match &decided.decision {
        Decision::Open { opened, .. } => Some(opened),
        _ => None,
    });
    opened.collect()
}

fn resolved(decided: &[Decided]) -> Vec<&IncidentId> {
    let resolved = decided.iter().filter_map(|decided| match &decided.decision {
        Decision::Resolve(resolved) => Some(&resolved.incident),
        _ => None,
    });
    resolved.collect()
}

/// What a person says to open an incident.
fn by_hand(component: &str) -> IncidentOpened {
    IncidentOpened {
        incident: IncidentId::new("by-hand").unwrap(),
        title: Line::new("customers complain").unwrap(),
        component: name(component),
        severity: Severity::Warning,
        opened_by: Line::new("alice").unwrap(),
        evidence: Vec::new(),
    }
}

#[test]
fn one_window_is_one_incident_noticed_nearest_to_the_users() {
    let mut scene = Scene::new();
    let found =
        [anomaly("cart", 0, Signal::Latency, 90.0), anomaly("gateway", 0, Signal::Errors, 9.0)];
    let decided = scene.window(&found);
    let incidents = opened(&decided);
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].component, name("gateway"));
    assert_eq!(incidents[0].severity, Severity::Critical, "users see 60 % fail");
    assert!(incidents[0].evidence.contains(&found[0].event_id()));
    assert_eq!(decided.len(), 3, "and a symptom each");
}

#[test]
fn what_is_far_away_is_another_incident() {
    let mut scene = Scene::new();
    let decided = scene.window(&[
        anomaly("gateway", 0, Signal::Errors, 9.0),
        anomaly("b", 0, Signal::Errors, 9.0),
    ]);
    assert_eq!(opened(&decided).len(), 2);
    let decided = scene.window(&[anomaly("cart", 1, Signal::Errors, 9.0)]);
    assert!(opened(&decided).is_empty(), "near to the first");
    assert_eq!(decided.len(), 1);
}

#[test]
fn a_symptom_is_told_again_only_when_it_is_much_worse() {
    let mut scene = Scene::new();
    scene.window(&[anomaly("cart", 0, Signal::Errors, 10.0)]);
    assert!(scene.window(&[anomaly("cart", 1, Signal::Errors, 12.0)]).is_empty());
    assert_eq!(scene.window(&[anomaly("cart", 2, Signal::Errors, 40.0)]).len(), 1);
    assert_eq!(scene.window(&[anomaly("cart", 3, Signal::Latency, 12.0)]).len(), 1);
}

#[test]
fn calm_ends_an_incident_once() {
    let mut scene = Scene::new();
    let decided = scene.window(&[anomaly("cart", 0, Signal::Errors, 10.0)]);
    let incident = opened(&decided)[0].incident.clone();
    let mut ends = Vec::new();
    for _ in 0..10 {
        let decided = scene.window(&[]);
        ends.extend(resolved(&decided).into_iter().cloned().map(|end| (scene.window, end)));
    }
    // Windows 1 to 5 are calm; the report of window 6 shows that the last of them is over.
    assert_eq!(ends, [(7, incident)]);
    let again = scene.window(&[anomaly("cart", 11, Signal::Errors, 10.0)]);
    assert_eq!(opened(&again).len(), 1, "the next trouble is a new incident");
}

#[test]
fn what_is_told_late_belongs_to_the_incident_of_its_time() {
    let mut scene = Scene::new();
    (0..30).for_each(|_| drop(scene.window(&[])));
    let late = |component, number| [anomaly(component, number, Signal::Latency, 9.0)];
    let decided = scene.window(&late("cart", 12));
    let incident = opened(&decided)[0].incident.clone();
    assert_eq!(resolved(&decided), [&incident], "it was over when it was told");
    assert!(scene.window(&late("cart", 14)).is_empty());
    let [Decided { decision: Decision::Attach(attached), .. }] =
        &scene.window(&late("gateway", 17))[..]
    else {
        panic!("one symptom");
    };
    assert_eq!(attached.incident, incident);
    // Before it began, behind its end, and now.
    assert_eq!(opened(&scene.window(&late("cart", 6))).len(), 1);
    assert_eq!(opened(&scene.window(&late("cart", 24))).len(), 1);
    assert_eq!(opened(&scene.window(&late("cart", 35))).len(), 1);
}

#[test]
fn incidents_of_people_are_joined_and_never_ended() {
    let mut scene = Scene::new();
    let by_hand = by_hand("cart");
    scene.told(by_hand.clone());
    let decided = scene.window(&[anomaly("gateway", 0, Signal::Errors, 10.0)]);
    assert!(matches!(&decided[0].decision, Decision::Attach(s) if s.incident == by_hand.incident));
    for _ in 0..10 {
        assert!(resolved(&scene.window(&[])).is_empty());
    }
    scene.told(IncidentResolved {
        incident: by_hand.incident,
        by: Line::new("alice").unwrap(),
        resolution: None,
    });
    let decided = scene.window(&[anomaly("gateway", 11, Signal::Errors, 10.0)]);
    assert_eq!(opened(&decided).len(), 1);
}

#[test]
fn what_people_left_open_for_long_takes_in_nothing() {
    let mut scene = Scene::new();
    scene.told(by_hand("cart"));
    for _ in 0..20 {
        scene.window(&[]);
    }
    let decided = scene.window(&[anomaly("cart", 20, Signal::Errors, 10.0)]);
    assert_eq!(opened(&decided).len(), 1);
}

#[test]
fn merged_and_reopened_incidents_are_followed() {
    let mut scene = Scene::new();
    let decided = scene.window(&[
        anomaly("gateway", 0, Signal::Errors, 9.0),
        anomaly("b", 0, Signal::Errors, 9.0),
    ]);
    let ids: Vec<IncidentId> = opened(&decided).iter().map(|o| o.incident.clone()).collect();
    let by = Line::new("alice").unwrap();
    scene.told(IncidentMerged { incident: ids[1].clone(), into: ids[0].clone(), by: by.clone() });
    let decided = scene.window(&[anomaly("c", 1, Signal::Latency, 9.0)]);
    let joins = |decided: &Decided| matches!(&decided.decision, Decision::Attach(s) if s.incident == ids[0]);
    assert!(decided.iter().all(joins) && decided.len() == 1, "{decided:#?}");
    for _ in 0..8 {
        scene.window(&[]);
    }
    let reason = Line::new("it is back").unwrap();
    scene.told(IncidentReopened { incident: ids[0].clone(), by, reason });
    let decided = scene.window(&[anomaly("cart", 10, Signal::Latency, 9.0)]);
    assert!(decided.iter().all(joins) && decided.len() == 1, "{decided:#?}");
}

fn mitigated(decided: &[Decided]) -> Vec<&IncidentId> {
    let mitigated = decided.iter().filter_map(|decided| match &decided.decision {
        Decision::Mitigate(mitigated) => Some(&mitigated.incident),
        _ => None,
    });
    mitigated.collect()
}

#[test]
fn what_was_acted_against_and_is_calm_is_mitigated_once_before_it_is_over() {
    let mut scene = Scene::new();
    let decided = scene.window(&[anomaly("cart", 0, Signal::Latency, 90.0)]);
    let incident = opened(&decided)[0].incident.clone();
    let mut untouched = Scene::new();
    untouched.window(&[anomaly("cart", 0, Signal::Latency, 90.0)]);
    scene.window(&[anomaly("cart", 1, Signal::Latency, 95.0)]);
    untouched.window(&[anomaly("cart", 1, Signal::Latency, 95.0)]);
    scene.told(MitigationApplied {
        incident: incident.clone(),
        action: Line::new("removed the delay").unwrap(),
        component: None,
        runbook: None,
        by: Line::new("ada").unwrap(),
    });
    let mut steps = Vec::new();
    for window in 2..9 {
        let decided = scene.window(&[]);
        steps.extend(mitigated(&decided).iter().map(|_| (window, "mitigated")));
        steps.extend(resolved(&decided).iter().map(|_| (window, "resolved")));
        assert!(mitigated(&untouched.window(&[])).is_empty(), "nothing was done against it");
    }
    assert_eq!(steps, [(4, "mitigated"), (7, "resolved")]);
}

#[test]
fn a_symptom_after_the_action_puts_the_mitigation_off() {
    let mut scene = Scene::new();
    let decided = scene.window(&[anomaly("cart", 0, Signal::Latency, 90.0)]);
    let incident = opened(&decided)[0].incident.clone();
    scene.told(MitigationApplied {
        incident,
        action: Line::new("restarted cart").unwrap(),
        component: None,
        runbook: None,
        by: Line::new("ada").unwrap(),
    });
    let mut at = Vec::new();
    for window in 1..7 {
        let found = (window == 2).then(|| anomaly("cart", 2, Signal::Latency, 90.0));
        let decided = scene.window(found.as_slice());
        at.extend(mitigated(&decided).iter().map(|_| window));
    }
    assert_eq!(at, [5]);
}
