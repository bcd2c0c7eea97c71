//! What other systems raised and what people planned.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};

use super::component::Component;
use super::error::ApiResult;
use super::id::global;
use super::load::Loaders;
use super::provenance::{Attribute, Provenance, attributes};
use super::scalar::DateTime;
use super::vocabulary::Severity;
use crate::rows;

/// Whether an alert fires.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "rows::AlertStatus")]
pub enum AlertStatus {
    /// It does.
    Firing,
    /// It no longer does.
    Resolved,
}

#[derive(Clone)]
pub struct Alert(pub Arc<rows::Alert>);

/// What another system raised. The same alert that fires again is the same one.
#[Object]
impl Alert {
    /// Its global id.
    pub async fn id(&self) -> ID {
        global("alert", &self.0.id)
    }

    /// Its fingerprint.
    async fn key(&self) -> &str {
        self.0.id.as_str()
    }

    /// The rule's name; null while its firing has not arrived.
    async fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Whether it fires.
    async fn status(&self) -> AlertStatus {
        self.0.status.into()
    }

    /// How bad.
    async fn severity(&self) -> Option<Severity> {
        self.0.severity.map(Into::into)
    }

    /// The component it speaks of, when it is known.
    async fn component(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).optional(self.0.component.as_ref(), Loaders::component).await
    }

    /// What it says.
    async fn summary(&self) -> Option<&str> {
        self.0.summary.as_deref()
    }

    /// Its labels, by name.
    async fn labels(&self) -> Vec<Attribute> {
        attributes(&self.0.labels)
    }

    /// When it last began to fire.
    async fn fired_at(&self) -> Option<DateTime> {
        self.0.fired_at.map(DateTime)
    }

    /// When it last ceased to fire.
    async fn resolved_at(&self) -> Option<DateTime> {
        self.0.resolved_at.map(DateTime)
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}

#[derive(Clone)]
pub struct Maintenance(pub Arc<rows::Maintenance>);

/// A window of planned work.
#[Object]
impl Maintenance {
    /// Its global id.
    pub async fn id(&self) -> ID {
        global("maintenance", &self.0.id)
    }

    /// The key that its events carry.
    async fn key(&self) -> &str {
        self.0.id.as_str()
    }

    /// The components that are worked on.
    #[graphql(complexity = "5 * child_complexity")]
    async fn components(&self, ctx: &Context<'_>) -> ApiResult<Vec<Component>> {
        let loaders = Loaders::of(ctx);
        let found = self.0.components.iter().map(|name| loaders.component(name));
        Ok(futures::future::try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// Why.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// When it began.
    async fn started_at(&self) -> Option<DateTime> {
        self.0.started_at.map(DateTime)
    }

    /// When it ended; null while it goes on.
    async fn ended_at(&self) -> Option<DateTime> {
        self.0.ended_at.map(DateTime)
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}
