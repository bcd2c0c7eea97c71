//! The past that a new incident is compared with.

use std::collections::BTreeMap;

use diagnosis::fingerprint::Fingerprint;
use diagnosis::similarity::PastIncident;
use events::{ComponentName, FaultKind, IncidentId, Timestamp};
use serde::Deserialize;
use surrealdb::types::Object;

use super::{ReadGraphError, at_position};
use crate::graph::Graph;
use crate::rows::ClaimKind;

const PAST: &str = "
    SELECT incident, fingerprint, since FROM diagnosis
        WHERE fingerprint != NONE AND since <= $position ORDER BY since;
    SELECT incident, claim, component, fault_kind, confidence, at, since FROM label
        WHERE since <= $position AND (until = NONE OR until > $position);
    SELECT incident, action, at, since FROM mitigation
        WHERE kind != 'suggested' AND since <= $position ORDER BY at, since;
";

#[derive(Deserialize)]
struct DiagnosisRow {
    incident: IncidentId,
    fingerprint: serde_json::Value,
}

#[derive(Deserialize)]
struct LabelRow {
    incident: IncidentId,
    claim: ClaimKind,
    component: Option<ComponentName>,
    fault_kind: Option<FaultKind>,
    confidence: f64,
    at: Timestamp,
    since: u64,
}

#[derive(Deserialize)]
struct MitigationRow {
    incident: IncidentId,
    action: String,
}

impl Graph {
    /// Every diagnosed incident that was known when the log reached to `position`, by id: its
    /// latest fingerprint, what labels say caused it, and what was done against it. `excluding`
    /// is the incident in question, whose own labels must not help its diagnosis (DI-3).
    ///
    /// Of labels that contradict each other the one of the highest confidence counts, then the
    /// latest. An incident that is labelled a false positive is left out. A fingerprint of a form
    /// that this version does not know is passed over.
    pub async fn past_incidents(
        &self,
        position: u64,
        excluding: Option<&IncidentId>,
    ) -> Result<Vec<PastIncident>, ReadGraphError> {
        let mut binds = Object::new();
        binds.insert("position", at_position(position));
        let mut answers = self.ask(PAST, binds).await?;
        let mut past = fingerprints(answers.rows(0)?, excluding);
        let mut labels: Vec<LabelRow> = answers.rows(1)?;
        let mitigations: Vec<MitigationRow> = answers.rows(2)?;
        // The strongest label comes last and so has the last word.
        labels.sort_by(|a, b| {
            a.confidence.total_cmp(&b.confidence).then((a.at, a.since).cmp(&(b.at, b.since)))
        });
        for label in labels {
            apply(&mut past, label);
        }
        for row in mitigations {
            if let Some(incident) = past.get_mut(&row.incident)
                && !incident.fixed_by.contains(&row.action)
            {
                incident.fixed_by.push(row.action);
            }
        }
        Ok(past.into_values().collect())
    }
}

/// The latest readable fingerprint of each incident.
fn fingerprints(
    rows: Vec<DiagnosisRow>,
    excluding: Option<&IncidentId>,
) -> BTreeMap<IncidentId, PastIncident> {
    let mut past = BTreeMap::new();
    for row in rows.into_iter().filter(|row| Some(&row.incident) != excluding) {
        match serde_json::from_value::<Fingerprint>(row.fingerprint) {
            Ok(fingerprint) => {
                let incident = PastIncident {
                    incident: row.incident.clone(),
                    fingerprint,
                    root_cause: None,
                    fault_kind: None,
                    fixed_by: Vec::new(),
                };
                past.insert(row.incident, incident);
            }
            Err(error) => tracing::debug!(
                incident.id = %row.incident,
                "fingerprint of an unknown form passed over: {error}"
            ),
        }
    }
    past
}

fn apply(past: &mut BTreeMap<IncidentId, PastIncident>, label: LabelRow) {
    match label.claim {
        ClaimKind::FalsePositive => {
            past.remove(&label.incident);
        }
        ClaimKind::RootCause => {
            if let Some(incident) = past.get_mut(&label.incident) {
                incident.root_cause = label.component;
            }
        }
        ClaimKind::FaultKind => {
            if let Some(incident) = past.get_mut(&label.incident) {
                incident.fault_kind = label.fault_kind;
            }
        }
        ClaimKind::ContributingFactor | ClaimKind::Duplicate | ClaimKind::Severity => {}
    }
}
