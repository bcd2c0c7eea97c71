//! What a client is told: code, JSON pointer, and words that say what would be right.

use events::{Event, Timestamp};
use serde_json::{Value, json};

use crate::fixtures;

const SNAPSHOT: &str = "io.faultline.metrics.snapshotrecorded.v1";
const EDGES: &str = "io.faultline.traces.edgesrecorded.v1";
const LABEL: &str = "io.faultline.label.assigned.v1";

#[track_caller]
fn refused(document: Value, code: &str, pointer: &str, says: &str) {
    let list = json!([document]).to_string();
    assert_eq!(Event::from_right_text(&list, Timestamp::UNIX_EPOCH), None, "{list}");
    let error = Event::from_cloud_event(document, Timestamp::UNIX_EPOCH).unwrap_err();
    assert_eq!((error.code.as_str(), &*error.pointer), (code, pointer), "{error}");
    assert!(error.message.contains(says), "{error}");
}

/// A fixture with one value changed; `null` removes it.
fn with(event_type: &str, pointer: &str, value: Value) -> Value {
    let mut document = fixtures::of(event_type);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match parent {
        Value::Object(object) if value.is_null() => drop(object.remove(name)),
        Value::Object(object) => drop(object.insert(name.to_owned(), value)),
        Value::Array(array) => array[name.parse::<usize>().unwrap()] = value,
        other => panic!("{other}"),
    }
    document
}

#[test]
fn documents_that_are_no_cloud_event() {
    for (document, kind) in [
        (json!(null), "null"),
        (json!([]), "an array"),
        (json!("x"), "a string"),
        (json!(1), "a number"),
        (json!(true), "a boolean"),
    ] {
        refused(document, "not_an_object", "", kind);
    }
    refused(json!({}), "missing_field", "/specversion", "specversion");
}

#[test]
fn attributes() {
    for name in ["specversion", "id", "source", "type", "data"] {
        let pointer = format!("/{name}");
        refused(with(SNAPSHOT, &pointer, Value::Null), "missing_field", &pointer, name);
    }
    for name in ["id", "source", "type", "time", "subject", "correlationid", "traceparent"] {
        let pointer = format!("/{name}");
        refused(with(SNAPSHOT, &pointer, json!(5)), "wrong_type", &pointer, "expected a string");
    }
    let attribute = |name: &str, value| with(SNAPSHOT, &format!("/{name}"), json!(value));
    refused(attribute("specversion", "0.3"), "unsupported_specversion", "/specversion", "1.0");
    refused(attribute("id", "7"), "invalid_value", "/id", "a UUID");
    refused(attribute("causationid", "7"), "invalid_value", "/causationid", "a UUID");
    refused(attribute("time", "yesterday"), "invalid_value", "/time", "RFC 3339");
    refused(attribute("source", ""), "invalid_value", "/source", "1 to 500 characters");
    let long = "x".repeat(501);
    refused(attribute("subject", &long), "invalid_value", "/subject", "got 501");
    let xml = attribute("datacontenttype", "application/xml");
    refused(xml, "unsupported_content_type", "/datacontenttype", "application/json");
    let unknown = attribute("type", "io.faultline.fault.forgotten.v1");
    refused(unknown, "unknown_event_type", "/type", "io.faultline.fault.forgotten.v1");
}

#[test]
fn data() {
    let changed = |pointer, value| with(SNAPSHOT, pointer, value);
    refused(changed("/data", json!("x")), "not_an_object", "/data", "a string");
    refused(
        changed("/data/component", Value::Null),
        "missing_field",
        "/data/component",
        "component",
    );
    refused(changed("/data/component", json!(5)), "wrong_type", "/data/component", "string");
    refused(changed("/data/requests", json!("many")), "wrong_type", "/data/requests", "an integer");
    refused(changed("/data/requests", json!(-1)), "invalid_value", "/data/requests", "-1");
    refused(
        changed("/data/cpu_cores", json!(-0.5)),
        "invalid_value",
        "/data/cpu_cores",
        "0 or more",
    );
    refused(
        changed("/data/saturation", json!(1.5)),
        "invalid_value",
        "/data/saturation",
        "from 0 to 1",
    );
    refused(changed("/data/cpu_cores", json!("NaN")), "wrong_type", "/data/cpu_cores", "NaN");
    refused(changed("/data/cpu", json!(1)), "unknown_field", "/data/cpu", "cpu_cores");
    refused(
        changed("/data/extras/a~b~1c", json!("x")),
        "wrong_type",
        "/data/extras/a~0b~01c",
        "expected a number",
    );
    refused(
        with(EDGES, "/data/edges/1/callee", json!("x".repeat(201))),
        "invalid_value",
        "/data/edges/1/callee",
        "201 characters",
    );
    refused(
        with(LABEL, "/data/claim/claim", json!("guess")),
        "invalid_value",
        "/data/claim/claim",
        "root_cause",
    );
    refused(
        with(LABEL, "/data/claim", json!({ "claim": "false_positive", "component": "cart" })),
        "unknown_field",
        "/data/claim/component",
        "component",
    );
}

#[test]
fn fields_that_contradict_each_other() {
    let invalid = |event_type: &str, pointer: &str, value, at: &str, says: &str| {
        refused(with(event_type, pointer, value), "invalid_value", at, says);
    };
    invalid(SNAPSHOT, "/data/errors", json!(1201), "/data/errors", "at most the 1200 requests");
    invalid(SNAPSHOT, "/data/latency/p50_ms", json!(49), "/data/latency", "p50_ms <= p95_ms");
    invalid(SNAPSHOT, "/data/window/duration_ms", json!(0), "/data/window/duration_ms", "1 to");
    invalid(EDGES, "/data/edges/0/callee", json!("checkout"), "/data/edges/0/callee", "another");
    invalid(EDGES, "/data/edges/0/errors", json!(1201), "/data/edges/0/errors", "1200 calls");
    let itself = json!({ "claim": "duplicate", "of": "incident-42" });
    invalid(LABEL, "/data/claim", itself, "/data/claim/of", "another incident");
    let of = |name: &str| format!("io.faultline.{name}.v1");
    for (name, pointer, value, at) in [
        ("fault.injected", "/data/peer", json!("payments"), "/data/peer"),
        ("dependency.observed", "/data/callee", json!("checkout"), "/data/callee"),
        ("maintenance.started", "/data/components", json!([]), "/data/components"),
        ("incident.merged", "/data/into", json!("incident-43"), "/data/into"),
        ("diagnosis.proposed", "/data/abstained", json!("why"), "/data/abstained"),
        ("diagnosis.proposed", "/data/suspects", json!([]), "/data/abstained"),
        ("feedback.given", "/data/right_rank", json!(0), "/data/right_rank"),
        ("model.trained", "/data/data_from_position", json!(9999), "/data/data_from_position"),
        ("slo.defined", "/data/threshold_ms", Value::Null, "/data/threshold_ms"),
    ] {
        invalid(&of(name), pointer, value, at, "expected");
    }
    let many: serde_json::Map<_, _> = (0..101).map(|n| (n.to_string(), json!(1))).collect();
    invalid(SNAPSHOT, "/data/extras", many.into(), "/data/extras", "at most 100");
}
