//! Components and who calls whom.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::error::ApiResult;
use super::experiment::Fault;
use super::id::global;
use super::incident::Incident;
use super::load::Loaders;
use super::page::{Cursor, Nodes, Page, cost};
use super::provenance::{Attribute, Provenance, attributes};
use super::scalar::DateTime;
use super::vocabulary::Criticality;
use super::without::call_id;
use crate::rows;

#[derive(Clone)]
pub struct Component(pub Arc<rows::Component>);

/// A part of the system that can fail: a service, a database, a load balancer, a client.
#[Object]
impl Component {
    /// Its global id.
    pub async fn id(&self) -> ID {
        global("component", &self.0.id)
    }

    /// Its name, unique among components.
    async fn name(&self) -> &str {
        self.0.id.as_str()
    }

    /// What it is: `service`, `database`, `client`, …
    async fn kind(&self) -> Option<&str> {
        self.0.kind.as_deref()
    }

    /// Who is called when it fails.
    async fn owner(&self) -> Option<&str> {
        self.0.owner.as_deref()
    }

    /// How much depends on it.
    async fn criticality(&self) -> Option<Criticality> {
        self.0.criticality.map(Into::into)
    }

    /// What it does.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Anything else that was said of it, by name.
    async fn attributes(&self) -> Vec<Attribute> {
        attributes(&self.0.attributes)
    }

    /// What saw it first: a proxy, a span, an alert.
    async fn discovered_by(&self) -> Option<&str> {
        self.0.discovered_by.as_deref()
    }

    /// The version that is live.
    async fn version(&self) -> Option<&str> {
        self.0.version.as_deref()
    }

    /// The earliest time at which something speaks of it.
    async fn first_seen(&self) -> Option<DateTime> {
        self.0.first_seen.map(DateTime)
    }

    /// The latest time at which something speaks of it.
    async fn last_seen(&self) -> Option<DateTime> {
        self.0.last_seen.map(DateTime)
    }

    /// The calls it makes, by callee.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn calls(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Call>> {
        let page = Page::read(first, after)?;
        let rows = Loaders::of(ctx).outgoing(&self.0.id).await?;
        Ok(page.cut(&rows, false, |call| Cursor::named(&call.to), Call))
    }

    /// The calls that others make to it, by caller.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn called_by(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Call>> {
        let page = Page::read(first, after)?;
        let rows = Loaders::of(ctx).incoming(&self.0.id).await?;
        Ok(page.cut(&rows, false, |call| Cursor::named(&call.from), Call))
    }

    /// The incidents in which it shows symptoms, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn incidents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Incident>> {
        let page = Page::read(first, after)?;
        let rows = Loaders::of(ctx).incidents_affecting(&self.0.id).await?;
        Ok(page.of(&rows, Incident))
    }

    /// The faults that were injected into it, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn faults(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Fault>> {
        let page = Page::read(first, after)?;
        let rows = Loaders::of(ctx).faults_injected_into(&self.0.id).await?;
        Ok(page.of(&rows, Fault))
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}

#[derive(Clone)]
pub struct Call(pub Arc<rows::Calls>);

/// One component calls another.
#[Object]
impl Call {
    /// By which `rootCauses(without: …)` knows it; `node` does not.
    async fn id(&self) -> ID {
        call_id(&self.0.from, &self.0.to)
    }

    /// Who calls.
    async fn caller(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).component(&self.0.from).await
    }

    /// Who is called.
    async fn callee(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).component(&self.0.to).await
    }

    /// `http`, `postgresql`, …
    async fn protocol(&self) -> Option<&str> {
        self.0.protocol.as_deref()
    }

    /// The earliest time at which the call was seen.
    async fn first_seen(&self) -> Option<DateTime> {
        self.0.first_seen.map(DateTime)
    }

    /// The latest time at which the call was seen.
    async fn last_seen(&self) -> Option<DateTime> {
        self.0.last_seen.map(DateTime)
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}
