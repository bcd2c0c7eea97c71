//! What a diagnosis may see of an incident.
//!
//! The statements name no table of experiments, faults or labels (DI-3), and only rows that were
//! known at the given position: the same question later has the same answer.

use std::collections::BTreeMap;

use diagnosis::evidence::{
    Call, Change, ChangeEvidence, EdgeEvidence, Evidence, Gathered, LogEvidence, SnapshotEvidence,
};
use events::catalogue::telemetry::{CallStatistics, Latency, LogPattern, Window};
use events::value::{Finite, Line, NonNegative, Ratio};
use events::{ComponentName, EventId, IncidentId, Timestamp};
use serde::Deserialize;
use surrealdb::types::{Object, RecordId};

use super::{Answers, ReadGraphError, at_position};
use crate::change::LEAD_MS;
use crate::fold::shifted;
use crate::graph::Graph;
use crate::rows::{ChangeKind, RowWindow};
use crate::value::time;

/// How far evidence reaches around the start of the first unusual window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Length of the baseline before it.
    pub before_ms: u32,
    /// Longest time from it on; the end of the incident ends it earlier.
    pub after_ms: u32,
}

impl Default for Span {
    /// Ten minutes on both sides.
    fn default() -> Self {
        Self { before_ms: 600_000, after_ms: 600_000 }
    }
}

const INCIDENT: &str = "
    SELECT component, opened_at, resolved_at FROM $incident WHERE since <= $position;
    SELECT VALUE window_start FROM array::map(
        (SELECT VALUE evidence FROM ONLY $incident) ?? [], |$id| type::record('anomaly', $id))
        WHERE window_start != NONE;
    SELECT VALUE window_start FROM array::map(
        (SELECT VALUE evidence FROM ONLY $incident) ?? [], |$id| type::record('snapshot', $id))
        WHERE window_start != NONE;
    SELECT VALUE window_start FROM array::map(
        (SELECT VALUE evidence FROM ONLY $incident) ?? [], |$id| type::record('edge_window', $id))
        WHERE window_start != NONE;
";

const AROUND: &str = "
    SELECT in, out FROM calls WHERE since <= $position AND until = NONE;
    SELECT * FROM snapshot
        WHERE window_start >= $from AND window_start < $to AND since <= $position;
    SELECT * FROM edge_window
        WHERE window_start >= $from AND window_start < $to AND since <= $position;
    SELECT * FROM log_pattern
        WHERE window_start >= $from AND window_start < $to AND since <= $position;
    SELECT id, component, at, kind, version, previous_version, description FROM change
        WHERE at >= $changes_from AND at < $to AND since <= $position;
";

#[derive(Deserialize)]
struct IncidentRow {
    component: Option<ComponentName>,
    opened_at: Option<Timestamp>,
    resolved_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct CallRow {
    #[serde(rename = "in")]
    caller: ComponentName,
    #[serde(rename = "out")]
    callee: ComponentName,
}

#[derive(Deserialize)]
struct SnapshotRow {
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
struct EdgeRow {
    id: EventId,
    caller: ComponentName,
    #[serde(flatten)]
    window: RowWindow,
    edges: Vec<CallStatistics>,
}

#[derive(Deserialize)]
struct LogRow {
    id: EventId,
    component: ComponentName,
    #[serde(flatten)]
    window: RowWindow,
    patterns: Vec<LogPattern>,
}

#[derive(Deserialize)]
struct ChangeRow {
    id: EventId,
    component: ComponentName,
    at: Timestamp,
    kind: ChangeKind,
    version: Option<Line>,
    previous_version: Option<Line>,
    description: Option<String>,
}

impl Graph {
    /// The evidence of `incident` as far as the log reached to `position`, over the default
    /// [`Span`]. `None` while its opening is not known.
    pub async fn evidence(
        &self,
        incident: &IncidentId,
        position: u64,
    ) -> Result<Option<Evidence>, ReadGraphError> {
        self.evidence_over(incident, position, Span::default()).await
    }

    /// As [`Self::evidence`], over `span`.
    pub async fn evidence_over(
        &self,
        incident: &IncidentId,
        position: u64,
        span: Span,
    ) -> Result<Option<Evidence>, ReadGraphError> {
        let mut binds = Object::new();
        binds.insert("incident", RecordId::new("incident", incident.as_str()));
        binds.insert("position", at_position(position));
        let mut answers = self.ask(INCIDENT, binds).await?;
        let Some(IncidentRow { component: Some(noticed), opened_at: Some(opened_at), resolved_at }) =
            answers.rows(0)?.into_iter().next()
        else {
            return Ok(None);
        };
        let mut starts: Vec<Timestamp> = Vec::new();
        for statement in 1..=3 {
            starts.extend(answers.rows::<Timestamp>(statement)?);
        }
        let noticed_at = starts.into_iter().min().unwrap_or(opened_at);
        let longest = shifted(noticed_at, i64::from(span.after_ms));
        let to = resolved_at.map_or(longest, |resolved_at| resolved_at.min(longest));
        let around = Around { noticed, noticed_at, to, span };
        self.evidence_around(around, position).await.map(Some)
    }

    /// What is known around `at`, where `noticed` became unusual: for symptoms without an
    /// incident.
    pub async fn evidence_at(
        &self,
        noticed: &ComponentName,
        at: Timestamp,
        position: u64,
        span: Span,
    ) -> Result<Evidence, ReadGraphError> {
        let to = shifted(at, i64::from(span.after_ms));
        let around = Around { noticed: noticed.clone(), noticed_at: at, to, span };
        self.evidence_around(around, position).await
    }

    async fn evidence_around(
        &self,
        around: Around,
        position: u64,
    ) -> Result<Evidence, ReadGraphError> {
        let from = shifted(around.noticed_at, -i64::from(around.span.before_ms));
        let mut binds = Object::new();
        binds.insert("position", at_position(position));
        binds.insert("from", time(from));
        binds.insert("to", time(around.to));
        binds.insert("changes_from", time(from.min(shifted(around.noticed_at, -LEAD_MS))));
        let answers = self.ask(AROUND, binds).await?;
        around.gather(answers)
    }
}

struct Around {
    noticed: ComponentName,
    noticed_at: Timestamp,
    to: Timestamp,
    span: Span,
}

impl Around {
    fn gather(self, mut answers: Answers) -> Result<Evidence, ReadGraphError> {
        let calls: Vec<CallRow> = answers.rows(0)?;
        let snapshots: Vec<SnapshotRow> = answers.rows(1)?;
        let edges: Vec<EdgeRow> = answers.rows(2)?;
        let logs: Vec<LogRow> = answers.rows(3)?;
        let changes: Vec<ChangeRow> = answers.rows(4)?;
        Ok(Evidence::new(Gathered {
            noticed: self.noticed,
            noticed_at: self.noticed_at,
            calls: calls
                .into_iter()
                .map(|row| Call { caller: row.caller, callee: row.callee })
                .collect(),
            snapshots: snapshots.into_iter().map(SnapshotRow::into_evidence).collect(),
            edges: edges.into_iter().flat_map(EdgeRow::into_evidence).collect(),
            logs: logs
                .into_iter()
                .map(|row| LogEvidence {
                    event: row.id,
                    component: row.component,
                    window: row.window.into(),
                    patterns: row.patterns,
                })
                .collect(),
            changes: changes.into_iter().filter_map(ChangeRow::into_evidence).collect(),
        }))
    }
}

impl SnapshotRow {
    fn into_evidence(self) -> SnapshotEvidence {
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
    fn into_evidence(self) -> impl Iterator<Item = EdgeEvidence> {
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
    fn into_evidence(self) -> Option<ChangeEvidence> {
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
