//! What happens, as it happens.
//!
//! A subscription pulls: the next item is made when the one before was taken. A consumer that is
//! slower than the log therefore costs no memory. It is served from the log, where it was, so it
//! misses no event; of an incident and of the projection it is told how they are by then, without
//! the steps in between.

use std::collections::BTreeSet;

use async_graphql::{Context, SimpleObject, Subscription};
use events::{EventData, IncidentId, RecordedEvent};
use futures::stream::{BoxStream, StreamExt};

use super::Base;
use super::audit::WithoutAudit;
use super::error::{ApiError, ApiResult};
use super::event::Event;
use super::incident::Incident;
use super::scalar::Position;
use super::view::Views;
use crate::commands;

/// Most events that are looked through at once for incidents that changed; the incidents of so
/// many are held until they are taken.
const AT_ONCE: usize = 500;

/// How far the graph is behind the log.
#[derive(SimpleObject, Clone, Copy, PartialEq, Eq)]
pub struct Projection {
    /// Position up to which the graph, and so every answer, contains the log.
    pub position: Position,
    /// Position of the last event in the log.
    pub head: Position,
    /// How many positions the graph is behind.
    pub lag: Position,
}

#[derive(Default)]
pub struct Subscription;

/// What happens, as it happens. A consumer that takes items slowly costs no memory and is not cut
/// off: it is told of every event, later, and of incidents and the projection as they are by then.
/// A stream ends only with the server.
#[Subscription]
impl Subscription {
    /// Every recorded event, in the order of the log.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Behind this position, 0 for all; when absent, what is recorded from \
                          now on. To go on after an interruption, give the position of the last \
                          event that was taken.")]
        after: Option<Position>,
        #[graphql(desc = "Only events of these types, such as io.faultline.incident.opened.v1.")]
        types: Option<Vec<String>>,
        #[graphql(desc = "Only events of this stream, such as incident-inc-42.")] stream: Option<
            String,
        >,
    ) -> Result<BoxStream<'static, ApiResult<Event>>, ApiError> {
        let base = ctx.data_unchecked::<Base>();
        let after = from(base, after)?;
        let types = types.map(known_types).transpose()?;
        let hides_audit = ctx.data_opt::<WithoutAudit>().is_some();
        let wanted = move |recorded: &RecordedEvent| {
            if hides_audit && matches!(recorded.event.data, EventData::AuditRecorded(_)) {
                return false;
            }
            let of_type =
                |types: &BTreeSet<String>| types.contains(recorded.event.data.event_type());
            types.as_ref().is_none_or(of_type)
                && stream.as_ref().is_none_or(|stream| recorded.stream.as_str() == stream)
        };
        let events = base.log.subscribe(after).filter_map(move |read| {
            let event = match read {
                Ok(recorded) => wanted(&recorded).then(|| Ok(Event(recorded))),
                Err(error) => Some(Err(ApiError::internal(error))),
            };
            std::future::ready(event)
        });
        Ok(events.boxed())
    }

    /// An incident whenever it is opened or anything is said of it, once the graph knows.
    async fn incidents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What was recorded behind this position; when absent, from now on.")]
        after: Option<Position>,
    ) -> Result<BoxStream<'static, ApiResult<Incident>>, ApiError> {
        let base = ctx.data_unchecked::<Base>().clone();
        let mut after = from(&base, after)?;
        let mut projected = base.projected.watch();
        Ok(async_stream::stream! {
            loop {
                let reached = projected.wait_for(|at| *at > after).await.map(|at| *at);
                // The projection has ended, and with it what can be told.
                let Ok(reached) = reached else { return };
                match changed_incidents(&base, after, reached).await {
                    Ok((behind, incidents)) => {
                        after = behind;
                        for incident in incidents {
                            // Read one by one when it is its turn, so that it is told as it is.
                            match Views::new(&base).now().incident(&incident).await {
                                Ok(Some(incident)) => yield Ok(incident),
                                Ok(None) => {}
                                Err(error) => {
                                    yield Err(error);
                                    return;
                                }
                            }
                        }
                    }
                    Err(error) => {
                        yield Err(error);
                        return;
                    }
                }
            }
        }
        .boxed())
    }

    /// How far the graph is behind the log: now, and whenever the graph has moved.
    async fn projection(
        &self,
        ctx: &Context<'_>,
    ) -> Result<BoxStream<'static, ApiResult<Projection>>, ApiError> {
        let base = ctx.data_unchecked::<Base>().clone();
        let mut projected = base.projected.watch();
        Ok(async_stream::stream! {
            loop {
                let position = *projected.borrow_and_update();
                // The projection may have passed a head that was read before it.
                let head = base.log.head().max(position);
                let lag = Position(head - position);
                yield Ok(Projection { position: Position(position), head: Position(head), lag });
                if projected.changed().await.is_err() {
                    return;
                }
            }
        }
        .boxed())
    }
}

fn from(base: &Base, after: Option<Position>) -> ApiResult<u64> {
    let head = base.log.head();
    match after {
        None => Ok(head),
        Some(Position(after)) if after > head => {
            let message = format!("expected a position up to {head}, got {after}");
            Err(ApiError::invalid("after", message))
        }
        Some(Position(after)) => Ok(after),
    }
}

fn known_types(types: Vec<String>) -> ApiResult<BTreeSet<String>> {
    match types.iter().find(|name| !EventData::TYPES.contains(&name.as_str())) {
        None => Ok(types.into_iter().collect()),
        Some(unknown) => Err(ApiError::invalid(
            "types",
            format!("expected types of the catalogue, which /v1/schemas lists, got {unknown:?}"),
        )),
    }
}

/// The incidents of the events behind `after` and up to `reached`, and how far that looked.
async fn changed_incidents(
    base: &Base,
    after: u64,
    reached: u64,
) -> ApiResult<(u64, BTreeSet<IncidentId>)> {
    let events = base.log.read_all(after, AT_ONCE).await.map_err(ApiError::internal)?;
    let mut behind = after;
    let mut incidents = BTreeSet::new();
    for recorded in events.iter().take_while(|recorded| recorded.position <= reached) {
        behind = recorded.position;
        incidents.extend(commands::incidents(&recorded.event.data).cloned());
    }
    // Nothing was read that the graph contains: the log is not what the projection saw.
    Ok((if behind == after { reached } else { behind }, incidents))
}
