//! One node by its key or global id; null when nothing has it.

use async_graphql::{Context, ID, Object};
use events::{
    AlertId, ComponentName, DiagnosisId, EventId, ExperimentId, FaultId, IncidentId, LabelId,
    RunbookId,
};
use futures::future::try_join_all;

use super::super::component::Component;
use super::super::diagnosis::Diagnosis;
use super::super::error::{ApiError, ApiResult};
use super::super::event::{Event, event};
use super::super::experiment::{Experiment, Fault};
use super::super::id::key;
use super::super::incident::Incident;
use super::super::knowledge::Runbook;
use super::super::label::Label;
use super::super::load::Loaders;
use super::super::node::{Node, node};
use super::super::operations::Alert;
use super::super::page::MAX_FIRST;
use super::super::scalar::Position;
use super::super::view::{AsOf, enter};

/// The fields of the query type that look one node up.
#[derive(Default)]
pub struct Lookups;

#[Object]
impl Lookups {
    /// The node with this global id, or null.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its global id, as its field `id` gives it.")] id: ID,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Option<Node>> {
        enter(ctx, as_of, wait_for).await?;
        node(ctx, "id", &id).await
    }

    /// The nodes with these global ids, in their order, with null for each that nothing has.
    #[graphql(complexity = "1 + ids.len() * child_complexity")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global ids, at most 200.")] ids: Vec<ID>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Vec<Option<Node>>> {
        if ids.len() > MAX_FIRST.unsigned_abs() as usize {
            let message = format!("expected at most {MAX_FIRST} ids, got {}", ids.len());
            return Err(ApiError::invalid("ids", message));
        }
        enter(ctx, as_of, wait_for).await?;
        let fields: Vec<String> = (0..ids.len()).map(|index| format!("ids.{index}")).collect();
        let found = ids.iter().zip(&fields).map(|(id, field)| node(ctx, field, id));
        try_join_all(found).await
    }

    /// The alert with this fingerprint, or null.
    async fn alert(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its fingerprint or global id.")] id: ID,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Option<Alert>> {
        enter(ctx, as_of, wait_for).await?;
        Loaders::of(ctx).alert(&key::<AlertId>("alert", "id", &id)?).await
    }

    /// The component of this name, or null.
    async fn component(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name or global id.")] id: ID,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Option<Component>> {
        enter(ctx, as_of, wait_for).await?;
        Loaders::of(ctx).component(&key::<ComponentName>("component", "id", &id)?).await
    }

    /// The incident with this key, or null.
    async fn incident(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its key or global id.")] id: ID,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Option<Incident>> {
        enter(ctx, as_of, wait_for).await?;
        Loaders::of(ctx).incident(&key::<IncidentId>("incident", "id", &id)?).await
    }

    /// The run of an experiment with this key, or null.
    async fn experiment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its key or global id.")] id: ID,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Option<Experiment>> {
        enter(ctx, as_of, wait_for).await?;
        Loaders::of(ctx).experiment(&key::<ExperimentId>("experiment", "id", &id)?).await
    }

    /// The injection of a fault with this key, or null.
    async fn fault(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its key or global id.")] id: ID,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Option<Fault>> {
        enter(ctx, as_of, wait_for).await?;
        Loaders::of(ctx).fault(&key::<FaultId>("fault", "id", &id)?).await
    }

    /// The label with this key, or null.
    async fn label(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its key or global id.")] id: ID,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Option<Label>> {
        enter(ctx, as_of, wait_for).await?;
        Loaders::of(ctx).label(&key::<LabelId>("label", "id", &id)?).await
    }

    /// The diagnosis with this key, or null.
    async fn diagnosis(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its key or global id.")] id: ID,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Option<Diagnosis>> {
        enter(ctx, as_of, wait_for).await?;
        Loaders::of(ctx).diagnosis(&key::<DiagnosisId>("diagnosis", "id", &id)?).await
    }

    /// The runbook with this key, or null.
    async fn runbook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its key or global id.")] id: ID,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Option<Runbook>> {
        enter(ctx, as_of, wait_for).await?;
        Loaders::of(ctx).runbook(&key::<RunbookId>("runbook", "id", &id)?).await
    }

    /// The event with this id as the log has it, or null; also null when it was recorded after
    /// the moment that is asked for.
    async fn event(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, a UUID.")] id: ID,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Option<Event>> {
        let read = id.parse::<EventId>();
        let id = read.map_err(|_| {
            ApiError::invalid("id", format!("expected a UUID, got {:?}", id.as_str()))
        })?;
        enter(ctx, as_of, wait_for).await?;
        event(ctx, id).await
    }
}
