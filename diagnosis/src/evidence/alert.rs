//! What other systems raised about a component, as evidence.

use std::collections::BTreeMap;

use events::catalogue::alert::AlertFired;
use events::value::Line;
use events::{ComponentName, EventId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Labels of an alert that say more than its name; all of them may be missing.
pub mod label {
    /// What was watched: `metric`, `log` or `call`.
    pub const SIGNAL: &str = "signal";
    /// Which way it left the usual: `up`, `down`, `slow`, a status.
    pub const DIRECTION: &str = "direction";
    /// Who made the calls that the alert speaks of; the alert's component answered them. The
    /// component itself stands for its own spans.
    pub const CALLER: &str = "caller";
}

/// What an alert watches.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// A measurement of the component.
    Metric,
    /// A template of its log lines.
    Log,
    /// Calls that it answered or, with itself as the caller, spans of its own.
    Call,
    /// Not known.
    #[default]
    Other,
}

/// An alert that fired for a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertEvidence {
    /// The event it was read from.
    pub event: EventId,
    /// Of whom it speaks; of calls, who answered.
    pub component: ComponentName,
    /// Who called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<ComponentName>,
    /// When it began to fire.
    pub at: Timestamp,
    /// What it watches.
    #[serde(default)]
    pub signal: Signal,
    /// The metric, the template, the operation, the rule.
    pub name: Line,
    /// Which way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Line>,
}

impl AlertEvidence {
    /// The alert that `event` recorded at that time; `None` when it speaks of no component.
    pub fn new(event: EventId, at: Timestamp, data: &AlertFired) -> Option<Self> {
        let component = data.component.clone()?;
        Some(Self::read(event, at, component, data.name.clone(), &data.labels))
    }

    /// The alert of this name, component and labels.
    pub fn read(
        event: EventId,
        at: Timestamp,
        component: ComponentName,
        name: Line,
        labels: &BTreeMap<String, Line>,
    ) -> Self {
        let signal = match labels.get(label::SIGNAL).map(Line::as_str) {
            Some("metric") => Signal::Metric,
            Some("log") => Signal::Log,
            Some("call") => Signal::Call,
            _ => Signal::Other,
        };
        let caller = labels.get(label::CALLER);
        Self {
            event,
            component,
            caller: caller.and_then(|it| ComponentName::new(it.as_str()).ok()),
            at,
            signal,
            name,
            direction: labels.get(label::DIRECTION).cloned(),
        }
    }
}

/// The labels that [`AlertEvidence::new`] understands.
pub fn labels(
    signal: Signal,
    direction: Option<&str>,
    caller: Option<&ComponentName>,
) -> BTreeMap<String, Line> {
    let signal = match signal {
        Signal::Metric => Some("metric"),
        Signal::Log => Some("log"),
        Signal::Call => Some("call"),
        Signal::Other => None,
    };
    let caller = caller.map(ComponentName::as_str);
    [(label::SIGNAL, signal), (label::DIRECTION, direction), (label::CALLER, caller)]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), Line::clipped(value?))))
        .collect()
}

#[cfg(test)]
mod tests {
    use events::catalogue::incident::Severity;
    use events::{AlertId, EventId};

    use super::*;

    #[test]
    fn labels_are_read_as_they_are_written() {
        let caller = ComponentName::new("frontend").unwrap();
        let fired = AlertFired {
            alert: AlertId::new("a").unwrap(),
            name: Line::clipped("/cart"),
            component: Some(ComponentName::new("cart").unwrap()),
            severity: Severity::Error,
            summary: None,
            labels: labels(Signal::Call, Some("slow"), Some(&caller)),
        };
        let event = EventId(uuid::Uuid::from_u128(1));
        let read = AlertEvidence::new(event, Timestamp::UNIX_EPOCH, &fired).unwrap();
        assert_eq!((read.signal, read.caller), (Signal::Call, Some(caller)));
        assert_eq!(read.direction.unwrap().as_str(), "slow");
        let plain = AlertFired { labels: BTreeMap::new(), component: None, ..fired };
        assert!(AlertEvidence::new(event, Timestamp::UNIX_EPOCH, &plain).is_none());
    }
}
