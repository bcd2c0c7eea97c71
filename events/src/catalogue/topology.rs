//! Components and who calls whom.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fact, InvalidFact, stream};
use crate::id::{ComponentName, StreamId};
use crate::value::{Line, Text};

/// A component was seen for the first time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComponentDiscovered {
    /// The component.
    pub component: ComponentName,
    /// What saw it: a proxy, a span, an alert.
    pub discovered_by: Line,
}

/// How much depends on a component.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Criticality {
    /// Nobody notices its loss soon.
    Low,
    /// Some users notice.
    Medium,
    /// Many users notice.
    High,
    /// Nothing works without it.
    Critical,
}

/// Someone said what a component is. A later description replaces the fields it carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComponentDescribed {
    /// The component.
    pub component: ComponentName,
    /// `service`, `database`, `client`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Line>,
    /// Who is called when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Line>,
    /// How much depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<Criticality>,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
    /// Anything else, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Line>,
}

/// One component was seen to call another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DependencyObserved {
    /// Who calls.
    pub caller: ComponentName,
    /// Who is called.
    pub callee: ComponentName,
    /// `http`, `postgresql`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Line>,
}

impl Fact for ComponentDiscovered {
    fn stream(&self) -> StreamId {
        stream("component", self.component.as_str())
    }
}

impl Fact for ComponentDescribed {
    fn stream(&self) -> StreamId {
        stream("component", self.component.as_str())
    }
}

impl Fact for DependencyObserved {
    fn stream(&self) -> StreamId {
        stream("component", self.caller.as_str())
    }

    fn check(&self) -> Result<(), InvalidFact> {
        if self.caller == self.callee {
            return Err(InvalidFact::new("/callee", "expected another component than the caller"));
        }
        Ok(())
    }
}
