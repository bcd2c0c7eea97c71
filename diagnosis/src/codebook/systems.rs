//! Codebooks of systems that have nothing to do with each other.
//!
//! Which component is the cause shows by where it stands and who shows what, everywhere alike: there
//! the lessons of all systems help each other. What a kind of fault looks like is a matter of which
//! metrics a system has and what its alarms are called: with lessons enough of its own, those of
//! others only blur it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use events::{ComponentName, FaultKind};

use super::{Codebook, Hypothesis, Lesson, Scene};

/// From so many lessons on a system's kinds of fault are told by its own alone.
const ENOUGH: usize = 50;

/// A codebook of all lessons, and one of each system's own where these are enough.
#[derive(Clone, Debug, Default)]
pub struct Systems {
    all: Codebook,
    /// All systems, where there are several.
    apart: Vec<System>,
}

#[derive(Clone, Debug)]
struct System {
    components: BTreeSet<ComponentName>,
    /// What its own lessons came to, where they are enough.
    own: Option<Codebook>,
}

impl Systems {
    /// Learns from labelled incidents. An incident is of the system that has most of its
    /// components, and at least half of them.
    pub fn learned(lessons: &[Lesson]) -> Self {
        let all = Codebook::learned(lessons);
        let mut apart = systems(lessons);
        if apart.len() < 2 {
            return Self { all, apart: Vec::new() };
        }
        let mut own: Vec<Vec<Lesson>> = vec![Vec::new(); apart.len()];
        for lesson in lessons {
            if let Some(number) = system(&apart, &names(&lesson.scene)) {
                own[number].push(lesson.clone());
            }
        }
        for (system, lessons) in apart.iter_mut().zip(own) {
            system.own = (lessons.len() >= ENOUGH).then(|| Codebook::learned(&lessons));
        }
        Self { all, apart }
    }

    /// What all lessons came to.
    pub fn all(&self) -> &Codebook {
        &self.all
    }

    /// Every component of an incident as its cause, the likeliest first, by what all lessons came to;
    /// of which kind its fault is, by what is known of the system that the incident is in.
    pub fn hypotheses(&self, scene: &Scene) -> Vec<Hypothesis> {
        let mut hypotheses = self.all.hypotheses(scene);
        let number = system(&self.apart, &names(scene));
        let Some(own) = number.and_then(|number| self.apart[number].own.as_ref()) else {
            return hypotheses;
        };
        let known = own.hypotheses(scene).into_iter().map(|it| (it.component.clone(), it));
        let mut known: BTreeMap<ComponentName, Hypothesis> = known.collect();
        for hypothesis in &mut hypotheses {
            if let Some(own) = known.remove(&hypothesis.component) {
                (hypothesis.kinds, hypothesis.kind_terms) = (own.kinds, own.kind_terms);
            }
        }
        hypotheses
    }

    /// The kinds of fault whatever component has it, the likeliest first; none when no kind was
    /// ever seen.
    pub fn kinds(&self, scene: &Scene) -> Vec<(FaultKind, f64)> {
        self.all.kinds_of(&self.hypotheses(scene))
    }
}

fn names(scene: &Scene) -> BTreeSet<ComponentName> {
    scene.parts.iter().map(|part| part.name.clone()).collect()
}

fn system(systems: &[System], names: &BTreeSet<ComponentName>) -> Option<usize> {
    let shared = |it: &System| it.components.intersection(names).count();
    let best = (0..systems.len()).max_by_key(|it| (shared(&systems[*it]), Reverse(*it)))?;
    (2 * shared(&systems[best]) >= names.len().max(1)).then_some(best)
}

/// The systems, whatever the order of the lessons: those who show the most components are asked
/// first which system they are in, and begin one where they are in none.
fn systems(lessons: &[Lesson]) -> Vec<System> {
    let mut shown: Vec<BTreeSet<ComponentName>> =
        lessons.iter().map(|lesson| names(&lesson.scene)).collect();
    shown.sort_by_cached_key(|names| (Reverse(names.len()), names.clone()));
    shown.dedup();
    // Where nothing shows is nowhere.
    shown.retain(|names| !names.is_empty());
    let mut systems: Vec<System> = Vec::new();
    for names in shown {
        match system(&systems, &names) {
            Some(number) => systems[number].components.extend(names),
            None => systems.push(System { components: names, own: None }),
        }
    }
    systems
}

#[cfg(test)]
mod tests {
    use events::value::Line;
    use events::{EventId, FaultKind, Timestamp};

    use super::*;
    use crate::evidence::{AlertEvidence, Call, Evidence, Gathered, Signal};

    fn name(name: &str) -> ComponentName {
        ComponentName::new(name).unwrap()
    }

    /// `front` of a system calls two others, of which `metric` of one rose.
    fn scene(system: &str, part: usize, metric: &str) -> Scene {
        let named = |part: &str| name(&format!("{system}-{part}"));
        let parts = ["cart", "stock"].map(named);
        let alert = AlertEvidence {
            event: EventId(uuid::Uuid::from_u128(1)),
            component: parts[part % 2].clone(),
            caller: None,
            at: Timestamp::UNIX_EPOCH,
            signal: Signal::Metric,
            name: Line::clipped(metric),
            direction: Some(Line::clipped("up")),
        };
        let call = |callee: &ComponentName| Call { caller: named("front"), callee: callee.clone() };
        Scene::of(&Evidence::new(Gathered {
            noticed: named("front"),
            noticed_at: Timestamp::UNIX_EPOCH,
            calls: parts.iter().map(call).collect(),
            snapshots: Vec::new(),
            edges: Vec::new(),
            logs: Vec::new(),
            changes: Vec::new(),
            alerts: vec![alert],
        }))
    }

    /// What shows as `of` in this system, so many times each.
    fn lessons(system: &str, of: [(&str, &str); 2], times: usize) -> Vec<Lesson> {
        let lesson = |number: usize| {
            let (metric, kind) = of[number % 2];
            let scene = scene(system, number / 2, metric);
            let cause = scene.parts.iter().find(|part| !part.signs.is_empty());
            Lesson {
                cause: cause.map(|part| part.name.clone()),
                scene,
                kind: Some(FaultKind::new(kind).unwrap()),
                confidence: 1.0,
                by: None,
            }
        };
        (0..2 * times).map(lesson).collect()
    }

    fn kind(known: &Systems, scene: &Scene) -> String {
        known.kinds(scene)[0].0.to_string()
    }

    #[test]
    fn what_a_sign_means_elsewhere_does_not_count_where_enough_is_known() {
        let here = lessons("shop", [("cpu", "cpu_hog"), ("mem", "memory_leak")], ENOUGH);
        let there = lessons("bank", [("mem", "cpu_hog"), ("cpu", "memory_leak")], 3 * ENOUGH);
        let known = Systems::learned(&[here, there].concat());
        assert_eq!(kind(&known, &scene("shop", 0, "cpu")), "cpu_hog");
        assert_eq!(kind(&known, &scene("bank", 0, "cpu")), "memory_leak");
        let third = scene("mill", 0, "cpu");
        assert_eq!(known.kinds(&third), known.all().kinds_of(&known.all().hypotheses(&third)));
        let shop = scene("shop", 0, "cpu");
        let order = |of: Vec<Hypothesis>| -> Vec<_> {
            of.into_iter().map(|it| (it.component, it.probability)).collect()
        };
        let (by_kind, by_all) = (known.hypotheses(&shop), known.all().hypotheses(&shop));
        assert_eq!(order(by_kind), order(by_all), "causes are told by all");
    }

    #[test]
    fn one_that_is_hardly_known_is_helped_by_others() {
        let here = lessons("shop", [("cpu", "cpu_hog"), ("cpu", "cpu_hog")], 2);
        let there = lessons("bank", [("cpu", "cpu_hog"), ("mem", "memory_leak")], ENOUGH);
        let known = Systems::learned(&[here, there].concat());
        assert_eq!(kind(&known, &scene("shop", 0, "mem")), "memory_leak");
    }

    #[test]
    fn one_component_of_the_same_name_makes_no_system_of_two() {
        let both = [("cpu", "cpu_hog"), ("mem", "memory_leak")];
        let mut lessons = [lessons("shop", both, 2), lessons("bank", both, 2)].concat();
        let front = lessons[0].scene.parts[0].clone();
        lessons[5].scene.parts[0] = front;
        assert_eq!(systems(&lessons).len(), 2);
        lessons.reverse();
        assert_eq!(systems(&lessons).len(), 2);
        assert_eq!(systems(&lessons[..4]).len(), 1);
        lessons[0].scene.parts.clear();
        assert_eq!(systems(&lessons[..4]).len(), 1, "one that shows nothing is of none");
        assert_eq!(Systems::learned(&lessons[..4]).apart.len(), 0);
    }
}
