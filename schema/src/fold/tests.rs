//! What a row was is kept, once an event, and only when an event changes what it says.

use events::value::Line;
use events::{Event, EventData, EventId};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::*;
use crate::projection::project;

fn recorded(position: u64, second: i64, event_type: &str, data: Json) -> RecordedEvent {
    let at = Timestamp::from_second(second).unwrap();
    let data = EventData::from_json(&format!("io.faultline.{event_type}.v1"), data).unwrap();
    let id = EventId(Uuid::from_u128(position.into()));
    let event = Event::with_id(id, Line::clipped("/test"), at, data);
    let stream = event.data.stream();
    RecordedEvent { stream, event, revision: 0, position, recorded_at: at, pruned: None }
}

fn described(position: u64, second: i64, owner: &str) -> RecordedEvent {
    let data = json!({"component": "cart", "owner": owner});
    recorded(position, second, "component.described", data)
}

fn folded(history: &[RecordedEvent]) -> Rows {
    let mut rows = Rows::default();
    for event in history {
        rows.apply(event, project(event).unwrap()).unwrap();
    }
    rows
}

/// Version, owner and the position behind it, of what a component was.
fn was(rows: &Rows) -> Vec<(i64, Option<Value>, i64)> {
    let former = rows.former().iter();
    former
        .map(|it| (it.row.version(), it.row.fields.get("owner").cloned(), it.superseded))
        .collect()
}

#[test]
fn what_a_row_was_is_kept_when_an_event_changes_it() {
    let rows = folded(&[described(1, 1, "ada"), described(2, 2, "grace"), described(3, 3, "ida")]);
    let (ada, grace) = (Some(text("ada")), Some(text("grace")));
    assert_eq!(was(&rows), [(1, ada, 2), (2, grace, 3)]);
    let (_, now) = rows.changed().next().unwrap();
    assert_eq!((now.version(), now.fields.get("owner")), (3, Some(&text("ida"))));
}

#[test]
fn an_event_that_says_nothing_new_touches_nothing() {
    let seen = json!({"component": "cart", "discovered_by": "a proxy"});
    let rows = folded(&[
        described(1, 1, "ada"),
        described(2, 9, "ada"),
        recorded(3, 9, "component.discovered", seen.clone()),
        recorded(4, 12, "component.discovered", seen),
        described(5, 4, "grace"),
    ]);
    let (_, now) = rows.changed().next().unwrap();
    assert_eq!(now.version(), 3, "the second description is believed over the late third");
    assert_eq!(now.fields.get("owner"), Some(&text("ada")));
    assert_eq!(now.fields.get("event_count"), Some(&Value::Number(Number::Int(2))));
    assert_eq!(was(&rows), [(1, Some(text("ada")), 3)]);
}

#[test]
fn telemetry_changes_a_component_only_every_ten_minutes() {
    let window = |position: u64, second: i64| {
        let start = Timestamp::from_second(second).unwrap().to_string();
        let data = json!({"component": "cart", "window": {"start": start, "duration_ms": 10_000}});
        recorded(position, second + 10, "metrics.snapshotrecorded", data)
    };
    let history: Vec<_> = (1u32..=200).map(|n| window(n.into(), i64::from(n) * 10)).collect();
    let rows = folded(&history);
    let superseded: Vec<_> = rows.former().iter().map(|it| it.superseded).collect();
    assert_eq!(superseded, [61, 121, 181]);
}

#[test]
fn what_ends_twice_ended_the_first_time() {
    let label = json!({
        "label": "l1", "incident": "i1", "claim": {"claim": "false_positive"}, "by": "ada",
        "confidence": 1.0,
    });
    let back = json!({"label": "l1", "incident": "i1", "by": "ada"});
    let rows = folded(&[
        recorded(1, 1, "label.assigned", label),
        recorded(2, 2, "label.retracted", back.clone()),
        recorded(3, 3, "label.retracted", back),
    ]);
    let (_, now) = rows.changed().find(|(id, _)| id.table == Table::Label).unwrap();
    assert_eq!(now.fields.get("until"), Some(&Value::Number(Number::Int(2))));
}
