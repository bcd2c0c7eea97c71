//! Alerts and changes that other systems raise: Alertmanager, Grafana, PagerDuty.
//!
//! An alert is known by its fingerprint, the same while it fires and when it resolves. Systems
//! repeat what they said for as long as it holds; the ids of the events derive from the alert and
//! the moment it began, so that a repetition is the event that is there already. What was said
//! first of it stays: a later text with another number in it is not another alert.

mod alertmanager;
mod pagerduty;
mod rules;

use std::collections::BTreeMap;

use events::catalogue::incident::Severity;
use events::value::Line;
use events::{AlertId, Event, EventData, EventId, Timestamp};

use crate::document::derived;
pub use alertmanager::{Notification, notification};
pub use pagerduty::{Change, Enqueued, change, enqueued};
pub use rules::{LabelRule, LabelRules};

/// Most labels that an alert keeps.
const MOST_LABELS: usize = 100;

/// The id of an alert: its key as it stands if it can be one, a digest of it otherwise.
fn alert_id(source: &str, key: &str) -> AlertId {
    AlertId::new(key).unwrap_or_else(|_| {
        let digest = derived(&[source, key]).simple().to_string();
        AlertId::new(digest).expect("32 hexadecimal digits are an id")
    })
}

fn event(
    source: &str,
    alert: &AlertId,
    part: &str,
    at: Timestamp,
    data: impl Into<EventData>,
) -> Event {
    let id = EventId(derived(&[source, alert.as_str(), part]));
    let mut event = Event::with_id(id, Line::clipped(&format!("/{source}")), at, data);
    event.subject = Some(Line::clipped(alert.as_str()));
    event
}

/// Labels as an event keeps them. Empty ones say nothing.
fn kept(labels: &BTreeMap<String, String>) -> BTreeMap<String, Line> {
    let kept = labels.iter().filter(|(name, value)| !name.is_empty() && !value.is_empty());
    kept.take(MOST_LABELS)
        .map(|(name, value)| (name.chars().take(200).collect(), Line::clipped(value)))
        .collect()
}

/// How bad a word for it is. Without a word, or with one that nobody knows, an alert is worth a
/// look.
fn severity(word: Option<&str>) -> Severity {
    match word.unwrap_or_default().to_ascii_lowercase().as_str() {
        "critical" | "crit" | "page" | "disaster" | "emergency" | "fatal" | "p1" | "sev1" => {
            Severity::Critical
        }
        "error" | "err" | "high" | "major" | "p2" | "sev2" => Severity::Error,
        "info" | "information" | "informational" | "none" | "low" | "p4" | "p5" => Severity::Info,
        _ => Severity::Warning,
    }
}

#[cfg(test)]
mod tests;
