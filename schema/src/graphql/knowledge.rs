//! What people changed, did and wrote down.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};

use super::component::Component;
use super::error::ApiResult;
use super::id::global;
use super::incident::Incident;
use super::load::Loaders;
use super::provenance::{Attribute, Provenance, attributes};
use super::scalar::DateTime;
use crate::rows;

#[derive(Clone)]
pub struct Runbook(pub Arc<rows::Runbook>);

/// What people wrote down for the next time.
#[Object]
impl Runbook {
    /// Its global id.
    pub async fn id(&self) -> ID {
        global("runbook", &self.0.id)
    }

    /// The key that its events carry.
    async fn key(&self) -> &str {
        self.0.id.as_str()
    }

    /// Its title; null while something only refers to it.
    async fn title(&self) -> Option<&str> {
        self.0.title.as_deref()
    }

    /// The kinds of fault it is for.
    async fn fault_kinds(&self) -> Vec<&str> {
        self.0.fault_kinds.iter().map(|kind| kind.as_str()).collect()
    }

    /// The component it is for; null for any.
    async fn component(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).optional(self.0.component.as_ref(), Loaders::component).await
    }

    /// The text, Markdown.
    async fn text(&self) -> Option<&str> {
        self.0.text.as_deref()
    }

    /// When its newest text was published.
    async fn published_at(&self) -> Option<DateTime> {
        self.0.published_at.map(DateTime)
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}

/// Whether a mitigation was carried out.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "rows::MitigationKind")]
pub enum MitigationKind {
    /// It was done.
    Applied,
    /// It may help; nobody has done it yet.
    Suggested,
    /// The machine did it.
    Response,
}

#[derive(Clone)]
pub struct Mitigation(pub Arc<rows::Mitigation>);

/// Something done, or suggested, against an incident.
#[Object]
impl Mitigation {
    /// Its global id.
    pub async fn id(&self) -> ID {
        global("mitigation", self.0.id)
    }

    /// Whether it was carried out.
    async fn kind(&self) -> MitigationKind {
        self.0.kind.into()
    }

    /// What was done, or is to be done: `restarted payments`.
    async fn action(&self) -> &str {
        &self.0.action
    }

    /// Where.
    async fn component(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).optional(self.0.component.as_ref(), Loaders::component).await
    }

    /// The runbook that was followed, or is to be followed.
    async fn runbook(&self, ctx: &Context<'_>) -> ApiResult<Option<Runbook>> {
        Loaders::of(ctx).optional(self.0.runbook.as_ref(), Loaders::runbook).await
    }

    /// The past incident that it fixed, for a suggestion.
    async fn learned_from(&self, ctx: &Context<'_>) -> ApiResult<Option<Incident>> {
        Loaders::of(ctx).optional(self.0.learned_from.as_ref(), Loaders::incident).await
    }

    /// Who or what did it.
    async fn by(&self) -> Option<&str> {
        self.0.by.as_deref()
    }

    /// What came of it.
    async fn outcome(&self) -> Option<&str> {
        self.0.outcome.as_deref()
    }

    /// When.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}

/// What a change was.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "rows::ChangeKind")]
pub enum ChangeKind {
    /// A version went live.
    Deployment,
    /// A setting changed.
    Configuration,
}

#[derive(Clone)]
pub struct Change {
    pub row: Arc<rows::ChangeRow>,
    /// Where it stands before an incident.
    pub lead_ms: Option<u64>,
}

impl From<Arc<rows::ChangeRow>> for Change {
    fn from(row: Arc<rows::ChangeRow>) -> Self {
        Self { row, lead_ms: None }
    }
}

/// A deployment or a change of configuration.
#[Object]
impl Change {
    /// Its global id.
    pub async fn id(&self) -> ID {
        global("change", self.row.id)
    }

    /// What it was.
    async fn kind(&self) -> ChangeKind {
        self.row.kind.into()
    }

    /// What was changed.
    async fn component(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).component(&self.row.component).await
    }

    /// When.
    async fn at(&self) -> DateTime {
        DateTime(self.row.at)
    }

    /// How long before the incident was opened, in milliseconds; null where it does not stand
    /// before an incident.
    async fn lead_ms(&self) -> Option<f64> {
        self.lead_ms.map(|ms| ms as f64)
    }

    /// The version that went live, of a deployment.
    async fn version(&self) -> Option<&str> {
        self.row.version.as_deref()
    }

    /// The version before, of a deployment.
    async fn previous_version(&self) -> Option<&str> {
        self.row.previous_version.as_deref()
    }

    /// What it brings, in words.
    async fn description(&self) -> Option<&str> {
        self.row.description.as_deref()
    }

    /// The new settings, by name.
    async fn settings(&self) -> Vec<Attribute> {
        attributes(&self.row.settings)
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.row.provenance).into()
    }
}
