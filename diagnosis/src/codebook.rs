//! What faults look like, learned from incidents whose cause became known.
//!
//! A [`Lesson`] is a past incident with its cause, its kind of fault, or both, by label. Of a new
//! incident, a [`Codebook`] weighs every hypothesis "this component has this kind of fault" by the
//! signs that it explains. Signs are told relative to the component in question: what it showed
//! itself, how rare that is for it, what it showed first, what its replicas did not show, where the
//! slow calls end. So a fault of one component is known on another that never had it; beside that
//! the codebook learns what of a component is usual noise. Of which kind the fault of a component
//! is, a forest of decision trees says too, which sees in what order the signs came.
//!
//! Before the first lesson the structure alone is weighed. Learning is a pure function of the
//! lessons (DI-1); a lesson of low confidence pulls less, and no single person outweighs all others.

mod answering;
mod background;
mod features;
mod forest;
mod kinds;
pub(crate) mod lbfgs;
mod logit;
mod scene;
mod signature;
mod systems;
mod terms;

use std::collections::{BTreeMap, BTreeSet};

use events::value::Line;
use events::{ComponentName, FaultKind};
use serde::{Deserialize, Serialize};

use answering::Answering;
use background::Background;
use features::{Feature, features, whole};
use kinds::Kinds;
use logit::{Choice, Weights};
pub use scene::{Alarmed, Part, Scene, Sign};
pub use systems::Systems;
pub use terms::SignTerm;

/// A past incident and what became known of it.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// What it looked like.
    pub scene: Scene,
    /// The component that caused it.
    pub cause: Option<ComponentName>,
    /// The kind of fault.
    pub kind: Option<FaultKind>,
    /// How sure the label is, from 0 to 1.
    pub confidence: f64,
    /// The person who says so; `None` for an experiment, which knows what it did.
    pub by: Option<Line>,
}

/// What was learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Codebook {
    /// The kinds of fault that were ever seen.
    pub kinds: Vec<FaultKind>,
    /// The weights of each feature: the shared one, then one for each kind.
    weights: BTreeMap<String, Vec<f64>>,
    background: Background,
    #[serde(default)]
    answering: Answering,
    #[serde(default)]
    forest: Kinds,
}

/// A component as the cause of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// The component.
    pub component: ComponentName,
    /// How likely it is the cause, one of the components being it.
    pub probability: f64,
    /// The kinds of fault and how likely each is if it is the cause, the likeliest first; empty
    /// when no kind was ever seen.
    pub kinds: Vec<(FaultKind, f64)>,
    /// What speaks for it and against it under its likeliest kind, the weightiest first.
    pub terms: Vec<SignTerm>,
    /// What speaks for the likeliest kind and against it, in shares of the forest's trees.
    pub kind_terms: Vec<SignTerm>,
}

/// Weights before the first lesson.
const BEFORE: [(&str, f64); 12] = [
    (whole::RELATIVE, 1.0),
    (whole::SHARE, 0.3),
    (whole::EARLY, 1.0),
    (whole::FIRSTS, 1.0),
    (whole::APART, 2.5),
    (whole::DRAWN, 1.5),
    ("shows|slow ends at", 0.7),
    ("shows|slow ends before", 0.7),
    ("shows|slow passes on", -0.3),
    ("shows|error ends at", 0.7),
    ("shows|error ends before", 0.7),
    ("shows|error passes on", -0.3),
];
/// A feature that fewer lessons showed teaches nothing.
const LEAST_LESSONS: usize = 2;
/// Where others label too, a person weighs at most this share of all of theirs …
const MOST_OF_OTHERS: f64 = 1.0 / 3.0;
/// … and may weigh this many lessons in any case.
const FREE_LESSONS: f64 = 8.0;
/// Every hypothesis has it: how frequent its kind is.
const ALWAYS: &str = "whole always";

impl Default for Codebook {
    fn default() -> Self {
        Self::learned(&[])
    }
}

impl Codebook {
    /// Learns from past incidents. The order of the lessons does not matter beyond the last bits
    /// of the weights.
    pub fn learned(lessons: &[Lesson]) -> Self {
        let answering = Answering::learned(lessons.iter().map(|lesson| &lesson.scene));
        let told = |lesson: &Lesson| {
            let scene = answering.told(&lesson.scene).into_owned();
            let Lesson { cause, kind, by, .. } = lesson.clone();
            Lesson { scene, cause, kind, confidence: lesson.confidence, by }
        };
        let lessons: &[Lesson] = &lessons.iter().map(told).collect::<Vec<_>>();
        let kinds: BTreeSet<&FaultKind> = lessons.iter().filter_map(|l| l.kind.as_ref()).collect();
        let kinds: Vec<FaultKind> = kinds.into_iter().cloned().collect();
        let cause = |lesson: &Lesson| lesson.scene.find(lesson.cause.as_ref()?);
        let mut background = Background::default();
        for lesson in lessons {
            if let Some(cause) = cause(lesson) {
                background.add(&lesson.scene, cause);
            }
        }
        let weighed = weights_of(lessons);
        let forest = Kinds::learned(lessons, &weighed, &kinds);
        let seen: Vec<Vec<Vec<Feature>>> = lessons
            .iter()
            .map(|lesson| features(&lesson.scene, &background, cause(lesson)))
            .collect();
        let names = names(&seen);
        let choices: Vec<Choice> = lessons
            .iter()
            .zip(&seen)
            .zip(weighed)
            .filter(|((lesson, _), _)| lesson.cause.is_none() || cause(lesson).is_some())
            .map(|((lesson, seen), weight)| Choice {
                rows: seen.iter().map(|part| row(part, &names)).collect(),
                cause: cause(lesson),
                kind: lesson.kind.as_ref().and_then(|kind| kinds.binary_search(kind).ok()),
                weight,
            })
            .filter(|choice| !choice.rows.is_empty())
            .collect();
        let wide = kinds.len().max(1) + 1;
        let mut prior = vec![0.0; names.len() * wide];
        for (name, weight) in BEFORE {
            prior[names[name] * wide] = weight;
        }
        let weights = Weights::learned(Weights { kinds: wide - 1, values: prior }, &choices).values;
        let weights = names
            .into_iter()
            .map(|(name, place)| (name, weights[place * wide..(place + 1) * wide].to_vec()))
            .collect();
        Self { kinds, weights, background, answering, forest }
    }

    /// Its weights by name: what a sign says of any fault, and behind an arrow of one kind.
    pub fn weights(&self) -> Vec<(String, f64)> {
        let named = |name: &str, values: &[f64]| {
            let of_kinds = self.kinds.iter().map(|kind| format!("{name} → {kind}"));
            std::iter::once(name.to_owned()).chain(of_kinds).zip(values.to_vec()).collect()
        };
        let named = self.weights.iter().map(|(name, values)| -> Vec<_> { named(name, values) });
        named.flatten().collect()
    }

    /// The kinds of fault whatever component has it, the likeliest first; none when no kind was
    /// ever seen.
    pub fn kinds_of(&self, hypotheses: &[Hypothesis]) -> Vec<(FaultKind, f64)> {
        let mut kinds: BTreeMap<&FaultKind, f64> = BTreeMap::new();
        for hypothesis in hypotheses {
            for (kind, share) in &hypothesis.kinds {
                *kinds.entry(kind).or_default() += hypothesis.probability * share;
            }
        }
        let mut kinds: Vec<_> = kinds.into_iter().map(|(kind, p)| (kind.clone(), p)).collect();
        kinds.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        kinds
    }

    /// Every component of an incident as its cause, the likeliest first.
    pub fn hypotheses(&self, scene: &Scene) -> Vec<Hypothesis> {
        let scene = &*self.answering.told(scene);
        let seen = features(scene, &self.background, None);
        let names: BTreeMap<&str, usize> =
            self.weights.keys().map(String::as_str).zip(0..).collect();
        let kinds = self.kinds.len().max(1);
        let values = self.weights.values().flatten().copied().collect();
        let rows: Vec<_> = seen.iter().map(|part| row(part, &names)).collect();
        let chances = Weights { kinds, values }.probabilities(&rows);
        let places = 0..scene.parts.len();
        let mut hypotheses: Vec<Hypothesis> = places
            .zip(&seen)
            .zip(chances.chunks(kinds))
            .map(|((place, seen), chances)| self.hypothesis(scene, place, seen, chances))
            .collect();
        hypotheses.sort_by(|a, b| {
            b.probability.total_cmp(&a.probability).then_with(|| a.component.cmp(&b.component))
        });
        hypotheses
    }

    // `chances` are those of the component at `place`, by kind.
    fn hypothesis(
        &self,
        scene: &Scene,
        place: usize,
        seen: &[Feature],
        chances: &[f64],
    ) -> Hypothesis {
        let part = &scene.parts[place];
        let probability: f64 = chances.iter().sum();
        let most = |shares: &[f64]| {
            (0..shares.len()).max_by(|a, b| shares[*a].total_cmp(&shares[*b])).unwrap_or(0)
        };
        let terms = terms::terms(part, seen, &self.weights, most(chances));
        let mut shares: Vec<f64> = chances.iter().map(|chance| chance / probability).collect();
        let kind_terms = self.forest.tell(scene, place, &mut shares);
        let mut kinds: Vec<(FaultKind, f64)> = self.kinds.iter().cloned().zip(shares).collect();
        kinds.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Hypothesis { component: part.name.clone(), probability, kinds, terms, kind_terms }
    }
}

fn names(seen: &[Vec<Vec<Feature>>]) -> BTreeMap<String, usize> {
    let lessons = seen.iter().map(|lesson| lesson.iter().flatten());
    let mut names = shown_often(lessons);
    names.extend(BEFORE.iter().map(|(name, _)| *name).chain([ALWAYS]));
    names.into_iter().map(str::to_owned).zip(0..).collect()
}

/// What enough lessons showed.
fn shown_often<'f, L: Iterator<Item = &'f Feature>>(
    seen: impl Iterator<Item = L>,
) -> BTreeSet<&'f str> {
    let mut lessons: BTreeMap<&str, usize> = BTreeMap::new();
    for lesson in seen {
        let shown: BTreeSet<&str> = lesson.map(|feature| feature.name.as_str()).collect();
        for name in shown {
            *lessons.entry(name).or_default() += 1;
        }
    }
    let enough = lessons.into_iter().filter(|(_, lessons)| *lessons >= LEAST_LESSONS);
    enough.map(|(name, _)| name).collect()
}

fn row<N: std::borrow::Borrow<str> + Ord>(
    part: &[Feature],
    names: &BTreeMap<N, usize>,
) -> Vec<(usize, f64)> {
    let known = part.iter().filter_map(|f| Some((*names.get(f.name.as_str())?, f.value)));
    known.chain(names.get(ALWAYS).map(|place| (*place, 1.0))).collect()
}

// One hasty person must not outweigh everyone else, however much they label.
fn weights_of(lessons: &[Lesson]) -> Vec<f64> {
    let confidence = |lesson: &Lesson| lesson.confidence.clamp(0.0, 1.0);
    let all: f64 = lessons.iter().map(confidence).sum();
    let mut people: BTreeMap<&Line, f64> = BTreeMap::new();
    for lesson in lessons {
        if let Some(person) = &lesson.by {
            *people.entry(person).or_default() += confidence(lesson);
        }
    }
    let share = |lesson: &Lesson| {
        let Some(given) = lesson.by.as_ref().and_then(|person| people.get(person).copied()) else {
            return 1.0;
        };
        let others = all - given;
        let most = FREE_LESSONS.max(others * MOST_OF_OTHERS);
        if others <= 0.0 || given <= most { 1.0 } else { most / given }
    };
    lessons.iter().map(|lesson| confidence(lesson) * share(lesson)).collect()
}
