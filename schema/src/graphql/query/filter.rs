//! What narrows a list. Every condition that is given must hold.

use async_graphql::{ID, InputObject};
use events::id::InvalidId;
use events::{ComponentName, ExperimentId, FaultKind, IncidentId};

use super::super::error::{ApiError, ApiResult};
use super::super::id::key;
use super::super::incident::IncidentStatus;
use super::super::knowledge::ChangeKind;
use super::super::list::List;
use super::super::operations::AlertStatus;
use super::super::scalar::DateTime;
use super::super::vocabulary::Severity;

/// Which components.
#[derive(InputObject, Default)]
pub struct ComponentFilter {
    /// Of this kind, such as `service`.
    pub kind: Option<String>,
}

impl ComponentFilter {
    /// The components for which it holds.
    pub fn list(self) -> List {
        List::by_key("component").filter("kind = $kind", "kind", self.kind)
    }
}

/// Which incidents.
#[derive(InputObject, Default)]
pub struct IncidentFilter {
    /// That are this far.
    pub status: Option<IncidentStatus>,
    /// That were noticed at this component.
    pub component: Option<ID>,
    /// That are this bad.
    pub severity: Option<Severity>,
}

impl IncidentFilter {
    /// The incidents for which it holds.
    pub fn list(self) -> ApiResult<List> {
        let component = component(self.component.as_ref())?;
        Ok(List::newest("incident", "opened_at")
            .filter("status = $status", "status", self.status.map(stored_status))
            .filter("component = $component", "component", component)
            .filter("severity = $severity", "severity", self.severity.map(stored_severity)))
    }
}

/// Which faults.
#[derive(InputObject, Default)]
pub struct FaultFilter {
    /// Of this component.
    pub component: Option<ID>,
    /// Of this kind, such as `latency`.
    pub kind: Option<String>,
    /// Of this run.
    pub experiment: Option<ID>,
    /// That still act, or no longer act.
    pub active: Option<bool>,
}

impl FaultFilter {
    /// The faults for which it holds.
    pub fn list(self) -> ApiResult<List> {
        let component = component(self.component.as_ref())?;
        let run = named::<ExperimentId>("experiment", self.experiment.as_ref())?;
        let faults = List::newest("fault", "injected_at");
        let faults = match self.active {
            Some(true) => faults.when("injected_at != NONE AND cleared_at = NONE"),
            Some(false) => faults.when("cleared_at != NONE"),
            None => faults,
        };
        Ok(faults
            .filter("component = $component", "component", component)
            .filter("kind = $kind", "kind", self.kind)
            .filter("experiment = $experiment", "experiment", run))
    }
}

/// Which labels.
#[derive(InputObject, Default)]
pub struct LabelFilter {
    /// Of this incident.
    pub incident: Option<ID>,
    /// That claim this kind of fault.
    pub fault_kind: Option<String>,
    /// That claim this component.
    pub component: Option<ID>,
}

impl LabelFilter {
    /// The labels for which it holds.
    pub fn list(self) -> ApiResult<List> {
        let component = component(self.component.as_ref())?;
        Ok(List::newest("label", "at")
            .filter("incident = $incident", "incident", incident(self.incident.as_ref())?)
            .filter("fault_kind = $kind", "kind", self.fault_kind)
            .filter("component = $component", "component", component))
    }
}

/// Which diagnoses.
#[derive(InputObject, Default)]
pub struct DiagnosisFilter {
    /// Of this incident.
    pub incident: Option<ID>,
}

impl DiagnosisFilter {
    /// The diagnoses for which it holds.
    pub fn list(self) -> ApiResult<List> {
        let incident = incident(self.incident.as_ref())?;
        Ok(List::newest("diagnosis", "at").filter("incident = $incident", "incident", incident))
    }
}

/// Which runbooks.
#[derive(InputObject, Default)]
pub struct RunbookFilter {
    /// For this kind of fault.
    pub fault_kind: Option<String>,
    /// For this component, or for any.
    pub component: Option<ID>,
}

impl RunbookFilter {
    /// The runbooks for which it holds.
    pub fn list(self) -> ApiResult<List> {
        let kind = self.fault_kind.map(FaultKind::new).transpose();
        let kind =
            kind.map_err(|error| ApiError::invalid("filter.faultKind", error.to_string()))?;
        let component = component(self.component.as_ref())?;
        Ok(List::by_key("runbook").filter("$kind IN fault_kinds", "kind", kind).filter(
            "component = NONE OR component = $component",
            "component",
            component,
        ))
    }
}

/// Which alerts.
#[derive(InputObject, Default)]
pub struct AlertFilter {
    /// That fire, or no longer fire.
    pub status: Option<AlertStatus>,
    /// That speak of this component.
    pub component: Option<ID>,
    /// That are this bad.
    pub severity: Option<Severity>,
}

impl AlertFilter {
    /// The alerts for which it holds.
    pub fn list(self) -> ApiResult<List> {
        let status = self.status.map(|status| match status {
            AlertStatus::Firing => "firing",
            AlertStatus::Resolved => "resolved",
        });
        let component = component(self.component.as_ref())?;
        Ok(List::newest("alert", "fired_at")
            .filter("status = $status", "status", status)
            .filter("component = $component", "component", component)
            .filter("severity = $severity", "severity", self.severity.map(stored_severity)))
    }
}

/// Which deployments and changes of configuration.
#[derive(InputObject, Default)]
pub struct ChangeFilter {
    /// Of this component.
    pub component: Option<ID>,
    /// Of this kind.
    pub kind: Option<ChangeKind>,
    /// From this moment on.
    pub from: Option<DateTime>,
    /// Before this moment.
    pub to: Option<DateTime>,
}

impl ChangeFilter {
    /// The changes for which it holds.
    pub fn list(self) -> ApiResult<List> {
        let kind = self.kind.map(|kind| match kind {
            ChangeKind::Deployment => "deployment",
            ChangeKind::Configuration => "configuration",
        });
        let component = component(self.component.as_ref())?;
        Ok(List::newest("change", "at")
            .filter("component = $component", "component", component)
            .filter("kind = $kind", "kind", kind)
            .filter_time("at >= $from", "from", self.from.map(|at| at.0))
            .filter_time("at < $to", "to", self.to.map(|at| at.0)))
    }
}

/// Which windows of planned work.
#[derive(InputObject, Default)]
pub struct MaintenanceFilter {
    /// That work on this component.
    pub component: Option<ID>,
    /// That go on, or have ended.
    pub active: Option<bool>,
}

impl MaintenanceFilter {
    /// The windows for which it holds.
    pub fn list(self) -> ApiResult<List> {
        let component = component(self.component.as_ref())?;
        let windows = List::newest("maintenance", "started_at");
        let windows = match self.active {
            Some(true) => windows.when("started_at != NONE AND ended_at = NONE"),
            Some(false) => windows.when("ended_at != NONE"),
            None => windows,
        };
        Ok(windows.filter("$component IN components", "component", component))
    }
}

fn component(id: Option<&ID>) -> ApiResult<Option<String>> {
    named::<ComponentName>("component", id)
}

fn incident(id: Option<&ID>) -> ApiResult<Option<String>> {
    named::<IncidentId>("incident", id)
}

/// The key of a condition that is called as the kind that it names.
fn named<T>(kind: &'static str, id: Option<&ID>) -> ApiResult<Option<String>>
where
    T: TryFrom<String, Error = InvalidId> + Into<String>,
{
    id.map(|id| key::<T>(kind, &format!("filter.{kind}"), id).map(Into::into)).transpose()
}

// The names under which rows keep the catalogue's enums.

fn stored_status(status: IncidentStatus) -> &'static str {
    match status {
        IncidentStatus::Open => "open",
        IncidentStatus::Acknowledged => "acknowledged",
        IncidentStatus::Mitigated => "mitigated",
        IncidentStatus::Resolved => "resolved",
        IncidentStatus::Merged => "merged",
    }
}

fn stored_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Critical => "critical",
    }
}
