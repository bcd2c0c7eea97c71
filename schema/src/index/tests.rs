//! The index of a graph: fed or loaded, the same.

use std::collections::BTreeSet;
use std::time::Duration;

use diagnosis::fingerprint::Fingerprint;
use events::log::{EmbeddedLog, Options};
use events::value::Line;
use events::{Event, EventData, EventId, RecordedEvent, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fact::Fact;
use super::*;
use crate::graph::Graph;
use crate::graphql::{Base, Limits, schema};
use crate::project_log::Projector;
use crate::table::Table;

fn recorded(position: u64, name: &str, data: Value) -> RecordedEvent {
    let at = Timestamp::from_second(1_790_000_000 + position as i64).unwrap();
    let data = EventData::from_json(&format!("io.faultline.{name}.v1"), data).unwrap();
    let id = EventId(Uuid::from_u128(u128::from(position)));
    let event = Event::with_id(id, Line::clipped("/test"), at, data);
    let stream = event.data.stream();
    RecordedEvent { stream, event, revision: position, position, recorded_at: at, pruned: None }
}

fn looks(suspect: &str, strength: f64) -> Value {
    json!({
        "suspect": suspect,
        "symptoms": [{"role": "suspect", "feature": "latency", "strength": strength}],
        "components": {suspect: strength.abs()},
    })
}

/// Texts that change, incidents that come to look different, labels that are taken back.
fn history() -> Vec<RecordedEvent> {
    let mut told: Vec<(&str, Value)> = Vec::new();
    let runbook = |text: &str| json!({"runbook": "r1", "title": "Slow payments", "text": text, "fault_kinds": ["latency"]});
    told.push(("runbook.published", runbook("restart payments\n\nthen page kim")));
    for (n, (incident, suspect)) in
        [("i1", "payments"), ("i2", "cart"), ("i3", "payments")].into_iter().enumerate()
    {
        told.push((
            "incident.opened",
            json!({
                "incident": incident, "title": format!("{suspect} is slow"), "component": suspect,
                "severity": "error", "opened_by": "/test",
            }),
        ));
        for (again, strength) in [0.5, 0.75].into_iter().enumerate() {
            told.push((
                "diagnosis.proposed",
                json!({
                    "incident": incident, "diagnosis": format!("d{n}{again}"), "method": "m@1",
                    "evidence_position": 1, "fingerprint": looks(suspect, strength),
                    "abstained": "a test",
                }),
            ));
        }
    }
    for (label, incident, claim) in [
        ("l1", "i1", json!({"claim": "fault_kind", "fault_kind": "latency"})),
        ("l2", "i3", json!({"claim": "false_positive"})),
    ] {
        let label = json!({
            "label": label, "incident": incident, "claim": claim, "by": "kim", "confidence": 1.0,
        });
        told.push(("label.assigned", label));
    }
    let pattern = json!({
        "component": "cart", "window": {"start": "2026-01-01T00:00:00Z", "duration_ms": 1000},
        "patterns": [{"template": "timeout of <*>", "severity": "error", "count": 4}],
    });
    told.push(("logs.patternsrecorded", pattern.clone()));
    told.push(("runbook.published", runbook("restart payments\n\nthen roll back")));
    told.push(("label.retracted", json!({"label": "l2", "incident": "i3", "by": "kim"})));
    told.push(("logs.patternsrecorded", pattern));
    told.push((
        "incident.resolved",
        json!({"incident": "i1", "by": "kim", "resolution": "rolled payments back"}),
    ));
    told.push((
        "incident.postmortempublished",
        json!({"incident": "i1", "title": "What we learned", "text": "pool exhausted", "author": "kim"}),
    ));
    told.push(("incident.reopened", json!({"incident": "i1", "by": "kim", "reason": "not yet"})));
    (1..).zip(told).map(|(position, (name, data))| recorded(position, name, data)).collect()
}

/// Everything that can be asked, as of every position.
async fn answers(graph: &Graph, last: u64) -> Vec<(u64, String)> {
    let mut answers = Vec::new();
    for at in 0..=last {
        for asked in ["payments slow", "restart page", "roll back", "timeout", "pool learned"] {
            let hits = graph.index().search(Query::read(asked).unwrap(), vec![], at, 50).await;
            answers.push((at, format!("{asked}: {hits:?}")));
        }
        for of_known_kind in [false, true] {
            let fingerprint: Fingerprint = serde_json::from_value(looks("payments", 0.6)).unwrap();
            let asked = NearestTo {
                fingerprint,
                told: None,
                at,
                first: 10,
                min_score: 0.0,
                excluding: None,
                withheld: Arc::default(),
                of_known_kind,
            };
            answers.push((at, format!("{:?}", graph.index().nearest(asked).await)));
        }
    }
    answers
}

#[tokio::test]
async fn an_index_that_is_loaded_is_the_one_that_was_fed() {
    let history = history();
    let last = history.len() as u64;
    let graph = Graph::open("mem://").await.unwrap();
    graph.index().start();
    for event in &history {
        graph.apply(std::slice::from_ref(event)).await.unwrap();
    }
    let fed = answers(&graph, last).await;
    let size = graph.index().size();
    graph.index().reload();
    assert_eq!(answers(&graph, last).await, fed);
    assert_eq!(graph.index().size(), size);

    // In whatever batches.
    for batch in [2, 5, history.len()] {
        let other = Graph::open("mem://").await.unwrap();
        other.index().start();
        for events in history.chunks(batch) {
            other.apply(events).await.unwrap();
        }
        assert_eq!(answers(&other, last).await, fed, "batches of {batch}");
    }
}

/// QU-2: what an index answers as of a position is what it answered there.
#[tokio::test]
async fn what_comes_later_changes_no_earlier_answer() {
    let history = history();
    let graph = Graph::open("mem://").await.unwrap();
    let mut then: Vec<(u64, String)> = Vec::new();
    for event in &history {
        graph.apply(std::slice::from_ref(event)).await.unwrap();
        let now = answers(&graph, event.position).await;
        assert_eq!(&now[..then.len()], &then[..], "behind position {}", event.position);
        then = now;
    }
    let different: BTreeSet<&String> = then.iter().map(|(_, answer)| answer).collect();
    assert!(different.len() > 20, "the history changes something: {}", different.len());
}

#[tokio::test]
async fn batches_that_commit_while_it_loads_are_in_it() {
    let history = history();
    let last = history.len() as u64;
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&history[..4]).await.unwrap();
    graph.index().start();
    let expected = {
        let other = Graph::open("mem://").await.unwrap();
        other.apply(&history).await.unwrap();
        answers(&other, last).await
    };
    for event in &history[4..] {
        graph.index().reload();
        // Some way into the load, another way each time.
        for _ in 0..event.position {
            tokio::task::yield_now().await;
        }
        graph.apply(std::slice::from_ref(event)).await.unwrap();
    }
    assert_eq!(answers(&graph, last).await, expected);
}

#[tokio::test]
async fn who_only_projects_loads_nothing() {
    let history = history();
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&history).await.unwrap();
    graph.index().reload();
    assert!(graph.index().begun().is_none());
    assert!(!answers(&graph, 1).await.is_empty());
    assert!(graph.index().is_loaded(), "the first question loads it");
}

#[tokio::test]
async fn a_load_that_was_given_up_takes_nothing_from_the_next() {
    let history = history();
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&history).await.unwrap();
    let last = history.len() as u64;
    let expected = answers(&graph, last).await;
    graph.index().reload();
    let before = graph.index().begun().unwrap();
    graph.index().reload();
    let next = graph.index().begun().unwrap();
    assert!(!Arc::ptr_eq(&before, &next));
    // What the former one still does on its thread, it does to itself.
    before.gathered_all();
    assert_eq!((before.phase(), next.phase()), (Phase::GivenUp, Phase::Loading));
    assert_eq!(answers(&graph, last).await, expected);
}

#[tokio::test]
async fn facts_out_of_order_are_a_reason_to_load_anew() {
    let history = history();
    let last = history.len() as u64;
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&history[..4]).await.unwrap();
    graph.index().loaded().await;
    let broken = graph.index().begun().unwrap();
    let (mut key, fact) = fact_of_a_runbook();
    key.position = last + 1;
    broken.put(BTreeMap::from([(key, fact)])).unwrap();
    graph.apply(&history[4..]).await.unwrap();
    assert_eq!(broken.phase(), Phase::GivenUp);
    let other = Graph::open("mem://").await.unwrap();
    other.apply(&history).await.unwrap();
    assert_eq!(answers(&graph, last).await, answers(&other, last).await);
}

fn fact_of_a_runbook() -> (FactKey, Fact) {
    let fields =
        BTreeMap::from([("text", surrealdb::types::Value::String("ahead of time".to_owned()))]);
    facts_of(Table::Runbook, "ahead", &fields.into()).remove(0)
}

#[tokio::test]
async fn a_load_that_fails_is_tried_again() {
    let history = history();
    let last = history.len() as u64;
    let graph = Graph::open("mem://").await.unwrap();
    graph.apply(&history).await.unwrap();
    let expected = answers(&graph, last).await;
    graph.db.query("REMOVE TABLE was_label").await.unwrap().check().unwrap();
    graph.index().reload();
    let failing = graph.index().begun().unwrap();
    let mut phase = failing.watch();
    phase.wait_for(|phase| *phase == Phase::Failed).await.unwrap();
    assert!(!graph.index().is_loaded());
    // It held nothing that the labels' own rows do not say.
    graph.db.query("DEFINE TABLE was_label").await.unwrap().check().unwrap();
    assert_eq!(answers(&graph, last).await, expected);
}

#[tokio::test]
async fn a_component_has_so_many_log_templates_and_the_first_stay() {
    let patterns = |position: u64, numbers: std::ops::Range<usize>| {
        let patterns: Vec<Value> = numbers
            .map(|n| json!({"template": format!("common {n}"), "severity": "error", "count": 1}))
            .collect();
        let data = json!({
            "component": "cart",
            "window": {"start": "2026-01-01T00:00:00Z", "duration_ms": 1000},
            "patterns": patterns,
        });
        recorded(position, "logs.patternsrecorded", data)
    };
    let told: Vec<RecordedEvent> =
        (0..12).map(|n| patterns(n as u64 + 1, n * 100..(n + 1) * 100)).collect();
    let graph = Graph::open("mem://").await.unwrap();
    graph.index().start();
    for event in &told {
        graph.apply(std::slice::from_ref(event)).await.unwrap();
    }
    let found = async |word: &str| {
        let query = Query::read(word).unwrap();
        graph.index().search(query, vec![], u64::MAX, 2_000).await.len()
    };
    for again in [false, true] {
        if again {
            graph.index().reload();
        }
        assert_eq!(found("common").await, state::MAX_TEMPLATES);
        assert_eq!((found("999").await, found("1000").await), (1, 0));
        assert_eq!(graph.index().size().paragraphs, state::MAX_TEMPLATES);
    }
}

#[tokio::test]
async fn a_question_that_waits_for_the_index_ends_in_time() {
    let graph = Arc::new(Graph::open("mem://").await.unwrap());
    graph.db.query("REMOVE TABLE was_label").await.unwrap().check().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(EmbeddedLog::open(folder.path(), Options::default()).unwrap());
    let projected = Projector::new(graph.clone(), log.clone()).await.projected();
    let limits = Limits { wait: Duration::from_millis(20), ..Limits::default() };
    let base = Base::new(graph, log, projected, Timestamp::now, limits);
    let answer = schema(base).execute(r#"{ search(query: "pool") { score } }"#).await;
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["errors"][0]["extensions"]["code"], "index_not_loaded", "{answer:#}");
}
