//! What a diagnosis may see of an incident.
//!
//! The statements name no table of experiments, faults or labels (DI-3), and only rows that were
//! known at the given position: the same question later has the same answer.

mod row;

use std::collections::BTreeSet;

use diagnosis::detect::OPENED_BY;
use diagnosis::evidence::{Evidence, Gathered, Measured, RecentWindows};
use events::{ComponentName, EventId, IncidentId, Timestamp};
use serde::Deserialize;
use surrealdb::types::{Object, RecordId};

use super::{Answers, ReadGraphError, at_position};
use crate::change::LEAD_MS;
use crate::fold::shifted;
use crate::graph::Graph;
use crate::value::time;
use row::{AlertRow, CallRow, ChangeRow, EdgeRow, LogRow, SnapshotRow};

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

/// An incident is opened at most so long after the first window that it is opened for: detectors
/// wait for a second look, collectors deliver late.
pub(super) const NOTICED_WITHIN_MS: i64 = 5 * 60 * 1000;

// What an opening says is said once and never changes; whether it was known, and the end of the
// incident, are taken from the timeline, which knows since when.
const INCIDENT: &str = "
    SELECT component, opened_at, evidence FROM $incident WHERE since <= $position;
    SELECT VALUE window_start FROM array::map(
        (SELECT VALUE evidence FROM ONLY $incident) ?? [], |$id| type::record('anomaly', $id))
        WHERE window_start != NONE AND since <= $position;
    SELECT at, position, event_type FROM timeline_entry
        WHERE incident = record::id($incident) AND since <= $position AND event_type IN $steps;
";

// A call that was seen is known for good.
const AROUND: &str = "
    SELECT in, out FROM calls WHERE since <= $position;
    SELECT id, component, at, kind, version, previous_version, description FROM change
        WHERE at >= $changes_from AND at < $to AND since <= $position;
    SELECT component, name, labels, fired_at, fired_by FROM alert
        WHERE fired_at >= $from AND fired_at < $to AND changed <= $position;
    SELECT component, name, labels, fired_at, fired_by FROM was_alert
        WHERE fired_at >= $from AND fired_at < $to AND changed <= $position
            AND superseded > $position;
";

const MEASURED: &str = "
    SELECT * FROM snapshot:[$from]..[$to] WHERE since <= $position;
    SELECT * FROM edge_window:[$from]..[$to] WHERE since <= $position;
    SELECT * FROM log_pattern:[$from]..[$to] WHERE since <= $position;
";

const TITLE: &str = "
    SELECT VALUE title FROM $incident
        WHERE since <= $position AND title != NONE AND opened_by != $detector;
";

const OPENED: &str = "io.faultline.incident.opened.v1";
pub(super) const RESOLVED: &str = "io.faultline.incident.resolved.v1";
pub(super) const REOPENED: &str = "io.faultline.incident.reopened.v1";

#[derive(Deserialize)]
struct IncidentRow {
    component: Option<ComponentName>,
    opened_at: Option<Timestamp>,
    #[serde(default)]
    evidence: BTreeSet<EventId>,
}

#[derive(Deserialize)]
struct StepRow {
    at: Timestamp,
    position: u64,
    event_type: String,
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

    /// As [`Self::evidence`], with the measurements from `recent` where that has them all.
    pub async fn evidence_beside(
        &self,
        recent: &RecentWindows,
        incident: &IncidentId,
        position: u64,
    ) -> Result<Option<Evidence>, ReadGraphError> {
        self.evidence_with(Some(recent), incident, position, Span::default()).await
    }

    /// As [`Self::evidence`], over `span`.
    pub async fn evidence_over(
        &self,
        incident: &IncidentId,
        position: u64,
        span: Span,
    ) -> Result<Option<Evidence>, ReadGraphError> {
        self.evidence_with(None, incident, position, span).await
    }

    async fn evidence_with(
        &self,
        recent: Option<&RecentWindows>,
        incident: &IncidentId,
        position: u64,
        span: Span,
    ) -> Result<Option<Evidence>, ReadGraphError> {
        let mut binds = Object::new();
        binds.insert("incident", RecordId::new("incident", incident.as_str()));
        binds.insert("position", at_position(position));
        binds.insert("steps", vec![OPENED, RESOLVED, REOPENED]);
        let mut answers = self.ask(INCIDENT, binds).await?;
        let Some(IncidentRow { component: Some(noticed), opened_at: Some(opened_at), evidence }) =
            answers.rows(0)?.into_iter().next()
        else {
            return Ok(None);
        };
        let anomalies: Vec<Timestamp> = answers.rows(1)?;
        let steps: Vec<StepRow> = answers.rows(2)?;
        let (opened, mut ends): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(|step| step.event_type == OPENED);
        if opened.is_empty() {
            return Ok(None);
        }
        ends.sort_by_key(|end| (end.at, end.position));
        let ended = ends.pop().filter(|end| end.event_type == RESOLVED).map(|end| end.at);
        let around = Around {
            noticed,
            noticed_by: anomalies.into_iter().min().unwrap_or(opened_at).min(opened_at),
            opened_for: evidence,
            ended,
            span,
        };
        self.evidence_around(recent, around, position).await.map(Some)
    }

    /// The title that somebody gave `incident`. A detector's own says what was measured, which
    /// is compared otherwise.
    pub async fn title_given(
        &self,
        incident: &IncidentId,
        position: u64,
    ) -> Result<Option<String>, ReadGraphError> {
        let mut binds = Object::new();
        binds.insert("incident", RecordId::new("incident", incident.as_str()));
        binds.insert("position", at_position(position));
        binds.insert("detector", OPENED_BY);
        Ok(self.ask(TITLE, binds).await?.rows(0)?.into_iter().next())
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
        let around = Around {
            noticed: noticed.clone(),
            noticed_by: at,
            opened_for: BTreeSet::new(),
            ended: None,
            span,
        };
        self.evidence_around(None, around, position).await
    }

    async fn evidence_around(
        &self,
        recent: Option<&RecentWindows>,
        around: Around,
        position: u64,
    ) -> Result<Evidence, ReadGraphError> {
        let (from, to) = around.farthest();
        let measured = match recent.and_then(|recent| recent.between(from, to, position)) {
            Some(measured) => measured,
            None => self.measured(from, to, position).await?,
        };
        let mut binds = Object::new();
        binds.insert("position", at_position(position));
        binds.insert("from", time(from));
        binds.insert("to", time(to));
        binds.insert("changes_from", time(from.min(shifted(around.noticed_by, -LEAD_MS))));
        let answers = self.ask(AROUND, binds).await?;
        around.gather(measured, answers)
    }

    async fn measured(
        &self,
        from: Timestamp,
        to: Timestamp,
        position: u64,
    ) -> Result<Measured, ReadGraphError> {
        let mut binds = Object::new();
        binds.insert("position", at_position(position));
        binds.insert("from", time(from));
        binds.insert("to", time(to));
        let mut answers = self.ask(MEASURED, binds).await?;
        let snapshots: Vec<SnapshotRow> = answers.rows(0)?;
        let edges: Vec<EdgeRow> = answers.rows(1)?;
        let logs: Vec<LogRow> = answers.rows(2)?;
        Ok(Measured {
            snapshots: snapshots.into_iter().map(SnapshotRow::into_evidence).collect(),
            edges: edges.into_iter().flat_map(EdgeRow::into_evidence).collect(),
            logs: logs.into_iter().map(LogRow::into_evidence).collect(),
        })
    }
}

/// Where to look, while it is not yet known which window was the first unusual one.
struct Around {
    noticed: ComponentName,
    /// The first unusual window begins here or earlier.
    noticed_by: Timestamp,
    /// The events that the incident was opened for.
    opened_for: BTreeSet<EventId>,
    ended: Option<Timestamp>,
    span: Span,
}

impl Around {
    fn farthest(&self) -> (Timestamp, Timestamp) {
        let slack = if self.opened_for.is_empty() { 0 } else { NOTICED_WITHIN_MS };
        let from = shifted(self.noticed_by, -i64::from(self.span.before_ms) - slack);
        (from, self.end(self.noticed_by))
    }

    fn end(&self, noticed_at: Timestamp) -> Timestamp {
        let longest = shifted(noticed_at, i64::from(self.span.after_ms));
        self.ended.map_or(longest, |ended| ended.min(longest))
    }

    fn gather(self, measured: Measured, mut answers: Answers) -> Result<Evidence, ReadGraphError> {
        let Measured { mut snapshots, mut edges, mut logs } = measured;
        let calls: Vec<CallRow> = answers.rows(0)?;
        let changes: Vec<ChangeRow> = answers.rows(1)?;
        let mut alerts: Vec<AlertRow> = answers.rows(2)?;
        alerts.extend(answers.rows::<AlertRow>(3)?);

        let starts = snapshots.iter().map(|it| (it.event, it.window.start));
        let starts = starts.chain(edges.iter().map(|it| (it.event, it.window.start)));
        let noticed_at = starts
            .filter(|(event, _)| self.opened_for.contains(event))
            .map(|(_, start)| start)
            .fold(self.noticed_by, Timestamp::min);
        let from = shifted(noticed_at, -i64::from(self.span.before_ms));
        let to = self.end(noticed_at);
        snapshots.retain(|it| (from..to).contains(&it.window.start));
        edges.retain(|it| (from..to).contains(&it.window.start));
        logs.retain(|it| (from..to).contains(&it.window.start));
        alerts.retain(|row| (from..to).contains(&row.fired_at));

        Ok(Evidence::new(Gathered {
            noticed: self.noticed,
            noticed_at,
            calls: calls.into_iter().map(CallRow::into_evidence).collect(),
            snapshots,
            edges,
            logs,
            changes: changes.into_iter().filter_map(ChangeRow::into_evidence).collect(),
            alerts: alerts.into_iter().filter_map(AlertRow::into_evidence).collect(),
        }))
    }
}
