//! Appending one event for a mutation, and waiting until the graph contains it (QU-1).

use std::sync::Arc;

use async_graphql::{Context, ID};
use events::log::{AppendError, ExpectedRevision};
use events::value::Line;
use events::{Event, EventData, EventId, IncidentId};

use super::super::Base;
use super::super::error::{ApiError, ApiResult};
use super::super::load::Loaders;

/// An event that the log has.
pub struct Recorded {
    pub event_id: EventId,
    pub position: u64,
    pub projected: bool,
}

/// Appends the event of one mutation.
pub struct Recorder<'a> {
    base: &'a Base,
    loaders: Arc<Loaders>,
}

impl<'a> Recorder<'a> {
    pub fn new(ctx: &'a Context<'_>) -> Self {
        Self { base: ctx.data_unchecked(), loaders: Loaders::of(ctx) }
    }

    /// The caller's id for the event, or a fresh one.
    pub fn event_id(&self, given: Option<&ID>) -> ApiResult<EventId> {
        let Some(given) = given else { return Ok(EventId::generate()) };
        given.parse().map_err(|_| {
            ApiError::invalid("input.eventId", format!("expected a UUID, got {:?}", given.0))
        })
    }

    /// Whether the log has the event: this is a retry.
    pub async fn is_known(&self, event_id: EventId) -> ApiResult<bool> {
        Ok(self.base.log.find(event_id).await.map_err(ApiError::internal)?.is_some())
    }

    /// Appends `data` under `event_id`. A retry answers where the event stands since the first
    /// time; the same id with other data is a conflict, because the caller would believe that
    /// the new data was recorded.
    pub async fn record(
        &self,
        event_id: EventId,
        incident: &IncidentId,
        expected: ExpectedRevision,
        data: impl Into<EventData>,
    ) -> ApiResult<Recorded> {
        let data = checked(data.into())?;
        let position = match self.base.log.find(event_id).await.map_err(ApiError::internal)? {
            Some(known) if known.event.data == data => known.position,
            Some(_) => return Err(taken(event_id)),
            None => {
                let stream = data.stream();
                let source = Line::new("/api").expect("four characters");
                let mut event = Event::with_id(event_id, source, (self.base.now)(), data);
                event.correlation_id = Line::new(incident.as_str()).ok();
                let appended = self.base.log.append(stream, expected, vec![event]).await;
                let appended = appended.map_err(|error| refused(error, event_id, incident))?;
                appended.first().expect("one event was appended").position
            }
        };
        let projected = self.base.projected_to(position).await;
        self.loaders.forget();
        Ok(Recorded { event_id, position, projected })
    }
}

/// What only several fields together can get wrong is checked where events are read; an event
/// made here passes through the same gate.
fn checked(data: EventData) -> ApiResult<EventData> {
    let json = serde_json::to_value(&data).map_err(ApiError::internal)?;
    EventData::from_json(data.event_type(), json).map_err(|invalid| {
        let field = invalid.pointer.replace("/data", "input").replace('/', ".");
        ApiError::invalid(field, invalid.message)
    })
}

fn taken(event_id: EventId) -> ApiError {
    ApiError::Conflict {
        code: "event_id_taken",
        field: "input.eventId".to_owned(),
        message: format!("event {event_id} was recorded before with other data"),
    }
}

fn refused(error: AppendError, event_id: EventId, incident: &IncidentId) -> ApiError {
    match error {
        AppendError::WrongExpectedRevision { .. } => ApiError::Conflict {
            code: "incident_exists",
            field: "input.incident".to_owned(),
            message: format!("incident {:?} exists already", incident.as_str()),
        },
        AppendError::PartlyKnown { .. } => taken(event_id),
        AppendError::TooLarge { .. } => ApiError::invalid("input", error.to_string()),
        AppendError::Overloaded => ApiError::Overloaded,
        AppendError::Empty | AppendError::RepeatedId { .. } | AppendError::Poisoned(_) => {
            ApiError::internal(error)
        }
    }
}
