//! What people wrote down for the next time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fact, stream};
use crate::id::{ComponentName, FaultKind, RunbookId, StreamId};
use crate::value::{Line, Text};

/// A runbook was written, or replaced by a newer text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunbookPublished {
    /// The runbook.
    pub runbook: RunbookId,
    /// Its title.
    pub title: Line,
    /// The kinds of fault it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fault_kinds: Vec<FaultKind>,
    /// The component it is for; absent for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// The text, Markdown.
    pub text: Text,
}

impl Fact for RunbookPublished {
    fn stream(&self) -> StreamId {
        stream("runbook", self.runbook.as_str())
    }
}
