//! Learning from labelled incidents: what a model was taught by, what it must not be asked, and
//! how well it does on incidents that did not teach it.
//!
//! A model is a pure function of the incidents that are studied (DI-1). Whether it is any good is
//! found out by leaving incidents out: those that one fault opened are left out together, since
//! each tells what the other is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use events::value::Line;
use events::{ComponentName, FaultId, FaultKind, IncidentId};

use crate::classify::{Classifier, Example};
use crate::codebook::Lesson;
use crate::evaluation::{self, Outcome, folds, weighted_f1};
use crate::rank::{Taught, Unlearned};

/// Into how many parts incidents are dealt; each is asked of what the others teach.
const PARTS: usize = 5;
/// Fewer incidents teach nothing that another one would bear out.
pub const LEAST_INCIDENTS: usize = 5;
/// Weights that are told of a model, the heaviest first.
const MOST_WEIGHTS: usize = 200;

/// A past incident that teaches.
#[derive(Clone, Debug)]
pub struct Studied {
    /// Which.
    pub incident: IncidentId,
    /// The faults that acted meanwhile, and those that any of its labels is known from, whether
    /// it counts or not.
    pub faults: BTreeSet<FaultId>,
    /// What it teaches.
    pub lesson: Lesson,
    /// What is answered of it without labels.
    pub unlearned: Unlearned,
    /// What it says of itself in words, a line for each thing; see [`crate::wording`].
    pub text: String,
}

impl Studied {
    /// Whether it tells how `incident` ended: it is the same one, or one of the faults behind it was
    /// `acting` in that.
    pub fn tells(&self, incident: &IncidentId, acting: &BTreeSet<FaultId>) -> bool {
        self.incident == *incident || !self.faults.is_disjoint(acting)
    }
}

/// What was learned, and from which incidents.
#[derive(Clone, Debug, Default)]
pub struct Model {
    ranker: Taught,
    incidents: BTreeSet<IncidentId>,
    faults: BTreeSet<FaultId>,
    examples: Vec<Example>,
    classifier: OnceLock<Classifier>,
}

impl Model {
    /// Learns. The order of the incidents does not matter beyond the last bits of the weights.
    /// What fewer than [`LEAST_INCIDENTS`] teach is nothing.
    pub fn learned(studied: &[Studied]) -> Self {
        if studied.len() < LEAST_INCIDENTS {
            return Self::default();
        }
        Self {
            ranker: taught(studied.iter()),
            incidents: studied.iter().map(|it| it.incident.clone()).collect(),
            faults: studied.iter().flat_map(|it| it.faults.iter().cloned()).collect(),
            examples: studied.iter().filter_map(example).collect(),
            classifier: OnceLock::new(),
        }
    }

    /// Whether it knows nothing of how `incident` ended: neither did that teach it, nor another
    /// that one of the faults opened which were `acting` meanwhile (DI-3).
    pub fn may_answer(&self, incident: &IncidentId, acting: &BTreeSet<FaultId>) -> bool {
        !self.incidents.contains(incident) && self.faults.is_disjoint(acting)
    }

    /// How it ranks.
    pub fn ranker(&self) -> &Taught {
        &self.ranker
    }

    /// What tells the kind of fault from words. It is learned when it is first asked for, which
    /// takes as long as seconds.
    pub fn classifier(&self) -> &Classifier {
        self.classifier.get_or_init(|| Classifier::learned(&self.examples))
    }

    /// Whether [`Self::classifier`] answers at once.
    pub fn knows_words(&self) -> bool {
        self.classifier.get().is_some()
    }

    /// The heaviest weights by name: of what a sign says of any fault, and behind an arrow of one
    /// kind of fault.
    pub fn weights(&self) -> BTreeMap<String, f64> {
        let mut weights = self.ranker.codebook().weights();
        weights.retain(|(_, weight)| *weight != 0.0);
        weights.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then_with(|| a.0.cmp(&b.0)));
        weights.truncate(MOST_WEIGHTS);
        weights.into_iter().collect()
    }
}

fn taught<'s>(studied: impl Iterator<Item = &'s Studied>) -> Taught {
    Taught::by(&studied.map(|it| it.lesson.clone()).collect::<Vec<_>>())
}

fn example(studied: &Studied) -> Option<Example> {
    Some(Example {
        name: studied.incident.to_string(),
        text: studied.text.clone(),
        kind: studied.lesson.kind.clone()?,
        confidence: studied.lesson.confidence,
    })
}

/// Models that were each learned without some of the incidents, to ask them about those.
#[derive(Debug)]
struct LeftOut {
    /// The part of each incident.
    parts: Vec<usize>,
    /// By the part that each did not learn from.
    after: Vec<Taught>,
    before: Vec<Taught>,
    shipped: Taught,
}

/// The suspects, the most suspected first, with their kinds of fault.
type Suspected = Vec<(ComponentName, Option<FaultKind>)>;

/// What an incident is answered by models that did not learn from it.
#[derive(Clone, Debug)]
struct Answers {
    after: Suspected,
    before: Suspected,
    /// By what is known without labels.
    shipped: Suspected,
}

impl LeftOut {
    /// Learns from all `studied` but a part of them, for each part; and as `before`, without the
    /// same part.
    fn of(studied: &[Studied], before: &[Studied]) -> Self {
        let all: Vec<&Studied> = studied.iter().chain(before).collect();
        let parts = parts(&all);
        let without = |part: usize, of: std::ops::Range<usize>| match of.len() {
            LEAST_INCIDENTS.. => {
                taught(of.filter(|place| parts[*place] != part).map(|place| all[place]))
            }
            _ => Taught::default(),
        };
        let (now, then) = (0..studied.len(), studied.len()..all.len());
        let after = (0..PARTS).map(|part| without(part, now.clone())).collect();
        let before = (0..PARTS).map(|part| without(part, then.clone())).collect();
        Self { after, before, parts: parts[now].to_vec(), shipped: Taught::default() }
    }

    fn ask(&self, part: usize, studied: &Studied) -> Answers {
        let Studied { lesson, unlearned, .. } = studied;
        let suspected = |taught: &Taught| taught.suspected(&lesson.scene, unlearned);
        Answers {
            after: suspected(&self.after[part]),
            before: suspected(&self.before[part]),
            shipped: suspected(&self.shipped),
        }
    }
}

/// The part of each incident. The same incident, and those of one fault, are in one part.
fn parts(studied: &[&Studied]) -> Vec<usize> {
    let mut origins: Vec<usize> = (0..studied.len()).collect();
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, it) in studied.iter().enumerate() {
        let names = it.faults.iter().map(FaultId::as_str).chain([it.incident.as_str()]);
        for name in names {
            let (one, other) = (origins[place], origins[*first.entry(name).or_insert(place)]);
            let joined = one.min(other);
            for origin in origins.iter_mut().filter(|it| **it == one || **it == other) {
                *origin = joined;
            }
        }
    }
    let dealt: Vec<(&str, &str)> = (0..studied.len())
        .filter(|place| origins[*place] == *place)
        .map(|place| {
            let Studied { incident, lesson, .. } = studied[place];
            (lesson.kind.as_ref().map_or("", FaultKind::as_str), incident.as_str())
        })
        .collect();
    let part: BTreeMap<&str, usize> =
        dealt.iter().map(|(_, incident)| *incident).zip(folds(&dealt, PARTS)).collect();
    origins.into_iter().map(|origin| part[studied[origin].incident.as_str()]).collect()
}

/// How good a model is on incidents that it did not learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How it does, by the name of the measure.
    pub after: BTreeMap<String, f64>,
    /// How the model before it does on the same incidents.
    pub before: BTreeMap<String, f64>,
    /// Why it should not be used; `None` when it may.
    pub rejected: Option<Line>,
}

impl Report {
    /// Of what is learned from `studied`, beside what was learned from `before`, on the incidents
    /// and by the labels of `studied`.
    ///
    /// A model that names the cause first less often than what is known without labels is
    /// rejected: labels that contradict each other teach nothing.
    pub fn of(studied: &[Studied], before: &[Studied]) -> Self {
        let left_out = LeftOut::of(studied, before);
        let parts = left_out.parts.iter().zip(studied);
        let answers: Vec<Answers> = parts.map(|(part, it)| left_out.ask(*part, it)).collect();
        Self::by(studied, &answers)
    }

    fn by(studied: &[Studied], answers: &[Answers]) -> Self {
        let of = |pick: fn(&Answers) -> &Suspected| Measured::of(studied, answers.iter().map(pick));
        let (after, before) = (of(|it| &it.after), of(|it| &it.before));
        let shipped = of(|it| &it.shipped);
        let rejected = (after.first < shipped.first).then(|| {
            Line::clipped(&format!(
                "names the cause of {} of {} incidents first, without labels it is {}",
                after.first, after.caused, shipped.first
            ))
        });
        Self { after: after.by_name(), before: before.by_name(), rejected }
    }
}

struct Measured {
    /// Incidents whose cause is known, and of how many it was named first.
    caused: usize,
    first: usize,
    hit_at_3: f64,
    reciprocal: f64,
    /// Incidents whose kind of fault is known.
    kinds: usize,
    kind_f1: f64,
}

impl Measured {
    fn of<'r>(studied: &[Studied], answers: impl Iterator<Item = &'r Suspected> + Clone) -> Self {
        let asked = || studied.iter().zip(answers.clone());
        let outcomes: Vec<Outcome> = asked()
            .filter_map(|(it, answer)| outcome(it, it.lesson.cause.as_ref()?, answer))
            .collect();
        let kinds: Vec<(&FaultKind, Option<&FaultKind>)> = asked()
            .filter_map(|(it, answer)| {
                let told = answer.first().and_then(|(_, kind)| kind.as_ref());
                Some((it.lesson.kind.as_ref()?, told))
            })
            .collect();
        Self {
            caused: outcomes.len(),
            first: outcomes.iter().filter(|it| it.within(1)).count(),
            hit_at_3: evaluation::hit_rate(&outcomes, 3),
            reciprocal: evaluation::mean_reciprocal_rank(&outcomes),
            kinds: kinds.len(),
            kind_f1: weighted_f1(&kinds),
        }
    }

    fn by_name(&self) -> BTreeMap<String, f64> {
        let mut measures = vec![("incidents_of_known_cause", self.caused as f64)];
        if self.caused > 0 {
            measures.extend([
                ("hit_at_1", self.first as f64 / self.caused as f64),
                ("hit_at_3", self.hit_at_3),
                ("mean_reciprocal_rank", self.reciprocal),
            ]);
        }
        measures.push(("incidents_of_known_kind", self.kinds as f64));
        if self.kinds > 0 {
            measures.push(("kind_weighted_f1", self.kind_f1));
        }
        measures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn outcome(studied: &Studied, cause: &ComponentName, answer: &Suspected) -> Option<Outcome> {
    let ranked = answer.iter().map(|(component, _)| component);
    Some(Outcome {
        case: studied.incident.to_string(),
        group: String::new(),
        place: evaluation::place(std::slice::from_ref(cause), ranked),
    })
}

#[cfg(test)]
mod tests;
