//! What callers may change: they append events, and nothing else changes the graph.

mod input;
mod record;

use async_graphql::{Context, ID, Object, SimpleObject};
use events::catalogue::incident::{IncidentAcknowledged, IncidentOpened, IncidentResolved};
use events::catalogue::label::{LabelAssigned, LabelRetracted};
use events::log::ExpectedRevision;
use events::{EventId, IncidentId, LabelId};

use super::error::{ApiError, ApiResult};
use super::incident::Incident;
use super::label::Label;
use super::load::Loaders;
use super::scalar::Position;
use input::{
    AcknowledgeIncidentInput, AssignLabelInput, OpenIncidentInput, ResolveIncidentInput,
    RetractLabelInput,
};
use record::{Recorded, Recorder};

/// What a mutation on an incident did.
#[derive(SimpleObject)]
pub struct IncidentPayload {
    /// Where the event stands in the log. Give it as `waitFor` to a later query that has to see
    /// the change.
    pub position: Position,
    /// The event that was recorded.
    pub event_id: ID,
    /// Whether the graph contained the change when this was answered. Otherwise the change is
    /// recorded all the same and becomes visible as soon as the projection has caught up.
    pub projected: bool,
    /// The incident with the change; null when `projected` is false.
    pub incident: Option<Incident>,
}

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

pub struct Mutation;

/// Changes. Each appends one event to the log and answers its position; the same `eventId` again
/// records nothing twice and gives the same answer.
#[Object]
impl Mutation {
    /// Says what an incident was: its root cause, its kind of fault, a duplicate, …
    /// Labels are what the base learns from.
    async fn assign_label(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is said, of which incident, and by whom.")] input: AssignLabelInput,
    ) -> ApiResult<LabelPayload> {
        let recorder = Recorder::new(ctx);
        let event_id = recorder.event_id(input.event_id.as_ref())?;
        let incident = known_incident(ctx, &input.incident).await?;
        let label = LabelId::new(format!("label-{event_id}")).expect("a UUID makes a short id");
        let data = LabelAssigned {
            label: label.clone(),
            incident: incident.clone(),
            claim: input.claim.read(ctx).await?,
            by: input::line("input.by", input.by)?,
            confidence: input::ratio("input.confidence", input.confidence)?,
            fault: input::known_fault(ctx, input.fault.as_ref()).await?,
            comment: input::optional_text("input.comment", input.comment)?,
        };
        let recorded = recorder.record(event_id, &incident, ExpectedRevision::Any, data).await?;
        label_payload(ctx, recorded, label).await
    }

    /// Takes a label back. It stays visible as retracted, and the base no longer learns from it.
    async fn retract_label(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which label, and who takes it back.")] input: RetractLabelInput,
    ) -> ApiResult<LabelPayload> {
        let recorder = Recorder::new(ctx);
        let event_id = recorder.event_id(input.event_id.as_ref())?;
        let label: LabelId = super::id::key("label", "input.label", &input.label)?;
        let known = Loaders::of(ctx).label(&label).await?;
        let known = known.ok_or_else(|| ApiError::not_found("input.label", "label", &label))?;
        if known.0.retracted_at.is_some() && !recorder.is_known(event_id).await? {
            return Err(ApiError::Conflict {
                code: "label_retracted",
                field: "input.label".to_owned(),
                message: format!("label {:?} is retracted already", label.as_str()),
            });
        }
        let incident = known.0.incident.clone();
        let data = LabelRetracted {
            label: label.clone(),
            incident: incident.clone(),
            by: input::line("input.by", input.by)?,
            reason: input::optional_line("input.reason", input.reason)?,
        };
        let recorded = recorder.record(event_id, &incident, ExpectedRevision::Any, data).await?;
        label_payload(ctx, recorded, label).await
    }

    /// Opens an incident by hand, for what no detector saw.
    async fn open_incident(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is wrong, where, and who noticed.")] input: OpenIncidentInput,
    ) -> ApiResult<IncidentPayload> {
        let recorder = Recorder::new(ctx);
        let event_id = recorder.event_id(input.event_id.as_ref())?;
        let incident = match &input.incident {
            Some(id) => super::id::key("incident", "input.incident", id)?,
            None => IncidentId::new(format!("inc-{event_id}")).expect("a UUID makes a short id"),
        };
        let data = IncidentOpened {
            incident: incident.clone(),
            title: input::line("input.title", input.title)?,
            component: input::known_component(ctx, "input.component", &input.component).await?,
            severity: input.severity.into(),
            opened_by: input::line("input.by", input.by)?,
            evidence: input::event_ids("input.evidence", &input.evidence)?,
        };
        let recorded =
            recorder.record(event_id, &incident, ExpectedRevision::NoStream, data).await?;
        incident_payload(ctx, recorded, incident).await
    }

    /// Says that someone takes care of an incident.
    async fn acknowledge_incident(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, and who takes it.")] input: AcknowledgeIncidentInput,
    ) -> ApiResult<IncidentPayload> {
        let recorder = Recorder::new(ctx);
        let event_id = recorder.event_id(input.event_id.as_ref())?;
        let incident = unfinished_incident(ctx, &recorder, event_id, &input.incident).await?;
        let data = IncidentAcknowledged {
            incident: incident.clone(),
            by: input::line("input.by", input.by)?,
        };
        let recorded = recorder.record(event_id, &incident, ExpectedRevision::Any, data).await?;
        incident_payload(ctx, recorded, incident).await
    }

    /// Says that an incident is over.
    async fn resolve_incident(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, who ends it, and how it ended.")]
        input: ResolveIncidentInput,
    ) -> ApiResult<IncidentPayload> {
        let recorder = Recorder::new(ctx);
        let event_id = recorder.event_id(input.event_id.as_ref())?;
        let incident = unfinished_incident(ctx, &recorder, event_id, &input.incident).await?;
        let data = IncidentResolved {
            incident: incident.clone(),
            by: input::line("input.by", input.by)?,
            resolution: input::optional_text("input.resolution", input.resolution)?,
        };
        let recorded = recorder.record(event_id, &incident, ExpectedRevision::Any, data).await?;
        incident_payload(ctx, recorded, incident).await
    }
}

async fn known_incident(ctx: &Context<'_>, id: &ID) -> ApiResult<IncidentId> {
    let field = "input.incident";
    let incident: IncidentId = super::id::key("incident", field, id)?;
    match Loaders::of(ctx).incident(&incident).await? {
        Some(_) => Ok(incident),
        None => Err(ApiError::not_found(field, "incident", &incident)),
    }
}

/// The incident, unless it is over; a retry of the event that ended it passes.
async fn unfinished_incident(
    ctx: &Context<'_>,
    recorder: &Recorder<'_>,
    event_id: EventId,
    id: &ID,
) -> ApiResult<IncidentId> {
    let field = "input.incident";
    let incident: IncidentId = super::id::key("incident", field, id)?;
    let known = Loaders::of(ctx).incident(&incident).await?;
    let known = known.ok_or_else(|| ApiError::not_found(field, "incident", &incident))?;
    if known.is_over() && !recorder.is_known(event_id).await? {
        return Err(ApiError::Conflict {
            code: "incident_over",
            field: field.to_owned(),
            message: format!("incident {:?} is over already", incident.as_str()),
        });
    }
    Ok(incident)
}

async fn incident_payload(
    ctx: &Context<'_>,
    recorded: Recorded,
    incident: IncidentId,
) -> ApiResult<IncidentPayload> {
    let incident = match recorded.projected {
        true => Loaders::of(ctx).incident(&incident).await?,
        false => None,
    };
    Ok(IncidentPayload {
        position: Position(recorded.position),
        event_id: recorded.event_id.into(),
        projected: recorded.projected,
        incident,
    })
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
