use super::*;
use events::catalogue::experiment::ClearedBy;
use events::catalogue::incident::{
    IncidentAcknowledged, IncidentMitigated, IncidentReopened, IncidentResolved, Severity, Signal,
    SymptomAttached,
};
use events::catalogue::topology::DependencyObserved;
use events::value::{Finite, NonNegative};
use serde_json::{Value, json};

use crate::reactors::early_ends::EarlyEnds;

#[derive(Default)]
struct Log {
    truth: Truth,
    ends: EarlyEnds,
    calls: Topology,
    position: u64,
}

impl Log {
    fn new() -> Self {
        Self::default()
    }

    /// Appends an event of second `at` and answers what the reactor says of it, in short.
    fn event(&mut self, at: i64, data: impl Into<EventData>) -> (EventId, Vec<Event>) {
        self.position += 1;
        let id = EventId(uuid::Uuid::from_u128(self.position.into()));
        let data = data.into();
        self.calls.observe(&data);
        let event = Event::with_id(id, Line::clipped("/test"), second(at), data.clone());
        let recorded = RecordedEvent {
            stream: data.stream(),
            revision: self.position,
            position: self.position,
            recorded_at: second(at),
            event,
            pruned: None,
        };
        let end = self.ends.observe(&recorded);
        (id, self.truth.observe(&recorded, end.as_ref(), &self.calls))
    }

    fn inject(&mut self, at: i64, fault: &str, component: &str) -> Vec<Value> {
        self.inject_until(at, fault, component, None)
    }

    fn inject_until(
        &mut self,
        at: i64,
        fault: &str,
        component: &str,
        deadline_ms: Option<f64>,
    ) -> Vec<Value> {
        let data = FaultInjected {
            fault: FaultId::new(fault).unwrap(),
            experiment: None,
            kind: events::FaultKind::new("latency").unwrap(),
            component: events::ComponentName::new(component).unwrap(),
            peer: None,
            parameters: BTreeMap::new(),
            deadline_ms: deadline_ms.map(|ms| NonNegative::new(ms).unwrap()),
        };
        said(&self.event(at, data).1)
    }

    fn clear(&mut self, at: i64, fault: &str) -> Vec<Value> {
        let data = FaultCleared {
            fault: FaultId::new(fault).unwrap(),
            experiment: None,
            cleared_by: ClearedBy::Rollback,
            action: Line::clipped("undone"),
            verified: true,
        };
        said(&self.event(at, data).1)
    }

    fn open(&mut self, at: i64, incident: &str, evidence: Vec<EventId>) -> Vec<Value> {
        self.open_by("somebody", at, incident, evidence)
    }

    fn open_by(&mut self, by: &str, at: i64, incident: &str, evidence: Vec<EventId>) -> Vec<Value> {
        let data = IncidentOpened {
            incident: IncidentId::new(incident).unwrap(),
            title: Line::clipped("t"),
            component: events::ComponentName::new("gateway").unwrap(),
            severity: Severity::Error,
            opened_by: Line::clipped(by),
            evidence,
        };
        said(&self.event(at, data).1)
    }

    fn call(&mut self, caller: &str, callee: &str) {
        let (caller, callee) =
            (ComponentName::new(caller).unwrap(), ComponentName::new(callee).unwrap());
        self.event(0, DependencyObserved { caller, callee, protocol: None });
    }

    fn resolve(&mut self, at: i64, incident: &str) -> Vec<Value> {
        let incident = IncidentId::new(incident).unwrap();
        let by = Line::clipped("detector");
        said(&self.event(at, IncidentResolved { incident, by, resolution: None }).1)
    }
}

fn symptom(incident: &str) -> SymptomAttached {
    SymptomAttached {
        incident: IncidentId::new(incident).unwrap(),
        component: ComponentName::new("gateway").unwrap(),
        signal: Signal::Errors,
        strength: Finite::new(9.0).unwrap(),
        observed: None,
        baseline: None,
        evidence: Vec::new(),
    }
}

fn action(incident: &str) -> MitigationApplied {
    MitigationApplied {
        incident: IncidentId::new(incident).unwrap(),
        action: Line::clipped("restarted it"),
        component: None,
        runbook: None,
        by: Line::clipped("ada"),
    }
}

fn second(at: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + at).unwrap()
}

fn said(events: &[Event]) -> Vec<Value> {
    events
        .iter()
        .map(|event| match &event.data {
            EventData::LabelAssigned(data) => json!([data.incident, data.claim]),
            EventData::MitigationApplied(data) => {
                json!([data.incident, data.action, data.component])
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

fn root_cause(incident: &str, component: &str) -> [Value; 2] {
    [
        json!([incident, { "claim": "root_cause", "component": component }]),
        json!([incident, { "claim": "fault_kind", "fault_kind": "latency" }]),
    ]
}

#[test]
fn an_incident_of_an_active_fault_is_labelled_and_its_end_is_the_mitigation() {
    let mut log = Log::new();
    assert!(log.inject(0, "f1", "payments").is_empty());
    assert_eq!(log.open(5, "i1", vec![]), root_cause("i1", "payments"));
    assert_eq!(log.clear(9, "f1"), [json!(["i1", "undone", "payments"])]);
}

#[test]
fn an_incident_of_which_the_end_is_told_first_meets_no_later_fault() {
    let mut log = Log::new();
    log.inject(0, "f1", "payments");
    log.resolve(9, "i1");
    assert_eq!(log.open(5, "i1", vec![]), root_cause("i1", "payments"));
    assert!(log.inject(20, "f2", "cart").is_empty());
}

#[test]
fn a_fault_that_begins_after_an_incident_was_opened_did_not_cause_it() {
    let mut log = Log::new();
    log.open(5, "i1", vec![]);
    assert!(log.inject(6, "f1", "payments").is_empty());
    assert!(log.clear(9, "f1").is_empty());
}

#[test]
fn a_fault_that_nobody_cleared_ends_at_its_deadline() {
    let mut log = Log::new();
    log.inject_until(0, "f1", "payments", Some(20_000.0));
    assert_eq!(log.open(15, "i1", vec![]), root_cause("i1", "payments"));
    log.resolve(30, "i1");
    assert!(log.open(40, "i2", vec![]).is_empty());
}

#[test]
fn a_fault_without_word_of_its_end_acts_for_a_day() {
    let mut log = Log::new();
    log.inject(0, "f1", "payments");
    let day = LONGEST_UNTOLD.as_secs();
    assert_eq!(log.open(day - 1, "i1", vec![]), root_cause("i1", "payments"));
    assert!(log.open(day, "i2", vec![]).is_empty());
}

#[test]
fn an_incident_that_was_left_open_meets_no_fault_after_an_hour_of_silence() {
    let mut log = Log::new();
    log.inject(0, "f1", "payments");
    let all =
        ["acknowledged", "acted on", "joined", "joined late", "mitigated", "reopened", "silent"];
    for incident in all {
        log.open(5, incident, vec![]);
    }
    let hour = LONGEST_SILENCE.as_secs();
    let incident = |id: &str| IncidentId::new(id).unwrap();
    let by = Line::clipped("ada");
    log.event(hour, IncidentAcknowledged { incident: incident("acknowledged"), by: by.clone() });
    log.event(hour, action("acted on"));
    log.event(hour, symptom("joined"));
    log.event(hour, IncidentMitigated { incident: incident("mitigated"), by: by.clone() });
    log.event(3, symptom("joined late"));
    log.resolve(7, "reopened");
    let reason = Line::clipped("not over");
    log.event(hour, IncidentReopened { incident: incident("reopened"), by, reason });
    assert_eq!(log.inject(hour + 4, "f2", "orders").len(), all.len());
    let factor = |id: &str| json!([id, { "claim": "contributing_factor", "component": "orders" }]);
    let told = ["acknowledged", "acted on", "joined", "mitigated", "reopened"].map(factor);
    assert_eq!(log.inject(hour + 5, "f3", "orders"), told);
    assert!(log.inject(2 * hour, "f4", "orders").is_empty());
}

/// It tells a symptom that stays as it is once.
#[test]
fn an_incident_of_the_detector_goes_on_until_the_detector_ends_it() {
    let mut log = Log::new();
    log.inject(0, "f1", "payments");
    log.open_by(OPENED_BY, 5, "i1", vec![]);
    let factor = [json!(["i1", { "claim": "contributing_factor", "component": "orders" }])];
    assert_eq!(log.inject(3 * LONGEST_SILENCE.as_secs(), "f2", "orders"), factor);
    log.resolve(4 * LONGEST_SILENCE.as_secs(), "i1");
    assert!(log.inject(5 * LONGEST_SILENCE.as_secs(), "f3", "orders").is_empty());
}

#[test]
fn incidents_that_nobody_ended_are_forgotten_before_those_that_go_on() {
    let mut log = Log::new();
    log.inject(0, "f1", "payments");
    for left in 0..MOST_REMEMBERED {
        log.open(5, &format!("left {left}"), vec![]);
    }
    let later = 5 + LONGEST_SILENCE.as_secs();
    log.open(later, "i1", vec![]);
    log.resolve(later + 9, "i1");
    log.open(later + 1, "i2", vec![]);
    let undone = [json!(["i1", "undone", "payments"]), json!(["i2", "undone", "payments"])];
    let said = log.clear(later + 20, "f1");
    assert!(undone.iter().all(|undone| said.contains(undone)), "{said:?}");
    assert_eq!(said.len(), MOST_REMEMBERED);
}

#[test]
fn a_fault_that_was_cleared_before_it_was_told_of_labels_what_it_met() {
    let mut log = Log::new();
    log.open(5, "i1", vec![]);
    log.open(15, "i2", vec![]);
    assert!(log.clear(9, "f1").is_empty());
    let mut expected = root_cause("i1", "payments").to_vec();
    expected.push(json!(["i1", "undone", "payments"]));
    assert_eq!(log.inject(3, "f1", "payments"), expected);
    assert!(log.open(20, "i3", vec![]).is_empty());
}

#[test]
fn a_fault_of_another_system_labels_nothing() {
    let mut log = Log::new();
    log.call("users", "gateway");
    log.call("cron", "reports");
    log.inject(0, "f1", "reports");
    assert!(log.open(5, "i1", vec![]).is_empty());
    // Nothing is known of who calls it: it may be of the same system.
    assert_eq!(log.inject(4, "f2", "payments"), root_cause("i1", "payments"));
}

#[test]
fn a_fault_that_arrives_after_its_incident_labels_it_once() {
    let mut log = Log::new();
    assert!(log.open(5, "i1", vec![]).is_empty());
    assert_eq!(log.inject(3, "f1", "payments"), root_cause("i1", "payments"));
    assert!(log.inject(3, "f1", "payments").is_empty());
}

#[test]
fn a_fault_during_an_incident_that_has_its_cause_is_a_contributing_factor() {
    let mut log = Log::new();
    log.inject(0, "f1", "payments");
    log.open(5, "i1", vec![]);
    log.clear(9, "f1");
    assert_eq!(
        log.inject(12, "f2", "orders"),
        [json!(["i1", { "claim": "contributing_factor", "component": "orders" }])]
    );
    log.resolve(13, "i1");
    assert_eq!(log.open(14, "i2", vec![]), root_cause("i2", "orders"));
}

#[test]
fn faults_before_the_first_unusual_window_or_after_the_end_do_not_count() {
    let mut log = Log::new();
    log.inject(0, "f1", "payments");
    log.clear(4, "f1");
    assert!(log.open(6, "i1", vec![]).is_empty());
    log.resolve(9, "i1");
    assert!(log.inject(10, "f2", "orders").is_empty());
}

#[test]
fn a_fault_that_ended_within_the_first_unusual_window_counts() {
    let mut log = Log::new();
    let window = Window { start: second(2), duration_ms: 10_000 };
    let anomaly = events::catalogue::diagnosis::AnomalyDetected {
        component: events::ComponentName::new("payments").unwrap(),
        window,
        detector: Line::clipped("d@1"),
        score: events::value::NonNegative::new(9.0).unwrap(),
        parts: vec![],
        evidence: vec![],
    };
    let (anomaly, _) = log.event(12, anomaly);
    log.inject(1, "f1", "payments");
    log.clear(3, "f1");
    let mut expected = root_cause("i1", "payments").to_vec();
    expected.push(json!(["i1", "undone", "payments"]));
    assert_eq!(log.open(12, "i1", vec![anomaly]), expected);
}

#[test]
fn ids_come_from_the_causes() {
    let decide = || {
        let mut log = Log::new();
        log.inject(0, "f1", "payments");
        log.event(5, opened("i1")).1
    };
    let (first, second) = (decide(), decide());
    assert_eq!(first, second);
    assert_ne!(first[0].id, first[1].id);
}

fn opened(incident: &str) -> IncidentOpened {
    IncidentOpened {
        incident: IncidentId::new(incident).unwrap(),
        title: Line::clipped("t"),
        component: events::ComponentName::new("gateway").unwrap(),
        severity: Severity::Error,
        opened_by: Line::clipped("detector"),
        evidence: vec![],
    }
}
