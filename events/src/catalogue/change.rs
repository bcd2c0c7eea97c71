//! What people changed: most incidents follow a change.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fact, InvalidFact, stream};
use crate::id::{ComponentName, MaintenanceId, StreamId};
use crate::value::{Line, Text};

/// A version of a component went live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentRecorded {
    /// The component.
    pub component: ComponentName,
    /// The version that is live now.
    pub version: Line,
    /// The version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_version: Option<Line>,
    /// What the version brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

/// A setting of a component changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationChanged {
    /// The component.
    pub component: ComponentName,
    /// What changed, in words.
    pub description: Line,
    /// The new values by name; no secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Line>,
}

/// Planned work began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceStarted {
    /// The window.
    pub maintenance: MaintenanceId,
    /// What is worked on.
    pub components: Vec<ComponentName>,
    /// Why.
    pub reason: Line,
}

/// Planned work ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceEnded {
    /// The window.
    pub maintenance: MaintenanceId,
}

impl Fact for DeploymentRecorded {
    fn stream(&self) -> StreamId {
        stream("change", self.component.as_str())
    }
}

impl Fact for ConfigurationChanged {
    fn stream(&self) -> StreamId {
        stream("change", self.component.as_str())
    }
}

impl Fact for MaintenanceStarted {
    fn stream(&self) -> StreamId {
        stream("maintenance", self.maintenance.as_str())
    }

    fn check(&self) -> Result<(), InvalidFact> {
        if self.components.is_empty() {
            return Err(InvalidFact::new("/components", "expected at least one component"));
        }
        Ok(())
    }
}

impl Fact for MaintenanceEnded {
    fn stream(&self) -> StreamId {
        stream("maintenance", self.maintenance.as_str())
    }
}
