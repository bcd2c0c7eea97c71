//! Who did what that others have to answer for.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};
use events::catalogue::audit::AuditOutcome as Outcome;
use events::{EventData, RecordedEvent};

use super::error::ApiResult;
use super::list::List;
use super::page::{Nodes, Page, cost};
use super::provenance::Provenance;
use super::scalar::{DateTime, Position};
use super::view::{AsOf, enter};
use crate::rows;

/// Stands in the data of a request whose caller may not see the audit: its events are then
/// hidden wherever events are shown.
pub struct WithoutAudit;

/// Whether the caller may see this event.
pub fn may_see(ctx: &Context<'_>, event: &RecordedEvent) -> bool {
    !matches!(event.event.data, EventData::AuditRecorded(_))
        || ctx.data_opt::<WithoutAudit>().is_none()
}

/// How an action ended.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
#[graphql(remote = "Outcome")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was allowed and did not succeed.
    Failed,
}

#[derive(Clone)]
pub struct AuditEvent(pub Arc<rows::AuditEntry>);

/// Something that someone answers for: a label, a merge, a token.
#[Object]
impl AuditEvent {
    /// The id of the event that recorded it.
    async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// When it was done.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// Who did it, by the name of their token; `anonymous` without one, `operator` at the machine.
    async fn actor(&self) -> &str {
        &self.0.actor
    }

    /// The public part of the token they showed.
    async fn token(&self) -> Option<&str> {
        self.0.token.as_ref().map(|token| token.as_str())
    }

    /// The address they called from, where the operator wants it kept.
    async fn peer(&self) -> Option<&str> {
        self.0.peer.as_deref()
    }

    /// What was done, such as `label.assign`.
    async fn action(&self) -> &str {
        &self.0.action
    }

    /// To what: the key of an incident, a token.
    async fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// How it ended.
    async fn outcome(&self) -> AuditOutcome {
        self.0.outcome.into()
    }

    /// The id of the event that the action recorded.
    async fn event(&self) -> Option<ID> {
        self.0.event.map(Into::into)
    }

    /// The request, as the server's log names it.
    async fn request(&self) -> Option<&str> {
        self.0.request.as_deref()
    }

    /// Where this comes from.
    async fn provenance(&self) -> Provenance {
        (&self.0.provenance).into()
    }
}

/// The field of the query type that lists the audit.
#[derive(Default)]
pub struct Audit;

#[Object]
impl Audit {
    /// Who did what that others have to answer for, the newest first. Needs the scope `admin`.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only what was done to this.")] subject: Option<String>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "As of this moment; now when absent.")] as_of: Option<AsOf>,
        #[graphql(desc = "Wait until the graph contains this position.")] wait_for: Option<
            Position,
        >,
    ) -> ApiResult<Nodes<AuditEvent>> {
        let page = Page::read(first, after)?;
        let list = List::newest("audit", "at").filter("subject = $subject", "subject", subject);
        list.page(&*enter(ctx, as_of, wait_for).await?, &page, AuditEvent).await
    }
}
