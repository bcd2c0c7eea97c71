//! What labels teach from, and which model answers.

use diagnosis::learning::Studied;
use schema::reads::Unsaid;
use schema::{Graph, Models};
use serde_json::{Value, json};

use crate::history::History;

/// Incidents of these names, diagnosed and over; `cart` is the suspect of each.
fn over(incidents: &[&str]) -> History {
    let mut h = History::default();
    for (second, incident) in (0..).step_by(100).zip(incidents) {
        let snapshot = h.snapshot(second, "cart", 300.0);
        h.opened(second + 1, incident, "cart", &[snapshot]);
        h.diagnosed(second + 2, incident, "cart", snapshot);
        h.push(second + 50, "incident.resolved", json!({"incident": incident, "by": "ada"}));
    }
    h
}

fn root_cause(component: &str) -> Value {
    json!({"claim": "root_cause", "component": component})
}

fn of_fault(label: &str, incident: &str, fault: &str) -> Value {
    json!({
        "label": label, "incident": incident, "claim": root_cause("cart"), "by": "experiment",
        "confidence": 0.8, "fault": fault
    })
}

async fn graph_of(history: &History) -> Graph {
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&history.0).await.unwrap();
    graph
}

async fn studied(history: &History, position: u64) -> Vec<Studied> {
    Models::default().studied(&graph_of(history).await, position).await.unwrap()
}

fn told(studied: &[Studied]) -> Vec<(&str, Option<&str>)> {
    studied
        .iter()
        .map(|it| (it.incident.as_str(), it.lesson.cause.as_ref().map(|c| c.as_str())))
        .collect()
}

#[tokio::test]
async fn what_is_over_and_whose_cause_is_told_teaches_as_of_then() {
    let mut h = over(&["i1", "i2", "i3", "i4"]);
    let snapshot = h.snapshot(1_000, "cart", 300.0);
    h.opened(1_001, "i5", "cart", &[snapshot]);
    for (label, incident) in [("l1", "i1"), ("l2", "i2"), ("l5", "i5")] {
        h.labelled(2_000, label, incident, root_cause("cart"), 0.6);
    }
    let labelled = h.0.len() as u64;
    h.labelled(2_001, "l3", "i2", json!({"claim": "false_positive"}), 0.9);
    h.labelled(2_002, "l4", "i1", root_cause("orders"), 0.9);
    assert_eq!(told(&studied(&h, labelled).await), [("i1", Some("cart")), ("i2", Some("cart"))]);
    assert_eq!(told(&studied(&h, u64::MAX).await), [("i1", Some("orders"))]);
    let nothing = studied(&h, labelled - 3).await;
    assert!(nothing.is_empty(), "{:?}", told(&nothing));
}

#[tokio::test]
async fn a_fault_stays_known_behind_an_incident_whatever_becomes_of_its_labels() {
    let mut h = over(&["i1", "i2"]);
    for fault in ["f1", "f2"] {
        let injected = json!({"fault": fault, "kind": "latency", "component": "cart"});
        h.push(5_000, "fault.injected", injected);
    }
    h.push(5_001, "label.assigned", of_fault("l1", "i1", "f1"));
    h.push(5_001, "label.assigned", of_fault("l2", "i2", "f2"));
    h.labelled(5_002, "l3", "i1", root_cause("orders"), 1.0);
    let back = json!({"label": "l2", "incident": "i2", "by": "ada"});
    h.push(5_003, "label.retracted", back);
    h.labelled(5_004, "l4", "i2", root_cause("orders"), 1.0);
    let studied = studied(&h, u64::MAX).await;
    assert_eq!(told(&studied), [("i1", Some("orders")), ("i2", Some("orders"))]);
    for (studied, fault) in studied.iter().zip(["f1", "f2"]) {
        let faults: Vec<_> = studied.faults.iter().map(|it| it.as_str()).collect();
        assert_eq!(faults, [fault], "overruled or taken back, it was known");
    }
}

#[tokio::test]
async fn what_is_taken_as_unsaid_teaches_nothing() {
    let mut h = over(&["i1", "i2", "i3"]);
    h.labelled(2_000, "l1", "i1", root_cause("cart"), 0.6);
    h.labelled(2_001, "l2", "i1", root_cause("orders"), 0.9);
    h.labelled(2_002, "l3", "i2", root_cause("cart"), 0.6);
    let right = json!({"incident": "i3", "diagnosis": "i3-diagnosis-202", "right_rank": 1,
        "by": "ada", "confidence": 1.0});
    h.push(2_003, "feedback.given", right);
    let feedback = h.0.last().unwrap().event.id;
    let graph = graph_of(&h).await;
    let known = async |unsaid: &Unsaid| graph.known_incidents(u64::MAX, unsaid).await.unwrap();
    let everything = known(&Unsaid::default()).await;
    let names: Vec<_> = everything.iter().map(|it| it.incident.as_str()).collect();
    assert_eq!(names, ["i1", "i2", "i3"]);
    let mut unsaid = Unsaid::default();
    unsaid.label("l3".parse().unwrap());
    unsaid.feedback(feedback);
    assert_eq!(known(&unsaid).await, everything[..1]);
    unsaid.label("l2".parse().unwrap());
    let left = known(&unsaid).await;
    assert_eq!((left.len(), &left[0].incident), (1, &everything[0].incident));
    assert_ne!(left[0], everything[0], "the label that was overruled counts now");
}

#[tokio::test]
async fn the_latest_model_of_this_log_answers_until_somebody_selects_another() {
    let mut h = over(&["i1"]);
    let trained = |model: &str, method: &str, to: u64| {
        json!({"model": model, "method": method, "weights": {}, "data_from_position": 1,
            "data_to_position": to})
    };
    let mut rejected = trained("taught@1-4", "taught@1", 4);
    rejected["rejected"] = json!("worse");
    for data in [
        trained("taught@1-2", "taught@1", 2),
        trained("taught@1-3", "taught@1", 3),
        rejected,
        trained("other@1-4", "other@1", 4),
        trained("taught@1-9000000", "taught@1", 9_000_000),
    ] {
        h.push(300, "model.trained", data);
    }
    let trained = h.0.len() as u64;
    let choices = [
        json!({"choice": "shipped"}),
        json!({"choice": "pinned", "model": "taught@1-2"}),
        json!({"choice": "latest"}),
    ];
    for mut choice in choices {
        choice["by"] = json!("ada");
        h.push(400, "model.selected", choice);
    }
    let graph = graph_of(&h).await;
    let mut answering = Vec::new();
    for position in trained..=trained + 3 {
        let used = graph.model_in_use(position).await.unwrap();
        answering.push(used.map(|used| used.model.to_string()));
    }
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(answering, [named("taught@1-3"), None, named("taught@1-2"), named("taught@1-3")]);
    let newest = graph.newest_model(u64::MAX).await.unwrap().unwrap();
    assert_eq!(newest.model.as_str(), "taught@1-4", "rejected or not");
}
