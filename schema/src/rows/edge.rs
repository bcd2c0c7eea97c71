//! The edges. `from` and `to` are the keys of the rows that they join.

use events::catalogue::diagnosis::ScoreTerm;
use events::catalogue::incident::Signal;
use events::{
    ComponentName, DiagnosisId, EventId, ExperimentId, FaultId, FaultKind, IncidentId, LabelId,
    Timestamp,
};
use serde::Deserialize;

use super::{ClaimKind, Provenance};

/// `calls`: component → component.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Calls {
    /// Who calls.
    #[serde(rename = "in")]
    pub from: ComponentName,
    /// Who is called.
    #[serde(rename = "out")]
    pub to: ComponentName,
    /// `http`, `postgresql`, …
    #[serde(default)]
    pub protocol: Option<String>,
    /// Earliest event time that shows the call.
    #[serde(default)]
    pub first_seen: Option<Timestamp>,
    /// Latest event time that shows the call.
    #[serde(default)]
    pub last_seen: Option<Timestamp>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `part_of`: fault → experiment.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PartOf {
    /// The fault.
    #[serde(rename = "in")]
    pub from: FaultId,
    /// The run.
    #[serde(rename = "out")]
    pub to: ExperimentId,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `injected_into`: fault → component.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct InjectedInto {
    /// The fault.
    #[serde(rename = "in")]
    pub from: FaultId,
    /// The component at fault.
    #[serde(rename = "out")]
    pub to: ComponentName,
    /// The caller whose link alone is disturbed.
    #[serde(default)]
    pub peer: Option<ComponentName>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `triggered`: fault → incident, as a label of an experiment says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Triggered {
    /// The fault.
    #[serde(rename = "in")]
    pub from: FaultId,
    /// The incident.
    #[serde(rename = "out")]
    pub to: IncidentId,
    /// The label that says it first.
    #[serde(default)]
    pub label: Option<LabelId>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `affects`: incident → component.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Affects {
    /// The incident.
    #[serde(rename = "in")]
    pub from: IncidentId,
    /// The component that shows symptoms.
    #[serde(rename = "out")]
    pub to: ComponentName,
    /// The largest strength of its symptoms, without sign.
    #[serde(default)]
    pub strength: Option<f64>,
    /// The strongest symptom of each signal, by signal.
    #[serde(default)]
    pub symptoms: Vec<Symptom>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// What is unusual in one signal.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Symptom {
    /// In what.
    pub signal: Signal,
    /// How unusual, in robust standard deviations; the sign is the direction.
    pub strength: f64,
    /// What was measured.
    #[serde(default)]
    pub observed: Option<f64>,
    /// What is usual.
    #[serde(default)]
    pub baseline: Option<f64>,
    /// When it was seen.
    pub at: Timestamp,
    /// The event that attached it.
    pub event: EventId,
    /// The events that show it.
    #[serde(default)]
    pub evidence: Vec<EventId>,
}

/// `suspects`: diagnosis → component.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Suspects {
    /// The diagnosis.
    #[serde(rename = "in")]
    pub from: DiagnosisId,
    /// The component.
    #[serde(rename = "out")]
    pub to: ComponentName,
    /// From 1, the most suspected.
    pub rank: u32,
    /// How strongly it is suspected.
    pub score: f64,
    /// What kind of fault it looks like.
    #[serde(default)]
    pub fault_kind: Option<FaultKind>,
    /// What makes the score, with evidence.
    pub terms: Vec<ScoreTerm>,
    /// Calls from where the incident was noticed to the component.
    pub path: Vec<ComponentName>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `cites`: diagnosis → evidence.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Cites {
    /// The diagnosis.
    #[serde(rename = "in")]
    pub from: DiagnosisId,
    /// The event.
    #[serde(rename = "out")]
    pub to: EventId,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `labelled`: incident → component or fault kind.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Labelled {
    /// The incident.
    #[serde(rename = "in")]
    pub from: IncidentId,
    /// The component or the fault kind, as the claim says.
    #[serde(rename = "out")]
    pub to: String,
    /// The label.
    pub label: LabelId,
    /// What it claims.
    pub claim: ClaimKind,
    /// How sure it is.
    pub confidence: f64,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `resembles`: incident → incident, as one diagnosis found.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Resembles {
    /// The incident that was diagnosed.
    #[serde(rename = "in")]
    pub from: IncidentId,
    /// The past incident.
    #[serde(rename = "out")]
    pub to: IncidentId,
    /// The diagnosis that found it.
    pub diagnosis: DiagnosisId,
    /// From 1, the most similar.
    pub rank: u32,
    /// How similar, 0 to 1.
    pub score: f64,
    /// What makes the score.
    pub reasons: Vec<ScoreTerm>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `preceded`: change → incident.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Preceded {
    /// The change.
    #[serde(rename = "in")]
    pub from: EventId,
    /// The incident.
    #[serde(rename = "out")]
    pub to: IncidentId,
    /// How long before the incident was opened.
    pub lead_ms: u64,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `fixed_by`: incident → mitigation or runbook.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FixedBy {
    /// The incident.
    #[serde(rename = "in")]
    pub from: IncidentId,
    /// The mitigation (an event id) or the runbook.
    #[serde(rename = "out")]
    pub to: String,
    /// When it was done.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}
