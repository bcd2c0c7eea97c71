//! Every event type, by area. Each is a fact in the past tense; its fields carry their unit last.

pub mod alert;
pub mod audit;
pub mod change;
pub mod diagnosis;
pub mod experiment;
pub mod fault_kind;
pub mod incident;
pub mod knowledge;
pub mod label;
pub mod model;
pub mod retention;
pub mod telemetry;
pub mod topology;

use schemars::Schema;
use serde::Serialize;
use serde_json::Value;

use crate::id::StreamId;
use alert::{AlertFired, AlertResolved};
use audit::AuditRecorded;
use change::{ConfigurationChanged, DeploymentRecorded, MaintenanceEnded, MaintenanceStarted};
use diagnosis::{
    AnomalyDetected, DiagnosisProposed, FailurePredicted, RemediationSuggested, ResponseActionTaken,
};
use experiment::{
    ExperimentFinished, ExperimentPlanned, ExperimentStarted, FaultCleared, FaultInjected,
    SteadyStateMeasured,
};
use incident::{
    IncidentAcknowledged, IncidentMerged, IncidentMitigated, IncidentOpened, IncidentReopened,
    IncidentResolved, MitigationApplied, PostmortemPublished, SymptomAttached,
};
use knowledge::RunbookPublished;
use label::{FeedbackGiven, LabelAssigned, LabelRetracted};
use model::{ErrorBudgetBurned, ModelSelected, ModelTrained, SloDefined};
use retention::RetentionApplied;
use telemetry::{LogPatternsRecorded, MetricSnapshotRecorded, TraceEdgesRecorded};
use topology::{ComponentDescribed, ComponentDiscovered, DependencyObserved};

/// What the common part of an event needs to know of its data.
pub(crate) trait Fact {
    /// The stream the event belongs to: its subject's history.
    fn stream(&self) -> StreamId;
    /// What only several fields together can get wrong.
    fn check(&self) -> Result<(), InvalidFact> {
        Ok(())
    }
}

/// Fields that are each valid and contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidFact {
    /// JSON pointer into `data`.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl InvalidFact {
    pub(crate) fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

pub(crate) fn stream(kind: &str, key: impl AsRef<str>) -> StreamId {
    StreamId::new(format!("{kind}-{}", key.as_ref()))
        .expect("a kind of at most 20 characters and an id of at most 256 fit into a stream id")
}

macro_rules! catalogue {
    ($($variant:ident = $event_type:literal,)*) => {
        /// The data of an event: one variant per type of the catalogue, in its newest version.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        #[allow(missing_docs)]
        pub enum EventData {
            $($variant($variant),)*
        }

        impl EventData {
            /// The newest version of every event type, in the order of the catalogue.
            pub const TYPES: &'static [&'static str] = &[$($event_type,)*];

            /// The CloudEvents `type`, such as `io.faultline.fault.injected.v1`.
            pub fn event_type(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $event_type,)*
                }
            }

            /// The stream the event belongs to.
            pub fn stream(&self) -> StreamId {
                match self {
                    $(Self::$variant(data) => Fact::stream(data),)*
                }
            }

            pub(crate) fn check(&self) -> Result<(), InvalidFact> {
                match self {
                    $(Self::$variant(data) => Fact::check(data),)*
                }
            }

            /// Reads `data` as the newest version of `event_type`; `None` for an unknown type.
            pub(crate) fn decode(
                event_type: &str,
                data: Value,
            ) -> Option<Result<Self, serde_path_to_error::Error<serde_json::Error>>> {
                match event_type {
                    $($event_type => Some(
                        serde_path_to_error::deserialize::<_, $variant>(data).map(Self::$variant),
                    ),)*
                    _ => None,
                }
            }

            /// Reads `data` of the newest version of `event_type`; `None` for what is wrong, and
            /// for other types.
            pub(crate) fn from_right_json(event_type: &str, data: &str) -> Option<Self> {
                let data = match event_type {
                    $($event_type => serde_json::from_str(data).map(Self::$variant).ok(),)*
                    _ => None,
                }?;
                data.check().is_ok().then_some(data)
            }

            /// Reads `data` that was checked when it was written, of any known version.
            pub(crate) fn from_stored(
                event_type: &str,
                data: &[u8],
            ) -> Result<Self, $crate::envelope::InvalidEvent> {
                let newest = match event_type {
                    $($event_type => serde_json::from_slice(data).map(Self::$variant).ok(),)*
                    _ => None,
                };
                // The careful way reads older versions, and says what is wrong.
                newest.map_or_else(
                    || Self::from_json(event_type, serde_json::from_slice(data).unwrap_or_default()),
                    Ok,
                )
            }

            /// The JSON Schema of the `data` of every event type, by type: a document each that
            /// refers to no other, with `urn:faultline:schema:⟨type⟩` as its `$id`.
            pub fn schemas() -> Vec<(&'static str, Schema)> {
                let mut schemas = vec![$(($event_type, schemars::schema_for!($variant)),)*];
                for (event_type, schema) in &mut schemas {
                    schema.insert("$id".to_owned(), format!("urn:faultline:schema:{event_type}").into());
                }
                schemas
            }
        }

        $(impl From<$variant> for EventData {
            fn from(data: $variant) -> Self {
                Self::$variant(data)
            }
        })*
    };
}

catalogue! {
    ExperimentPlanned = "io.faultline.experiment.planned.v1",
    ExperimentStarted = "io.faultline.experiment.started.v1",
    SteadyStateMeasured = "io.faultline.experiment.steadystatemeasured.v1",
    FaultInjected = "io.faultline.fault.injected.v1",
    FaultCleared = "io.faultline.fault.cleared.v1",
    ExperimentFinished = "io.faultline.experiment.finished.v1",
    ComponentDiscovered = "io.faultline.component.discovered.v1",
    ComponentDescribed = "io.faultline.component.described.v1",
    DependencyObserved = "io.faultline.dependency.observed.v1",
    MetricSnapshotRecorded = "io.faultline.metrics.snapshotrecorded.v1",
    LogPatternsRecorded = "io.faultline.logs.patternsrecorded.v1",
    TraceEdgesRecorded = "io.faultline.traces.edgesrecorded.v1",
    DeploymentRecorded = "io.faultline.deployment.recorded.v1",
    ConfigurationChanged = "io.faultline.configuration.changed.v1",
    MaintenanceStarted = "io.faultline.maintenance.started.v1",
    MaintenanceEnded = "io.faultline.maintenance.ended.v1",
    AlertFired = "io.faultline.alert.fired.v1",
    AlertResolved = "io.faultline.alert.resolved.v1",
    IncidentOpened = "io.faultline.incident.opened.v1",
    SymptomAttached = "io.faultline.incident.symptomattached.v1",
    IncidentAcknowledged = "io.faultline.incident.acknowledged.v1",
    MitigationApplied = "io.faultline.incident.mitigationapplied.v1",
    IncidentMitigated = "io.faultline.incident.mitigated.v1",
    IncidentResolved = "io.faultline.incident.resolved.v1",
    IncidentReopened = "io.faultline.incident.reopened.v1",
    IncidentMerged = "io.faultline.incident.merged.v1",
    PostmortemPublished = "io.faultline.incident.postmortempublished.v1",
    AnomalyDetected = "io.faultline.anomaly.detected.v1",
    DiagnosisProposed = "io.faultline.diagnosis.proposed.v1",
    RemediationSuggested = "io.faultline.remediation.suggested.v1",
    ResponseActionTaken = "io.faultline.response.actiontaken.v1",
    FailurePredicted = "io.faultline.failure.predicted.v1",
    LabelAssigned = "io.faultline.label.assigned.v1",
    LabelRetracted = "io.faultline.label.retracted.v1",
    FeedbackGiven = "io.faultline.feedback.given.v1",
    ModelTrained = "io.faultline.model.trained.v1",
    ModelSelected = "io.faultline.model.selected.v1",
    SloDefined = "io.faultline.slo.defined.v1",
    ErrorBudgetBurned = "io.faultline.slo.errorbudgetburned.v1",
    RunbookPublished = "io.faultline.runbook.published.v1",
    AuditRecorded = "io.faultline.audit.recorded.v1",
    RetentionApplied = "io.faultline.retention.applied.v1",
}
