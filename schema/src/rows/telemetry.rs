//! Windows of measurements; the key of each row is the event that recorded it.

use std::collections::BTreeMap;

use events::catalogue::diagnosis::AnomalyPart;
use events::catalogue::telemetry::{CallStatistics, Latency, LogPattern, Window};
use events::{ComponentName, EventId, Timestamp};
use serde::Deserialize;

use super::Provenance;

/// The window of a row, stored flat so that its start can be indexed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RowWindow {
    /// First moment.
    #[serde(rename = "window_start")]
    pub start: Timestamp,
    /// Length.
    #[serde(rename = "window_ms")]
    pub duration_ms: u64,
}

impl From<RowWindow> for Window {
    fn from(window: RowWindow) -> Self {
        Self { start: window.start, duration_ms: window.duration_ms }
    }
}

/// `snapshot`: golden signals of a component.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Snapshot {
    /// The event, the key.
    pub id: EventId,
    /// The component.
    pub component: ComponentName,
    /// When.
    #[serde(flatten)]
    pub window: RowWindow,
    /// Requests that ended in the window.
    #[serde(default)]
    pub requests: Option<u64>,
    /// Those of them that failed.
    #[serde(default)]
    pub errors: Option<u64>,
    /// How long they took.
    #[serde(default)]
    pub latency: Option<Latency>,
    /// Share of the tightest resource in use.
    #[serde(default)]
    pub saturation: Option<f64>,
    /// Processor time per wall time.
    #[serde(default)]
    pub cpu_cores: Option<f64>,
    /// Resident memory.
    #[serde(default)]
    pub memory_bytes: Option<f64>,
    /// Further measurements.
    #[serde(default)]
    pub extras: BTreeMap<String, f64>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `edge_window`: the outgoing calls of a component.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct EdgeWindow {
    /// The event, the key.
    pub id: EventId,
    /// Who calls.
    pub caller: ComponentName,
    /// When.
    #[serde(flatten)]
    pub window: RowWindow,
    /// One entry a callee.
    pub edges: Vec<CallStatistics>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `log_pattern`: the log templates of a component.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LogPatterns {
    /// The event, the key.
    pub id: EventId,
    /// The component.
    pub component: ComponentName,
    /// When.
    #[serde(flatten)]
    pub window: RowWindow,
    /// One entry a template.
    pub patterns: Vec<LogPattern>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `anomaly`: a window of a component that is unlike its past.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Anomaly {
    /// The event, the key.
    pub id: EventId,
    /// The component.
    pub component: ComponentName,
    /// When.
    #[serde(flatten)]
    pub window: RowWindow,
    /// The detector and its version.
    pub detector: String,
    /// How unusual in all.
    pub score: f64,
    /// The signals that make the score.
    pub parts: Vec<AnomalyPart>,
    /// The events that show it.
    #[serde(default)]
    pub evidence: Vec<EventId>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `prediction`: a failure foreseen.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Prediction {
    /// The event, the key.
    pub id: EventId,
    /// The component.
    pub component: ComponentName,
    /// How likely.
    pub probability: f64,
    /// Within which time.
    pub horizon_ms: f64,
    /// Why.
    pub reason: String,
    /// The events that show it.
    #[serde(default)]
    pub evidence: Vec<EventId>,
    /// When it was foreseen.
    pub at: Timestamp,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}
