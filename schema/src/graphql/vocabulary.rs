//! The closed vocabularies of the catalogue, as GraphQL enums.

use async_graphql::Enum;
use events::catalogue::{experiment, incident, topology};

/// How bad an incident is.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "incident::Severity")]
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

/// What a symptom was seen in.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "incident::Signal")]
pub enum Signal {
    /// Requests a window.
    Traffic,
    /// Share of requests that failed.
    Errors,
    /// Time to answer, in milliseconds.
    Latency,
    /// Share of a resource in use.
    Saturation,
    /// Processor time used per wall time; 1 is one core.
    Cpu,
    /// Resident memory, in bytes.
    Memory,
    /// The component stopped reporting or answering.
    Availability,
    /// New, vanished or multiplied log templates.
    Logs,
    /// An alert that another system raised; the strength of its symptom is its severity, 1 to 4.
    Alert,
}

/// How much depends on a component.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "topology::Criticality")]
pub enum Criticality {
    /// Nobody notices its loss soon.
    Low,
    /// Some users notice.
    Medium,
    /// Many users notice.
    High,
    /// Nothing works without it.
    Critical,
}

/// When a steady state was measured, seen from the method of the run.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "experiment::SteadyStatePhase")]
pub enum SteadyStatePhase {
    /// Before the first fault.
    Before,
    /// While a fault is active.
    During,
    /// After the rollbacks.
    After,
}

/// Who undid a fault.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "experiment::ClearedBy")]
pub enum ClearedBy {
    /// The experiment's rollback.
    Rollback,
    /// The fault's own deadline.
    Deadline,
    /// An interrupt or an abort condition.
    Interrupt,
    /// The system recovered without help.
    Recovery,
}

/// How a run of an experiment ended.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "experiment::ExperimentOutcome")]
pub enum ExperimentOutcome {
    /// The hypothesis held throughout.
    Held,
    /// The hypothesis did not hold while or after the fault acted.
    Deviated,
    /// An abort condition or a person ended it.
    Aborted,
    /// It could not be carried out.
    Failed,
}
