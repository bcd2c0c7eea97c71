//! The steps of an incident.

use async_graphql::{Context, ID, Object, SimpleObject};
use events::catalogue::incident::{
    IncidentAcknowledged, IncidentMerged, IncidentMitigated, IncidentOpened, IncidentReopened,
    IncidentResolved, MitigationApplied, PostmortemPublished,
};
use events::{EventData, EventId, IncidentId};

use super::super::error::ApiResult;
use super::super::id::key;
use super::super::incident::Incident;
use super::super::load::Loaders;
use super::super::scalar::Position;
use super::input::{
    self, AcknowledgeIncidentInput, ApplyMitigationInput, MergeIncidentInput,
    MitigateIncidentInput, OpenIncidentInput, PublishPostmortemInput, ReopenIncidentInput,
    ResolveIncidentInput,
};
use super::submit::{command, submit};

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

/// The mutations on incidents.
#[derive(Default)]
pub struct Incidents;

#[Object]
impl Incidents {
    /// Opens an incident by hand, for what no detector saw.
    async fn open_incident(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is wrong, where, and who noticed.")] input: OpenIncidentInput,
    ) -> ApiResult<IncidentPayload> {
        let event_id = input::event_id(input.event_id.as_ref())?;
        let incident = match &input.incident {
            Some(id) => key("incident", "input.incident", id)?,
            None => IncidentId::new(format!("inc-{event_id}")).expect("a UUID makes a short id"),
        };
        let data = IncidentOpened {
            incident: incident.clone(),
            title: input::line("input.title", input.title)?,
            component: key("component", "input.component", &input.component)?,
            severity: input.severity.into(),
            opened_by: input::line("input.by", input.by)?,
            evidence: input::event_ids("input.evidence", &input.evidence)?,
        };
        carry_out(ctx, event_id, incident, data).await
    }

    /// Says that someone takes care of an incident.
    async fn acknowledge_incident(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, and who takes it.")] input: AcknowledgeIncidentInput,
    ) -> ApiResult<IncidentPayload> {
        let event_id = input::event_id(input.event_id.as_ref())?;
        let incident = named(&input.incident)?;
        let by = input::line("input.by", input.by)?;
        let data = IncidentAcknowledged { incident: incident.clone(), by };
        carry_out(ctx, event_id, incident, data).await
    }

    /// Says what was done against an incident, at any time: it may be over.
    async fn apply_mitigation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, what was done, and by whom.")]
        input: ApplyMitigationInput,
    ) -> ApiResult<IncidentPayload> {
        let event_id = input::event_id(input.event_id.as_ref())?;
        let incident = named(&input.incident)?;
        let component = input.component.as_ref();
        let data = MitigationApplied {
            incident: incident.clone(),
            action: input::line("input.action", input.action)?,
            component: input::optional_key("component", "input.component", component)?,
            runbook: input::optional_key("runbook", "input.runbook", input.runbook.as_ref())?,
            by: input::line("input.by", input.by)?,
        };
        carry_out(ctx, event_id, incident, data).await
    }

    /// Says that users no longer notice an incident.
    async fn mitigate_incident(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, and who saw it.")] input: MitigateIncidentInput,
    ) -> ApiResult<IncidentPayload> {
        let event_id = input::event_id(input.event_id.as_ref())?;
        let incident = named(&input.incident)?;
        let by = input::line("input.by", input.by)?;
        let data = IncidentMitigated { incident: incident.clone(), by };
        carry_out(ctx, event_id, incident, data).await
    }

    /// Says that an incident is over.
    async fn resolve_incident(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, who ends it, and how it ended.")]
        input: ResolveIncidentInput,
    ) -> ApiResult<IncidentPayload> {
        let event_id = input::event_id(input.event_id.as_ref())?;
        let incident = named(&input.incident)?;
        let data = IncidentResolved {
            incident: incident.clone(),
            by: input::line("input.by", input.by)?,
            resolution: input::optional_text("input.resolution", input.resolution)?,
        };
        carry_out(ctx, event_id, incident, data).await
    }

    /// Says that a resolved incident was not over. One that was merged away is not reopened: it
    /// goes on as the other.
    async fn reopen_incident(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident, who reopens it, and why.")] input: ReopenIncidentInput,
    ) -> ApiResult<IncidentPayload> {
        let event_id = input::event_id(input.event_id.as_ref())?;
        let incident = named(&input.incident)?;
        let data = IncidentReopened {
            incident: incident.clone(),
            by: input::line("input.by", input.by)?,
            reason: input::line("input.reason", input.reason)?,
        };
        carry_out(ctx, event_id, incident, data).await
    }

    /// Says that an incident is part of another, as which it goes on. Neither may have been
    /// merged away before.
    async fn merge_incident(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which incident ends, which goes on, and who says it.")]
        input: MergeIncidentInput,
    ) -> ApiResult<IncidentPayload> {
        let event_id = input::event_id(input.event_id.as_ref())?;
        let incident = named(&input.incident)?;
        let data = IncidentMerged {
            incident: incident.clone(),
            into: key("incident", "input.into", &input.into)?,
            by: input::line("input.by", input.by)?,
        };
        carry_out(ctx, event_id, incident, data).await
    }

    /// Publishes what was learned from an incident; a later one takes the place of an earlier.
    async fn publish_postmortem(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of which incident, and the text.")] input: PublishPostmortemInput,
    ) -> ApiResult<IncidentPayload> {
        let event_id = input::event_id(input.event_id.as_ref())?;
        let incident = named(&input.incident)?;
        let data = PostmortemPublished {
            incident: incident.clone(),
            title: input::line("input.title", input.title)?,
            text: input::text("input.text", input.text)?,
            author: input::line("input.author", input.author)?,
        };
        carry_out(ctx, event_id, incident, data).await
    }
}

fn named(id: &ID) -> ApiResult<IncidentId> {
    key("incident", "input.incident", id)
}

async fn carry_out(
    ctx: &Context<'_>,
    event_id: EventId,
    incident: IncidentId,
    data: impl Into<EventData>,
) -> ApiResult<IncidentPayload> {
    let recorded = submit(ctx, command(event_id, data)?).await?;
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
