//! The past that a new incident is compared with.

use diagnosis::diagnose::Lookup;
use diagnosis::similarity::{PastIncident, nearest};
use schema::Graph;
use serde_json::json;

use crate::history::{History, window};

fn root_cause(component: &str) -> serde_json::Value {
    json!({"claim": "root_cause", "component": component})
}

fn two_incidents() -> History {
    let mut h = History::default();
    for (second, incident) in [(0, "i1"), (100, "i2")] {
        let snapshot = h.snapshot(second, "cart", 300.0);
        h.opened(second + 1, incident, "cart", &[snapshot]);
        h.diagnosed(second + 2, incident, "cart", snapshot);
    }
    h
}

async fn past_of(history: &History, position: u64) -> Vec<PastIncident> {
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&history.0).await.unwrap();
    graph.past_incidents(position, None).await.unwrap()
}

fn root_cause_of(past: &[PastIncident], incident: &str) -> Option<String> {
    let found = past.iter().find(|it| it.incident.as_str() == incident).unwrap();
    found.root_cause.as_ref().map(ToString::to_string)
}

#[tokio::test]
async fn the_surest_label_counts_then_the_latest() {
    let mut h = two_incidents();
    h.labelled(200, "l1", "i1", root_cause("cart"), 0.9);
    h.labelled(201, "l2", "i1", root_cause("orders"), 0.5);
    h.labelled(202, "l3", "i2", root_cause("orders"), 0.7);
    h.labelled(203, "l4", "i2", root_cause("database"), 0.7);
    h.labelled(203, "l5", "i2", json!({"claim": "fault_kind", "fault_kind": "latency"}), 1.0);
    let past = past_of(&h, u64::MAX).await;
    assert_eq!(root_cause_of(&past, "i1").as_deref(), Some("cart"));
    assert_eq!(root_cause_of(&past, "i2").as_deref(), Some("database"));
    assert_eq!(past[0].fault_kind, None);
    assert_eq!(past[1].fault_kind.as_ref().map(|it| it.as_str()), Some("latency"));
}

#[tokio::test]
async fn a_label_counts_from_when_it_was_given_until_it_is_taken_back() {
    let mut h = two_incidents();
    h.labelled(200, "l1", "i1", root_cause("cart"), 0.9);
    let given = h.0.len() as u64;
    h.push(201, "label.retracted", json!({"label": "l1", "incident": "i1", "by": "ada"}));
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&h.0).await.unwrap();
    let then = graph.past_incidents(given, None).await.unwrap();
    assert_eq!(root_cause_of(&then, "i1").as_deref(), Some("cart"));
    let before = graph.past_incidents(given - 1, None).await.unwrap();
    assert_eq!(root_cause_of(&before, "i1"), None);
    let after = graph.past_incidents(given + 1, None).await.unwrap();
    assert_eq!(root_cause_of(&after, "i1"), None);
}

#[tokio::test]
async fn the_incident_in_question_and_false_positives_are_left_out() {
    let mut h = two_incidents();
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&h.0).await.unwrap();
    let past = graph.past_incidents(u64::MAX, Some(&"i2".parse().unwrap())).await.unwrap();
    assert_eq!(past.iter().map(|it| it.incident.as_str()).collect::<Vec<_>>(), ["i1"]);
    h.labelled(200, "l1", "i1", json!({"claim": "false_positive"}), 0.9);
    graph.apply(&h.0).await.unwrap();
    let past = graph.past_incidents(u64::MAX, None).await.unwrap();
    assert_eq!(past.iter().map(|it| it.incident.as_str()).collect::<Vec<_>>(), ["i2"]);
}

#[tokio::test]
async fn what_was_done_is_told_once_and_in_order() {
    let mut h = two_incidents();
    for (second, action) in [(210, "rolled back"), (205, "restarted cart"), (220, "rolled back")] {
        h.push(
            second,
            "incident.mitigationapplied",
            json!({"incident": "i1", "action": action,
            "by": "ada"}),
        );
    }
    h.push(230, "remediation.suggested", json!({"incident": "i1", "action": "only an idea"}));
    let past = past_of(&h, u64::MAX).await;
    assert_eq!(past[0].fixed_by, ["restarted cart", "rolled back"]);
}

/// DI-3: one fault may open two incidents, and the first is labelled while it still acts.
#[tokio::test]
async fn labels_of_a_fault_that_still_acted_are_withheld_from_its_other_incidents() {
    let mut h = History::default();
    h.push(0, "fault.injected", json!({"fault": "f1", "kind": "latency", "component": "cart"}));
    for (second, incident) in [(1, "i1"), (10, "i2"), (100, "i3")] {
        let snapshot = h.snapshot(second, "cart", 300.0);
        h.opened(second + 1, incident, "cart", &[snapshot]);
        h.diagnosed(second + 2, incident, "cart", snapshot);
        let cleared = json!({
            "fault": "f1", "cleared_by": "rollback", "action": "removed the delay", "verified": true
        });
        match incident {
            "i1" => {
                let label = json!({
                    "label": "l1", "incident": "i1", "claim": root_cause("cart"), "by": "experiment",
                    "confidence": 1.0, "fault": "f1"
                });
                h.push(3, "label.assigned", label);
            }
            "i2" => {
                h.push(30, "fault.cleared", cleared);
                let done = json!({"incident": "i1", "action": "removed the delay", "by": "ada"});
                h.push(30, "incident.mitigationapplied", done);
            }
            _ => {}
        }
    }
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&h.0).await.unwrap();
    let asked = async |incident: &str| {
        let excluding = incident.parse().unwrap();
        graph.past_incidents(u64::MAX, Some(&excluding)).await.unwrap()
    };
    let same_fault = asked("i2").await;
    assert_eq!(root_cause_of(&same_fault, "i1"), None);
    assert!(same_fault[0].fixed_by.is_empty());
    let later = asked("i3").await;
    assert_eq!(root_cause_of(&later, "i1").as_deref(), Some("cart"));
    assert_eq!(later[0].fixed_by, ["removed the delay"]);
}

/// DI-3: what was known of a fault when it was cleared, and how, is not for an incident that began
/// while it acted and was opened later.
#[tokio::test]
async fn a_fault_is_withheld_that_acted_since_the_first_unusual_window() {
    let mut h = History::default();
    h.push(0, "fault.injected", json!({"fault": "f1", "kind": "latency", "component": "cart"}));
    let seen = h.snapshot(1, "cart", 300.0);
    h.opened(2, "i1", "cart", &[seen]);
    h.diagnosed(2, "i1", "cart", seen);
    let label = json!({
        "label": "l1", "incident": "i1", "claim": root_cause("cart"), "by": "experiment",
        "confidence": 1.0, "fault": "f1",
    });
    h.push(3, "label.assigned", label);
    let done = json!({"incident": "i1", "action": "eased the delay", "by": "ada"});
    h.push(5, "incident.mitigationapplied", done);
    // Each of them began while the fault acted, and was opened when it was over.
    let anomaly = json!({
        "component": "cart", "window": window(12), "detector": "robust@1", "score": 4.5,
        "evidence": [seen],
        "parts": [{"signal": "latency", "observed": 200.0, "baseline": 2.0, "deviation": 9.0}],
    });
    let during = [
        ("i2", h.snapshot(10, "cart", 300.0)),
        ("i3", h.calls(11, "gateway", "cart")),
        ("i4", h.push(14, "anomaly.detected", anomaly)),
    ];
    let cleared = json!({
        "fault": "f1", "cleared_by": "rollback", "action": "removed the delay", "verified": true
    });
    h.push(15, "fault.cleared", cleared);
    let done = json!({"incident": "i1", "action": "removed the delay", "by": "experiment"});
    h.push(15, "incident.mitigationapplied", done);
    let after = h.snapshot(16, "cart", 300.0);
    for (incident, evidence) in during.into_iter().chain([("i5", after)]) {
        h.opened(20, incident, "cart", &[evidence]);
        h.diagnosed(21, incident, "cart", evidence);
    }
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&h.0).await.unwrap();
    for (incident, knows) in [("i2", false), ("i3", false), ("i4", false), ("i5", true)] {
        let (cause, fixed_by): (_, &[&str]) = match knows {
            true => (Some("cart"), &["eased the delay", "removed the delay"]),
            false => (None, &[]),
        };
        let excluding = incident.parse().unwrap();
        let everything = graph.past_incidents(u64::MAX, Some(&excluding)).await.unwrap();
        let lookup = Lookup {
            fingerprint: everything[0].fingerprint.clone(),
            told: None,
            first: 9,
            min_score: 0.0,
            of_known_kind: false,
        };
        let part = graph.past_for(vec![lookup], u64::MAX, &excluding).await.unwrap().known;
        for past in [everything, part] {
            assert_eq!(root_cause_of(&past, "i1").as_deref(), cause, "{incident}");
            let found = past.iter().find(|it| it.incident.as_str() == "i1").unwrap();
            assert_eq!(found.fixed_by, fixed_by, "{incident}");
        }
    }
}

/// What nobody cleared ended at its deadline.
#[tokio::test]
async fn a_fault_that_was_never_cleared_is_withheld_until_its_deadline() {
    let mut h = History::default();
    let fault =
        json!({"fault": "f1", "kind": "latency", "component": "cart", "deadline_ms": 5_000});
    h.push(0, "fault.injected", fault);
    for (second, incident) in [(1, "i1"), (4, "i2"), (6, "i3")] {
        let snapshot = h.snapshot(second, "cart", 300.0);
        h.opened(10, incident, "cart", &[snapshot]);
        h.diagnosed(11, incident, "cart", snapshot);
    }
    let label = json!({
        "label": "l1", "incident": "i1", "claim": root_cause("cart"), "by": "experiment",
        "confidence": 1.0, "fault": "f1",
    });
    h.push(12, "label.assigned", label);
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&h.0).await.unwrap();
    for (incident, known) in [("i2", None), ("i3", Some("cart"))] {
        let excluding = incident.parse().unwrap();
        let past = graph.past_incidents(u64::MAX, Some(&excluding)).await.unwrap();
        assert_eq!(root_cause_of(&past, "i1").as_deref(), known, "{incident}");
    }
}

/// What the index finds is what reading the whole past would have found.
#[tokio::test]
async fn the_part_of_the_past_that_is_looked_up_gives_the_same_answers() {
    let mut h = History::default();
    h.push(0, "fault.injected", json!({"fault": "f1", "kind": "latency", "component": "cart"}));
    let components = ["cart", "orders", "database"];
    for n in 0..30i64 {
        let (incident, component) = (format!("i{n:02}"), components[n as usize % 3]);
        let snapshot = h.snapshot(n * 10, component, 300.0);
        h.opened(n * 10 + 1, &incident, component, &[snapshot]);
        let strength = f64::from((n * 7 % 10) as u32) / 10.0;
        let fingerprint = json!({
            "suspect": component, "components": {component: strength},
            "symptoms": [
                {"role": "suspect", "feature": "latency", "strength": strength},
                {"role": "caller", "feature": "errors", "strength": 1.0 - strength},
            ],
        });
        let diagnosis = json!({
            "incident": incident, "diagnosis": format!("d{n}"), "method": "own-excess@1",
            "evidence_position": 1, "fingerprint": fingerprint, "abstained": "a test",
        });
        h.push(n * 10 + 2, "diagnosis.proposed", diagnosis);
        let claim = match n % 4 {
            0 => json!({"claim": "false_positive"}),
            1 => json!({"claim": "fault_kind", "fault_kind": "latency"}),
            _ => root_cause(component),
        };
        let mut label = json!({
            "label": format!("l{n}"), "incident": incident, "claim": claim, "by": "ada",
            "confidence": 1.0,
        });
        if n % 8 < 2 {
            label["fault"] = json!("f1");
        }
        h.push(n * 10 + 3, "label.assigned", label);
        h.push(
            n * 10 + 4,
            "incident.mitigationapplied",
            json!({"incident": incident, "action": format!("did {n}"), "by": "ada"}),
        );
    }
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&h.0).await.unwrap();
    let last = h.0.len() as u64;
    for (asked, position) in [("i29", last), ("i00", last), ("i13", last), ("i20", last / 2)] {
        let excluding = asked.parse().unwrap();
        let everything = graph.past_incidents(position, Some(&excluding)).await.unwrap();
        let lookups: Vec<Lookup> = everything
            .iter()
            .take(4)
            .flat_map(|past| {
                [false, true].map(|of_known_kind| Lookup {
                    fingerprint: past.fingerprint.clone(),
                    told: None,
                    first: 3,
                    min_score: 0.4,
                    of_known_kind,
                })
            })
            .collect();
        let past = graph.past_for(lookups.clone(), position, &excluding).await.unwrap();
        let (part, answers) = (past.known, past.near);
        assert!(part.len() < everything.len(), "{asked}: {} are all", part.len());
        assert!(part.iter().all(|it| everything.contains(it)));
        for (lookup, answer) in lookups.into_iter().zip(answers) {
            let near = |past: &[PastIncident]| {
                let past: Vec<_> = past
                    .iter()
                    .filter(|it| !lookup.of_known_kind || it.fault_kind.is_some())
                    .cloned()
                    .collect();
                nearest(&lookup.fingerprint, &past, lookup.first, lookup.min_score)
            };
            assert_eq!(near(&part), near(&everything), "{asked}");
            assert_eq!(answer, near(&everything), "{asked}");
        }
    }
}
