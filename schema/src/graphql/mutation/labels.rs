//! Labels and feedback.

use async_graphql::{Context, ID, Object, SimpleObject};
use events::catalogue::label::{FeedbackGiven, LabelAssigned, LabelRetracted};
use events::{DiagnosisId, LabelId};

use super::super::diagnosis::Diagnosis;
use super::super::error::{ApiError, ApiResult};
use super::super::id::key;
use super::super::label::Label;
use super::super::load::Loaders;
use super::super::scalar::Position;
use super::input::{
    self, AssignLabelInput, AssignLabelsInput, GiveFeedbackInput, RetractLabelInput,
};
use super::submit::{command, submit, submit_all};
use crate::commands::{Command, MAX_BULK, Recorded};

/// What a mutation on a label did.
#[derive(SimpleObject)]
pub struct LabelPayload {
    /// Where the event stands in the log. Give it as `waitFor` to a later query that has to see
    /// the change.
    pub position: Position,
    /// The event that was recorded.
    pub event_id: ID,
    /// Whether the graph contained the change when this was answered. Otherwise the change is
    /// recorded all the same and becomes visible as soon as the projection has caught up.
    pub projected: bool,
    /// The label with the change; null when `projected` is false.
    pub label: Option<Label>,
}

/// What a session of labels did.
#[derive(SimpleObject)]
pub struct LabelsPayload {
    /// Whether no entry was refused. When one is, nothing of the session is recorded.
    pub accepted: bool,
    /// The last position at which something was recorded. Give it as `waitFor` to a later query
    /// that has to see the change.
    pub position: Option<Position>,
    /// One entry a label, in the order in which they were given.
    pub results: Vec<LabelResult>,
}

/// What became of one label of a session.
#[derive(SimpleObject)]
pub struct LabelResult {
    /// Where the event stands in the log; null when it was not recorded.
    pub position: Option<Position>,
    /// The event that was recorded; null when none was.
    pub event_id: Option<ID>,
    /// Whether the graph contained the label when this was answered.
    pub projected: bool,
    /// The label; null when `projected` is false.
    pub label: Option<Label>,
    /// Why it was not recorded; null when it was, and when only others were refused.
    pub error: Option<LabelError>,
}

/// Why a label of a session was not recorded.
#[derive(SimpleObject)]
pub struct LabelError {
    /// The stable code, as in `extensions.code` of an error.
    pub code: String,
    /// The argument at fault within the entry, such as `claim.rootCause`.
    pub field: Option<String>,
    /// What is wrong and what would be right.
    pub message: String,
}

/// What a mutation on a diagnosis did.
#[derive(SimpleObject)]
pub struct FeedbackPayload {
    /// Where the event stands in the log. Give it as `waitFor` to a later query that has to see
    /// the change.
    pub position: Position,
    /// The event that was recorded.
    pub event_id: ID,
    /// Whether the graph contained the change when this was answered.
    pub projected: bool,
    /// The diagnosis with the feedback; null when `projected` is false.
    pub diagnosis: Option<Diagnosis>,
}

/// The mutations on labels.
#[derive(Default)]
pub struct Labels;

#[Object]
impl Labels {
    /// Says what an incident was: its root cause, its kind of fault, a duplicate, …
    /// Labels are what the base learns from.
    async fn assign_label(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is said, of which incident, and by whom.")] input: AssignLabelInput,
    ) -> ApiResult<LabelPayload> {
        let (label, command) = assignment(input)?;
        let recorded = submit(ctx, command).await?;
        label_payload(ctx, recorded, label).await
    }

    /// Says what many incidents were: a session of labelling. Either all entries are recorded or,
    /// when one is refused, none; each entry has its own result.
    #[graphql(complexity = "input.labels.len() + child_complexity")]
    async fn assign_labels(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The labels.")] input: AssignLabelsInput,
    ) -> ApiResult<LabelsPayload> {
        let count = input.labels.len();
        if !(1..=MAX_BULK).contains(&count) {
            let message = format!("expected 1 to {MAX_BULK} labels, got {count}");
            return Err(ApiError::invalid("input.labels", message));
        }
        let mut entries = Vec::with_capacity(count);
        let mut refused = Vec::new();
        for (index, entry) in input.labels.into_iter().enumerate() {
            match assignment(entry) {
                Ok(entry) => entries.push(entry),
                Err(error) => refused.push((index, error)),
            }
        }
        if !refused.is_empty() {
            return Ok(nothing_recorded(count, refused));
        }
        let (labels, commands): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        match submit_all(ctx, commands).await? {
            Err(refused) => Ok(nothing_recorded(count, refused)),
            Ok(done) => session_payload(ctx, labels, done).await,
        }
    }

    /// Takes a label back. It stays visible as retracted, and the base no longer learns from it.
    async fn retract_label(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which label, and who takes it back.")] input: RetractLabelInput,
    ) -> ApiResult<LabelPayload> {
        let event_id = input::event_id(input.event_id.as_ref())?;
        let label: LabelId = key("label", "input.label", &input.label)?;
        let known = Loaders::of(ctx).label(&label).await?;
        let known = known.ok_or_else(|| ApiError::not_found("input.label", "label", &label))?;
        let data = LabelRetracted {
            label: label.clone(),
            incident: known.0.incident.clone(),
            by: input::line("input.by", input.by)?,
            reason: input::optional_line("input.reason", input.reason)?,
        };
        let recorded = submit(ctx, command(event_id, data)?).await?;
        label_payload(ctx, recorded, label).await
    }

    /// Says which suspect of a diagnosis was right, or that none was.
    async fn give_feedback(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which diagnosis, which rank, and who says it.")] input: GiveFeedbackInput,
    ) -> ApiResult<FeedbackPayload> {
        let event_id = input::event_id(input.event_id.as_ref())?;
        let diagnosis: DiagnosisId = key("diagnosis", "input.diagnosis", &input.diagnosis)?;
        let unknown = || ApiError::not_found("input.diagnosis", "diagnosis", &diagnosis);
        let known = Loaders::of(ctx).diagnosis(&diagnosis).await?.ok_or_else(unknown)?;
        let rank =
            input.right_rank.map(u32::try_from).transpose().map_err(|_| {
                ApiError::invalid("input.rightRank", "expected a rank from 1, or none")
            })?;
        let data = FeedbackGiven {
            incident: known.0.incident.clone().ok_or_else(unknown)?,
            diagnosis: diagnosis.clone(),
            right_rank: rank,
            by: input::line("input.by", input.by)?,
            confidence: input::ratio("input.confidence", input.confidence)?,
            comment: input::optional_text("input.comment", input.comment)?,
        };
        let recorded = submit(ctx, command(event_id, data)?).await?;
        let diagnosis = match recorded.projected {
            true => Loaders::of(ctx).diagnosis(&diagnosis).await?,
            false => None,
        };
        Ok(FeedbackPayload {
            position: Position(recorded.position),
            event_id: recorded.event_id.into(),
            projected: recorded.projected,
            diagnosis,
        })
    }
}

/// The label that an input makes, and the command that assigns it.
fn assignment(input: AssignLabelInput) -> ApiResult<(LabelId, Command)> {
    let event_id = input::event_id(input.event_id.as_ref())?;
    let label = LabelId::new(format!("label-{event_id}")).expect("a UUID makes a short id");
    let data = LabelAssigned {
        label: label.clone(),
        incident: key("incident", "input.incident", &input.incident)?,
        claim: input.claim.read()?,
        by: input::line("input.by", input.by)?,
        confidence: input::ratio("input.confidence", input.confidence)?,
        fault: input::optional_key("fault", "input.fault", input.fault.as_ref())?,
        comment: input::optional_text("input.comment", input.comment)?,
    };
    Ok((label, command(event_id, data)?))
}

async fn label_payload(
    ctx: &Context<'_>,
    recorded: Recorded,
    label: LabelId,
) -> ApiResult<LabelPayload> {
    let label = match recorded.projected {
        true => Loaders::of(ctx).label(&label).await?,
        false => None,
    };
    Ok(LabelPayload {
        position: Position(recorded.position),
        event_id: recorded.event_id.into(),
        projected: recorded.projected,
        label,
    })
}

fn nothing_recorded(count: usize, refused: Vec<(usize, ApiError)>) -> LabelsPayload {
    let mut results: Vec<_> = (0..count).map(|_| not_recorded(None)).collect();
    for (index, error) in refused {
        results[index].error = Some(label_error(&error));
    }
    LabelsPayload { accepted: false, position: None, results }
}

fn not_recorded(error: Option<LabelError>) -> LabelResult {
    LabelResult { position: None, event_id: None, projected: false, label: None, error }
}

fn label_error(error: &ApiError) -> LabelError {
    let field = error.field().map(|field| field.strip_prefix("input.").unwrap_or(field));
    LabelError {
        code: error.code().to_owned(),
        field: field.map(str::to_owned),
        message: error.to_string(),
    }
}

async fn session_payload(
    ctx: &Context<'_>,
    labels: Vec<LabelId>,
    done: Vec<ApiResult<Recorded>>,
) -> ApiResult<LabelsPayload> {
    let position = done.iter().flatten().map(|recorded| recorded.position).max();
    let results = labels.into_iter().zip(done).map(|(label, recorded)| async move {
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(error) => return Ok(not_recorded(Some(label_error(&error)))),
        };
        let payload = label_payload(ctx, recorded, label).await?;
        Ok(LabelResult {
            position: Some(payload.position),
            event_id: Some(payload.event_id),
            projected: payload.projected,
            label: payload.label,
            error: None,
        })
    });
    let results = futures::future::try_join_all(results).await?;
    Ok(LabelsPayload { accepted: true, position: position.map(Position), results })
}
