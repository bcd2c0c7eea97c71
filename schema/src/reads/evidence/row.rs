//! Rows as evidence.

use std::collections::BTreeMap;

use diagnosis::evidence::{
    AlertEvidence, Call, Change, ChangeEvidence, EdgeEvidence, LogEvidence, SnapshotEvidence,
};
use events::catalogue::telemetry::{CallStatistics, Latency, LogPattern, Window};
use events::value::{Finite, Line, NonNegative, Ratio};
use events::{ComponentName, EventId, Timestamp};
use serde::Deserialize;

use crate::rows::{ChangeKind, RowWindow};

#[derive(Deserialize)]
pub(super) struct CallRow {
    #[serde(rename = "in")]
    caller: ComponentName,
    #[serde(rename = "out")]
    callee: ComponentName,
}

#[derive(Deserialize)]
pub(super) struct SnapshotRow {
    id: EventId,
    component: ComponentName,
    #[serde(flatten)]
    window: RowWindow,
    requests: Option<u64>,
    errors: Option<u64>,
    latency: Option<Latency>,
    saturation: Option<Ratio>,
    cpu_cores: Option<NonNegative>,
    memory_bytes: Option<NonNegative>,
    #[serde(default)]
    extras: BTreeMap<String, Finite>,
}

#[derive(Deserialize)]
pub(super) struct EdgeRow {
    id: EventId,
    caller: ComponentName,
    #[serde(flatten)]
    window: RowWindow,
    edges: Vec<CallStatistics>,
}

#[derive(Deserialize)]
pub(super) struct LogRow {
    id: EventId,
    component: ComponentName,
    #[serde(flatten)]
    window: RowWindow,
    patterns: Vec<LogPattern>,
}

#[derive(Deserialize)]
pub(super) struct ChangeRow {
    id: EventId,
    component: ComponentName,
    at: Timestamp,
    kind: ChangeKind,
    version: Option<Line>,
    previous_version: Option<Line>,
    description: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct AlertRow {
    component: Option<ComponentName>,
    name: Option<Line>,
    #[serde(default)]
    labels: BTreeMap<String, Line>,
    pub(super) fired_at: Timestamp,
    fired_by: Option<EventId>,
}

impl AlertRow {
    /// `None` for one that speaks of no component.
    pub(super) fn into_evidence(self) -> Option<AlertEvidence> {
        let (event, component, name) = (self.fired_by?, self.component?, self.name?);
        Some(AlertEvidence::read(event, self.fired_at, component, name, &self.labels))
    }
}

impl CallRow {
    pub(super) fn into_evidence(self) -> Call {
        Call { caller: self.caller, callee: self.callee }
    }
}

impl LogRow {
    pub(super) fn into_evidence(self) -> LogEvidence {
        LogEvidence {
            event: self.id,
            component: self.component,
            window: self.window.into(),
            patterns: self.patterns,
        }
    }
}

impl SnapshotRow {
    pub(super) fn into_evidence(self) -> SnapshotEvidence {
        SnapshotEvidence {
            event: self.id,
            component: self.component,
            window: self.window.into(),
            requests: self.requests,
            errors: self.errors,
            latency: self.latency,
            saturation: self.saturation,
            cpu_cores: self.cpu_cores,
            memory_bytes: self.memory_bytes,
            extras: self.extras,
        }
    }
}

impl EdgeRow {
    pub(super) fn into_evidence(self) -> impl Iterator<Item = EdgeEvidence> {
        let window = Window::from(self.window);
        self.edges.into_iter().map(move |stats| EdgeEvidence {
            event: self.id,
            caller: self.caller.clone(),
            window: window.clone(),
            stats,
        })
    }
}

impl ChangeRow {
    /// `None` for a deployment without a version, which no projection writes.
    pub(super) fn into_evidence(self) -> Option<ChangeEvidence> {
        let change = match self.kind {
            ChangeKind::Deployment => {
                Change::Deployment { version: self.version?, previous: self.previous_version }
            }
            ChangeKind::Configuration => {
                Change::Configuration { description: Line::clipped(&self.description?) }
            }
        };
        Some(ChangeEvidence { event: self.id, component: self.component, at: self.at, change })
    }
}
