//! One node by its key or global id; null when nothing has it.

use async_graphql::{Context, ID, Object};
use events::{
    ComponentName, DiagnosisId, EventId, ExperimentId, FaultId, IncidentId, LabelId, RunbookId,
};

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
use super::super::scalar::Position;
use super::super::view::{AsOf, enter};

/// The fields of the query type that look one node up.
#[derive(Default)]
pub struct Lookups;

#[Object]
impl Lookups {
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
