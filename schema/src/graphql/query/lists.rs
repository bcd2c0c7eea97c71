//! Pages of all nodes of a kind.

use async_graphql::{Context, ID, Object};
use events::{ComponentName, ExperimentId, FaultKind, IncidentId};

use super::super::component::Component;
use super::super::diagnosis::Diagnosis;
use super::super::error::{ApiError, ApiResult};
use super::super::experiment::{Experiment, Fault};
use super::super::incident::{Incident, IncidentStatus};
use super::super::knowledge::Runbook;
use super::super::label::Label;
use super::super::list::List;
use super::super::page::{Nodes, Page, cost};
use super::super::scalar::Position;
use super::super::vocabulary::Severity;
use super::{base, narrowed};

/// The fields of the query type that list nodes.
#[derive(Default)]
pub struct Lists;

#[Object]
impl Lists {
    /// All components, by name.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn components(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those of this kind, such as `service`.")] kind: Option<String>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Component>> {
        let page = Page::read(first, after)?;
        List::by_key("component")
            .filter("kind = $kind", "kind", kind)
            .page(base(ctx, wait_for).await?, &page, Component)
            .await
    }

    /// All incidents, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn incidents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that are this far.")] status: Option<IncidentStatus>,
        #[graphql(desc = "Only those that were noticed at this component.")] component: Option<ID>,
        #[graphql(desc = "Only those that are this bad.")] severity: Option<Severity>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Incident>> {
        let page = Page::read(first, after)?;
        let component = narrowed::<ComponentName>("component", "component", component.as_ref())?;
        List::newest("incident", "opened_at")
            .filter("status = $status", "status", status.map(stored_status))
            .filter("component = $component", "component", component)
            .filter("severity = $severity", "severity", severity.map(stored_severity))
            .page(base(ctx, wait_for).await?, &page, Incident)
            .await
    }

    /// All runs of experiments, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn experiments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Experiment>> {
        let page = Page::read(first, after)?;
        List::newest("experiment", "planned_at")
            .page(base(ctx, wait_for).await?, &page, Experiment)
            .await
    }

    /// All injected faults, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn faults(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those of this component.")] component: Option<ID>,
        #[graphql(desc = "Only those of this kind, such as `latency`.")] kind: Option<String>,
        #[graphql(desc = "Only those of this run.")] experiment: Option<ID>,
        #[graphql(desc = "Only those that still act, or no longer act.")] active: Option<bool>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Fault>> {
        let page = Page::read(first, after)?;
        let component = narrowed::<ComponentName>("component", "component", component.as_ref())?;
        let run = narrowed::<ExperimentId>("experiment", "experiment", experiment.as_ref())?;
        let faults = List::newest("fault", "injected_at");
        let faults = match active {
            Some(true) => faults.when("injected_at != NONE AND cleared_at = NONE"),
            Some(false) => faults.when("cleared_at != NONE"),
            None => faults,
        };
        faults
            .filter("component = $component", "component", component)
            .filter("kind = $kind", "kind", kind)
            .filter("experiment = $experiment", "experiment", run)
            .page(base(ctx, wait_for).await?, &page, Fault)
            .await
    }

    /// All labels, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn labels(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those of this incident.")] incident: Option<ID>,
        #[graphql(desc = "Only those that claim this kind of fault.")] fault_kind: Option<String>,
        #[graphql(desc = "Only those that claim this component.")] component: Option<ID>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Label>> {
        let page = Page::read(first, after)?;
        let incident = narrowed::<IncidentId>("incident", "incident", incident.as_ref())?;
        let component = narrowed::<ComponentName>("component", "component", component.as_ref())?;
        List::newest("label", "at")
            .filter("incident = $incident", "incident", incident)
            .filter("fault_kind = $kind", "kind", fault_kind)
            .filter("component = $component", "component", component)
            .page(base(ctx, wait_for).await?, &page, Label)
            .await
    }

    /// All recorded diagnoses, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn diagnoses(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those of this incident.")] incident: Option<ID>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Diagnosis>> {
        let page = Page::read(first, after)?;
        let incident = narrowed::<IncidentId>("incident", "incident", incident.as_ref())?;
        List::newest("diagnosis", "at")
            .filter("incident = $incident", "incident", incident)
            .page(base(ctx, wait_for).await?, &page, Diagnosis)
            .await
    }

    /// All runbooks, by key.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn runbooks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those for this kind of fault.")] fault_kind: Option<String>,
        #[graphql(desc = "Only those for this component, or for any.")] component: Option<ID>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Runbook>> {
        let page = Page::read(first, after)?;
        let kind = fault_kind.map(FaultKind::new).transpose();
        let kind = kind.map_err(|error| ApiError::invalid("faultKind", error.to_string()))?;
        let component = narrowed::<ComponentName>("component", "component", component.as_ref())?;
        List::by_key("runbook")
            .filter("$kind IN fault_kinds", "kind", kind)
            .filter("component = NONE OR component = $component", "component", component)
            .page(base(ctx, wait_for).await?, &page, Runbook)
            .await
    }
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
