//! The inputs of the mutations and how they become validated values of the catalogue.

use async_graphql::{Context, ID, InputObject, OneofObject};
use events::catalogue::label::Claim;
use events::value::{Line, Ratio, Text};
use events::{ComponentName, EventId, FaultId, FaultKind, IncidentId};

use super::super::error::{ApiError, ApiResult};
use super::super::id::key;
use super::super::load::Loaders;
use super::super::vocabulary::Severity;

/// What is said of an incident; exactly one field.
#[derive(OneofObject)]
pub enum ClaimInput {
    /// This component caused it.
    RootCause(ID),
    /// It was a fault of this kind, such as `latency`.
    FaultKind(String),
    /// This component made it worse.
    ContributingFactor(ID),
    /// Nothing was wrong; only `true` says so.
    FalsePositive(bool),
    /// It is the same as this other incident.
    DuplicateOf(ID),
    /// This is how bad it was.
    Severity(Severity),
}

impl ClaimInput {
    /// The catalogue's claim, about things that the graph knows.
    pub async fn read(self, ctx: &Context<'_>) -> ApiResult<Claim> {
        Ok(match self {
            Self::RootCause(id) => Claim::RootCause {
                component: known_component(ctx, "input.claim.rootCause", &id).await?,
            },
            Self::ContributingFactor(id) => Claim::ContributingFactor {
                component: known_component(ctx, "input.claim.contributingFactor", &id).await?,
            },
            Self::FaultKind(kind) => Claim::FaultKind {
                fault_kind: FaultKind::new(kind).map_err(|error| {
                    ApiError::invalid("input.claim.faultKind", error.to_string())
                })?,
            },
            Self::FalsePositive(true) => Claim::FalsePositive {},
            Self::FalsePositive(false) => {
                return Err(ApiError::invalid(
                    "input.claim.falsePositive",
                    "expected true; to take a label back, retract it",
                ));
            }
            Self::DuplicateOf(id) => {
                let field = "input.claim.duplicateOf";
                let of: IncidentId = key("incident", field, &id)?;
                if Loaders::of(ctx).incident(&of).await?.is_none() {
                    return Err(ApiError::not_found(field, "incident", &of));
                }
                Claim::Duplicate { of }
            }
            Self::Severity(severity) => Claim::Severity { severity: severity.into() },
        })
    }
}

/// A label to assign.
#[derive(InputObject)]
pub struct AssignLabelInput {
    /// The incident that it is about.
    pub incident: ID,
    /// What is said.
    pub claim: ClaimInput,
    /// Who says it, 1 to 500 characters.
    pub by: String,
    /// How sure they are, 0 to 1.
    #[graphql(default = 1.0)]
    pub confidence: f64,
    /// The injected fault that it is known from, when an experiment says it.
    pub fault: Option<ID>,
    /// Why, up to 100,000 characters.
    pub comment: Option<String>,
    /// A UUID of the caller's own, so that a repeated request records nothing twice.
    pub event_id: Option<ID>,
}

/// A label to take back.
#[derive(InputObject)]
pub struct RetractLabelInput {
    /// The label.
    pub label: ID,
    /// Who takes it back, 1 to 500 characters.
    pub by: String,
    /// Why, 1 to 500 characters.
    pub reason: Option<String>,
    /// A UUID of the caller's own, so that a repeated request records nothing twice.
    pub event_id: Option<ID>,
}

/// An incident to open.
#[derive(InputObject)]
pub struct OpenIncidentInput {
    /// Its key, 1 to 128 characters; made from the event's id when absent.
    pub incident: Option<ID>,
    /// What is wrong, in a line.
    pub title: String,
    /// Where it was noticed; not a diagnosis.
    pub component: ID,
    /// How bad.
    pub severity: Severity,
    /// Who noticed, 1 to 500 characters.
    pub by: String,
    /// The ids of the events that show it, at most 1,000.
    #[graphql(default)]
    pub evidence: Vec<ID>,
    /// A UUID of the caller's own, so that a repeated request records nothing twice.
    pub event_id: Option<ID>,
}

/// An incident to take care of.
#[derive(InputObject)]
pub struct AcknowledgeIncidentInput {
    /// The incident.
    pub incident: ID,
    /// Who takes it, 1 to 500 characters.
    pub by: String,
    /// A UUID of the caller's own, so that a repeated request records nothing twice.
    pub event_id: Option<ID>,
}

/// An incident to end.
#[derive(InputObject)]
pub struct ResolveIncidentInput {
    /// The incident.
    pub incident: ID,
    /// Who ends it, 1 to 500 characters.
    pub by: String,
    /// How it ended, up to 100,000 characters.
    pub resolution: Option<String>,
    /// A UUID of the caller's own, so that a repeated request records nothing twice.
    pub event_id: Option<ID>,
}

/// Most events that one input cites.
const MAX_EVIDENCE: usize = 1_000;

pub fn line(field: &str, text: String) -> ApiResult<Line> {
    Line::new(text).map_err(|error| ApiError::invalid(field, error.to_string()))
}

pub fn optional_line(field: &str, text: Option<String>) -> ApiResult<Option<Line>> {
    text.map(|text| line(field, text)).transpose()
}

pub fn optional_text(field: &str, text: Option<String>) -> ApiResult<Option<Text>> {
    text.map(|text| Text::new(text).map_err(|error| ApiError::invalid(field, error.to_string())))
        .transpose()
}

pub fn ratio(field: &str, number: f64) -> ApiResult<Ratio> {
    Ratio::new(number).map_err(|error| ApiError::invalid(field, error.to_string()))
}

pub fn event_ids(field: &str, ids: &[ID]) -> ApiResult<Vec<EventId>> {
    if ids.len() > MAX_EVIDENCE {
        let message = format!("expected at most {MAX_EVIDENCE} event ids, got {}", ids.len());
        return Err(ApiError::invalid(field, message));
    }
    let read = |(index, id): (usize, &ID)| {
        id.parse().map_err(|_| {
            ApiError::invalid(
                format!("{field}.{index}"),
                format!("expected a UUID, got {:?}", id.0),
            )
        })
    };
    ids.iter().enumerate().map(read).collect()
}

pub async fn known_component(ctx: &Context<'_>, field: &str, id: &ID) -> ApiResult<ComponentName> {
    let name: ComponentName = key("component", field, id)?;
    match Loaders::of(ctx).component(&name).await? {
        Some(_) => Ok(name),
        None => Err(ApiError::not_found(field, "component", &name)),
    }
}

pub async fn known_fault(ctx: &Context<'_>, id: Option<&ID>) -> ApiResult<Option<FaultId>> {
    let field = "input.fault";
    let Some(id) = id else { return Ok(None) };
    let fault: FaultId = key("fault", field, id)?;
    match Loaders::of(ctx).fault(&fault).await? {
        Some(_) => Ok(Some(fault)),
        None => Err(ApiError::not_found(field, "fault", &fault)),
    }
}
