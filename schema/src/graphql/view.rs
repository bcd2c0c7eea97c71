//! The moment that an answer speaks of: now, or as of an earlier position of the log (QU-2).
//!
//! Every root field of a query [`enter`]s a view and everything below it finds that view again
//! ([`Loaders::of`]), so two fields of one request may speak of different moments. A root field
//! that enters none, such as a mutation, speaks of now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_graphql::{Context, OneofObject, QueryPathSegment};
use events::Timestamp;
use events::log::{AppendError, EventLog, ReadError};

use super::Base;
use super::error::{ApiError, ApiResult};
use super::load::Loaders;
use super::scalar::{DateTime, Position};
use crate::Graph;

/// The moment that an answer speaks of. Give exactly one. What was asked as of a moment is
/// answered the same for good.
#[derive(OneofObject, Clone, Copy, Debug, PartialEq)]
pub enum AsOf {
    /// What the events up to this position of the log say; 0 is before the first.
    Position(Position),
    /// What the events say that were recorded up to this moment, which has to be over.
    Time(DateTime),
}

/// What the answer of one root field is read from.
pub struct View {
    base: Base,
    /// Taken when the first thing is read: by then the graph contains what the field waits for.
    graph: OnceLock<Arc<Graph>>,
    position: Option<u64>,
}

impl View {
    fn new(base: &Base, position: Option<u64>) -> Self {
        Self { base: base.clone(), graph: OnceLock::new(), position }
    }

    /// What answers are made of.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The graph, the same from the first read to the last.
    pub fn graph(&self) -> &Arc<Graph> {
        self.graph.get_or_init(|| self.base.graph())
    }

    /// The position that is asked for; none for now.
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// The position up to which the answer knows the log.
    pub fn reaches(&self) -> u64 {
        self.position.unwrap_or_else(|| self.base.projected())
    }

    /// Whether the answer may speak of the event at `position` of the log. The log is ahead of
    /// the graph, and events are shown as soon as they are recorded.
    pub fn shows(&self, position: u64) -> bool {
        self.position.is_none_or(|until| position <= until)
    }

    /// Waits until the graph's index is loaded, at most for [`Limits::wait`](super::Limits::wait).
    pub async fn indexed(&self) -> ApiResult<()> {
        let loaded = self.graph().index().loaded();
        let in_time = tokio::time::timeout(self.base.limits.wait, loaded).await;
        in_time.map_err(|_| ApiError::IndexNotLoaded)
    }

    /// Notes that a statement is put to the graph.
    pub fn count_statement(&self) {
        self.base.count_statement();
    }
}

/// The views of one request.
pub struct Views {
    now: Arc<Loaders>,
    /// By the response key of the root field. Fields of the same moment share one.
    entered: Mutex<HashMap<String, Arc<Loaders>>>,
}

impl Views {
    /// Those of a request that has entered none yet.
    pub fn new(base: &Base) -> Self {
        let now = Arc::new(Loaders::new(Arc::new(View::new(base, None))));
        Self { now, entered: Mutex::default() }
    }

    /// The loaders of what speaks of now.
    pub fn now(&self) -> &Loaders {
        &self.now
    }

    /// The loaders of the root field that `ctx` stands below.
    pub fn of(&self, ctx: &Context<'_>) -> Arc<Loaders> {
        let entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        let found = root(ctx).and_then(|field| entered.get(field));
        found.unwrap_or(&self.now).clone()
    }

    fn enter(&self, ctx: &Context<'_>, position: u64) -> Arc<Loaders> {
        let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = entered.values().find(|it| it.view().position() == Some(position)).cloned();
        let loaders = shared.unwrap_or_else(|| {
            Arc::new(Loaders::new(Arc::new(View::new(self.now.view().base(), Some(position)))))
        });
        if let Some(field) = root(ctx) {
            entered.insert(field.to_owned(), loaders.clone());
        }
        loaders
    }
}

/// The response key of the root field that `ctx` stands below.
fn root<'a>(ctx: &Context<'a>) -> Option<&'a str> {
    let mut node = ctx.path_node.as_ref()?;
    while let Some(parent) = node.parent {
        node = parent;
    }
    match node.segment {
        QueryPathSegment::Name(name) => Some(name),
        QueryPathSegment::Index(_) => None,
    }
}

/// Begins the answer of a root field: waits until the graph contains `wait_for` and the moment
/// that is asked for.
pub async fn enter(
    ctx: &Context<'_>,
    as_of: Option<AsOf>,
    wait_for: Option<Position>,
) -> ApiResult<Arc<View>> {
    let base: &Base = ctx.data_unchecked();
    let views: &Views = ctx.data_unchecked();
    if let Some(Position(wanted)) = wait_for {
        reached(base, "waitFor", wanted).await?;
    }
    let Some(as_of) = as_of else { return Ok(views.now.view().clone()) };
    let position = resolve(base, as_of).await?;
    reached(base, "asOf", position).await?;
    Ok(views.enter(ctx, position).view().clone())
}

async fn reached(base: &Base, field: &'static str, wanted: u64) -> ApiResult<()> {
    if base.projected_to(wanted).await {
        return Ok(());
    }
    Err(ApiError::NotProjectedYet { field, wanted, at: base.projected() })
}

/// A position that the log does not have yet and a moment that is not over are refused: the
/// answer would change.
async fn resolve(base: &Base, as_of: AsOf) -> ApiResult<u64> {
    match as_of {
        AsOf::Position(Position(position)) => {
            let head = base.log.head();
            if position > head {
                let message = format!("expected a position up to {head}, the last, got {position}");
                return Err(ApiError::invalid("asOf", message));
            }
            Ok(position)
        }
        AsOf::Time(DateTime(at)) => {
            let now = (base.now)();
            if at >= now {
                let message = format!("expected a time before {now}, which is now, got {at}");
                return Err(ApiError::invalid("asOf", message));
            }
            settled_by(&*base.log, at).await?;
            last_by(&*base.log, at).await.map_err(ApiError::internal)
        }
    }
}

/// Waits until nothing more can come that was recorded at `at` or before: a group is stamped
/// before it is synced, and seen after it.
async fn settled_by(log: &dyn EventLog, at: Timestamp) -> ApiResult<()> {
    let last = log.read_all(log.head().saturating_sub(1), 1).await.map_err(ApiError::internal)?;
    if last.first().is_some_and(|last| last.recorded_at > at) {
        return Ok(());
    }
    match log.settled().await {
        Ok(_) => Ok(()),
        Err(AppendError::Overloaded) => Err(ApiError::Overloaded),
        Err(error) => Err(ApiError::internal(error)),
    }
}

/// The last position that was recorded at `at` or before. Positions rise with the time at which
/// they were recorded, so half of what is left is decided by each read.
async fn last_by(log: &dyn EventLog, at: Timestamp) -> Result<u64, ReadError> {
    let (mut by, mut behind) = (0, log.head());
    while by < behind {
        let middle = by + (behind - by) / 2;
        match log.read_all(middle, 1).await?.first() {
            Some(next) if next.recorded_at <= at => by = next.position,
            _ => behind = middle,
        }
    }
    Ok(by)
}
