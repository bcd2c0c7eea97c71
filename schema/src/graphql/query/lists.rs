//! Pages of all nodes of a kind.

use async_graphql::{Context, Object};

use super::super::component::Component;
use super::super::diagnosis::Diagnosis;
use super::super::error::ApiResult;
use super::super::experiment::{Experiment, Fault};
use super::super::incident::Incident;
use super::super::knowledge::Runbook;
use super::super::label::Label;
use super::super::list::List;
use super::super::page::{Nodes, Page, cost};
use super::super::scalar::Position;
use super::super::view::{AsOf, enter};
use super::filter::{
    ComponentFilter, DiagnosisFilter, FaultFilter, IncidentFilter, LabelFilter, RunbookFilter,
};
use super::order::{ComponentOrder, ExperimentOrder, IncidentOrder};

/// The fields of the query type that list nodes.
#[derive(Default)]
pub struct Lists;

#[Object]
#[allow(clippy::too_many_arguments, reason = "each is an argument of the API")]
impl Lists {
    /// All components.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn components(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only some of them.")] filter: Option<ComponentFilter>,
        #[graphql(desc = "By name when absent.")] order_by: Option<ComponentOrder>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Component>> {
        let page = Page::read(first, after)?;
        let list = filter.unwrap_or_default().list();
        let (list, place) = ComponentOrder::apply(order_by, list);
        list.page_by(&*enter(ctx, as_of, wait_for).await?, &page, place, Component).await
    }

    /// All incidents.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn incidents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only some of them.")] filter: Option<IncidentFilter>,
        #[graphql(desc = "The newest first when absent.")] order_by: Option<IncidentOrder>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Incident>> {
        let page = Page::read(first, after)?;
        let (list, place) = IncidentOrder::apply(order_by, filter.unwrap_or_default().list()?);
        list.page_by(&*enter(ctx, as_of, wait_for).await?, &page, place, Incident).await
    }

    /// All runs of experiments.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn experiments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The newest first when absent.")] order_by: Option<ExperimentOrder>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Experiment>> {
        let page = Page::read(first, after)?;
        let list = List::newest("experiment", "planned_at");
        let (list, place) = ExperimentOrder::apply(order_by, list);
        list.page_by(&*enter(ctx, as_of, wait_for).await?, &page, place, Experiment).await
    }

    /// All injected faults, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn faults(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only some of them.")] filter: Option<FaultFilter>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Fault>> {
        let page = Page::read(first, after)?;
        let list = filter.unwrap_or_default().list()?;
        list.page(&*enter(ctx, as_of, wait_for).await?, &page, Fault).await
    }

    /// All labels, the newest first, those taken back included.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn labels(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only some of them.")] filter: Option<LabelFilter>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Label>> {
        let page = Page::read(first, after)?;
        let list = filter.unwrap_or_default().list()?;
        list.page(&*enter(ctx, as_of, wait_for).await?, &page, Label).await
    }

    /// All recorded diagnoses, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn diagnoses(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only some of them.")] filter: Option<DiagnosisFilter>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Diagnosis>> {
        let page = Page::read(first, after)?;
        let list = filter.unwrap_or_default().list()?;
        list.page(&*enter(ctx, as_of, wait_for).await?, &page, Diagnosis).await
    }

    /// All runbooks, by key.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn runbooks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only some of them.")] filter: Option<RunbookFilter>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<Runbook>> {
        let page = Page::read(first, after)?;
        let list = filter.unwrap_or_default().list()?;
        list.page(&*enter(ctx, as_of, wait_for).await?, &page, Runbook).await
    }
}
