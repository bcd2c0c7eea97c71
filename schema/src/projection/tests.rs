//! Given events, when an event, then changes of rows: without a store.

use std::collections::BTreeSet;

use events::value::Line;
use events::{Event, EventData, EventId, RecordHash, RecordedEvent, Timestamp};
use serde_json::{Value as Json, json};
use surrealdb::types::Value;
use uuid::Uuid;

use super::*;
use crate::fold::{Row, Rows};
use crate::rows::Provenance;
use crate::table::{Key, RowId, Table};
use crate::value::{float, read, text, time};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000 + second).unwrap()
}

#[derive(Default)]
struct Graph {
    rows: Rows,
    position: u64,
}

impl Graph {
    fn when(&mut self, second: i64, event_type: &str, data: Json) -> Result<EventId, ProjectError> {
        self.then(second, event_type, data, false)
    }

    /// As `when`; the event may have lost its measurements before it is projected.
    fn then(
        &mut self,
        second: i64,
        event_type: &str,
        data: Json,
        pruned: bool,
    ) -> Result<EventId, ProjectError> {
        self.position += 1;
        let id = EventId(Uuid::from_u128(self.position.into()));
        let data = EventData::from_json(&format!("io.faultline.{event_type}.v1"), data).unwrap();
        let kept = data.kept().filter(|_| pruned);
        let pruned = kept.as_ref().map(|_| RecordHash([7; 32]));
        let data = kept.unwrap_or(data);
        let event = Event::with_id(id, Line::clipped("/test"), at(second), data);
        let recorded = RecordedEvent {
            stream: event.data.stream(),
            event,
            revision: 0,
            position: self.position,
            recorded_at: at(second),
            pruned,
        };
        project(&recorded).and_then(|changes| self.rows.apply(&recorded, changes)).map(|()| id)
    }

    fn given(events: &[(i64, &str, Json)]) -> Self {
        let mut graph = Self::default();
        for (second, event_type, data) in events {
            graph.when(*second, event_type, data.clone()).unwrap();
        }
        graph
    }

    fn row(&self, id: &RowId) -> Option<&Row> {
        self.rows.changed().find(|(changed, _)| *changed == id).map(|(_, row)| row)
    }

    fn field(&self, table: Table, id: &str, field: &str) -> Value {
        let row = self.row(&RowId::node(table, id)).expect("the row is known");
        row.fields.get(field).cloned().unwrap_or_default()
    }

    fn of(&self, table: Table) -> Vec<&RowId> {
        self.rows.changed().map(|(id, _)| id).filter(|id| id.table == table).collect()
    }
}

fn opened(incident: &str) -> Json {
    json!({"incident": incident, "title": "slow", "component": "gateway", "severity": "error",
        "opened_by": "ada"})
}

#[test]
fn what_an_event_speaks_of_becomes_a_stub() {
    let data = json!({"fault": "f1", "experiment": "e1", "kind": "latency", "component": "cart",
        "peer": "gateway"});
    let graph = Graph::given(&[(1, "fault.injected", data)]);
    assert_eq!(graph.field(Table::Component, "gateway", "first_seen"), time(at(1)));
    assert!(graph.row(&RowId::node(Table::Experiment, "e1")).is_some());
    assert!(graph.row(&RowId::node(Table::FaultKind, "latency")).is_some());
    let edge = RowId::edge(Table::InjectedInto, vec!["f1".to_owned(), "cart".to_owned()]);
    let ends = graph.row(&edge).and_then(|row| row.ends.clone());
    let expected = (RowId::node(Table::Fault, "f1"), RowId::node(Table::Component, "cart"));
    assert_eq!(ends, Some(expected));
}

#[test]
fn a_late_description_does_not_replace_a_newer_one() {
    let newer = json!({"component": "cart", "kind": "service"});
    let late = json!({"component": "cart", "kind": "database", "owner": "shop"});
    let graph =
        Graph::given(&[(5, "component.described", newer), (3, "component.described", late)]);
    assert_eq!(graph.field(Table::Component, "cart", "kind"), text("service"));
    assert_eq!(graph.field(Table::Component, "cart", "owner"), text("shop"));
    assert_eq!(graph.field(Table::Component, "cart", "first_seen"), time(at(3)));
    assert_eq!(graph.field(Table::Component, "cart", "last_seen"), time(at(5)));
}

#[test]
fn an_incident_is_as_far_as_the_latest_time_says() {
    let by = json!({"incident": "i1", "by": "ada"});
    let mut graph = Graph::given(&[
        (1, "incident.opened", opened("i1")),
        (9, "incident.resolved", by.clone()),
        (5, "incident.acknowledged", by),
    ]);
    assert_eq!(graph.field(Table::Incident, "i1", "status"), text("resolved"));
    assert_eq!(graph.field(Table::Incident, "i1", "acknowledged_at"), time(at(5)));
    let again = json!({"incident": "i1", "by": "ada", "reason": "not over"});
    graph.when(10, "incident.reopened", again).unwrap();
    assert_eq!(graph.field(Table::Incident, "i1", "status"), text("open"));
    assert_eq!(graph.field(Table::Incident, "i1", "resolved_at"), Value::None);
    assert_eq!(graph.of(Table::TimelineEntry).len(), 4);
}

#[test]
fn an_incident_is_the_same_in_whatever_order_it_is_told() {
    let by = |more: Json| {
        let mut data = json!({"incident": "i1", "by": "ada"});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    };
    let steps = [
        (1, "incident.opened", opened("i1")),
        (2, "incident.acknowledged", by(json!({}))),
        (3, "incident.mitigated", by(json!({}))),
        (4, "incident.resolved", by(json!({"resolution": "restarted"}))),
        (5, "incident.reopened", by(json!({"reason": "not over"}))),
        (6, "incident.resolved", by(json!({"resolution": "rolled back"}))),
    ];
    let told = |order: &[usize]| {
        let graph =
            Graph::given(&order.iter().map(|step| steps[*step].clone()).collect::<Vec<_>>());
        let entries = graph.of(Table::TimelineEntry).len();
        let fields = ["title", "opened_at", "acknowledged_at", "mitigated_at", "reopened_at"]
            .into_iter()
            .chain(["resolved_at", "resolution", "status"])
            .map(|field| graph.field(Table::Incident, "i1", field));
        (entries, fields.collect::<Vec<_>>())
    };
    let in_order = told(&[0, 1, 2, 3, 4, 5]);
    assert_eq!(in_order.1.last(), Some(&text("resolved")));
    for order in [[5, 4, 3, 2, 1, 0], [3, 0, 1, 2, 4, 5], [1, 5, 0, 4, 3, 2], [4, 3, 5, 0, 2, 1]] {
        assert_eq!(told(&order), in_order, "{order:?}");
    }
}

#[test]
fn a_symptom_may_come_before_the_opening() {
    let symptom = json!({"incident": "i1", "component": "cart", "signal": "errors",
        "strength": -6.0});
    let graph = Graph::given(&[
        (1, "incident.symptomattached", symptom),
        (2, "incident.opened", opened("i1")),
    ]);
    assert_eq!(graph.field(Table::Incident, "i1", "opened_at"), time(at(2)));
    let edge = RowId::edge(Table::Affects, vec!["i1".to_owned(), "cart".to_owned()]);
    let row = graph.row(&edge).expect("the symptom drew an edge");
    assert_eq!(row.fields.get("strength"), Some(&float(6.0)));
}

#[test]
fn a_change_precedes_incidents_within_half_an_hour_whichever_arrives_first() {
    let deployed = json!({"component": "cart", "version": "2"});
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let steps = [
            (0, "deployment.recorded", deployed.clone()),
            (60, "incident.opened", opened("soon")),
            (3_600, "incident.opened", opened("much later")),
        ];
        let steps = order.map(|step| steps[step].clone());
        let graph = Graph::given(&steps);
        let edges = graph.of(Table::Preceded);
        assert_eq!(edges.len(), 1, "{order:?}");
        let row = graph.row(edges[0]).expect("the edge changed");
        let incident = row.ends.as_ref().map(|(_, to)| to.id());
        assert_eq!(incident.as_deref(), Some("soon"));
        assert_eq!(row.fields.get("lead_ms"), Some(&Value::Number(60_000.into())));
    }
}

#[test]
fn a_label_taken_back_is_closed_with_its_edges() {
    let label = json!({"label": "l1", "incident": "i1", "by": "ada", "confidence": 1.0,
        "claim": {"claim": "root_cause", "component": "cart"}, "fault": "f1"});
    let mut graph = Graph::given(&[(1, "label.assigned", label)]);
    let back = json!({"label": "l1", "incident": "i1", "by": "ada"});
    let id = graph.when(2, "label.retracted", back).unwrap();
    assert_eq!(graph.field(Table::Label, "l1", "until"), Value::Number(2.into()));
    let key = vec!["i1".to_owned(), "l1".to_owned()];
    for table in [Table::Labelled, Table::Triggered] {
        let row = graph.row(&RowId::edge(table, key.clone())).expect("the edge is known");
        assert_eq!(row.fields.get("until"), Some(&Value::Number(2.into())));
        let events: serde_json::Value = read(row.fields["events"].clone()).unwrap();
        assert_eq!(events.as_array().and_then(|it| it.last()), Some(&json!(id.to_string())));
    }
}

#[test]
fn what_contradicts_the_graph_changes_nothing_of_it() {
    let label = |incident: &str| {
        json!({"label": "l1", "incident": incident, "by": "ada",
        "confidence": 1.0, "claim": {"claim": "false_positive"}})
    };
    let mut graph =
        Graph::given(&[(1, "incident.opened", opened("i1")), (2, "label.assigned", label("i1"))]);
    let before: Vec<_> = graph.rows.changed().map(|(id, row)| (id.clone(), row.clone())).collect();
    for (event_type, data, code) in [
        ("incident.opened", opened("i1"), "already_known"),
        ("label.assigned", label("i2"), "already_known"),
        ("label.retracted", json!({"label": "l2", "incident": "i1", "by": "a"}), "unknown_row"),
        (
            "label.retracted",
            json!({"label": "l1", "incident": "i2", "by": "a"}),
            "contradicts_known",
        ),
        (
            "feedback.given",
            json!({"incident": "i1", "diagnosis": "d1", "by": "ada", "confidence": 1.0}),
            "unknown_row",
        ),
        (
            "metrics.snapshotrecorded",
            json!({"component": "cart", "requests": u64::MAX,
                "window": {"start": "2026-01-01T00:00:00Z", "duration_ms": 1000}}),
            "number_too_large",
        ),
    ] {
        let error = graph.when(3, event_type, data).unwrap_err();
        assert_eq!(error.code(), code, "{event_type}: {error}");
    }
    let after: Vec<_> = graph.rows.changed().map(|(id, row)| (id.clone(), row.clone())).collect();
    assert_eq!(before, after);
}

#[test]
fn hot_rows_keep_the_first_and_last_events_and_a_count() {
    let mut graph = Graph::default();
    let ids: Vec<String> = (0..100)
        .map(|second| {
            let data = json!({"component": "cart", "owner": format!("the owner of {second}")});
            graph.when(second, "component.described", data).unwrap().to_string()
        })
        .collect();
    let kept: serde_json::Value = read(graph.field(Table::Component, "cart", "events")).unwrap();
    let expected: Vec<_> =
        ids[..Provenance::KEPT].iter().chain(&ids[100 - Provenance::KEPT..]).collect();
    assert_eq!(kept, json!(expected));
    assert_eq!(graph.field(Table::Component, "cart", "event_count"), Value::Number(100.into()));
    assert_eq!(graph.field(Table::Component, "cart", "since"), Value::Number(1.into()));
}

#[test]
fn an_incident_that_goes_on_as_another_is_no_end_of_a_merge() {
    let merged = |from: &str, into: &str| json!({"incident": from, "into": into, "by": "ada"});
    let mut graph = Graph::given(&[
        (1, "incident.opened", opened("i1")),
        (1, "incident.opened", opened("i2")),
        (1, "incident.opened", opened("i3")),
        (2, "incident.merged", merged("i1", "i2")),
    ]);
    for (from, into) in [("i1", "i3"), ("i2", "i1"), ("i3", "i1"), ("i1", "i2")] {
        let error = graph.when(3, "incident.merged", merged(from, into)).unwrap_err();
        assert_eq!(error.code(), "already_known", "{from} into {into}: {error}");
    }
    assert_eq!(graph.field(Table::Incident, "i1", "merged_into"), text("i2"));
    graph.when(4, "incident.merged", merged("i2", "i3")).unwrap();
    assert_eq!(graph.field(Table::Incident, "i2", "merged_into"), text("i3"));
}

/// One of a few events, by a number.
fn any_event(n: u64) -> (&'static str, Json) {
    let component = ["web", "cart", "payments", "database"][(n / 7 % 4) as usize];
    let other = ["mail", "search", "ledger"][(n / 31 % 3) as usize];
    let start = format!("2026-01-01T00:{:02}:00Z", n / 97 % 60);
    let window = json!({"start": start, "duration_ms": 10_000});
    match n % 7 {
        0 | 1 => (
            "metrics.snapshotrecorded",
            json!({"component": component, "window": window, "requests": n % 1000}),
        ),
        2 | 3 => (
            "traces.edgesrecorded",
            json!({"caller": component, "window": window,
                "edges": [{"callee": other, "calls": n % 500, "errors": 0}]}),
        ),
        4 => (
            "logs.patternsrecorded",
            json!({"component": component, "window": window,
                "patterns": [{"template": "a <*>", "severity": "error", "count": 3}]}),
        ),
        5 => ("component.described", json!({"component": other, "owner": component})),
        _ => ("deployment.recorded", json!({"component": component, "version": format!("{n}")})),
    }
}

/// PR-1 for a log whose telemetry was pruned, whatever of it: all else comes out the same, what
/// rows were before included, and of what is whole every row.
#[test]
fn what_is_pruned_takes_no_row_with_it_but_its_own() {
    let windows = [Table::Snapshot, Table::EdgeWindow, Table::LogPattern];
    for seed in 0..40u64 {
        let mut random = seed;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random >> 24
        };
        let (mut whole, mut pruned) = (Graph::default(), Graph::default());
        let mut gone = BTreeSet::new();
        for _ in 0..120 {
            let ((event_type, data), second) = (any_event(next()), (next() % 4_000) as i64);
            let prune = next() % 3 > 0;
            let id = whole.when(second, event_type, data.clone()).unwrap();
            assert_eq!(pruned.then(second, event_type, data, prune).unwrap(), id);
            if prune {
                gone.insert(id.to_string());
            }
        }
        let is_gone = |id: &RowId| match &id.key {
            Key::Timed(_, event) => windows.contains(&id.table) && gone.contains(event),
            _ => false,
        };
        let expected: Vec<_> = whole.rows.changed().filter(|(id, _)| !is_gone(id)).collect();
        assert!(expected.len() < whole.rows.changed().count());
        assert_eq!(pruned.rows.changed().collect::<Vec<_>>(), expected, "seed {seed}");
        assert_eq!(pruned.rows.former(), whole.rows.former(), "seed {seed}");
    }
}
