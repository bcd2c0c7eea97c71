//! Which model answers as of a position.

use std::collections::BTreeSet;

use diagnosis::rank;
use events::catalogue::model::ModelChoice;
use events::{FaultId, IncidentId, ModelId};
use serde::Deserialize;
use surrealdb::types::{Object, RecordId};

use super::RankError;
use crate::graph::Graph;
use crate::reads::{ReadGraphError, at_position};

const SELECTED: &str = "
    SELECT choice, model, since FROM model_selection WHERE since <= $position
        ORDER BY since DESC LIMIT 1;
    SELECT id, data_to_position FROM model
        WHERE changed <= $position AND method = $method AND data_to_position < since
            AND rejected = NONE
        ORDER BY data_to_position DESC LIMIT 1;
";

// What was learned up to a position that is behind its own event is of another log.
const TRAINED: &str = "
    SELECT id, data_to_position FROM $model
        WHERE changed <= $position AND method = $method AND data_to_position < since;
";

const NEWEST: &str = "
    SELECT id, data_to_position FROM model
        WHERE changed <= $position AND method = $method AND data_to_position < since
        ORDER BY data_to_position DESC LIMIT 1;
";

/// A trained model that answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct InUse {
    /// Which.
    #[serde(rename = "id")]
    pub model: ModelId,
    /// Up to which position it learned.
    #[serde(rename = "data_to_position")]
    pub learned_to: u64,
}

impl Graph {
    /// The model that answered when the log reached to `position`; `None` when what was known
    /// without labels did.
    pub async fn model_in_use(&self, position: u64) -> Result<Option<InUse>, ReadGraphError> {
        #[derive(Deserialize)]
        struct Selection {
            choice: ModelChoice,
            #[serde(default)]
            model: Option<ModelId>,
        }
        let mut answers = self.ask(SELECTED, of_models(position)).await?;
        let selected: Option<Selection> = answers.rows(0)?.into_iter().next();
        match selected {
            Some(Selection { choice: ModelChoice::Shipped, .. }) => Ok(None),
            Some(Selection { model: Some(pinned), .. }) => self.trained(&pinned, position).await,
            _ => Ok(answers.rows(1)?.into_iter().next()),
        }
    }

    /// The model that was trained last as of `position`, rejected or not.
    pub async fn newest_model(&self, position: u64) -> Result<Option<InUse>, ReadGraphError> {
        Ok(self.ask(NEWEST, of_models(position)).await?.rows(0)?.into_iter().next())
    }

    /// The model of this version, as of `position`.
    async fn trained(
        &self,
        model: &ModelId,
        position: u64,
    ) -> Result<Option<InUse>, ReadGraphError> {
        let mut binds = of_models(position);
        binds.insert("model", RecordId::new("model", model.as_str()));
        Ok(self.ask(TRAINED, binds).await?.rows(0)?.into_iter().next())
    }

    pub(super) async fn known_model(
        &self,
        model: &ModelId,
        position: u64,
    ) -> Result<InUse, RankError> {
        let trained = self.trained(model, position).await?;
        trained.ok_or_else(|| RankError::UnknownModel(model.clone()))
    }

    /// The faults that acted at any time since an incident began, as of `position`.
    pub(super) async fn acting(
        &self,
        incident: &IncidentId,
        position: u64,
    ) -> Result<BTreeSet<FaultId>, ReadGraphError> {
        Ok(self.withheld(incident, position).await?.acting)
    }
}

fn of_models(position: u64) -> Object {
    let mut binds = Object::new();
    binds.insert("position", at_position(position));
    binds.insert("method", rank::methods()[0].name());
    binds
}
