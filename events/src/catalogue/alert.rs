//! What other systems raised.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::incident::Severity;
use super::{Fact, stream};
use crate::id::{AlertId, ComponentName, StreamId};
use crate::value::{Line, Text};

/// An alert began to fire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertFired {
    /// Its fingerprint.
    pub alert: AlertId,
    /// The rule's name.
    pub name: Line,
    /// The component it speaks of, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// How bad.
    pub severity: Severity,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Text>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Line>,
}

/// An alert no longer fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertResolved {
    /// Its fingerprint.
    pub alert: AlertId,
}

impl Fact for AlertFired {
    fn stream(&self) -> StreamId {
        stream("alert", self.alert.as_str())
    }
}

impl Fact for AlertResolved {
    fn stream(&self) -> StreamId {
        stream("alert", self.alert.as_str())
    }
}
