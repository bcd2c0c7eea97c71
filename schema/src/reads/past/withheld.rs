//! What an incident must not learn from others (DI-3).

use std::collections::BTreeSet;

use events::{EventId, FaultId, IncidentId, Timestamp};
use serde::Deserialize;
use surrealdb::types::{Object, RecordId};

use super::{LabelRow, MitigationRow};
use crate::fold::shifted;
use crate::graph::Graph;
use crate::reads::evidence::NOTICED_WITHIN_MS;
use crate::reads::{ReadGraphError, at_position};
use crate::value::time;

const INCIDENT: &str = "
    SELECT opened_at, evidence FROM $incident WHERE opened_at != NONE;
    SELECT VALUE window_start FROM array::map(
        (SELECT VALUE evidence FROM ONLY $incident) ?? [], |$id| type::record('anomaly', $id))
        WHERE window_start != NONE AND since <= $position;
";

// Faults that were cleared before anything that the incident can have begun with are left out
// here, those whose deadline was over by then later.
const AROUND: &str = "
    SELECT VALUE window_start FROM snapshot:[$from]..[$to]
        WHERE since <= $position AND record::id(id)[1] IN $evidence;
    SELECT VALUE window_start FROM edge_window:[$from]..[$to]
        WHERE since <= $position AND record::id(id)[1] IN $evidence;
    SELECT record::id(id) AS fault, injected_at, cleared_at, deadline_ms FROM fault
        WHERE changed <= $position AND (cleared_at = NONE OR cleared_at > $from);
    SELECT record::id(original) AS fault, injected_at, cleared_at, deadline_ms FROM was_fault
        WHERE superseded > $position AND changed <= $position
            AND (cleared_at = NONE OR cleared_at > $from);
";

#[derive(Deserialize)]
struct IncidentRow {
    opened_at: Timestamp,
    #[serde(default)]
    evidence: BTreeSet<EventId>,
}

#[derive(Deserialize)]
struct FaultRow {
    fault: FaultId,
    injected_at: Option<Timestamp>,
    cleared_at: Option<Timestamp>,
    deadline_ms: Option<f64>,
}

impl FaultRow {
    /// When it stopped acting; the driver undoes what nobody clears at its deadline.
    fn ended_at(&self) -> Option<Timestamp> {
        let deadline = || Some(shifted(self.injected_at?, self.deadline_ms? as i64));
        self.cleared_at.or_else(deadline)
    }
}

/// What an incident must not learn from others: one fault may open several incidents, and what is
/// known of the fault from one of them is the truth of all.
#[derive(Default)]
pub(crate) struct Withheld {
    /// Start of the incident's first unusual window.
    began: Option<Timestamp>,
    /// The faults that acted at any time since.
    pub(crate) acting: BTreeSet<FaultId>,
}

impl Withheld {
    /// Leaves what the incident may know: neither labels that come from such a fault, nor what
    /// was done against an incident that has one, nor what was done since the incident began.
    pub(super) fn take_from(
        &self,
        labels: &mut Vec<LabelRow>,
        mitigations: &mut Vec<MitigationRow>,
    ) {
        let mut siblings: BTreeSet<IncidentId> = BTreeSet::new();
        labels.retain(|label| {
            let covered = label.fault.as_ref().is_some_and(|fault| self.acting.contains(fault));
            if covered {
                siblings.insert(label.incident.clone());
            }
            !covered
        });
        mitigations.retain(|row| {
            self.began.is_none_or(|began| row.at <= began) && !siblings.contains(&row.incident)
        });
    }
}

impl Graph {
    pub(crate) async fn withheld(
        &self,
        incident: &IncidentId,
        position: u64,
    ) -> Result<Withheld, ReadGraphError> {
        let mut binds = Object::new();
        binds.insert("incident", RecordId::new("incident", incident.as_str()));
        binds.insert("position", at_position(position));
        let mut answers = self.ask(INCIDENT, binds).await?;
        let Some(IncidentRow { opened_at, evidence }) = answers.rows(0)?.into_iter().next() else {
            return Ok(Withheld::default());
        };
        let anomalies: Vec<Timestamp> = answers.rows(1)?;
        let noticed_by = anomalies.into_iter().fold(opened_at, Timestamp::min);
        let evidence: Vec<String> = evidence.iter().map(ToString::to_string).collect();
        let mut binds = Object::new();
        binds.insert("from", time(shifted(noticed_by, -NOTICED_WITHIN_MS)));
        binds.insert("to", time(noticed_by));
        binds.insert("evidence", evidence);
        binds.insert("position", at_position(position));
        let mut answers = self.ask(AROUND, binds).await?;
        let windows = answers.rows(0)?.into_iter().chain(answers.rows(1)?);
        let began = windows.fold(noticed_by, Timestamp::min);
        let faults = answers.rows::<FaultRow>(2)?.into_iter().chain(answers.rows(3)?);
        let acting = faults.filter(|fault| fault.ended_at().is_none_or(|ended| ended > began));
        Ok(Withheld { began: Some(began), acting: acting.map(|fault| fault.fault).collect() })
    }
}
