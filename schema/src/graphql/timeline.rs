//! What happened in an incident, step by step.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use events::IncidentId;

use super::component::Component;
use super::error::ApiResult;
use super::load::Loaders;
use super::page::{Cursor, Nodes, Page};
use super::scalar::{DateTime, Position};
use crate::rows;

pub struct TimelineEntry(Arc<rows::TimelineEntry>);

/// One step of an incident: one event.
#[Object]
impl TimelineEntry {
    /// The event's id; `event(id)` shows it whole.
    async fn event(&self) -> ID {
        self.0.id.into()
    }

    /// When it happened, which may be before it was recorded.
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// Where it stands in the log.
    async fn position(&self) -> Position {
        Position(self.0.position)
    }

    /// The CloudEvents type, such as `io.faultline.incident.opened.v1`.
    async fn event_type(&self) -> &str {
        &self.0.event_type
    }

    /// What happened, in a line.
    async fn summary(&self) -> &str {
        &self.0.summary
    }

    /// Who or what did it.
    async fn by(&self) -> Option<&str> {
        self.0.by.as_deref()
    }

    /// Where.
    async fn component(&self, ctx: &Context<'_>) -> ApiResult<Option<Component>> {
        Loaders::of(ctx).optional(self.0.component.as_ref(), Loaders::component).await
    }
}

/// A page of the steps of `incident`, by time and, at the same time, by position.
pub async fn timeline(
    ctx: &Context<'_>,
    incident: &IncidentId,
    page: Page,
) -> ApiResult<Nodes<TimelineEntry>> {
    let steps = Loaders::of(ctx).steps_of(incident).await?;
    let place = |step: &rows::TimelineEntry| Cursor::at(step.at, format!("{:020}", step.position));
    Ok(page.cut(&steps, false, place, TimelineEntry))
}
