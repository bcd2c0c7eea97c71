//! An incident from its opening to its post-mortem.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fact, InvalidFact, stream};
use crate::id::{ComponentName, EventId, IncidentId, RunbookId, StreamId};
use crate::value::{Finite, Line, Text};

/// How bad.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For the record.
    Info,
    /// Worth a look in working hours.
    Warning,
    /// Users notice.
    Error,
    /// Users cannot work.
    Critical,
}

/// What a symptom or an anomaly was seen in.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Requests a window.
    Traffic,
    /// Share of requests that failed.
    Errors,
    /// Time to answer.
    Latency,
    /// Share of a resource in use.
    Saturation,
    /// Processor time.
    Cpu,
    /// Resident memory.
    Memory,
    /// The component stopped reporting or answering.
    Availability,
    /// New, vanished or multiplied log templates.
    Logs,
    /// An alert that another system raised; the strength of its symptom is its severity, 1 to 4.
    Alert,
}

impl Signal {
    /// Its name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traffic => "traffic",
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::Saturation => "saturation",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Availability => "availability",
            Self::Logs => "logs",
            Self::Alert => "alert",
        }
    }
}

/// An incident began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentOpened {
    /// The incident.
    pub incident: IncidentId,
    /// What is wrong, in a line.
    pub title: Line,
    /// Where it was noticed; not a diagnosis.
    pub component: ComponentName,
    /// How bad.
    pub severity: Severity,
    /// The detector, alert source or person that noticed.
    pub opened_by: Line,
    /// The events it was opened for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EventId>,
}

/// A component of the incident shows something unusual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SymptomAttached {
    /// The incident.
    pub incident: IncidentId,
    /// Where it shows.
    pub component: ComponentName,
    /// In what.
    pub signal: Signal,
    /// How unusual, in robust standard deviations; the sign is the direction.
    pub strength: Finite,
    /// What was measured, in the signal's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Finite>,
    /// What is usual, in the signal's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Finite>,
    /// The events that show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EventId>,
}

/// Someone took the incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentAcknowledged {
    /// The incident.
    pub incident: IncidentId,
    /// Who.
    pub by: Line,
}

/// Something was done against the incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MitigationApplied {
    /// The incident.
    pub incident: IncidentId,
    /// What was done: `restarted payments`.
    pub action: Line,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// The runbook that was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<RunbookId>,
    /// Who or what did it.
    pub by: Line,
}

/// Users no longer notice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentMitigated {
    /// The incident.
    pub incident: IncidentId,
    /// Who or what saw it.
    pub by: Line,
}

/// The incident is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentResolved {
    /// The incident.
    pub incident: IncidentId,
    /// Who or what ended it.
    pub by: Line,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Text>,
}

/// The incident was not over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentReopened {
    /// The incident.
    pub incident: IncidentId,
    /// Who.
    pub by: Line,
    /// Why.
    pub reason: Line,
}

/// The incident is part of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentMerged {
    /// The incident that ends.
    pub incident: IncidentId,
    /// The incident that goes on.
    pub into: IncidentId,
    /// Who.
    pub by: Line,
}

/// What was learned was written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostmortemPublished {
    /// The incident.
    pub incident: IncidentId,
    /// Its title.
    pub title: Line,
    /// The text, Markdown.
    pub text: Text,
    /// Who wrote it.
    pub author: Line,
}

macro_rules! incident_stream {
    ($($event:ident),*) => {$(impl Fact for $event {
        fn stream(&self) -> StreamId {
            stream("incident", self.incident.as_str())
        }
    })*};
}
incident_stream!(
    IncidentOpened,
    SymptomAttached,
    IncidentAcknowledged,
    MitigationApplied,
    IncidentMitigated,
    IncidentResolved,
    IncidentReopened,
    PostmortemPublished
);

impl Fact for IncidentMerged {
    fn stream(&self) -> StreamId {
        stream("incident", self.incident.as_str())
    }

    fn check(&self) -> Result<(), InvalidFact> {
        if self.incident == self.into {
            return Err(InvalidFact::new(
                "/into",
                "expected another incident than the one that ends",
            ));
        }
        Ok(())
    }
}
