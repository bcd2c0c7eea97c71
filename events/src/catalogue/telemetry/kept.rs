//! The kinds of telemetry that retention tells apart, and what is kept of an event whose
//! measurements were pruned: which components it spoke of, so that what the topology is made of
//! does not change.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CallStatistics, LogPatternsRecorded, MetricSnapshotRecorded, TraceEdgesRecorded, Window,
};
use crate::catalogue::EventData;

/// A kind of telemetry.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TelemetryKind {
    /// Snapshots of golden signals.
    Metrics,
    /// Windows of calls.
    Traces,
    /// Windows of log patterns.
    Logs,
}

impl TelemetryKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Traces, Self::Logs];

    /// Its name in settings and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }

    /// The kind that events of this type are of, whichever version of the type.
    pub fn of_type(event_type: &str) -> Option<Self> {
        let (unversioned, _) = event_type.rsplit_once('.')?;
        match unversioned {
            "io.faultline.metrics.snapshotrecorded" => Some(Self::Metrics),
            "io.faultline.traces.edgesrecorded" => Some(Self::Traces),
            "io.faultline.logs.patternsrecorded" => Some(Self::Logs),
            _ => None,
        }
    }
}

impl fmt::Display for TelemetryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that no kind of telemetry has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected metrics, traces or logs, got {0:?}")]
pub struct UnknownKind(String);

impl FromStr for TelemetryKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

impl EventData {
    /// The window that telemetry is of.
    pub fn window(&self) -> Option<&Window> {
        match self {
            Self::MetricSnapshotRecorded(data) => Some(&data.window),
            Self::TraceEdgesRecorded(data) => Some(&data.window),
            Self::LogPatternsRecorded(data) => Some(&data.window),
            _ => None,
        }
    }

    /// What is left of the data when it is pruned; `None` for what is never pruned. Pruned again
    /// it stays the same.
    pub fn kept(&self) -> Option<Self> {
        Some(match self {
            Self::MetricSnapshotRecorded(data) => MetricSnapshotRecorded {
                component: data.component.clone(),
                window: data.window.clone(),
                requests: None,
                errors: None,
                latency: None,
                saturation: None,
                cpu_cores: None,
                memory_bytes: None,
                extras: [].into(),
            }
            .into(),
            Self::TraceEdgesRecorded(data) => TraceEdgesRecorded {
                caller: data.caller.clone(),
                window: data.window.clone(),
                edges: data.edges.iter().map(CallStatistics::kept).collect(),
            }
            .into(),
            Self::LogPatternsRecorded(data) => LogPatternsRecorded {
                component: data.component.clone(),
                window: data.window.clone(),
                patterns: Vec::new(),
            }
            .into(),
            _ => return None,
        })
    }
}

impl CallStatistics {
    fn kept(&self) -> Self {
        Self {
            callee: self.callee.clone(),
            calls: 0,
            errors: 0,
            latency: None,
            exemplar_trace_ids: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_has_its_types_and_every_version_of_them_and_others_have_none() {
        let kinds = EventData::TYPES.iter().filter_map(|name| TelemetryKind::of_type(name));
        assert_eq!(kinds.collect::<Vec<_>>().len(), TelemetryKind::ALL.len());
        let later = TelemetryKind::of_type("io.faultline.logs.patternsrecorded.v2");
        assert_eq!(later, Some(TelemetryKind::Logs));
        for kind in TelemetryKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
    }

    #[test]
    fn components_are_kept_and_measurements_are_not() {
        let window = json!({"start": "2026-01-01T00:00:00Z", "duration_ms": 10_000});
        let edges =
            json!([{"callee": "cart", "calls": 5, "errors": 1, "exemplar_trace_ids": ["t"]}]);
        let data = json!({"caller": "web", "window": window, "edges": edges});
        let data = EventData::from_json("io.faultline.traces.edgesrecorded.v1", data).unwrap();
        let kept = data.kept().unwrap();
        let expected = json!([{"callee": "cart", "calls": 0, "errors": 0}]);
        let expected = json!({"caller": "web", "window": window, "edges": expected});
        assert_eq!(serde_json::to_value(&kept).unwrap(), expected);
        assert_eq!(kept.kept(), Some(kept));
        let other = json!({"component": "web", "discovered_by": "ada"});
        let other = EventData::from_json("io.faultline.component.discovered.v1", other).unwrap();
        assert_eq!(other.kept(), None);
    }
}
