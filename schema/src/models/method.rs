//! Ways to rank, those that learn among them.

use std::fmt;
use std::sync::Arc;

use diagnosis::evidence::Evidence;
use diagnosis::rank::{self, Ranker, Ranking};
use events::{IncidentId, ModelId};

use super::{Answering, InUse, Models, unless_told};
use crate::graph::Graph;
use crate::reads::{ReadGraphError, Unsaid};

/// A way to rank.
#[derive(Clone)]
pub enum Method {
    /// As diagnoses are made: by the model that is in use as of then.
    Learning,
    /// By this model, in use or not.
    Model(ModelId),
    /// By this one, also of what was before it.
    Trained(InUse),
    /// One that does not learn.
    Fixed(&'static dyn Ranker),
}

/// What is asked of a method.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Which incident.
    pub incident: &'a IncidentId,
    /// As of which position.
    pub position: u64,
    /// What it looks like then.
    pub evidence: &'a Evidence,
    /// What a model is learned again without. A model that was rejected or selected because of it
    /// stays what it is.
    pub unsaid: &'a Unsaid,
}

/// Why a method does not rank.
#[derive(Debug, thiserror::Error)]
pub enum RankError {
    /// No such model was trained as of then.
    #[error("unknown model {0}")]
    UnknownModel(ModelId),
    /// The graph could not be asked.
    #[error("the graph could not be asked")]
    Graph(#[from] ReadGraphError),
}

impl Method {
    /// The method of this name and version; behind a dash the position up to which a model of it
    /// learned.
    pub fn named(name: &str) -> Option<Self> {
        let learning = rank::methods()[0].name();
        match name.strip_prefix(learning) {
            Some("") => Some(Self::Learning),
            Some(version) if version.starts_with('-') => ModelId::new(name).ok().map(Self::Model),
            _ => rank::method(name).map(Self::Fixed),
        }
    }

    /// The same, with a model as it is known at `position` whenever it is asked.
    pub async fn known_at(self, graph: &Graph, position: u64) -> Result<Self, RankError> {
        match self {
            Self::Model(model) => graph.known_model(&model, position).await.map(Self::Trained),
            other => Ok(other),
        }
    }

    /// Whether labels have a part in its answers.
    pub fn learns(&self) -> bool {
        !matches!(self, Self::Fixed(_))
    }

    /// Its answer, and the recorded model that gave it. A model that knows how the incident ended
    /// does not answer; what is known without labels does.
    pub async fn rank(
        &self,
        models: &Models,
        graph: &Arc<Graph>,
        asked: Question<'_>,
    ) -> Result<(Option<ModelId>, Ranking), RankError> {
        let used = match self {
            Self::Fixed(ranker) => return Ok((None, ranker.rank(asked.evidence))),
            Self::Learning => graph.model_in_use(asked.position).await?,
            Self::Model(model) => Some(graph.known_model(model, asked.position).await?),
            Self::Trained(used) => Some(used.clone()),
        };
        let answering = match used {
            Some(InUse { model, learned_to }) if asked.unsaid.is_empty() => {
                let learned = models.learned(graph, learned_to).await?;
                unless_told(graph, (asked.incident, asked.position), model, learned).await?
            }
            Some(InUse { learned_to, .. }) => {
                models.answering_without(graph, asked, learned_to).await?
            }
            None => Answering::default(),
        };
        let ranking = answering.rank(asked.evidence);
        Ok((answering.model, ranking))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Learning => f.write_str(rank::methods()[0].name()),
            Self::Model(model) | Self::Trained(InUse { model, .. }) => model.fmt(f),
            Self::Fixed(ranker) => f.write_str(ranker.name()),
        }
    }
}
