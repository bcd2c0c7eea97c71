//! The webhook of Prometheus' Alertmanager (version 4), and Grafana's, which adds to it.

use std::collections::BTreeMap;

use events::catalogue::alert::{AlertFired, AlertResolved};
use events::value::{Line, Text};
use events::{Event, Timestamp};
use serde_json::Value;

use super::{LabelRules, alert_id, event, kept, severity};
use crate::document::{
    InvalidDocument, derived, field, list, object, required, scalar, text, time,
};

/// Who sends such notifications.
const SOURCE: &str = "alertmanager";
/// Most alerts of one notification.
const MOST_ALERTS: usize = 10_000;

/// A notification, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// An event for every alert, in their order.
    pub events: Vec<Event>,
    /// Alerts that no rule has a component for.
    pub unmapped: usize,
    /// Alerts that the sender left out.
    pub truncated: u64,
}

/// Reads a notification. Fields that are not known are passed over; what an alert lacks is
/// refused with its place, and then nothing of the notification is taken.
pub fn notification(
    body: &[u8],
    rules: &LabelRules,
    received_at: Timestamp,
) -> Result<Notification, InvalidDocument> {
    let document = object(body, "a notification of Alertmanager")?;
    match document.get("version").and_then(scalar).as_deref() {
        // Grafana's says "1".
        Some("4") => {}
        Some("1") if document.get("orgId").is_some() => {}
        _ => return Err(field("/version", "\"4\", or Grafana's \"1\" beside orgId")),
    }
    if !document["alerts"].is_array() {
        return Err(field("/alerts", "a list of alerts"));
    }
    let alerts = list(&document, "/alerts");
    if alerts.len() > MOST_ALERTS {
        return Err(field("/alerts", format!("at most {MOST_ALERTS} alerts")));
    }
    let mut told = Notification {
        events: Vec::with_capacity(alerts.len()),
        unmapped: 0,
        truncated: document["truncatedAlerts"].as_u64().unwrap_or_default(),
    };
    for (index, alert) in alerts.iter().enumerate() {
        let pointer = format!("/alerts/{index}");
        told.alert(&document, alert, &pointer, rules, received_at)?;
    }
    Ok(told)
}

impl Notification {
    fn alert(
        &mut self,
        document: &Value,
        alert: &Value,
        pointer: &str,
        rules: &LabelRules,
        received_at: Timestamp,
    ) -> Result<(), InvalidDocument> {
        let at = |name: &str| format!("{pointer}{name}");
        let status = required(alert, "/status", "firing or resolved");
        let status = status.map_err(|_| field(at("/status"), "firing or resolved"))?;
        let labels = labels(alert, "/labels").ok_or_else(|| field(at("/labels"), "an object"))?;
        let key = text(alert, "/fingerprint").map_or_else(|| fingerprint(&labels), str::to_owned);
        let id = alert_id(SOURCE, &key);
        let began = time(alert, "/startsAt");
        let beginning = began.map_or_else(String::new, |began| began.to_string());
        match status {
            "firing" => {
                let component = rules.component(&labels);
                self.unmapped += usize::from(component.is_none());
                let annotation = |name: &str| {
                    let pointer = format!("/annotations/{name}");
                    let common = format!("/commonAnnotations/{name}");
                    text(alert, &pointer).or_else(|| text(document, &common))
                };
                let summary =
                    ["summary", "description", "message"].into_iter().find_map(annotation);
                let data = AlertFired {
                    alert: id.clone(),
                    name: Line::clipped(labels.get("alertname").map_or("alert", String::as_str)),
                    component,
                    severity: severity(labels.get("severity").map(String::as_str)),
                    summary: summary.map(Text::clipped),
                    labels: kept(&labels),
                };
                let part = format!("fired {beginning}");
                self.events.push(event(SOURCE, &id, &part, began.unwrap_or(received_at), data));
            }
            "resolved" => {
                let ended = time(alert, "/endsAt").unwrap_or(received_at);
                let part = format!("resolved {beginning}");
                let data = AlertResolved { alert: id.clone() };
                self.events.push(event(SOURCE, &id, &part, ended, data));
            }
            other => {
                let expected = format!("firing or resolved, got {other:?}");
                return Err(field(at("/status"), expected));
            }
        }
        Ok(())
    }
}

fn labels(alert: &Value, pointer: &str) -> Option<BTreeMap<String, String>> {
    let labels = alert.pointer(pointer)?.as_object()?;
    Some(labels.iter().filter_map(|(name, value)| Some((name.clone(), scalar(value)?))).collect())
}

/// What tells an alert from others where its sender does not.
fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    let parts: Vec<&str> = labels.iter().flat_map(|(name, value)| [name.as_str(), value]).collect();
    derived(&parts).simple().to_string()
}
