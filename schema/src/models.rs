//! What was learned from the labels of a graph, and which of it answers (ADR 26).
//!
//! A model is told by the position up to which it learned: from there it can be learned again, the
//! same, by whoever needs it. So models are kept in memory alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use diagnosis::codebook::Scene;
use diagnosis::evidence::Evidence;
use diagnosis::learning::{Model, Report, Studied};
use diagnosis::rank::{self, Ranker, Ranking, Taught, Unlearned};
use events::catalogue::model::ModelChoice;
use events::{FaultId, IncidentId, ModelId};
use serde::Deserialize;
use surrealdb::types::{Object, RecordId};

use crate::graph::Graph;
use crate::reads::{Known, ReadGraphError, Seen, at_position};

/// Models that are kept at once: the one in use, the one before, and some that are asked about.
const MOST_MODELS: usize = 8;
/// Incidents that are kept at once: those that two models learn from.
const MOST_SEEN: usize = 1_000;

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

/// The models of a base. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Models(Arc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// What incidents looked like as of a position.
    seen: Mutex<BTreeMap<(IncidentId, u64), Seen>>,
    /// By the position up to which they learned, the last asked last.
    models: Mutex<VecDeque<(u64, Arc<Model>)>>,
    /// Held while one is learned, so that nobody learns the same beside.
    learning: tokio::sync::Mutex<()>,
}

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

/// Who ranks an incident.
#[derive(Clone, Debug, Default)]
pub struct Answering {
    /// The model; `None` when nothing that was learned may be asked.
    pub model: Option<ModelId>,
    learned: Option<Arc<Model>>,
}

impl Answering {
    /// How it ranks.
    pub fn ranker(&self) -> &Taught {
        static SHIPPED: std::sync::LazyLock<Taught> = std::sync::LazyLock::new(Taught::default);
        self.learned.as_deref().map_or(&SHIPPED, Model::ranker)
    }

    /// Its answer.
    pub fn rank(&self, evidence: &Evidence) -> Ranking {
        self.ranker().rank(evidence)
    }
}

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

    /// Its answer about an incident as of a position, and the model that gave it. A model that
    /// knows how the incident ended does not answer; what is known without labels does.
    pub async fn rank(
        &self,
        models: &Models,
        graph: &Arc<Graph>,
        (incident, position): (&IncidentId, u64),
        evidence: &Evidence,
    ) -> Result<(Option<ModelId>, Ranking), RankError> {
        let answering = match self {
            Self::Fixed(ranker) => return Ok((None, ranker.rank(evidence))),
            Self::Learning => models.answering(graph, incident, position).await?,
            Self::Model(model) => {
                let used = graph.known_model(model, position).await?;
                models.unless_told(graph, incident, position, used).await?
            }
            Self::Trained(used) => {
                models.unless_told(graph, incident, position, used.clone()).await?
            }
        };
        let ranking = answering.rank(evidence);
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

impl Models {
    /// As [`Self::answering`], when the model in use is in memory; otherwise it is learned beside,
    /// and nothing that was learned is asked.
    pub async fn answering_now(
        &self,
        graph: &Arc<Graph>,
        incident: &IncidentId,
        position: u64,
    ) -> Result<Answering, ReadGraphError> {
        match graph.model_in_use(position).await? {
            Some(used) if self.kept(used.learned_to).is_some() => {
                self.unless_told(graph, incident, position, used).await
            }
            Some(used) => {
                let (models, graph) = (self.clone(), graph.clone());
                // What it fails by is told to who waits for it.
                drop(tokio::spawn(async move { models.learned(&graph, used.learned_to).await }));
                Ok(Answering::default())
            }
            None => Ok(Answering::default()),
        }
    }

    /// Who ranks `incident` as of `position`: the model in use then, unless it knows how the
    /// incident, or another of the same fault, ended (DI-3).
    pub async fn answering(
        &self,
        graph: &Arc<Graph>,
        incident: &IncidentId,
        position: u64,
    ) -> Result<Answering, ReadGraphError> {
        match graph.model_in_use(position).await? {
            Some(used) => self.unless_told(graph, incident, position, used).await,
            None => Ok(Answering::default()),
        }
    }

    async fn unless_told(
        &self,
        graph: &Arc<Graph>,
        incident: &IncidentId,
        position: u64,
        InUse { model, learned_to }: InUse,
    ) -> Result<Answering, ReadGraphError> {
        let learned = self.learned(graph, learned_to).await?;
        let acting = graph.acting(incident, position).await?;
        Ok(match learned.may_answer(incident, &acting) {
            true => Answering { model: Some(model), learned: Some(learned) },
            false => Answering::default(),
        })
    }

    /// What is learned from the log up to `position`.
    pub async fn learned(
        &self,
        graph: &Arc<Graph>,
        position: u64,
    ) -> Result<Arc<Model>, ReadGraphError> {
        if let Some(model) = self.kept(position) {
            return Ok(model);
        }
        // In a task of its own: who asked may not wait so long, and asks again.
        let (models, graph) = (self.clone(), graph.clone());
        let learning = tokio::spawn(async move {
            let _turn = models.0.learning.lock().await;
            if let Some(model) = models.kept(position) {
                return Ok(model);
            }
            let studied = models.studied(&graph, position).await?;
            let model = on_a_thread(move || Model::learned(&studied)).await;
            Ok(models.keep(position, model))
        });
        learning.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// Learns from `studied`, and how good that is beside what was learned from `before`.
    pub async fn tried(&self, studied: Vec<Studied>, before: Vec<Studied>) -> (Report, Model) {
        on_a_thread(move || (Report::of(&studied, &before), Model::learned(&studied))).await
    }

    /// The incidents that a model learns from up to `position`, by id.
    pub async fn studied(
        &self,
        graph: &Graph,
        position: u64,
    ) -> Result<Vec<Studied>, ReadGraphError> {
        let mut studied = Vec::new();
        let known = graph.known_incidents(position).await?;
        self.forget_others(&known);
        for known in known {
            if let Some(seen) = self.seen(graph, &known).await? {
                studied.push(known.teaches(seen));
            }
        }
        Ok(studied)
    }

    async fn seen(&self, graph: &Graph, known: &Known) -> Result<Option<Seen>, ReadGraphError> {
        let key = (known.incident.clone(), known.seen_at);
        if let Some(seen) = lock(&self.0.seen).get(&key) {
            return Ok(Some(seen.clone()));
        }
        let Some(evidence) = graph.evidence(&known.incident, known.seen_at).await? else {
            return Ok(None);
        };
        let acting = graph.acting(&known.incident, known.seen_at).await?;
        let seen = on_a_thread(move || Seen {
            scene: Scene::of(&evidence),
            unlearned: Unlearned::of(&evidence),
            acting,
        })
        .await;
        lock(&self.0.seen).insert(key, seen.clone());
        Ok(Some(seen))
    }

    fn forget_others(&self, known: &[Known]) {
        let mut seen = lock(&self.0.seen);
        if seen.len() > MOST_SEEN {
            let needed: BTreeSet<_> = known.iter().map(|it| (&it.incident, it.seen_at)).collect();
            seen.retain(|(incident, at), _| needed.contains(&(incident, *at)));
        }
    }

    fn kept(&self, position: u64) -> Option<Arc<Model>> {
        let mut models = lock(&self.0.models);
        let found = models.iter().position(|(of, _)| *of == position)?;
        let kept = models.remove(found)?;
        let model = kept.1.clone();
        models.push_back(kept);
        Some(model)
    }

    /// Keeps a model that was learned elsewhere from the log up to `position`.
    pub fn keep(&self, position: u64, model: Model) -> Arc<Model> {
        let model = Arc::new(model);
        let mut models = lock(&self.0.models);
        models.retain(|(of, _)| *of != position);
        models.push_back((position, model.clone()));
        if models.len() > MOST_MODELS {
            models.pop_front();
        }
        model
    }
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

    async fn known_model(&self, model: &ModelId, position: u64) -> Result<InUse, RankError> {
        let trained = self.trained(model, position).await?;
        trained.ok_or_else(|| RankError::UnknownModel(model.clone()))
    }

    /// The faults that acted at any time since an incident began, as of `position`.
    async fn acting(
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Learning computes for as long as seconds.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
