//! From an input to the command that it is, and from a refusal to the field at fault.

use async_graphql::Context;
use events::catalogue::label::Claim;
use events::{EventData, EventId};

use super::super::Base;
use super::super::error::{ApiError, ApiResult};
use super::super::load::Loaders;
use crate::commands::{BulkError, Command, CommandError, Recorded, Refusal};

/// The command, unless its fields contradict each other: an event made here passes through the
/// same gate as one that comes from outside.
pub fn command(event_id: EventId, data: impl Into<EventData>) -> ApiResult<Command> {
    let data = data.into();
    let json = serde_json::to_value(&data).map_err(ApiError::internal)?;
    match EventData::from_json(data.event_type(), json) {
        Ok(data) => Ok(Command { event_id, data }),
        Err(invalid) => {
            let pointer = invalid.pointer.strip_prefix("/data").unwrap_or(&invalid.pointer);
            Err(ApiError::invalid(field(pointer, &data), invalid.message))
        }
    }
}

/// Carries the command out. What the request has read before may no longer hold and is forgotten.
pub async fn submit(ctx: &Context<'_>, command: Command) -> ApiResult<Recorded> {
    let base = ctx.data_unchecked::<Base>();
    let data = command.data.clone();
    let recorded = base.commands().record(command).await;
    Loaders::of(ctx).forget();
    recorded.map_err(|error| failed(error, &data))
}

/// As [`submit`], for several: the refusals by place when some are refused and none is recorded.
pub async fn submit_all(
    ctx: &Context<'_>,
    commands: Vec<Command>,
) -> ApiResult<Result<Vec<ApiResult<Recorded>>, Vec<(usize, ApiError)>>> {
    let base = ctx.data_unchecked::<Base>();
    let data: Vec<_> = commands.iter().map(|command| command.data.clone()).collect();
    let done = base.commands().record_all(commands).await;
    Loaders::of(ctx).forget();
    match done {
        Ok(done) => {
            let results = done.into_iter().zip(&data);
            Ok(Ok(results.map(|(one, data)| one.map_err(|error| failed(error, data))).collect()))
        }
        Err(BulkError::Refused(refused)) => Ok(Err(refused
            .into_iter()
            .map(|(index, refusal)| (index, failed(refusal.into(), &data[index])))
            .collect())),
        Err(BulkError::Failed(error)) => Err(match error {
            CommandError::Refused(refusal) => ApiError::invalid("input.labels", refusal.message),
            other => failed(other, &data[0]),
        }),
    }
}

fn failed(error: CommandError, data: &EventData) -> ApiError {
    match error {
        CommandError::Refused(Refusal { code, pointer, message }) => {
            ApiError::Conflict { code, field: field(&pointer, data), message }
        }
        CommandError::NotProjectedYet { wanted, at } => {
            ApiError::NotProjectedYet { field: "input", wanted, at }
        }
        CommandError::Overloaded => ApiError::Overloaded,
        CommandError::DiskFull => ApiError::DiskFull,
        CommandError::Internal(cause) => ApiError::Internal(cause),
    }
}

/// The argument behind a field of the event's data.
fn field(pointer: &str, data: &EventData) -> String {
    let claim = match data {
        EventData::LabelAssigned(data) => Some(&data.claim),
        _ => None,
    };
    let argument = match (pointer, claim, data) {
        ("/claim/component", Some(Claim::RootCause { .. }), _) => "claim.rootCause".to_owned(),
        ("/claim/component", _, _) => "claim.contributingFactor".to_owned(),
        ("/claim/of", _, _) => "claim.duplicateOf".to_owned(),
        // A label has no key of its own in the input: it comes from the event's id.
        ("/label", Some(_), _) => "eventId".to_owned(),
        ("/opened_by", _, _) => "by".to_owned(),
        (pointer, _, _) => camel_case(pointer),
    };
    if argument.is_empty() { "input".to_owned() } else { format!("input.{argument}") }
}

fn camel_case(pointer: &str) -> String {
    let mut out = String::new();
    let mut upper = false;
    for char in pointer.trim_start_matches('/').chars() {
        match char {
            '/' => out.push('.'),
            '_' => upper = true,
            _ if upper => {
                out.extend(char.to_uppercase());
                upper = false;
            }
            _ => out.push(char),
        }
    }
    out
}
