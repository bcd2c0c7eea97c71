//! What people may have recorded of incidents: labels, feedback, and the steps of an incident.
//!
//! A command is the event that somebody wants recorded. It is checked against the graph, once
//! that contains everything that the log had when the command came, and appended; nothing else
//! changes the graph. GraphQL mutations and the REST routes for labels and feedback both come
//! here, so that the same thing is refused with the same code wherever it is said:
//!
//! 1. make the event's data (`EventData::from_json` checks it as on ingestion);
//! 2. [`Commands::record`] for one, [`Commands::record_all`] for a session of labels;
//! 3. a [`Refusal`] has a code, a JSON pointer into the data, and says what would be right.
//!
//! An event id that the log has already, with the same data, is answered as the first time and
//! not checked again: what was true then may have changed since.

mod known;
mod rules;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use events::log::{AppendError, EventLog, ExpectedRevision, ReadError};
use events::value::Line;
use events::{Event, EventData, EventId, IncidentId, Timestamp};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;

use crate::reads::ReadGraphError;
use crate::{LiveGraph, Projected};
use known::Known;

/// Most commands in one call of [`Commands::record_all`].
pub const MAX_BULK: usize = 500;

/// An event that somebody wants recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Its id; the same id again is the same command.
    pub event_id: EventId,
    /// What it says.
    pub data: EventData,
}

/// A command that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The event.
    pub event_id: EventId,
    /// Its position in the log.
    pub position: u64,
    /// Whether the graph contains it already.
    pub projected: bool,
}

/// Why the state of things does not allow a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable: `invalid_input`, `not_found`, or what stands in the way, such as
    /// `incident_over`.
    pub code: &'static str,
    /// JSON pointer into the command's data.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Refusal {
    fn new(code: &'static str, pointer: &str, message: impl Into<String>) -> Self {
        Self { code, pointer: pointer.to_owned(), message: message.into() }
    }

    fn unknown(pointer: &str, kind: &'static str, key: impl std::fmt::Display) -> Self {
        Self::new("not_found", pointer, format!("unknown {kind} {:?}", key.to_string()))
    }
}

/// Why a command was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommandError {
    /// It may not be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The graph did not reach the log in time, so that nothing can be said of the command.
    #[error("position {wanted} is not projected yet: the graph is at {at}")]
    NotProjectedYet {
        /// The end of the log when the command came.
        wanted: u64,
        /// Where the graph is.
        at: u64,
    },
    /// The log takes nothing at the moment.
    #[error("the event log takes no events at the moment")]
    Overloaded,
    /// The log's disk has no room. Nothing was recorded.
    #[error("the disk of the event log is full; nothing was recorded")]
    DiskFull,
    /// The log or the graph failed.
    #[error("the log or the graph failed")]
    Internal(#[source] Arc<dyn StdError + Send + Sync>),
}

impl From<ReadError> for CommandError {
    fn from(error: ReadError) -> Self {
        Self::Internal(Arc::new(error))
    }
}

impl From<ReadGraphError> for CommandError {
    fn from(error: ReadGraphError) -> Self {
        Self::Internal(Arc::new(error))
    }
}

/// Why nothing of several commands was carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BulkError {
    /// Some may not be: by place, each with its refusal.
    #[error("{} commands are refused", .0.len())]
    Refused(Vec<(usize, Refusal)>),
    /// None could be.
    #[error(transparent)]
    Failed(#[from] CommandError),
}

/// The incidents that an event says something of.
pub fn incidents(data: &EventData) -> impl Iterator<Item = &IncidentId> {
    let other = match data {
        EventData::SymptomAttached(data) => Some(&data.incident),
        EventData::DiagnosisProposed(data) => Some(&data.incident),
        EventData::RemediationSuggested(data) => Some(&data.incident),
        EventData::ResponseActionTaken(data) => Some(&data.incident),
        EventData::IncidentMerged(data) => Some(&data.into),
        _ => None,
    };
    rules::incident(data).into_iter().chain(other)
}

/// Takes commands. Cheap to clone; clones take turns with each other.
#[derive(Clone)]
pub struct Commands {
    graph: LiveGraph,
    log: Arc<dyn EventLog>,
    projected: Projected,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    wait: Duration,
    /// Held from the check to the append of what depends on how far an incident is, so that of
    /// two that exclude each other only one passes. Labels and feedback take no turn.
    turn: Arc<Mutex<()>>,
    carried: Carried,
}

/// Takes what belongs to the caller's task along into another: the work of a command is done
/// there.
pub type Carried = fn(BoxFuture<'static, ()>) -> BoxFuture<'static, ()>;

impl Commands {
    /// Takes commands for `log`, checks them against `graph`, which contains the log up to
    /// `projected`, and dates them by `now`. A command waits at most `wait` for the projection.
    pub fn new(
        graph: LiveGraph,
        log: Arc<dyn EventLog>,
        projected: Projected,
        now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
        wait: Duration,
    ) -> Self {
        Self { graph, log, projected, now, wait, turn: Arc::default(), carried: |work| work }
    }

    /// With `carried` about the work of each command.
    pub fn carrying(self, carried: Carried) -> Self {
        Self { carried, ..self }
    }

    /// Carries out one command.
    pub async fn record(&self, command: Command) -> Result<Recorded, CommandError> {
        let done = self.record_all(vec![command]).await;
        match done {
            Ok(mut done) => done.pop().expect("one command has one result"),
            Err(BulkError::Refused(mut refused)) => {
                Err(refused.pop().expect("what was refused is listed").1.into())
            }
            Err(BulkError::Failed(error)) => Err(error),
        }
    }

    /// Carries out all commands, or none when one is refused. Past that each has its own result,
    /// in their order: the log may cease to take events half way, and the same commands again
    /// record what is missing. At most [`MAX_BULK`], with different event ids.
    pub async fn record_all(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Recorded, CommandError>>, BulkError> {
        if commands.len() > MAX_BULK {
            let message = format!("expected at most {MAX_BULK}, got {}", commands.len());
            return Err(CommandError::from(Refusal::new("invalid_input", "", message)).into());
        }
        let deadline = Instant::now() + self.wait;
        let before = self.recorded_before(&commands).await?;
        let done = self.uninterrupted(commands, before, deadline).await?;
        let last = done.iter().flatten().map(|(_, position)| *position).max().unwrap_or_default();
        self.projected_by(last, deadline).await;
        let reached = self.projected.position();
        let recorded =
            |(event_id, position)| Recorded { event_id, position, projected: position <= reached };
        Ok(done.into_iter().map(|one| one.map(recorded)).collect())
    }

    /// Checks and appends in a task of its own, which keeps its turn until the log has answered:
    /// a caller who no longer waits must not let another pass in between.
    async fn uninterrupted(
        &self,
        commands: Vec<Command>,
        before: Vec<Option<u64>>,
        deadline: Instant,
    ) -> Result<Vec<Result<(EventId, u64), CommandError>>, BulkError> {
        let mut fresh = commands.iter().zip(&before).filter(|(_, before)| before.is_none());
        let turn = match fresh.any(|(command, _)| rules::takes_turns(&command.data)) {
            true => Some(self.turn.clone().lock_owned().await),
            false => None,
        };
        let (answer, answered) = oneshot::channel();
        let these = self.clone();
        let work = async move {
            let _turn = turn;
            // Nobody may be waiting.
            let _ = answer.send(these.check_and_append(commands, before, deadline).await);
        };
        tokio::spawn((self.carried)(work.boxed()));
        answered.await.map_err(|error| CommandError::Internal(Arc::new(error)))?
    }

    async fn check_and_append(
        &self,
        commands: Vec<Command>,
        before: Vec<Option<u64>>,
        deadline: Instant,
    ) -> Result<Vec<Result<(EventId, u64), CommandError>>, BulkError> {
        if before.iter().any(Option::is_none) {
            self.check(&commands, &before, deadline).await?;
        }
        let mut done = Vec::with_capacity(commands.len());
        for (command, before) in commands.into_iter().zip(before) {
            done.push(match before {
                Some(position) => Ok((command.event_id, position)),
                None => self.append(command).await,
            });
        }
        Ok(done)
    }

    /// The positions of the commands that the log has already.
    async fn recorded_before(&self, commands: &[Command]) -> Result<Vec<Option<u64>>, BulkError> {
        let mut before = Vec::with_capacity(commands.len());
        let mut taken = Vec::new();
        for (index, command) in commands.iter().enumerate() {
            let repeated = commands[..index].iter().any(|it| it.event_id == command.event_id);
            let known = self.log.find(command.event_id).await.map_err(CommandError::from)?;
            before.push(match known {
                Some(known) if known.event.data == command.data && !repeated => {
                    Some(known.position)
                }
                Some(_) => {
                    taken.push((index, event_id_taken(command.event_id)));
                    None
                }
                None if repeated => {
                    taken.push((index, event_id_taken(command.event_id)));
                    None
                }
                None => None,
            });
        }
        if taken.is_empty() { Ok(before) } else { Err(BulkError::Refused(taken)) }
    }

    /// Refuses what the state of things does not allow. Everything that the log has now is in
    /// the graph before it is asked, so that what was just recorded can be spoken of.
    async fn check(
        &self,
        commands: &[Command],
        before: &[Option<u64>],
        deadline: Instant,
    ) -> Result<(), BulkError> {
        let head = self.log.head();
        if !self.projected_by(head, deadline).await {
            let at = self.projected.position();
            return Err(CommandError::NotProjectedYet { wanted: head, at }.into());
        }
        let graph = self.graph.current();
        let known = Known::of(&graph, commands).await.map_err(CommandError::from)?;
        let mut refused = Vec::new();
        for (index, command) in commands.iter().enumerate() {
            if before[index].is_none()
                && let Err(refusal) = rules::check(&command.data, &known)
            {
                refused.push((index, refusal));
            }
        }
        refused.extend(rules::repeated_labels(commands, before));
        refused.sort_by_key(|(index, _)| *index);
        if refused.is_empty() { Ok(()) } else { Err(BulkError::Refused(refused)) }
    }

    async fn append(&self, command: Command) -> Result<(EventId, u64), CommandError> {
        let Command { event_id, data } = command;
        let expected = match &data {
            EventData::IncidentOpened(_) => ExpectedRevision::NoStream,
            _ => ExpectedRevision::Any,
        };
        let incident = rules::incident(&data).cloned();
        let stream = data.stream();
        let mut event = Event::with_id(event_id, Line::clipped("/api"), (self.now)(), data);
        event.correlation_id = incident.as_ref().and_then(|id| Line::new(id.as_str()).ok());
        let appended = self.log.append(stream, expected, vec![event]).await;
        let appended =
            appended.map_err(|error| not_appended(error, event_id, incident.as_ref()))?;
        Ok((event_id, appended.first().expect("one event was appended").position))
    }

    async fn projected_by(&self, position: u64, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        self.projected.wait_for(position, left).await.is_ok()
    }
}

fn event_id_taken(event_id: EventId) -> Refusal {
    let message = format!("event {event_id} was recorded before with other data");
    Refusal::new("event_id_taken", "/event_id", message)
}

fn not_appended(
    error: AppendError,
    event_id: EventId,
    incident: Option<&IncidentId>,
) -> CommandError {
    match error {
        AppendError::WrongExpectedRevision { .. } => {
            let incident = incident.map(IncidentId::as_str).unwrap_or_default();
            let message = format!("incident {incident:?} exists already");
            Refusal::new("incident_exists", "/incident", message).into()
        }
        AppendError::PartlyKnown { .. } => event_id_taken(event_id).into(),
        AppendError::TooLarge { .. } => Refusal::new("invalid_input", "", error.to_string()).into(),
        AppendError::Overloaded => CommandError::Overloaded,
        AppendError::DiskFull => CommandError::DiskFull,
        AppendError::Empty
        | AppendError::RepeatedId { .. }
        | AppendError::Poisoned(_)
        | AppendError::Unavailable(_)
        | AppendError::Refused(_) => CommandError::Internal(Arc::new(error)),
    }
}
