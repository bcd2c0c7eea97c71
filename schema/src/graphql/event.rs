//! Events as the log has them: where every answer comes from.

use async_graphql::{Context, ID, Json, Object, SimpleObject};
use events::{EventId, RecordedEvent};
use futures::future::try_join_all;
use serde::Deserialize;

use super::audit::may_see;
use super::error::{ApiError, ApiResult};
use super::load::Loaders;
use super::page::{Cursor, Nodes, Page, cost};
use super::scalar::{DateTime, Position};
use crate::rows;

pub struct Event(pub RecordedEvent);

/// A recorded event. It never changes; retention may take the measurements of old telemetry.
#[Object]
impl Event {
    /// Its id.
    pub async fn id(&self) -> ID {
        self.0.event.id.into()
    }

    /// The CloudEvents type, such as `io.faultline.incident.opened.v1`.
    async fn event_type(&self) -> &str {
        self.0.event.data.event_type()
    }

    /// Who made it, a URI reference such as `/chaos-runner`.
    async fn source(&self) -> &str {
        self.0.event.source.as_str()
    }

    /// When it happened.
    async fn time(&self) -> DateTime {
        DateTime(self.0.event.time)
    }

    /// When the log recorded it.
    async fn recorded_at(&self) -> DateTime {
        DateTime(self.0.recorded_at)
    }

    /// The stream it is in: the history of what it is about.
    async fn stream(&self) -> &str {
        self.0.stream.as_str()
    }

    /// Its number in the stream, from 0 without a gap.
    async fn revision(&self) -> Position {
        Position(self.0.revision)
    }

    /// Where it stands in the log.
    async fn position(&self) -> Position {
        Position(self.0.position)
    }

    /// The business transaction it belongs to: a run of an experiment, an incident.
    async fn correlation_id(&self) -> Option<&str> {
        self.0.event.correlation_id.as_ref().map(|id| id.as_str())
    }

    /// The id of the event that caused it.
    async fn causation_id(&self) -> Option<ID> {
        self.0.event.causation_id.map(Into::into)
    }

    /// The event that caused it; null for what came from outside.
    async fn cause(&self, ctx: &Context<'_>) -> ApiResult<Option<Event>> {
        match self.0.event.causation_id {
            Some(id) => event(ctx, id).await,
            None => Ok(None),
        }
    }

    /// The events that it caused, in the order of the log.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn effects(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 200; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
    ) -> ApiResult<Nodes<Event>> {
        let page = Page::read(first, after)?;
        effects(ctx, &self.0.event.id, &page).await
    }

    /// Whether retention took its measurements: what is left are the components and the window.
    async fn pruned(&self) -> bool {
        self.0.pruned.is_some()
    }

    /// The whole event as a CloudEvents 1.0 JSON object, with `recordedtime`, `stream`,
    /// `revision` and `position`, and `prunedhash` when it was pruned.
    async fn cloud_event(&self) -> Json<serde_json::Value> {
        Json(self.0.to_cloud_event())
    }
}

/// A page of the events that `cause` caused, in the order of the log.
async fn effects(ctx: &Context<'_>, cause: &EventId, page: &Page) -> ApiResult<Nodes<Event>> {
    let rows = Loaders::of(ctx).effects(cause).await?;
    let place = |row: &rows::Effect| Cursor::named(format!("{:020}", row.provenance.since));
    let mut events = Vec::new();
    let mut next = page.clone();
    // What the caller may not see takes no place, so the page is filled from behind it.
    loop {
        let wanted = next.wanted(&rows, false, place);
        let ended = wanted.len() < next.limit();
        next.after = wanted.last().map(|(at, _)| at.clone());
        let shown = wanted
            .into_iter()
            .map(|(at, row)| async move { Ok(event(ctx, row.id).await?.map(|event| (at, event))) });
        events.extend(try_join_all(shown).await?.into_iter().flatten());
        if ended || events.len() >= page.limit() {
            return Ok(page.connect(events, |event| event));
        }
    }
}

/// The event with this id, unless it was recorded after the moment that is asked for.
pub async fn event(ctx: &Context<'_>, id: EventId) -> ApiResult<Option<Event>> {
    let loaders = Loaders::of(ctx);
    let view = loaders.view();
    let found = view.base().log.find(id).await.map_err(ApiError::internal)?;
    let shown = found.filter(|event| view.shows(event.position) && may_see(ctx, event));
    Ok(shown.map(Event))
}

/// The event at this position of the log, unless it was recorded after the moment that is asked
/// for.
pub async fn event_at(ctx: &Context<'_>, position: u64) -> ApiResult<Option<Event>> {
    let loaders = Loaders::of(ctx);
    let view = loaders.view();
    let at = view.base().log.read_all(position.saturating_sub(1), 1).await;
    let at = at.map_err(ApiError::internal)?.into_iter();
    let mut found = at.filter(|event| event.position == position);
    let shown = found.find(|event| view.shows(event.position) && may_see(ctx, event));
    Ok(shown.map(Event))
}

/// An event that could not be projected. It is in the log, and the graph does without it.
#[derive(Clone, SimpleObject, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct SetAsideEvent {
    /// The event's id; `event(id)` shows it whole.
    #[graphql(name = "event")]
    pub id: ID,
    /// Where it stands in the log.
    #[serde(with = "position")]
    pub position: Position,
    /// The CloudEvents type.
    pub event_type: String,
    /// The stream it is in.
    pub stream: String,
    /// The stable name of what is wrong.
    pub code: String,
    /// What is wrong, in words.
    pub error: String,
}

mod position {
    use super::Position;
    use serde::{Deserialize, Deserializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Position, D::Error> {
        u64::deserialize(from).map(Position)
    }
}
