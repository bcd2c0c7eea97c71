//! Who did what that others have to answer for.

use events::catalogue::audit::AuditOutcome;
use events::{EventId, Timestamp, TokenId};
use serde::Deserialize;

use super::Provenance;

/// `audit`: an action that someone answers for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AuditEntry {
    /// The event that recorded it, the key.
    pub id: EventId,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// The token they showed.
    #[serde(default)]
    pub token: Option<TokenId>,
    /// The address they called from.
    #[serde(default)]
    pub peer: Option<String>,
    /// What was done, such as `label.assign`.
    pub action: String,
    /// To what.
    #[serde(default)]
    pub subject: Option<String>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The event that the action recorded.
    #[serde(default)]
    pub event: Option<EventId>,
    /// The request.
    #[serde(default)]
    pub request: Option<String>,
    /// Where the row comes from.
    #[serde(flatten)]
    pub provenance: Provenance,
}
