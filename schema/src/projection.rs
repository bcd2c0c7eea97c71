//! From an event to the changes it makes, purely: no clock, no database, no other event.

mod alert;
mod audit;
mod change;
mod diagnosis;
mod experiment;
mod incident;
mod knowledge;
mod label;
mod model;
mod retention;
mod telemetry;
#[cfg(test)]
mod tests;
mod topology;

use events::{EventData, RecordedEvent};

use crate::change::Change;

/// Version of what the projections make of events. A graph made by another version is rebuilt.
pub const PROJECTION_VERSION: u32 = 5;

/// Why an event cannot become part of the graph. It stays in the log and is set aside.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// A count beyond what the store's integers hold.
    #[error("{field} is {got}, which is more than the graph can store ({})", i64::MAX)]
    NumberTooLarge {
        /// The field.
        field: &'static str,
        /// The count.
        got: u64,
    },
    /// Something that JSON has no form for.
    #[error("{field} has no form that the graph can store")]
    NotPlainData {
        /// The field.
        field: &'static str,
        /// What JSON says.
        #[source]
        source: serde_json::Error,
    },
    /// The event ends, answers or merges something that no event made known.
    #[error("{row} is not known")]
    Unknown {
        /// The row that is missing.
        row: String,
    },
    /// The event says again, under another id, what may be said once.
    #[error("{row} already has {field}")]
    AlreadyKnown {
        /// The row.
        row: String,
        /// What it already has.
        field: &'static str,
    },
    /// The event contradicts what is known.
    #[error("{field} of {row} is not {expected:?}")]
    Contradicts {
        /// The row.
        row: String,
        /// The field.
        field: &'static str,
        /// What the event takes for granted.
        expected: String,
    },
    /// The store refused the rows of this event and takes those of others.
    #[error("the store refused it: {message}")]
    Refused {
        /// The store's words.
        message: String,
    },
}

impl ProjectError {
    /// The kind of the error, stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NumberTooLarge { .. } => "number_too_large",
            Self::NotPlainData { .. } => "not_plain_data",
            Self::Unknown { .. } => "unknown_row",
            Self::AlreadyKnown { .. } => "already_known",
            Self::Contradicts { .. } => "contradicts_known",
            Self::Refused { .. } => "refused_by_store",
        }
    }
}

/// What an event changes, in the order in which the changes are made.
///
/// Whether the rows it requires are known is only found out when the changes are made.
pub fn project(recorded: &RecordedEvent) -> Result<Vec<Change>, ProjectError> {
    use EventData::*;
    match &recorded.event.data {
        ExperimentPlanned(data) => experiment::planned(recorded, data),
        ExperimentStarted(data) => Ok(experiment::started(recorded, data)),
        SteadyStateMeasured(data) => experiment::steady_state_measured(recorded, data),
        FaultInjected(data) => experiment::fault_injected(recorded, data),
        FaultCleared(data) => experiment::fault_cleared(recorded, data),
        ExperimentFinished(data) => experiment::finished(recorded, data),
        ComponentDiscovered(data) => Ok(topology::discovered(recorded, data)),
        ComponentDescribed(data) => topology::described(recorded, data),
        DependencyObserved(data) => Ok(topology::dependency_observed(recorded, data)),
        MetricSnapshotRecorded(data) => telemetry::snapshot(recorded, data),
        LogPatternsRecorded(data) => telemetry::log_patterns(recorded, data),
        TraceEdgesRecorded(data) => telemetry::trace_edges(recorded, data),
        DeploymentRecorded(data) => Ok(change::deployment(recorded, data)),
        ConfigurationChanged(data) => change::configuration(recorded, data),
        MaintenanceStarted(data) => Ok(change::maintenance_started(recorded, data)),
        MaintenanceEnded(data) => Ok(change::maintenance_ended(recorded, data)),
        AlertFired(data) => alert::fired(recorded, data),
        AlertResolved(data) => Ok(alert::resolved(recorded, data)),
        IncidentOpened(data) => incident::opened(recorded, data),
        SymptomAttached(data) => incident::symptom_attached(recorded, data),
        IncidentAcknowledged(data) => Ok(incident::acknowledged(recorded, data)),
        MitigationApplied(data) => Ok(incident::mitigation_applied(recorded, data)),
        IncidentMitigated(data) => Ok(incident::mitigated(recorded, data)),
        IncidentResolved(data) => Ok(incident::resolved(recorded, data)),
        IncidentReopened(data) => Ok(incident::reopened(recorded, data)),
        IncidentMerged(data) => Ok(incident::merged(recorded, data)),
        PostmortemPublished(data) => Ok(incident::postmortem_published(recorded, data)),
        AnomalyDetected(data) => diagnosis::anomaly_detected(recorded, data),
        DiagnosisProposed(data) => diagnosis::proposed(recorded, data),
        RemediationSuggested(data) => Ok(diagnosis::remediation_suggested(recorded, data)),
        ResponseActionTaken(data) => Ok(diagnosis::response_action_taken(recorded, data)),
        FailurePredicted(data) => Ok(diagnosis::failure_predicted(recorded, data)),
        LabelAssigned(data) => label::assigned(recorded, data),
        LabelRetracted(data) => Ok(label::retracted(recorded, data)),
        FeedbackGiven(data) => label::feedback_given(recorded, data),
        ModelTrained(data) => model::trained(recorded, data),
        ModelSelected(data) => model::selected(recorded, data),
        SloDefined(data) => model::slo_defined(recorded, data),
        ErrorBudgetBurned(data) => Ok(model::error_budget_burned(recorded, data)),
        RunbookPublished(data) => Ok(knowledge::runbook_published(recorded, data)),
        AuditRecorded(data) => audit::recorded(recorded, data),
        RetentionApplied(data) => retention::applied(recorded, data),
    }
}

/// The word that the catalogue uses for a unit variant.
fn word(field: &'static str, variant: &impl serde::Serialize) -> Result<String, ProjectError> {
    let json = serde_json::to_value(variant)
        .map_err(|source| ProjectError::NotPlainData { field, source })?;
    Ok(json.as_str().unwrap_or_default().to_owned())
}
