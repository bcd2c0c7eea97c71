//! Trained models and service level objectives.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fact, InvalidFact, stream};
use crate::id::{ComponentName, ModelId, SloId, StreamId};
use crate::value::{Finite, Line, NonNegative, Ratio};

/// A model was trained. It is what its method learns from the log up to `data_to_position`: who
/// learns again from there gets the same model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelTrained {
    /// The model version.
    pub model: ModelId,
    /// The method that uses it.
    pub method: Line,
    /// Its weights by name, the heaviest when there are many.
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
    /// Why it is not used unless somebody selects it; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Line>,
}

/// Which model answers.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ModelChoice {
    /// The latest that was trained and not rejected.
    Latest,
    /// None: what was known before the first label.
    Shipped,
    /// The one that is named, whatever is trained later.
    Pinned,
}

/// Somebody decided which model answers from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSelected {
    /// Which.
    pub choice: ModelChoice,
    /// The model that is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// Who decided.
    pub by: Line,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Line>,
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

impl Fact for ModelSelected {
    fn stream(&self) -> StreamId {
        stream("model_selection", "current")
    }

    fn check(&self) -> Result<(), InvalidFact> {
        if (self.choice == ModelChoice::Pinned) != self.model.is_some() {
            return Err(InvalidFact::new(
                "/model",
                "expected with a pinned choice, and only there",
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
