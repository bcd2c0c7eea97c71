//! The inputs of the mutations and how they become the data of events.

use async_graphql::{ID, InputObject, OneofObject};
use events::catalogue::label::Claim;
use events::id::InvalidId;
use events::value::{Line, Ratio, Text};
use events::{EventId, FaultKind};

use super::super::error::{ApiError, ApiResult};
use super::super::id::key;
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
    /// The catalogue's claim.
    pub fn read(self) -> ApiResult<Claim> {
        Ok(match self {
            Self::RootCause(id) => {
                Claim::RootCause { component: key("component", "input.claim.rootCause", &id)? }
            }
            Self::ContributingFactor(id) => Claim::ContributingFactor {
                component: key("component", "input.claim.contributingFactor", &id)?,
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
                Claim::Duplicate { of: key("incident", "input.claim.duplicateOf", &id)? }
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

/// The labels of a session, for any incidents.
#[derive(InputObject)]
pub struct AssignLabelsInput {
    /// The labels, 1 to 500.
    pub labels: Vec<AssignLabelInput>,
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

/// What someone thinks of a diagnosis.
#[derive(InputObject)]
pub struct GiveFeedbackInput {
    /// The diagnosis.
    pub diagnosis: ID,
    /// The rank of the suspect that was right, from 1; null when none was.
    pub right_rank: Option<i32>,
    /// Who says it, 1 to 500 characters.
    pub by: String,
    /// How sure they are, 0 to 1.
    #[graphql(default = 1.0)]
    pub confidence: f64,
    /// Why, up to 100,000 characters.
    pub comment: Option<String>,
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

/// Something that was done against an incident.
#[derive(InputObject)]
pub struct ApplyMitigationInput {
    /// The incident.
    pub incident: ID,
    /// What was done, 1 to 500 characters: `restarted payments`.
    pub action: String,
    /// Where.
    pub component: Option<ID>,
    /// The runbook that was followed.
    pub runbook: Option<ID>,
    /// Who did it, 1 to 500 characters.
    pub by: String,
    /// A UUID of the caller's own, so that a repeated request records nothing twice.
    pub event_id: Option<ID>,
}

/// An incident that users no longer notice.
#[derive(InputObject)]
pub struct MitigateIncidentInput {
    /// The incident.
    pub incident: ID,
    /// Who saw it, 1 to 500 characters.
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

/// An incident that was not over after all.
#[derive(InputObject)]
pub struct ReopenIncidentInput {
    /// The incident.
    pub incident: ID,
    /// Who reopens it, 1 to 500 characters.
    pub by: String,
    /// Why, 1 to 500 characters.
    pub reason: String,
    /// A UUID of the caller's own, so that a repeated request records nothing twice.
    pub event_id: Option<ID>,
}

/// An incident that is part of another.
#[derive(InputObject)]
pub struct MergeIncidentInput {
    /// The incident that ends.
    pub incident: ID,
    /// The incident that goes on.
    pub into: ID,
    /// Who merges them, 1 to 500 characters.
    pub by: String,
    /// A UUID of the caller's own, so that a repeated request records nothing twice.
    pub event_id: Option<ID>,
}

/// What was learned from an incident.
#[derive(InputObject)]
pub struct PublishPostmortemInput {
    /// The incident.
    pub incident: ID,
    /// Its title, 1 to 500 characters.
    pub title: String,
    /// The text, Markdown, up to 100,000 characters.
    pub text: String,
    /// Who wrote it, 1 to 500 characters.
    pub author: String,
    /// A UUID of the caller's own, so that a repeated request records nothing twice.
    pub event_id: Option<ID>,
}

/// Most events that one input cites.
const MAX_EVIDENCE: usize = 1_000;

/// The caller's id for the event, or a fresh one.
pub fn event_id(given: Option<&ID>) -> ApiResult<EventId> {
    let Some(given) = given else { return Ok(EventId::generate()) };
    given.parse().map_err(|_| {
        ApiError::invalid("input.eventId", format!("expected a UUID, got {:?}", given.0))
    })
}

pub fn line(field: &str, text: String) -> ApiResult<Line> {
    Line::new(text).map_err(|error| ApiError::invalid(field, error.to_string()))
}

pub fn optional_line(field: &str, text: Option<String>) -> ApiResult<Option<Line>> {
    text.map(|text| line(field, text)).transpose()
}

pub fn text(field: &str, text: String) -> ApiResult<Text> {
    Text::new(text).map_err(|error| ApiError::invalid(field, error.to_string()))
}

pub fn optional_text(field: &str, given: Option<String>) -> ApiResult<Option<Text>> {
    given.map(|given| text(field, given)).transpose()
}

pub fn ratio(field: &str, number: f64) -> ApiResult<Ratio> {
    Ratio::new(number).map_err(|error| ApiError::invalid(field, error.to_string()))
}

pub fn optional_key<T>(kind: &'static str, field: &str, id: Option<&ID>) -> ApiResult<Option<T>>
where
    T: TryFrom<String, Error = InvalidId>,
{
    id.map(|id| key(kind, field, id)).transpose()
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
