//! What people, and experiments, say an incident was.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};

use super::component::Component;
use super::error::ApiResult;
use super::experiment::Fault;
use super::id::global;
use super::incident::Incident;
use super::load::Loaders;
use super::provenance::Provenance;
use super::scalar::DateTime;
use super::vocabulary::Severity;
use crate::rows;

/// What a label claims.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "rows::ClaimKind")]
pub enum ClaimKind {
    /// `component` caused it.
    RootCause,
    /// It was a fault of `faultKind`.
    FaultKind,
    /// `component` made it worse.
    ContributingFactor,
    /// Nothing was wrong.
    FalsePositive,
    /// It is the same as `duplicateOf`.
    Duplicate,
    /// It was as bad as `severity` says.
    Severity,
}

#[derive(Clone)]
pub struct Label(pub Arc<rows::Label>);

/// What someone says an incident was. Labels are what the base learns from; conflicting ones
/// stand side by side.
#[Object]
impl Label {
    /// Its global id.
    pub async fn id(&self) -> ID {
        global("label", &self.0.id)
    }

    /// The key that its events carry.
    async fn key(&self) -> &str {
        self.0.id.as_str()
    }

    /// The incident that it is about.
    async fn incident(&self, ctx: &Context<'_>) -> ApiResult<Option<Incident>> {
        Loaders::of(ctx).incident(&self.0.incident).await
    }

    /// What is claimed.
    async fn claim(&self) -> ClaimKind {
        self.0.claim.into()
    }

    /// The component that the claim names.
    async fn component(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).optional(self.0.component.as_ref(), Loaders::component).await
    }

    /// The kind of fault that the claim names.
    async fn fault_kind(&self) -> Option<&str> {
        self.0.fault_kind.as_ref().map(|kind| kind.as_str())
    }

    /// The incident that the claim says this is a duplicate of.
    async fn duplicate_of(&self, ctx: &Context<'_>) -> ApiResult<Option<Incident>> {
        Loaders::of(ctx).optional(self.0.duplicate_of.as_ref(), Loaders::incident).await
    }

    /// The severity that the claim names.
    async fn severity(&self) -> Option<Severity> {
        self.0.severity.map(Into::into)
    }

    /// Who says it.
    async fn by(&self) -> &str {
        &self.0.by
    }

    /// How sure they are, 0 to 1.
    async fn confidence(&self) -> f64 {
        self.0.confidence
    }

    /// The injected fault that it is known from, when an experiment says it.
    async fn fault(&self, ctx: &Context<'_>) -> ApiResult<Option<Fault>> {
        Loaders::of(ctx).optional(self.0.fault.as_ref(), Loaders::fault).await
    }

    /// Why.
    async fn comment(&self) -> Option<&str> {
        self.0.comment.as_deref()
    }

    /// When it was given.
    async fn assigned_at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// When it was taken back; null while it holds.
    async fn retracted_at(&self) -> Option<DateTime> {
        self.0.retracted_at.map(DateTime)
    }

    /// Who took it back.
    async fn retracted_by(&self) -> Option<&str> {
        self.0.retracted_by.as_deref()
    }

    /// Why it was taken back.
    async fn retraction_reason(&self) -> Option<&str> {
        self.0.retraction_reason.as_deref()
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}
