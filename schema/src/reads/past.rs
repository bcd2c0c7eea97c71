//! The past that a new incident is compared with.

mod withheld;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use diagnosis::diagnose::Lookup;
use diagnosis::fingerprint::Fingerprint;
use diagnosis::similarity::PastIncident;
use diagnosis::verdict::{Opinion, verdict};
use events::catalogue::diagnosis::SimilarIncident;
use events::{ComponentName, FaultId, FaultKind, IncidentId, LabelId, Timestamp};
use serde::Deserialize;
use surrealdb::types::Object;

use super::{ReadGraphError, at_position};
use crate::graph::Graph;
use crate::index::NearestTo;
use crate::rows::ClaimKind;
use withheld::Withheld;

/// `$among` is whether to read only what is of `$incidents`.
fn past(among: bool) -> String {
    let of = if among { "incident IN $incidents AND" } else { "" };
    format!(
        "SELECT incident, fingerprint, since FROM diagnosis
            WHERE {of} fingerprint != NONE AND since <= $position ORDER BY since;
        SELECT id, incident, claim, component, fault_kind, fault, confidence, at FROM label
            WHERE {of} since <= $position AND (until = NONE OR until > $position);
        SELECT incident, action, at, since FROM mitigation
            WHERE {of} kind != 'suggested' AND since <= $position ORDER BY at, since;"
    )
}

#[derive(Deserialize)]
struct DiagnosisRow {
    incident: IncidentId,
    fingerprint: serde_json::Value,
}

#[derive(Deserialize)]
struct LabelRow {
    id: LabelId,
    incident: IncidentId,
    claim: ClaimKind,
    component: Option<ComponentName>,
    fault_kind: Option<FaultKind>,
    fault: Option<FaultId>,
    confidence: f64,
    at: Timestamp,
}

impl LabelRow {
    /// What it says; `None` for what a past incident is not compared by.
    fn into_opinion(self) -> Option<Opinion> {
        let claim = self.claim.about(self.component.as_ref(), self.fault_kind.as_ref())?;
        let (label, confidence, at) = (self.id, self.confidence, self.at);
        // The statement leaves out what was taken back.
        Some(Opinion { label, claim, confidence, at, retracted: false })
    }
}

#[derive(Deserialize)]
struct MitigationRow {
    incident: IncidentId,
    action: String,
    at: Timestamp,
}

/// What the lookups of a diagnosis found.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The incidents by lookup, the nearest first.
    pub near: Vec<Vec<SimilarIncident>>,
    /// What is known of them, by id.
    pub known: Vec<PastIncident>,
}

impl Graph {
    /// The past incidents that the lookups of a diagnosis ask for, and what is known of those; see
    /// [`Self::past_incidents`], of whose answer that is a part. The index finds them, so that a
    /// question costs what is near and not what there is.
    pub async fn past_for(
        &self,
        lookups: Vec<Lookup>,
        position: u64,
        excluding: &IncidentId,
    ) -> Result<Past, ReadGraphError> {
        let withheld = self.withheld(excluding, position).await?;
        let acting = Arc::new(withheld.acting.clone());
        let mut near = Vec::with_capacity(lookups.len());
        for lookup in lookups {
            let asked = NearestTo {
                fingerprint: lookup.fingerprint,
                told: lookup.told,
                at: position,
                first: lookup.first,
                min_score: lookup.min_score,
                excluding: Some(excluding.clone()),
                withheld: acting.clone(),
                of_known_kind: lookup.of_known_kind,
            };
            near.push(self.index.nearest(asked).await);
        }
        let found: BTreeSet<IncidentId> =
            near.iter().flatten().map(|similar| similar.incident.clone()).collect();
        let known = match found.is_empty() {
            true => Vec::new(),
            false => self.past_of(Some(&found), position, Some(excluding), &withheld).await?,
        };
        Ok(Past { near, known })
    }

    /// Every diagnosed incident that was known when the log reached to `position`, by id: its
    /// latest fingerprint, what labels say caused it, and what was done against it. `excluding`
    /// is the incident in question: neither its own labels nor what is known from a fault that
    /// acted since its first unusual window help its diagnosis (DI-3).
    ///
    /// Labels that contradict each other resolve by [`diagnosis::verdict`]. An incident of which
    /// it says that nothing was wrong is left out. A fingerprint of a form
    /// that this version does not know is passed over.
    ///
    /// This reads all of it. It is what [`Self::past_for`] is held against.
    pub async fn past_incidents(
        &self,
        position: u64,
        excluding: Option<&IncidentId>,
    ) -> Result<Vec<PastIncident>, ReadGraphError> {
        let withheld = match excluding {
            Some(incident) => self.withheld(incident, position).await?,
            None => Withheld::default(),
        };
        self.past_of(None, position, excluding, &withheld).await
    }

    async fn past_of(
        &self,
        among: Option<&BTreeSet<IncidentId>>,
        position: u64,
        excluding: Option<&IncidentId>,
        withheld: &Withheld,
    ) -> Result<Vec<PastIncident>, ReadGraphError> {
        let mut binds = Object::new();
        binds.insert("position", at_position(position));
        if let Some(among) = among {
            let keys: Vec<String> = among.iter().map(ToString::to_string).collect();
            binds.insert("incidents", keys);
        }
        let mut answers = self.ask(&past(among.is_some()), binds).await?;
        let mut past = fingerprints(answers.rows(0)?, excluding);
        let mut labels: Vec<LabelRow> = answers.rows(1)?;
        let mut mitigations: Vec<MitigationRow> = answers.rows(2)?;
        withheld.take_from(&mut labels, &mut mitigations);
        judge(&mut past, labels);
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

/// Says of each incident what its labels come to.
fn judge(past: &mut BTreeMap<IncidentId, PastIncident>, labels: Vec<LabelRow>) {
    let mut opinions: BTreeMap<IncidentId, Vec<Opinion>> = BTreeMap::new();
    for label in labels {
        let incident = label.incident.clone();
        opinions.entry(incident).or_default().extend(label.into_opinion());
    }
    for (incident, opinions) in opinions {
        let verdict = verdict(opinions);
        if verdict.is_false_positive() {
            past.remove(&incident);
        } else if let Some(incident) = past.get_mut(&incident) {
            incident.root_cause = verdict.root_cause().cloned();
            incident.fault_kind = verdict.fault_kind().cloned();
        }
    }
}
