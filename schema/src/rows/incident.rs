//! Incidents and what the machine and people say of them.

use diagnosis::verdict::Opinion;
use events::catalogue::incident::Severity;
use events::catalogue::label::Claim;
use events::{
    ComponentName, DiagnosisId, EventId, FaultId, FaultKind, IncidentId, LabelId, ModelId,
    RunbookId, Timestamp,
};
use serde::Deserialize;

use super::Provenance;

/// How far an incident is, by the latest event time that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentStatus {
    /// Nobody has it yet.
    Open,
    /// Someone has it.
    Acknowledged,
    /// Users no longer notice.
    Mitigated,
    /// It is over.
    Resolved,
    /// It goes on as another incident.
    Merged,
}

/// `incident`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Incident {
    /// The incident, the key.
    pub id: IncidentId,
    /// What is wrong, in a line; absent while the opening has not arrived.
    #[serde(default)]
    pub title: Option<String>,
    /// Where it was noticed.
    #[serde(default)]
    pub component: Option<ComponentName>,
    /// How bad.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Who noticed.
    #[serde(default)]
    pub opened_by: Option<String>,
    /// When it was opened.
    #[serde(default)]
    pub opened_at: Option<Timestamp>,
    /// How far it is.
    #[serde(default)]
    pub status: Option<IncidentStatus>,
    /// When it was acknowledged, and by whom.
    #[serde(default)]
    pub acknowledged_at: Option<Timestamp>,
    /// Who acknowledged it.
    #[serde(default)]
    pub acknowledged_by: Option<String>,
    /// When users no longer noticed.
    #[serde(default)]
    pub mitigated_at: Option<Timestamp>,
    /// Who saw that.
    #[serde(default)]
    pub mitigated_by: Option<String>,
    /// When it was over.
    #[serde(default)]
    pub resolved_at: Option<Timestamp>,
    /// Who ended it.
    #[serde(default)]
    pub resolved_by: Option<String>,
    /// How it ended.
    #[serde(default)]
    pub resolution: Option<String>,
    /// When it was last found not to be over.
    #[serde(default)]
    pub reopened_at: Option<Timestamp>,
    /// The incident it goes on as.
    #[serde(default)]
    pub merged_into: Option<IncidentId>,
    /// The events it was opened for.
    #[serde(default)]
    pub evidence: Vec<EventId>,
    /// What was learned.
    #[serde(default)]
    pub postmortem: Option<Postmortem>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// What was learned from an incident.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Postmortem {
    /// Its title.
    pub title: String,
    /// The text, Markdown.
    pub text: String,
    /// Who wrote it.
    pub author: String,
    /// When it was published.
    pub at: Timestamp,
    /// The event.
    pub event: EventId,
}

/// `diagnosis`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Diagnosis {
    /// The diagnosis, the key.
    pub id: DiagnosisId,
    /// The incident.
    #[serde(default)]
    pub incident: Option<IncidentId>,
    /// The method and its version; absent while only feedback speaks of it.
    #[serde(default)]
    pub method: Option<String>,
    /// The trained model.
    #[serde(default)]
    pub model: Option<ModelId>,
    /// It has seen the log up to this position.
    #[serde(default)]
    pub evidence_position: Option<u64>,
    /// Why it has no suspects.
    #[serde(default)]
    pub abstained: Option<String>,
    /// When it was proposed.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// What the incident looks like, for similarity.
    #[serde(default)]
    pub fingerprint: Option<serde_json::Value>,
    /// What was said of the incident, for similarity.
    #[serde(default)]
    pub told: Option<serde_json::Value>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `effect`: an event that another one caused.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Effect {
    /// The event, the last part of the key.
    pub id: EventId,
    /// The event that caused it.
    pub cause: EventId,
    /// Where the row comes from: the event alone.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `evidence`: an event that a diagnosis cites, which must outlive retention.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct EvidenceNode {
    /// The event, the key.
    pub id: EventId,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// Which claim a label makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// `component` caused it.
    RootCause,
    /// It was a fault of `fault_kind`.
    FaultKind,
    /// `component` made it worse.
    ContributingFactor,
    /// Nothing was wrong.
    FalsePositive,
    /// It is the same as `duplicate_of`.
    Duplicate,
    /// It was as bad as `severity`.
    Severity,
}

impl ClaimKind {
    /// The claim of this kind about a component or a kind of fault; `None` when what it has to
    /// name is missing, and for the kinds that name something else.
    pub fn about(
        self,
        component: Option<&ComponentName>,
        fault_kind: Option<&FaultKind>,
    ) -> Option<Claim> {
        Some(match self {
            Self::RootCause => Claim::RootCause { component: component?.clone() },
            Self::ContributingFactor => Claim::ContributingFactor { component: component?.clone() },
            Self::FaultKind => Claim::FaultKind { fault_kind: fault_kind?.clone() },
            Self::FalsePositive => Claim::FalsePositive {},
            Self::Duplicate | Self::Severity => return None,
        })
    }
}

/// `label`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Label {
    /// The label, the key.
    pub id: LabelId,
    /// The incident.
    pub incident: IncidentId,
    /// Which claim it makes.
    pub claim: ClaimKind,
    /// The component that the claim names.
    #[serde(default)]
    pub component: Option<ComponentName>,
    /// The fault kind that the claim names.
    #[serde(default)]
    pub fault_kind: Option<FaultKind>,
    /// The incident that the claim names.
    #[serde(default)]
    pub duplicate_of: Option<IncidentId>,
    /// The severity that the claim names.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Who says it.
    pub by: String,
    /// How sure they are.
    pub confidence: f64,
    /// The injected fault it is known from.
    #[serde(default)]
    pub fault: Option<FaultId>,
    /// Why.
    #[serde(default)]
    pub comment: Option<String>,
    /// When it was given.
    pub at: Timestamp,
    /// When it was taken back; `provenance.until` is set then.
    #[serde(default)]
    pub retracted_at: Option<Timestamp>,
    /// Who took it back.
    #[serde(default)]
    pub retracted_by: Option<String>,
    /// Why it was taken back.
    #[serde(default)]
    pub retraction_reason: Option<String>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

impl Label {
    /// What it says, for the rule by which labels that contradict each other resolve.
    pub fn opinion(&self) -> Option<Opinion> {
        let claim = match self.claim {
            ClaimKind::Duplicate => Claim::Duplicate { of: self.duplicate_of.clone()? },
            ClaimKind::Severity => Claim::Severity { severity: self.severity? },
            other => other.about(self.component.as_ref(), self.fault_kind.as_ref())?,
        };
        Some(Opinion {
            label: self.id.clone(),
            claim,
            confidence: self.confidence,
            at: self.at,
            retracted: self.provenance.until.is_some(),
        })
    }
}

/// `feedback`: which suspect of a diagnosis was right.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Feedback {
    /// The event, the key.
    pub id: EventId,
    /// The incident.
    pub incident: IncidentId,
    /// The diagnosis.
    pub diagnosis: DiagnosisId,
    /// The rank that was right; absent when none was.
    #[serde(default)]
    pub right_rank: Option<u32>,
    /// Who says it.
    pub by: String,
    /// How sure they are.
    pub confidence: f64,
    /// Why.
    #[serde(default)]
    pub comment: Option<String>,
    /// When it was given.
    pub at: Timestamp,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// Whether something was done or only proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MitigationKind {
    /// It was done.
    Applied,
    /// It may help.
    Suggested,
    /// The machine did it.
    Response,
}

/// `mitigation`: something done, or suggested, against an incident.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Mitigation {
    /// The event, the key.
    pub id: EventId,
    /// The incident.
    pub incident: IncidentId,
    /// Whether it was done.
    pub kind: MitigationKind,
    /// What.
    pub action: String,
    /// Where.
    #[serde(default)]
    pub component: Option<ComponentName>,
    /// The runbook that was, or should be, followed.
    #[serde(default)]
    pub runbook: Option<RunbookId>,
    /// The past incident that it fixed.
    #[serde(default)]
    pub learned_from: Option<IncidentId>,
    /// Who or what did it.
    #[serde(default)]
    pub by: Option<String>,
    /// What came of it.
    #[serde(default)]
    pub outcome: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// `timeline_entry`: one step of an incident.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TimelineEntry {
    /// The event, the key.
    pub id: EventId,
    /// The incident.
    pub incident: IncidentId,
    /// When it happened.
    pub at: Timestamp,
    /// Its position in the log.
    pub position: u64,
    /// The CloudEvents type.
    pub event_type: String,
    /// What happened, in a line.
    pub summary: String,
    /// Who or what did it.
    #[serde(default)]
    pub by: Option<String>,
    /// Where.
    #[serde(default)]
    pub component: Option<ComponentName>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}
