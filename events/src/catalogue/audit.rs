//! Who did what that others have to answer for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fact, stream};
use crate::id::{EventId, StreamId, TokenId};
use crate::value::Line;

/// How an action ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was allowed and did not succeed.
    Failed,
}

/// Someone labelled, merged or administered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditRecorded {
    /// Who, by the name of their token; `anonymous` without one, `operator` at the machine.
    pub actor: Line,
    /// The token they showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    /// The address they called from; only where the operator wants it kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Line>,
    /// What was done, such as `label.assign` or `token.revoke`.
    pub action: Line,
    /// To what: an incident, a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Line>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The event that the action recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// The request, as the server's own log names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Line>,
}

impl Fact for AuditRecorded {
    fn stream(&self) -> StreamId {
        stream("audit", self.token.as_ref().map_or("tokenless", TokenId::as_str))
    }
}
