//! PagerDuty's Events API v2: alerts and changes.

use std::collections::BTreeMap;

use events::catalogue::alert::{AlertFired, AlertResolved};
use events::catalogue::change::{ConfigurationChanged, DeploymentRecorded};
use events::value::{Line, Text};
use events::{AlertId, Event, EventData, EventId, Timestamp};
use serde_json::Value;

use super::{LabelRules, alert_id, event, kept, severity};
use crate::document::{InvalidDocument, derived, field, object, required, scalar, text, time};

/// Who sends such events.
const SOURCE: &str = "pagerduty";
/// Longest `dedup_key`, in characters.
const MAX_KEY: usize = 255;
/// Triggers of one alert without a time of their own are one if they come this close together:
/// a client that did not hear the answer sends again.
const AGAIN_S: i64 = 300;

/// An event of an alert, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Enqueued {
    /// The event; `None` for an acknowledgement, which changes nothing of an alert.
    pub event: Option<Event>,
    /// The alert.
    pub alert: AlertId,
    /// What the sender shall call it, for the answer.
    pub dedup_key: String,
    /// Whether a rule has a component for it.
    pub mapped: bool,
}

/// Reads what was posted to `/v2/enqueue`.
pub fn enqueued(
    body: &[u8],
    rules: &LabelRules,
    received_at: Timestamp,
) -> Result<Enqueued, InvalidDocument> {
    let document = object(body, "an event of PagerDuty")?;
    let routing = required(&document, "/routing_key", "an integration key")?;
    let actions = "trigger, acknowledge or resolve";
    let action = required(&document, "/event_action", actions)?;
    let given = text(&document, "/dedup_key");
    if given.is_some_and(|key| key.chars().count() > MAX_KEY) {
        return Err(field("/dedup_key", format!("at most {MAX_KEY} characters")));
    }
    let key = match (given, action) {
        (Some(key), _) => key.to_owned(),
        (None, "trigger") => {
            let content = document["payload"].to_string();
            derived(&[SOURCE, &content, &again(received_at)]).simple().to_string()
        }
        (None, _) => return Err(field("/dedup_key", "the key of the alert that was triggered")),
    };
    // Keys are told apart by the service that they belong to. Its key is a secret, and so only a
    // digest of it is kept.
    let service = derived(&[SOURCE, routing]).simple().to_string();
    let alert = alert_id(SOURCE, &format!("{}-{key}", &service[..8]));
    let mut mapped = false;
    let told = match action {
        "trigger" => {
            let at = time(&document, "/payload/timestamp");
            let data = fired(&document, &alert, rules)?;
            mapped = data.component.is_some();
            let moment = at.map_or_else(|| again(received_at), |at| at.to_string());
            let part = format!("fired {moment}");
            Some(event(SOURCE, &alert, &part, at.unwrap_or(received_at), data))
        }
        "resolve" => {
            let part = format!("resolved {}", again(received_at));
            let data = AlertResolved { alert: alert.clone() };
            Some(event(SOURCE, &alert, &part, received_at, data))
        }
        "acknowledge" => None,
        other => return Err(field("/event_action", format!("{actions}, got {other:?}"))),
    };
    Ok(Enqueued { event: told, alert, dedup_key: key, mapped })
}

fn fired(
    document: &Value,
    alert: &AlertId,
    rules: &LabelRules,
) -> Result<AlertFired, InvalidDocument> {
    let summary = required(document, "/payload/summary", "what happened")?;
    required(document, "/payload/source", "where it happened")?;
    let levels = "critical, error, warning or info";
    let level = required(document, "/payload/severity", levels)?;
    if !["critical", "error", "warning", "info"].contains(&level) {
        return Err(field("/payload/severity", format!("{levels}, got {level:?}")));
    }
    let labels = labels(document);
    Ok(AlertFired {
        alert: alert.clone(),
        name: Line::clipped(text(document, "/payload/class").unwrap_or(summary)),
        component: rules.component(&labels),
        severity: severity(Some(level)),
        summary: Some(Text::clipped(summary)),
        labels: kept(&labels),
    })
}

/// What rules may look at: the fields of the payload, and its details by their names.
fn labels(document: &Value) -> BTreeMap<String, String> {
    let payload = document["payload"].as_object();
    let fields = payload.into_iter().flatten().filter(|(name, _)| {
        matches!(name.as_str(), "source" | "component" | "group" | "class" | "severity")
    });
    let details = document.pointer("/payload/custom_details").and_then(Value::as_object);
    let all = details.into_iter().flatten().chain(fields);
    all.filter_map(|(name, value)| Some((name.clone(), scalar(value)?))).collect()
}

/// A stretch of time, as a text.
fn again(at: Timestamp) -> String {
    at.as_second().div_euclid(AGAIN_S).to_string()
}

/// A change, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The event.
    pub event: Event,
}

/// Reads what was posted to `/v2/change/enqueue`. A change whose details name a `version` is a
/// deployment, another one a change of the configuration.
pub fn change(
    body: &[u8],
    rules: &LabelRules,
    received_at: Timestamp,
) -> Result<Change, InvalidDocument> {
    let document = object(body, "a change event of PagerDuty")?;
    required(&document, "/routing_key", "an integration key")?;
    let summary = required(&document, "/payload/summary", "what changed")?;
    let labels = labels(&document);
    let expected = "labels that a rule has a component for, such as component";
    let component =
        rules.component(&labels).ok_or_else(|| field("/payload/custom_details", expected))?;
    let time = time(&document, "/payload/timestamp");
    let name = component.to_string();
    let data: EventData = match labels.get("version").filter(|version| !version.is_empty()) {
        Some(version) => DeploymentRecorded {
            component,
            version: Line::clipped(version),
            previous_version: None,
            description: Some(Text::clipped(summary)),
        }
        .into(),
        None => ConfigurationChanged {
            component,
            description: Line::clipped(summary),
            settings: kept(&labels),
        }
        .into(),
    };
    let moment = time.map_or_else(|| again(received_at), |time| time.to_string());
    let content = document["payload"].to_string();
    let id = EventId(derived(&[SOURCE, "change", &name, &moment, &content]));
    let source = Line::clipped(&format!("/{SOURCE}"));
    let mut event = Event::with_id(id, source, time.unwrap_or(received_at), data);
    event.subject = Some(Line::clipped(&name));
    Ok(Change { event })
}
