//! What was learned from the labels of a graph, and which of it answers (ADR 26).
//!
//! A model is told by the position up to which it learned: from there it can be learned again, the
//! same, by whoever needs it. So models are kept in memory alone.

mod in_use;
mod method;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use diagnosis::codebook::Scene;
use diagnosis::evidence::Evidence;
use diagnosis::learning::{Model, Report, Studied};
use diagnosis::rank::{Ranker, Ranking, Taught, Unlearned};
use diagnosis::wording;
use events::{FaultKind, IncidentId, ModelId};

pub use in_use::InUse;
pub use method::{Method, Question, RankError};

use crate::graph::Graph;
use crate::reads::{Known, ReadGraphError, Seen, Unsaid};

/// Models that are kept at once: the one in use, the one before, and some that are asked about.
const MOST_MODELS: usize = 8;
/// Incidents that are kept at once: those that two models learn from.
const MOST_SEEN: usize = 1_000;

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
    learning: Arc<tokio::sync::Mutex<()>>,
}

/// Who ranks an incident.
#[derive(Clone, Debug, Default)]
pub struct Answering {
    /// The recorded model; `None` when nothing that was learned may be asked, and when it was learned
    /// for one question.
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

impl Models {
    /// Who ranks `incident` as of `position`, without waiting: the model in use then when it is in
    /// memory. Otherwise it is learned beside, and nothing that was learned is asked.
    pub async fn answering_now(
        &self,
        graph: &Arc<Graph>,
        incident: &IncidentId,
        position: u64,
    ) -> Result<Answering, ReadGraphError> {
        let Some(used) = graph.model_in_use(position).await? else {
            return Ok(Answering::default());
        };
        if let Some(learned) = self.kept(used.learned_to) {
            return unless_told(graph, (incident, position), used.model, learned).await;
        }
        let (models, graph) = (self.clone(), graph.clone());
        // What it fails by is told to who waits for it.
        drop(tokio::spawn(async move { models.learned(&graph, used.learned_to).await }));
        Ok(Answering::default())
    }

    /// How likely each kind of fault is by `text`, the likeliest first, and the model in use that
    /// says so; none of both when `about` is an incident of which it knows more than the text.
    pub async fn kinds_in_words(
        &self,
        graph: &Arc<Graph>,
        (text, about): (String, Option<&IncidentId>),
        position: u64,
    ) -> Result<(Option<ModelId>, Vec<(FaultKind, f64)>), ReadGraphError> {
        let Some(InUse { model, learned_to }) = graph.model_in_use(position).await? else {
            return Ok((None, Vec::new()));
        };
        let learned = self.learned(graph, learned_to).await?;
        if let Some(incident) = about {
            let asked = unless_told(graph, (incident, position), model.clone(), learned.clone());
            if asked.await?.model.is_none() {
                return Ok((None, Vec::new()));
            }
        }
        if !learned.knows_words() {
            // Who asks meanwhile waits here, not on a thread.
            let turn = self.0.learning.clone().lock_owned().await;
            let learned = learned.clone();
            on_a_thread(move || {
                let _turn = turn;
                learned.classifier();
            })
            .await;
        }
        let kinds = on_a_thread(move || learned.classifier().kinds(&text)).await;
        Ok((Some(model), kinds))
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

    /// Who would rank if what is unsaid had never been said: a model that is learned up to
    /// `learned_to` for this question and not kept, unless it would know how the incident ended.
    async fn answering_without(
        &self,
        graph: &Arc<Graph>,
        asked: Question<'_>,
        learned_to: u64,
    ) -> Result<Answering, ReadGraphError> {
        let acting = graph.acting(asked.incident, asked.position).await?;
        let turn = self.0.learning.clone().lock_owned().await;
        let studied = self.studied_without(graph, learned_to, asked.unsaid).await?;
        if studied.iter().any(|it| it.tells(asked.incident, &acting)) {
            return Ok(Answering::default());
        }
        let learned = on_a_thread(move || {
            // Until it ends, even when nobody waits for it any more.
            let _turn = turn;
            Model::learned(&studied)
        });
        Ok(Answering { model: None, learned: Some(Arc::new(learned.await)) })
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
        self.studied_without(graph, position, &Unsaid::default()).await
    }

    async fn studied_without(
        &self,
        graph: &Graph,
        position: u64,
        unsaid: &Unsaid,
    ) -> Result<Vec<Studied>, ReadGraphError> {
        let mut studied = Vec::new();
        let known = graph.known_incidents(position, unsaid).await?;
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
        let title = graph.title_given(&known.incident, known.seen_at).await?;
        let seen = on_a_thread(move || Seen {
            text: wording::lines(title.as_deref(), &evidence).join("\n"),
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

/// A model, unless it knows how the incident, or another of the same fault, ended (DI-3).
async fn unless_told(
    graph: &Graph,
    (incident, position): (&IncidentId, u64),
    model: ModelId,
    learned: Arc<Model>,
) -> Result<Answering, ReadGraphError> {
    let acting = graph.acting(incident, position).await?;
    Ok(match learned.may_answer(incident, &acting) {
        true => Answering { model: Some(model), learned: Some(learned) },
        false => Answering::default(),
    })
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
