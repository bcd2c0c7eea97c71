//! `causal@1`: what of the trouble is a component's own, and what its logs, steps and process say.
//!
//! Each kind of fault has an observation of its own: time and failures that callees do not
//! explain, calls that nobody's growth explains, a process that does not answer or is out of
//! processor time or memory, steps that used to go together and no longer do, new complaints, and
//! changes beside any of it. Callers of what is broken look as bad as it does, so whatever a
//! callee explains is taken off first. What may be chance counts as nothing. A small log-linear
//! model ([`model`]) weighs the observations into probabilities.

mod alias;
mod arrival;
mod counters;
mod cover;
mod invariants;
mod link;
pub mod model;
mod observe;
mod own;
mod scene;
mod sides;
mod signals;
mod state;
mod surge;
mod symptom;

use std::collections::{BTreeMap, VecDeque};

use events::catalogue::diagnosis::{ScoreTerm, Suspect};
use events::value::Line;
use events::{ComponentName, EventId};

use super::terms::{self, MOST_SUSPECTS, finite, grains};
use super::{Ranker, Ranking};
use crate::evidence::Evidence;
use model::{Choice, Weights, probabilities};
use observe::{Observation, observe};
use scene::Scene;

const NAME: &str = "causal@1";
/// Least utility of the first suspect that is more than noise.
const LEAST_UTILITY: f64 = 0.5;
/// Share of a score from which one term tells the kind of fault.
const TELLS_KIND: f64 = 0.5;
/// Less than this is not listed.
const LEAST_SHARE: f64 = 0.001;

/// The default ranker; see the module's text.
#[derive(Clone, Debug, Default)]
pub struct Causal {
    weights: Option<Weights>,
}

/// A further observation, from outside of this module: a codebook that knows the symptoms of a
/// fault, say. It is weighed like the others, by its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Further {
    /// What speaks against it.
    pub component: ComponentName,
    /// What it is called; [`model::UNKNOWN`] is its weight until one is learned.
    pub name: String,
    /// How strongly, 0 to 1.
    pub strength: f64,
    /// The events that show it.
    pub evidence: Vec<EventId>,
}

impl Causal {
    /// With the weights that ship.
    pub const fn shipped() -> Self {
        Self { weights: None }
    }

    /// With learned weights.
    pub fn with(weights: Weights) -> Self {
        Self { weights: Some(weights) }
    }

    /// How much speaks for each component; `None` without telemetry from the time of the incident.
    pub(super) fn utilities(&self, evidence: &Evidence) -> Option<BTreeMap<ComponentName, f64>> {
        let scene = Scene::of(evidence);
        if scene.cover.after_windows == 0 {
            return None;
        }
        let weights = self.weights.clone().unwrap_or_default();
        let Weighed(terms) = Weighed::of(&scene, evidence.noticed(), &weights);
        let utilities = terms.iter().map(Vec::as_slice).map(utility);
        Some(scene.names.iter().map(|name| (*name).clone()).zip(utilities).collect())
    }

    /// The components of [`Self::utilities`] and further observations, the most suspected first;
    /// none when too little speaks for any.
    pub(super) fn order(
        &self,
        mut utilities: BTreeMap<ComponentName, f64>,
        further: &[Further],
    ) -> Vec<ComponentName> {
        let weights = self.weights.clone().unwrap_or_default();
        for it in further {
            if let Some(utility) = utilities.get_mut(&it.component) {
                *utility += it.strength.clamp(0.0, 1.0) * weights.of(&it.name).max(0.0);
            }
        }
        if utilities.values().copied().fold(0.0, f64::max) < LEAST_UTILITY {
            return Vec::new();
        }
        let mut order: Vec<_> =
            utilities.into_iter().filter(|(_, utility)| *utility > 0.0).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        order.into_iter().map(|(name, _)| name).take(MOST_SUSPECTS).collect()
    }

    /// As [`Ranker::rank`], with further observations beside its own.
    pub fn rank_with(&self, evidence: &Evidence, further: &[Further]) -> Ranking {
        let scene = Scene::of(evidence);
        if scene.cover.after_windows == 0 {
            return terms::abstained(NAME, "no telemetry from the time of the incident");
        }
        let weights = self.weights.clone().unwrap_or_default();
        let mut weighed = Weighed::of(&scene, evidence.noticed(), &weights);
        weighed.add(&scene, &weights, further);
        let largest = weighed.0.iter().map(Vec::as_slice).map(utility).fold(0.0, f64::max);
        if largest < LEAST_UTILITY {
            return terms::abstained(NAME, &reason(&scene));
        }
        weighed.ranking(&scene, evidence.noticed())
    }
}

fn reason(scene: &Scene<'_>) -> String {
    if scene.cover.before_windows == 0 {
        return "no telemetry before the incident to compare with, and nothing failed outright"
            .to_owned();
    }
    "nothing differs from what was usual before by more than noise".to_owned()
}

impl Ranker for Causal {
    fn name(&self) -> &'static str {
        NAME
    }

    fn rank(&self, evidence: &Evidence) -> Ranking {
        self.rank_with(evidence, &[])
    }
}

/// What was observed in an incident, for [`model::learn`]; `truth` are its causes.
pub fn choice(evidence: &Evidence, truth: &[ComponentName], further: &[Further]) -> Choice {
    let scene = Scene::of(evidence);
    let strongest = |observations: Vec<Observation>| {
        let mut strengths: BTreeMap<String, f64> = BTreeMap::new();
        for observation in observations {
            let strength = strengths.entry(observation.name.to_owned()).or_default();
            *strength = strength.max(observation.strength);
        }
        strengths
    };
    let mut observed: Vec<BTreeMap<String, f64>> =
        observe(&scene, scene.place(evidence.noticed())).into_iter().map(strongest).collect();
    for further in further {
        if let Some(place) = scene.place(&further.component) {
            observed[place].insert(further.name.clone(), further.strength.clamp(0.0, 1.0));
        }
    }
    Choice { observed, truth: truth.iter().filter_map(|name| scene.place(name)).collect() }
}

struct Term {
    name: Line,
    weight: f64,
    evidence: Vec<EventId>,
}

fn utility(terms: &[Term]) -> f64 {
    terms.iter().map(|term| term.weight).sum()
}

/// The weighed observations of every component.
struct Weighed(Vec<Vec<Term>>);

impl Weighed {
    fn of(scene: &Scene<'_>, noticed: &ComponentName, weights: &Weights) -> Self {
        let weighed = |observations: Vec<Observation>| {
            let terms = observations.into_iter().map(|observation| Term {
                weight: observation.strength * weights.of(observation.name),
                name: Line::clipped(observation.name),
                evidence: observation.evidence,
            });
            terms.filter(|term| term.weight > 0.0).collect()
        };
        Self(observe(scene, scene.place(noticed)).into_iter().map(weighed).collect())
    }

    fn add(&mut self, scene: &Scene<'_>, weights: &Weights, further: &[Further]) {
        for further in further {
            let weight = further.strength.clamp(0.0, 1.0) * weights.of(&further.name);
            if let Some(place) = scene.place(&further.component).filter(|_| weight > 0.0) {
                let name = Line::clipped(&further.name);
                self.0[place].push(Term { name, weight, evidence: further.evidence.clone() });
            }
        }
        for terms in &mut self.0 {
            terms.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.name.cmp(&b.name)));
        }
    }

    // A score is the probability of being the cause among all components that were seen.
    fn ranking(self, scene: &Scene<'_>, noticed: &ComponentName) -> Ranking {
        let utilities: Vec<f64> = self.0.iter().map(Vec::as_slice).map(utility).collect();
        let shares = probabilities(&utilities);
        let mut places: Vec<usize> =
            (0..shares.len()).filter(|place| utilities[*place] > 0.0).collect();
        places.sort_by(|&a, &b| utilities[b].total_cmp(&utilities[a]).then(a.cmp(&b)));
        places.truncate(MOST_SUSPECTS);
        let paths = Paths::from(scene, noticed);
        let mut suspects: Vec<Suspect> = places
            .into_iter()
            .filter(|place| shares[*place] >= LEAST_SHARE)
            .filter_map(|place| {
                let factor = shares[place] / utilities[place];
                suspect(scene.names[place], &self.0[place], factor, paths.to(scene, place))
            })
            .collect();
        // Rounding to grains may change places that are a grain apart; equal ones keep theirs.
        suspects.sort_by(|a, b| b.score.get().total_cmp(&a.score.get()));
        Ranking { method: Line::clipped(NAME), abstained: None, suspects }
    }
}

fn suspect(
    component: &ComponentName,
    terms: &[Term],
    factor: f64,
    path: Vec<ComponentName>,
) -> Option<Suspect> {
    let terms: Vec<ScoreTerm> = terms
        .iter()
        .map(|term| (grains(term.weight * factor), term))
        .filter(|(contribution, _)| *contribution > 0.0)
        .map(|(contribution, term)| ScoreTerm {
            name: term.name.clone(),
            contribution: finite(contribution),
            evidence: term.evidence.clone(),
        })
        .collect();
    let score: f64 = terms.iter().map(|term| term.contribution.get()).sum();
    let telling = terms.first().filter(|term| term.contribution.get() >= TELLS_KIND * score);
    let fault_kind = telling.and_then(|term| model::kind(term.name.as_str()));
    (score > 0.0).then(|| Suspect {
        component: component.clone(),
        score: finite(score),
        fault_kind,
        terms,
        path,
    })
}

/// Shortest call paths from where the incident was noticed. Among equally short ones the path over
/// the more disturbed calls wins, then the names decide.
struct Paths {
    came_from: Vec<Option<usize>>,
    start: Option<usize>,
}

impl Paths {
    fn from(scene: &Scene<'_>, noticed: &ComponentName) -> Self {
        let start = scene.place(noticed);
        let mut paths = Self { came_from: vec![None; scene.names.len()], start };
        let mut queue: VecDeque<usize> = start.into_iter().collect();
        while let Some(caller) = queue.pop_front() {
            let mut callees: Vec<(f64, usize)> = scene
                .outbound(caller)
                .map(|link| (link.failing_more() + link.slower_ms() / 1_000.0, link.callee))
                .collect();
            callees.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for (_, callee) in callees {
                if Some(callee) != start && paths.came_from[callee].is_none() {
                    paths.came_from[callee] = Some(caller);
                    queue.push_back(callee);
                }
            }
        }
        paths
    }

    fn to(&self, scene: &Scene<'_>, target: usize) -> Vec<ComponentName> {
        let mut path = vec![scene.names[target].clone()];
        let mut at = target;
        while Some(at) != self.start {
            let Some(caller) = self.came_from[at] else { return Vec::new() };
            path.push(scene.names[caller].clone());
            at = caller;
        }
        path.reverse();
        path
    }
}
