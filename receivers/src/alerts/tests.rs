use serde_json::{Value, json};

use super::*;
use crate::document::InvalidDocument;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn bytes(document: &Value) -> Vec<u8> {
    document.to_string().into_bytes()
}

/// As Alertmanager 0.27 sends it.
fn document() -> Value {
    json!({
        "version": "4", "groupKey": "{}:{alertname=\"HighErrorRate\"}", "truncatedAlerts": 2,
        "status": "firing", "receiver": "faultline", "externalURL": "http://am:9093",
        "groupLabels": {"alertname": "HighErrorRate"}, "commonLabels": {"severity": "page"},
        "commonAnnotations": {"summary": "Too many errors"},
        "alerts": [{
            "status": "firing",
            "labels": {"alertname": "HighErrorRate", "service": "cart", "severity": "page"},
            "annotations": {"description": "5.3 % of requests fail"},
            "startsAt": "2026-03-01T11:58:00.123Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph", "fingerprint": "a1b2c3d4e5f60718",
        }, {
            "status": "resolved",
            "labels": {"alertname": "DiskFull", "instance": "10.0.0.7:9100"},
            "annotations": {},
            "startsAt": "2026-03-01T10:00:00Z", "endsAt": "2026-03-01T11:59:00Z",
            "generatorURL": "", "fingerprint": "ffffffffffffffff",
        }],
    })
}

fn fired(event: &Event) -> &events::catalogue::alert::AlertFired {
    match &event.data {
        EventData::AlertFired(data) => data,
        other => panic!("expected a fired alert, got {other:?}"),
    }
}

#[test]
fn a_notification_tells_what_fires_and_what_resolved() {
    let told = notification(&bytes(&document()), &LabelRules::default(), now()).unwrap();
    assert_eq!((told.events.len(), told.unmapped, told.truncated), (2, 0, 2));
    let data = fired(&told.events[0]);
    assert_eq!(data.alert.as_str(), "a1b2c3d4e5f60718");
    assert_eq!(data.component.as_ref().unwrap().as_str(), "cart");
    assert_eq!(data.severity, Severity::Critical);
    assert_eq!(data.summary.as_ref().unwrap().as_str(), "Too many errors");
    assert_eq!(told.events[0].time.to_string(), "2026-03-01T11:58:00.123Z");
    assert!(matches!(told.events[1].data, EventData::AlertResolved(_)));
    assert_eq!(told.events[1].time.to_string(), "2026-03-01T11:59:00Z");
    for event in &told.events {
        assert_eq!(&Event::from_cloud_event(event.to_cloud_event(), now()).unwrap(), event);
    }
}

#[test]
fn what_is_repeated_is_the_same_event_and_what_begins_anew_is_another() {
    let read = |document: &Value, at: &str| {
        let at = at.parse().unwrap();
        notification(&bytes(document), &LabelRules::default(), at).unwrap().events[0].clone()
    };
    let first = read(&document(), "2026-03-01T12:00:00Z");
    let mut later = document();
    later["alerts"][0]["annotations"]["description"] = json!("7.9 % of requests fail");
    assert_eq!(read(&later, "2026-03-01T16:00:00Z").id, first.id);
    later["alerts"][0]["startsAt"] = json!("2026-03-01T15:00:00Z");
    assert_ne!(read(&later, "2026-03-01T16:00:00Z").id, first.id);
    let mut resolved = document();
    resolved["alerts"][0]["status"] = json!("resolved");
    let resolved = read(&resolved, "2026-03-01T16:00:00Z");
    assert_ne!(resolved.id, first.id);
    assert_eq!(resolved.subject, first.subject, "the same alert");
    assert_eq!(resolved.time.to_string(), "2026-03-01T16:00:00Z", "0001 is no end");
}

#[test]
fn grafana_adds_its_own_and_may_leave_out_the_fingerprint() {
    let mut grafana = document();
    grafana["version"] = json!("1");
    grafana["orgId"] = json!(1);
    let alert = grafana["alerts"][0].as_object_mut().unwrap();
    alert.insert("values".to_owned(), json!({"B": 22}));
    alert.insert("dashboardURL".to_owned(), json!("http://grafana/d/1"));
    alert.remove("fingerprint");
    let read = || notification(&bytes(&grafana), &LabelRules::default(), now()).unwrap();
    assert_eq!(read(), read());
    assert_eq!(fired(&read().events[0]).alert.as_str().len(), 32);
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    for (pointer, value, at) in [
        ("/version", json!("3"), "/version"),
        ("/alerts", json!({}), "/alerts"),
        ("/alerts/1/status", json!("suppressed"), "/alerts/1/status"),
        ("/alerts/1/labels", json!([]), "/alerts/1/labels"),
    ] {
        let mut document = document();
        *document.pointer_mut(pointer).unwrap() = value;
        let refusal = notification(&bytes(&document), &LabelRules::default(), now()).unwrap_err();
        assert!(matches!(&refusal, InvalidDocument::Field { pointer, .. } if pointer == at));
        assert_eq!(refusal.code(), "invalid_field");
    }
    let refusal = notification(b"{", &LabelRules::default(), now()).unwrap_err();
    assert_eq!(refusal.code(), "malformed");
}

fn trigger() -> Value {
    json!({
        "routing_key": "0123456789abcdef0123456789abcdef", "event_action": "trigger",
        "dedup_key": "cart/errors", "client": "monitor",
        "payload": {
            "summary": "cart answers errors", "source": "prod-cart-3", "severity": "error",
            "timestamp": "2026-03-01T11:59:30.000+0000", "component": "cart",
            "class": "error rate", "custom_details": {"share": 0.4, "nested": {"a": 1}},
        },
    })
}

#[test]
fn pagerduty_triggers_and_resolves_by_its_key() {
    let read =
        |document: &Value| enqueued(&bytes(document), &LabelRules::default(), now()).unwrap();
    let triggered = read(&trigger());
    let event = triggered.event.clone().unwrap();
    let data = fired(&event);
    assert_eq!((data.name.as_str(), data.severity), ("error rate", Severity::Error));
    assert!(triggered.mapped);
    assert_eq!(data.labels["share"].as_str(), "0.4");
    assert!(!event.to_cloud_event().to_string().contains("0123456789abcdef0123"), "a secret");
    assert_eq!(read(&trigger()), triggered);
    let mut resolve = trigger();
    resolve["event_action"] = json!("resolve");
    resolve.as_object_mut().unwrap().remove("payload");
    let resolved = read(&resolve);
    assert_eq!(resolved.alert, triggered.alert);
    assert!(matches!(resolved.event.unwrap().data, EventData::AlertResolved(_)));
    resolve["event_action"] = json!("acknowledge");
    assert_eq!(read(&resolve).event, None);
    let mut other = trigger();
    other["routing_key"] = json!("another service");
    assert_ne!(read(&other).alert, triggered.alert);
}

#[test]
fn pagerduty_makes_up_a_key_and_says_what_is_wrong() {
    let mut without = trigger();
    without.as_object_mut().unwrap().remove("dedup_key");
    let read = |at: &str| {
        enqueued(&bytes(&without), &LabelRules::default(), at.parse().unwrap()).unwrap().dedup_key
    };
    assert_eq!(read("2026-03-01T12:00:00Z"), read("2026-03-01T12:00:09Z"), "a retry");
    assert_ne!(read("2026-03-01T12:00:00Z"), read("2026-03-02T12:00:00Z"));
    for (pointer, value) in [
        ("/event_action", json!("close")),
        ("/payload/severity", json!("bad")),
        ("/payload/summary", json!("")),
        ("/dedup_key", json!("x".repeat(256))),
    ] {
        let mut document = trigger();
        *document.pointer_mut(pointer).unwrap() = value;
        let refusal = enqueued(&bytes(&document), &LabelRules::default(), now()).unwrap_err();
        assert!(refusal.to_string().starts_with(&format!("{pointer:?}: expected ")), "{refusal}");
    }
}

#[test]
fn a_change_is_a_deployment_if_it_names_a_version() {
    let document = json!({
        "routing_key": "k",
        "payload": {
            "summary": "Build 17 of cart", "timestamp": "2026-03-01T11:00:00Z",
            "source": "ci", "custom_details": {"service": "cart", "version": "1.7"},
        },
    });
    let read = |document: &Value| change(&bytes(document), &LabelRules::default(), now());
    let event = read(&document).unwrap().event;
    let EventData::DeploymentRecorded(data) = &event.data else { panic!("a deployment") };
    assert_eq!((data.component.as_str(), data.version.as_str()), ("cart", "1.7"));
    let mut other = document.clone();
    other["payload"]["custom_details"] = json!({"service": "cart", "flag": true});
    let event = read(&other).unwrap().event;
    let EventData::ConfigurationChanged(data) = &event.data else { panic!("a change") };
    assert_eq!(data.settings["flag"].as_str(), "true");
    other["payload"]["custom_details"] = json!({});
    assert_eq!(read(&other).unwrap_err().code(), "invalid_field");
}
