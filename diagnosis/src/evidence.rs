//! What is known of an incident when it is diagnosed.
//!
//! [`Evidence`] is immutable and in one order whatever order its parts arrived in, so that a
//! ranking cannot depend on delivery. It has no place for faults, experiments and labels: what a
//! ranker cannot be given it cannot be led by (DI-3).

pub mod alert;
mod recent;

use std::collections::{BTreeMap, BTreeSet};

use events::catalogue::telemetry::{
    CallStatistics, Latency, LogPattern, LogPatternsRecorded, MetricSnapshotRecorded,
    TraceEdgesRecorded, Window,
};
use events::value::{Finite, Line, NonNegative, Ratio};
use events::{ComponentName, EventId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use alert::{AlertEvidence, Signal};
pub use recent::{Measured, RecentWindows};

/// A component is known to call another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Who calls.
    pub caller: ComponentName,
    /// Who is called.
    pub callee: ComponentName,
}

/// The golden signals of a component over a window; see [`MetricSnapshotRecorded`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotEvidence {
    /// The event it was read from.
    pub event: EventId,
    /// The component.
    pub component: ComponentName,
    /// When.
    pub window: Window,
    /// Requests that ended in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Those of them that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<u64>,
    /// How long they took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Share of the tightest resource in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturation: Option<Ratio>,
    /// Processor time used per wall time; 1 is one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_cores: Option<NonNegative>,
    /// Resident memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<NonNegative>,
    /// Further measurements; `up` is 0 when the process is gone or does not answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extras: BTreeMap<String, Finite>,
}

impl SnapshotEvidence {
    /// The snapshot that `event` recorded.
    pub fn new(event: EventId, data: MetricSnapshotRecorded) -> Self {
        Self {
            event,
            component: data.component,
            window: data.window,
            requests: data.requests,
            errors: data.errors,
            latency: data.latency,
            saturation: data.saturation,
            cpu_cores: data.cpu_cores,
            memory_bytes: data.memory_bytes,
            extras: data.extras,
        }
    }

    /// Whether the component answered when it was asked how it is; `None` when nobody asked.
    pub fn up(&self) -> Option<bool> {
        self.extras.get("up").map(|up| up.get() > 0.5)
    }
}

/// The calls from one component to another over a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeEvidence {
    /// The event it was read from; one event carries all edges of its caller.
    pub event: EventId,
    /// Who calls.
    pub caller: ComponentName,
    /// When.
    pub window: Window,
    /// Whom, how often and how it went.
    pub stats: CallStatistics,
}

impl EdgeEvidence {
    /// The edges that `event` recorded.
    pub fn of(event: EventId, data: TraceEdgesRecorded) -> impl Iterator<Item = Self> {
        let TraceEdgesRecorded { caller, window, edges } = data;
        edges.into_iter().map(move |stats| Self {
            event,
            caller: caller.clone(),
            window: window.clone(),
            stats,
        })
    }
}

/// The log lines of a component over a window, by template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEvidence {
    /// The event it was read from.
    pub event: EventId,
    /// The component.
    pub component: ComponentName,
    /// When.
    pub window: Window,
    /// The templates that occurred.
    pub patterns: Vec<LogPattern>,
}

impl LogEvidence {
    /// The log lines that `event` recorded.
    pub fn new(event: EventId, data: LogPatternsRecorded) -> Self {
        Self { event, component: data.component, window: data.window, patterns: data.patterns }
    }
}

/// What people changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// A version went live.
    Deployment {
        /// The version that is live now.
        version: Line,
        /// The version before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<Line>,
    },
    /// A setting changed.
    Configuration {
        /// What changed, in words.
        description: Line,
    },
}

/// A change of a component at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeEvidence {
    /// The event it was read from.
    pub event: EventId,
    /// The component.
    pub component: ComponentName,
    /// When.
    pub at: Timestamp,
    /// What.
    pub change: Change,
}

/// The parts of [`Evidence`] in any order, as they are gathered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gathered {
    /// Where the incident was noticed.
    pub noticed: ComponentName,
    /// Start of the first unusual window: what is before is the baseline, what is from then on
    /// the symptom.
    pub noticed_at: Timestamp,
    /// Who is known to call whom.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// Golden signals.
    #[serde(default)]
    pub snapshots: Vec<SnapshotEvidence>,
    /// Calls that were observed.
    #[serde(default)]
    pub edges: Vec<EdgeEvidence>,
    /// Log lines.
    #[serde(default)]
    pub logs: Vec<LogEvidence>,
    /// Deployments and configuration changes.
    #[serde(default)]
    pub changes: Vec<ChangeEvidence>,
    /// What other systems raised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertEvidence>,
}

/// What is known of an incident: ordered by time, without duplicates, immutable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Gathered", into = "Gathered")]
pub struct Evidence(Gathered);

impl From<Gathered> for Evidence {
    fn from(gathered: Gathered) -> Self {
        Self::new(gathered)
    }
}

impl From<Evidence> for Gathered {
    fn from(evidence: Evidence) -> Self {
        evidence.0
    }
}

impl Evidence {
    /// Puts what was gathered in order and drops what is there twice. A component that is said
    /// to call itself does not: the edge would explain every fault by itself.
    pub fn new(mut gathered: Gathered) -> Self {
        gathered.calls.retain(|call| call.caller != call.callee);
        gathered.calls.extend(
            gathered.edges.iter().map(|edge| Call {
                caller: edge.caller.clone(),
                callee: edge.stats.callee.clone(),
            }),
        );
        gathered.calls.sort();
        gathered.calls.dedup();
        in_order(&mut gathered.snapshots, |s| (s.window.start, s.component.clone(), s.event));
        in_order(&mut gathered.edges, |e| {
            (e.window.start, (e.caller.clone(), e.stats.callee.clone()), e.event)
        });
        in_order(&mut gathered.logs, |l| (l.window.start, l.component.clone(), l.event));
        in_order(&mut gathered.changes, |c| (c.at, c.component.clone(), c.event));
        in_order(&mut gathered.alerts, |a| (a.at, a.component.clone(), a.event));
        Self(gathered)
    }

    /// The evidence as it would be without some events. Who calls whom stays known: it is told by
    /// more than the calls of the incident.
    pub fn without(&self, events: &BTreeSet<EventId>) -> Self {
        let mut left = self.0.clone();
        left.snapshots.retain(|it| !events.contains(&it.event));
        left.edges.retain(|it| !events.contains(&it.event));
        left.logs.retain(|it| !events.contains(&it.event));
        left.changes.retain(|it| !events.contains(&it.event));
        left.alerts.retain(|it| !events.contains(&it.event));
        Self(left)
    }

    /// The evidence as it would be if nobody had seen some of the calls. Alerts about a call tell
    /// of it all the same.
    pub fn without_calls(&self, calls: &BTreeSet<Call>) -> Self {
        let mut left = self.0.clone();
        left.calls.retain(|it| !calls.contains(it));
        left.edges.retain(|it| {
            let call = Call { caller: it.caller.clone(), callee: it.stats.callee.clone() };
            !calls.contains(&call)
        });
        Self(left)
    }

    /// Whether this event is among the evidence.
    pub fn contains(&self, event: EventId) -> bool {
        let evidence = &self.0;
        evidence.snapshots.iter().any(|it| it.event == event)
            || evidence.edges.iter().any(|it| it.event == event)
            || evidence.logs.iter().any(|it| it.event == event)
            || evidence.changes.iter().any(|it| it.event == event)
            || evidence.alerts.iter().any(|it| it.event == event)
    }

    /// Where the incident was noticed.
    pub fn noticed(&self) -> &ComponentName {
        &self.0.noticed
    }

    /// Start of the first unusual window.
    pub fn noticed_at(&self) -> Timestamp {
        self.0.noticed_at
    }

    /// Who is known to call whom, observed edges included.
    pub fn calls(&self) -> &[Call] {
        &self.0.calls
    }

    /// Golden signals, the earliest first.
    pub fn snapshots(&self) -> &[SnapshotEvidence] {
        &self.0.snapshots
    }

    /// Calls that were observed, the earliest first.
    pub fn edges(&self) -> &[EdgeEvidence] {
        &self.0.edges
    }

    /// Log lines, the earliest first.
    pub fn logs(&self) -> &[LogEvidence] {
        &self.0.logs
    }

    /// Changes, the earliest first.
    pub fn changes(&self) -> &[ChangeEvidence] {
        &self.0.changes
    }

    /// Alerts, the earliest first.
    pub fn alerts(&self) -> &[AlertEvidence] {
        &self.0.alerts
    }
}

// Entries with the same key carry the same event id, hence the same content, unless a store
// broke; then their JSON decides, because which of them arrived first must not.
fn in_order<T: Serialize, K: Ord>(entries: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let json = |entry: &T| serde_json::to_string(entry).unwrap_or_default();
    entries.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| json(a).cmp(&json(b))));
    entries.dedup_by(|later, earlier| key(later) == key(earlier));
}

#[cfg(test)]
mod tests {
    use events::value::Finite;

    use super::*;

    fn name(name: &str) -> ComponentName {
        ComponentName::new(name).unwrap()
    }

    fn snapshot(event: u128, component: &str, second: i64) -> SnapshotEvidence {
        SnapshotEvidence {
            event: EventId(uuid::Uuid::from_u128(event)),
            component: name(component),
            window: Window { start: Timestamp::from_second(second).unwrap(), duration_ms: 2_000 },
            requests: Some(10),
            errors: Some(0),
            latency: None,
            saturation: None,
            cpu_cores: None,
            memory_bytes: None,
            extras: BTreeMap::from([("up".to_owned(), Finite::new(1.0).unwrap())]),
        }
    }

    fn gathered(snapshots: Vec<SnapshotEvidence>) -> Gathered {
        Gathered {
            noticed: name("gateway"),
            noticed_at: Timestamp::from_second(100).unwrap(),
            calls: vec![
                Call { caller: name("gateway"), callee: name("cart") },
                Call { caller: name("cart"), callee: name("cart") },
                Call { caller: name("gateway"), callee: name("cart") },
            ],
            snapshots,
            edges: Vec::new(),
            logs: Vec::new(),
            changes: vec![ChangeEvidence {
                event: EventId(uuid::Uuid::from_u128(9)),
                component: name("cart"),
                at: Timestamp::from_second(90).unwrap(),
                change: Change::Deployment { version: Line::new("2").unwrap(), previous: None },
            }],
            alerts: Vec::new(),
        }
    }

    #[test]
    fn arrival_order_and_duplicates_leave_no_trace() {
        let a = snapshot(1, "cart", 50);
        let b = snapshot(2, "cart", 40);
        let late = Evidence::new(gathered(vec![a.clone(), b.clone(), a.clone()]));
        let early = Evidence::new(gathered(vec![b.clone(), a.clone()]));
        assert_eq!(late, early);
        assert_eq!(late.snapshots(), [b, a]);
        assert_eq!(late.calls().len(), 1, "no call to itself and none twice");
    }

    #[test]
    fn what_is_left_out_is_gone_and_nothing_else() {
        let (a, b) = (snapshot(1, "cart", 50), snapshot(2, "cart", 40));
        let all = Evidence::new(gathered(vec![a.clone(), b.clone()]));
        let change = all.changes()[0].event;
        let left = all.without(&BTreeSet::from([a.event, change]));
        assert_eq!((left.snapshots(), left.changes()), (&[b][..], &[][..]));
        assert_eq!(left.calls(), all.calls());
        assert!(all.contains(change) && !left.contains(change));
    }

    #[test]
    fn json_is_put_in_order_when_it_is_read() {
        let evidence = Evidence::new(gathered(vec![snapshot(1, "a", 50), snapshot(2, "b", 40)]));
        let mut json = serde_json::to_value(&evidence).unwrap();
        json["snapshots"].as_array_mut().unwrap().reverse();
        assert_eq!(serde_json::from_value::<Evidence>(json).unwrap(), evidence);
    }

    #[test]
    fn ground_truth_has_no_place() {
        let evidence = Evidence::new(gathered(Vec::new()));
        let mut json = serde_json::to_value(&evidence).unwrap();
        json["faults"] = serde_json::json!(["payments"]);
        let refused = serde_json::from_value::<Evidence>(json).unwrap_err();
        assert!(refused.to_string().contains("unknown field `faults`"), "{refused}");
    }
}
