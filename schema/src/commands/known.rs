//! What the graph knows of the things that commands speak of, in one round trip.

use std::collections::{BTreeSet, HashMap, HashSet};

use events::catalogue::label::Claim;
use events::{
    ComponentName, DiagnosisId, EventData, FaultId, IncidentId, LabelId, ModelId, RunbookId,
};
use serde::Deserialize;
use surrealdb::types::{Object, RecordId, Value};

use super::Command;
use crate::graph::Graph;
use crate::reads::ReadGraphError;
use crate::rows::IncidentStatus;

const KNOWN: &str = "
    SELECT id FROM $components;
    SELECT id FROM $faults;
    SELECT id FROM $runbooks;
    SELECT id, opened_at, status, merged_into FROM $incidents;
    SELECT id, incident, at, until FROM $labels;
    SELECT id, incident, at FROM $diagnoses;
    array::flatten((SELECT VALUE ->(SELECT in, rank FROM suspects WHERE until = NONE)
        FROM $diagnoses));
    SELECT id FROM $models WHERE trained_at != NONE;
";

#[derive(Deserialize)]
struct Id<T> {
    id: T,
}

/// An incident, as far as rules look at it.
#[derive(Clone, Debug, Deserialize)]
pub struct KnownIncident {
    id: IncidentId,
    opened_at: Option<events::Timestamp>,
    /// How far it is.
    pub status: Option<IncidentStatus>,
    /// The incident that it goes on as.
    pub merged_into: Option<IncidentId>,
}

impl KnownIncident {
    /// Whether its opening has arrived.
    pub fn is_opened(&self) -> bool {
        self.opened_at.is_some()
    }
}

/// A label, as far as rules look at it.
#[derive(Clone, Debug, Deserialize)]
pub struct KnownLabel {
    id: LabelId,
    /// The incident that it is about.
    pub incident: IncidentId,
    /// The position at which it was taken back.
    pub until: Option<u64>,
}

/// A diagnosis, as far as rules look at it.
#[derive(Clone, Debug, Deserialize)]
pub struct KnownDiagnosis {
    id: DiagnosisId,
    /// The incident that it is about.
    pub incident: Option<IncidentId>,
    at: Option<events::Timestamp>,
    /// How many suspects it has.
    #[serde(default)]
    pub suspects: u32,
}

impl KnownDiagnosis {
    /// Whether it was proposed; otherwise something only speaks of it.
    pub fn is_proposed(&self) -> bool {
        self.at.is_some()
    }
}

#[derive(Deserialize)]
struct SuspectRow {
    #[serde(rename = "in")]
    diagnosis: DiagnosisId,
    rank: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Known {
    components: HashSet<ComponentName>,
    faults: HashSet<FaultId>,
    runbooks: HashSet<RunbookId>,
    incidents: HashMap<IncidentId, KnownIncident>,
    labels: HashMap<LabelId, KnownLabel>,
    diagnoses: HashMap<DiagnosisId, KnownDiagnosis>,
    models: HashSet<ModelId>,
}

/// The keys of what commands speak of.
#[derive(Default)]
struct Named<'c> {
    components: BTreeSet<&'c str>,
    faults: BTreeSet<&'c str>,
    runbooks: BTreeSet<&'c str>,
    incidents: BTreeSet<&'c str>,
    labels: BTreeSet<&'c str>,
    diagnoses: BTreeSet<&'c str>,
    models: BTreeSet<&'c str>,
}

impl<'c> Named<'c> {
    fn by(commands: &'c [Command]) -> Self {
        let mut named = Self::default();
        for command in commands {
            named.add(&command.data);
        }
        named
    }

    fn add(&mut self, data: &'c EventData) {
        self.incidents.extend(super::rules::incident(data).map(IncidentId::as_str));
        match data {
            EventData::IncidentOpened(data) => {
                self.components.insert(data.component.as_str());
            }
            EventData::MitigationApplied(data) => {
                self.components.extend(data.component.as_ref().map(ComponentName::as_str));
                self.runbooks.extend(data.runbook.as_ref().map(RunbookId::as_str));
            }
            EventData::IncidentMerged(data) => {
                self.incidents.insert(data.into.as_str());
            }
            EventData::LabelAssigned(data) => {
                self.labels.insert(data.label.as_str());
                self.faults.extend(data.fault.as_ref().map(FaultId::as_str));
                match &data.claim {
                    Claim::RootCause { component } | Claim::ContributingFactor { component } => {
                        self.components.insert(component.as_str());
                    }
                    Claim::Duplicate { of } => {
                        self.incidents.insert(of.as_str());
                    }
                    Claim::FaultKind { .. } | Claim::FalsePositive {} | Claim::Severity { .. } => {}
                }
            }
            EventData::LabelRetracted(data) => {
                self.labels.insert(data.label.as_str());
            }
            EventData::FeedbackGiven(data) => {
                self.diagnoses.insert(data.diagnosis.as_str());
            }
            EventData::ModelSelected(data) => {
                self.models.extend(data.model.as_ref().map(ModelId::as_str));
            }
            _ => {}
        }
    }

    fn binds(&self) -> Object {
        let ids = |table: &'static str, keys: &BTreeSet<&str>| -> Value {
            let id = |key: &&str| Value::RecordId(RecordId::new(table, *key));
            Value::Array(keys.iter().map(id).collect::<Vec<_>>().into())
        };
        let mut binds = Object::new();
        binds.insert("components", ids("component", &self.components));
        binds.insert("faults", ids("fault", &self.faults));
        binds.insert("runbooks", ids("runbook", &self.runbooks));
        binds.insert("incidents", ids("incident", &self.incidents));
        binds.insert("labels", ids("label", &self.labels));
        binds.insert("diagnoses", ids("diagnosis", &self.diagnoses));
        binds.insert("models", ids("model", &self.models));
        binds
    }
}

impl Known {
    /// What `graph` knows of what `commands` speak of.
    pub async fn of(graph: &Graph, commands: &[Command]) -> Result<Self, ReadGraphError> {
        let mut answers = graph.ask(KNOWN, Named::by(commands).binds()).await?;
        let components: Vec<Id<ComponentName>> = answers.rows(0)?;
        let faults: Vec<Id<FaultId>> = answers.rows(1)?;
        let runbooks: Vec<Id<RunbookId>> = answers.rows(2)?;
        let incidents: Vec<KnownIncident> = answers.rows(3)?;
        let labels: Vec<KnownLabel> = answers.rows(4)?;
        let diagnoses: Vec<KnownDiagnosis> = answers.rows(5)?;
        let suspects: Vec<SuspectRow> = answers.rows(6)?;
        let models: Vec<Id<ModelId>> = answers.rows(7)?;
        let mut known = Self {
            components: components.into_iter().map(|row| row.id).collect(),
            faults: faults.into_iter().map(|row| row.id).collect(),
            runbooks: runbooks.into_iter().map(|row| row.id).collect(),
            incidents: incidents.into_iter().map(|row| (row.id.clone(), row)).collect(),
            labels: labels.into_iter().map(|row| (row.id.clone(), row)).collect(),
            diagnoses: diagnoses.into_iter().map(|row| (row.id.clone(), row)).collect(),
            models: models.into_iter().map(|row| row.id).collect(),
        };
        for suspect in suspects {
            if let Some(diagnosis) = known.diagnoses.get_mut(&suspect.diagnosis) {
                diagnosis.suspects = diagnosis.suspects.max(suspect.rank);
            }
        }
        Ok(known)
    }

    /// Whether there is such a component.
    pub fn component(&self, name: &ComponentName) -> bool {
        self.components.contains(name)
    }

    /// Whether there is such an injection.
    pub fn fault(&self, id: &FaultId) -> bool {
        self.faults.contains(id)
    }

    /// Whether there is such a runbook.
    pub fn runbook(&self, id: &RunbookId) -> bool {
        self.runbooks.contains(id)
    }

    /// Whether such a model was trained.
    pub fn model(&self, id: &ModelId) -> bool {
        self.models.contains(id)
    }

    /// The incident.
    pub fn incident(&self, id: &IncidentId) -> Option<&KnownIncident> {
        self.incidents.get(id)
    }

    /// The label.
    pub fn label(&self, id: &LabelId) -> Option<&KnownLabel> {
        self.labels.get(id)
    }

    /// The diagnosis.
    pub fn diagnosis(&self, id: &DiagnosisId) -> Option<&KnownDiagnosis> {
        self.diagnoses.get(id)
    }
}
