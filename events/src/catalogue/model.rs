//! Trained models and service level objectives.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fact, InvalidFact, stream};
use crate::id::{ComponentName, ModelId, SloId, StreamId};
use crate::value::{Finite, Line, NonNegative, Ratio};

/// A model was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelTrained {
    /// The model version.
    pub model: ModelId,
    /// The method that uses it.
    pub method: Line,
    /// Its weights by name.
    pub weights: BTreeMap<String, Finite>,
    /// First log position of the training data.
    pub data_from_position: u64,
    /// Last log position of the training data.
    pub data_to_position: u64,
    /// How it does on held-out data, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Finite>,
    /// How the model before it does on the same data.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics_before: BTreeMap<String, Finite>,
}

/// What an objective counts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Indicator {
    /// Requests that did not fail, of all.
    Availability,
    /// Requests answered within `threshold_ms`, of all.
    Latency,
}

/// An objective was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloDefined {
    /// The objective.
    pub slo: SloId,
    /// The component it holds for.
    pub component: ComponentName,
    /// What it counts.
    pub indicator: Indicator,
    /// The limit of a latency objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold_ms: Option<NonNegative>,
    /// The share that must be good.
    pub objective: Ratio,
    /// Over which rolling time.
    pub window_ms: NonNegative,
}

/// An objective's error budget is being used up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorBudgetBurned {
    /// The objective.
    pub slo: SloId,
    /// Times the rate at which the budget would last exactly its window.
    pub burn_rate: NonNegative,
    /// Over which time the rate was measured.
    pub window_ms: NonNegative,
    /// Share of the budget that is left.
    pub remaining: Ratio,
}

impl Fact for ModelTrained {
    fn stream(&self) -> StreamId {
        stream("model", self.model.as_str())
    }

    fn check(&self) -> Result<(), InvalidFact> {
        if self.data_from_position > self.data_to_position {
            return Err(InvalidFact::new(
                "/data_from_position",
                "expected at most data_to_position",
            ));
        }
        Ok(())
    }
}

impl Fact for SloDefined {
    fn stream(&self) -> StreamId {
        stream("slo", self.slo.as_str())
    }

    fn check(&self) -> Result<(), InvalidFact> {
        if (self.indicator == Indicator::Latency) != self.threshold_ms.is_some() {
            return Err(InvalidFact::new(
                "/threshold_ms",
                "expected with a latency indicator, and only there",
            ));
        }
        Ok(())
    }
}

impl Fact for ErrorBudgetBurned {
    fn stream(&self) -> StreamId {
        stream("slo", self.slo.as_str())
    }
}
