//! `taught@1`: `causal@1`, with what labelled incidents taught beside it.
//!
//! Where there is telemetry, what a [`Codebook`] makes of the symptoms is one further observation
//! about each component. Where there are only alerts, the codebook ranks alone: before the first
//! lesson by the structure of the calls.

use std::collections::BTreeMap;

use events::catalogue::diagnosis::{ScoreTerm, Suspect};
use events::value::Line;
use events::{ComponentName, EventId, FaultKind};

use super::causal::{Causal, Further};
use super::path::Paths;
use super::terms::{MOST_CITED, MOST_SUSPECTS, abstained, cited, finite, grains};
use super::{Ranker, Ranking};
use crate::codebook::{Codebook, Hypothesis, Lesson, Scene, Systems};
use crate::evidence::Evidence;

const NAME: &str = "taught@1";
/// What is looked like is told of as this.
const FAMILIAR: &str = "looks like past faults";
/// Less likely hypotheses are not worth a word.
const LEAST_LIKELY: f64 = 0.02;
/// A kind of fault is named from here on.
const LEAST_LIKELY_KIND: f64 = 0.4;

/// The ranker; see the module's text.
#[derive(Clone, Debug, Default)]
pub struct Taught {
    causal: Causal,
    codebook: Systems,
    lessons: usize,
}

/// What is answered of an incident without labels: so much of it that what labels add can be
/// weighed without its evidence, which is a thousand times larger.
#[derive(Clone, Debug, Default)]
pub struct Unlearned {
    /// Whether there is telemetry.
    measured: bool,
    /// How much speaks for each component, where there is telemetry from the time of the incident.
    utilities: Option<BTreeMap<ComponentName, f64>>,
    kinds: BTreeMap<ComponentName, FaultKind>,
}

impl Unlearned {
    /// Of this evidence.
    pub fn of(evidence: &Evidence) -> Self {
        let causal = Causal::shipped();
        let suspects = causal.rank(evidence).suspects;
        Self {
            measured: is_measured(evidence),
            utilities: causal.utilities(evidence),
            kinds: suspects
                .into_iter()
                .filter_map(|it| Some((it.component, it.fault_kind?)))
                .collect(),
        }
    }
}

fn is_measured(evidence: &Evidence) -> bool {
    !evidence.snapshots().is_empty() || !evidence.edges().is_empty()
}

impl Taught {
    /// Who would be suspected by [`Ranker::rank`], the most suspected first, and of what kind of
    /// fault, from what the incident looked like and what is answered without labels.
    pub fn suspected(
        &self,
        scene: &Scene,
        unlearned: &Unlearned,
    ) -> Vec<(ComponentName, Option<FaultKind>)> {
        let silent = scene.parts.iter().all(|part| part.signs.is_empty());
        if silent && !unlearned.measured {
            return Vec::new();
        }
        let hypotheses = match unlearned.measured && self.lessons == 0 {
            true => Vec::new(),
            false => self.codebook.hypotheses(scene),
        };
        let likely = |it: &Hypothesis| {
            let least = if unlearned.measured { LEAST_LIKELY_KIND } else { 0.0 };
            let (kind, _) = it.kinds.first().filter(|(_, probability)| *probability >= least)?;
            Some((it.component.clone(), kind.clone()))
        };
        let kinds: BTreeMap<ComponentName, FaultKind> =
            hypotheses.iter().filter_map(likely).collect();
        let order = match &unlearned.utilities {
            _ if !unlearned.measured => {
                hypotheses.into_iter().map(|it| it.component).take(MOST_SUSPECTS).collect()
            }
            Some(utilities) => {
                let further: Vec<Further> = hypotheses.iter().filter_map(familiar).collect();
                self.causal.order(utilities.clone(), &further)
            }
            None => Vec::new(),
        };
        let kind = |name: &ComponentName| kinds.get(name).or(unlearned.kinds.get(name)).cloned();
        order.into_iter().map(|name| (name.clone(), kind(&name))).collect()
    }

    /// Taught by these incidents.
    pub fn by(lessons: &[Lesson]) -> Self {
        Self {
            causal: Causal::shipped(),
            codebook: Systems::learned(lessons),
            lessons: lessons.len(),
        }
    }

    /// What the lessons came to.
    pub fn codebook(&self) -> &Codebook {
        self.codebook.all()
    }

    /// The kinds of fault that the incident may be of, whatever component has it, the likeliest
    /// first; empty when no kind was ever seen or nothing shows.
    pub fn kinds(&self, evidence: &Evidence) -> Vec<(FaultKind, f64)> {
        let scene = Scene::of(evidence);
        if scene.parts.iter().all(|part| part.signs.is_empty()) {
            return Vec::new();
        }
        self.codebook.kinds(&scene)
    }

    fn by_symptoms(evidence: &Evidence, hypotheses: &[Hypothesis]) -> Ranking {
        let paths = Paths::along(evidence.noticed(), evidence.calls());
        let suspects: Vec<Suspect> = hypotheses
            .iter()
            .take(MOST_SUSPECTS)
            .filter_map(|hypothesis| suspect(hypothesis, paths.to(&hypothesis.component)))
            .collect();
        if suspects.is_empty() {
            return abstained(NAME, "nothing is known of what alarmed but where");
        }
        Ranking { method: Line::clipped(NAME), abstained: None, suspects }
    }
}

impl Ranker for Taught {
    fn name(&self) -> &'static str {
        NAME
    }

    fn rank(&self, evidence: &Evidence) -> Ranking {
        let measured = is_measured(evidence);
        if measured && self.lessons == 0 {
            return Ranking { method: Line::clipped(NAME), ..self.causal.rank(evidence) };
        }
        let scene = Scene::of(evidence);
        if scene.parts.iter().all(|part| part.signs.is_empty()) && !measured {
            return abstained(NAME, "neither telemetry nor alerts from the time of the incident");
        }
        let hypotheses = self.codebook.hypotheses(&scene);
        if !measured {
            return Self::by_symptoms(evidence, &hypotheses);
        }
        let further: Vec<Further> = hypotheses.iter().filter_map(familiar).collect();
        let mut ranking = self.causal.rank_with(evidence, &further);
        ranking.method = Line::clipped(NAME);
        let mut kinds: BTreeMap<&ComponentName, &Hypothesis> =
            hypotheses.iter().map(|it| (&it.component, it)).collect();
        for suspect in &mut ranking.suspects {
            let likeliest = kinds.remove(&suspect.component).and_then(|it| it.kinds.first());
            let likely = likeliest.filter(|(_, probability)| *probability >= LEAST_LIKELY_KIND);
            if let Some((kind, _)) = likely {
                suspect.fault_kind = Some(kind.clone());
            }
        }
        ranking
    }
}

/// What shows the signs that speak for a hypothesis.
fn evidence_of(hypothesis: &Hypothesis) -> Vec<EventId> {
    let speaking = hypothesis.terms.iter().filter(|term| term.weight > 0.0);
    cited(speaking.map(|term| term.evidence.iter().copied().take(MOST_CITED).collect()))
}

fn familiar(hypothesis: &Hypothesis) -> Option<Further> {
    (hypothesis.probability >= LEAST_LIKELY).then(|| Further {
        component: hypothesis.component.clone(),
        name: FAMILIAR.to_owned(),
        strength: hypothesis.probability,
        evidence: evidence_of(hypothesis),
    })
}

/// The probability, shared out among the signs that speak for it.
fn suspect(hypothesis: &Hypothesis, path: Vec<ComponentName>) -> Option<Suspect> {
    let speaking = || hypothesis.terms.iter().filter(|term| term.weight > 0.0);
    let all: f64 = speaking().map(|term| term.weight).sum();
    let mut terms: Vec<ScoreTerm> = speaking()
        .map(|term| ScoreTerm {
            name: Line::clipped(&term.name),
            contribution: finite(grains(hypothesis.probability * term.weight / all)),
            evidence: term.evidence.iter().copied().take(MOST_CITED).collect(),
        })
        .filter(|term| term.contribution.get() > 0.0)
        .collect();
    terms.sort_by(|a, b| {
        let contributions = b.contribution.get().total_cmp(&a.contribution.get());
        contributions.then_with(|| a.name.cmp(&b.name))
    });
    let score: f64 = terms.iter().map(|term| term.contribution.get()).sum();
    (score > 0.0).then(|| Suspect {
        component: hypothesis.component.clone(),
        score: finite(score),
        fault_kind: hypothesis.kinds.first().map(|(kind, _)| kind.clone()),
        terms,
        path,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::evidence::{AlertEvidence, Call, Gathered, Signal};

    fn name(name: &str) -> ComponentName {
        ComponentName::new(name).unwrap()
    }

    /// `front` calls `cart`, `stock` and `mail`; `metric` of one of them rose.
    fn alarmed(component: &str, metric: &str) -> Evidence {
        let alert = |number: u128, of: &str, what: &str| AlertEvidence {
            event: EventId(uuid::Uuid::from_u128(number)),
            component: name(of),
            caller: None,
            at: Timestamp::UNIX_EPOCH,
            signal: Signal::Metric,
            name: Line::clipped(what),
            direction: Some(Line::clipped("up")),
        };
        let call = |callee: &&str| Call { caller: name("front"), callee: name(callee) };
        Evidence::new(Gathered {
            noticed: name("front"),
            noticed_at: Timestamp::UNIX_EPOCH,
            calls: ["cart", "stock", "mail"].iter().map(call).collect(),
            snapshots: Vec::new(),
            edges: Vec::new(),
            logs: Vec::new(),
            changes: Vec::new(),
            alerts: vec![alert(1, component, metric), alert(2, "front", "latency")],
        })
    }

    fn lessons() -> Vec<Lesson> {
        let taught = |component: &str, metric: &str, kind: &str| Lesson {
            scene: Scene::of(&alarmed(component, metric)),
            cause: Some(name(component)),
            kind: Some(FaultKind::new(kind).unwrap()),
            confidence: 1.0,
            by: None,
        };
        let components = ["cart", "stock", "cart", "stock"];
        components
            .iter()
            .flat_map(|of| [taught(of, "cpu", "cpu_hog"), taught(of, "memory", "memory_leak")])
            .collect()
    }

    #[test]
    fn what_was_taught_of_others_tells_cause_and_kind_with_its_evidence() {
        let asked = alarmed("mail", "memory");
        let taught = Taught::by(&lessons());
        let ranking = taught.rank(&asked);
        let first = &ranking.suspects[0];
        assert_eq!(first.component, name("mail"), "it never failed before: {ranking:?}");
        assert_eq!(first.fault_kind.as_ref().unwrap().as_str(), "memory_leak");
        let cited = |number| EventId(uuid::Uuid::from_u128(number));
        assert!(first.terms.iter().any(|term| term.evidence.contains(&cited(1))), "{first:?}");
        let sum: f64 = first.terms.iter().map(|term| term.contribution.get()).sum();
        assert!((sum - first.score.get()).abs() < 1e-9, "the terms make the score");
        assert_eq!(first.path, [name("front"), name("mail")]);
        assert_eq!(taught.kinds(&asked)[0].0.as_str(), "memory_leak");
        assert_eq!(Taught::by(&lessons()).rank(&asked), ranking, "byte for byte");
        let told: Vec<_> =
            ranking.suspects.into_iter().map(|it| (it.component, it.fault_kind)).collect();
        let unlearned = Unlearned::of(&asked);
        assert_eq!(taught.suspected(&Scene::of(&asked), &unlearned)[..told.len()], told);
    }

    #[test]
    fn nothing_to_go_by_is_said() {
        let mut silent = Gathered::from(alarmed("cart", "cpu"));
        silent.alerts.clear();
        let ranking = Taught::by(&lessons()).rank(&Evidence::new(silent.clone()));
        assert!(ranking.abstained.is_some() && ranking.suspects.is_empty(), "{ranking:?}");
        assert!(Taught::by(&lessons()).kinds(&Evidence::new(silent)).is_empty());
        assert!(Taught::by(&[]).kinds(&alarmed("cart", "cpu")).is_empty(), "no kind was seen");
    }
}
