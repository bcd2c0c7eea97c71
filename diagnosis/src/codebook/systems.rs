//! Codebooks of systems that have nothing to do with each other.
//!
//! What a base learned of one system helps with another as long as little is known of that one. With
//! lessons enough of its own, those of others only blur what its kinds of fault look like: their
//! components alarm by other names and rules.

use std::collections::{BTreeMap, BTreeSet};

use events::ComponentName;

use super::{Codebook, Lesson, Scene};

/// From so many lessons on a system is known by its own alone.
const ENOUGH: usize = 50;

/// A codebook of all lessons, and one of each system's own where these are enough.
#[derive(Clone, Debug, Default)]
pub struct Systems {
    all: Codebook,
    /// Its number, by component; several only where lessons of one system have no component in
    /// common with those of another.
    of: BTreeMap<ComponentName, usize>,
    apart: BTreeMap<usize, Codebook>,
}

impl Systems {
    /// Learns from labelled incidents. Incidents that have a component in common are of one system.
    pub fn learned(lessons: &[Lesson]) -> Self {
        let all = Codebook::learned(lessons);
        let of = systems(lessons);
        let numbers: BTreeSet<usize> = of.values().copied().collect();
        if numbers.len() < 2 {
            return Self { all, ..Self::default() };
        }
        let own = |number: usize| -> Vec<Lesson> {
            let is_own = |lesson: &&Lesson| system(&of, &lesson.scene) == Some(number);
            lessons.iter().filter(is_own).cloned().collect()
        };
        let known = numbers.into_iter().map(|number| (number, own(number)));
        let apart = known
            .filter(|(_, lessons)| lessons.len() >= ENOUGH)
            .map(|(number, lessons)| (number, Codebook::learned(&lessons)))
            .collect();
        Self { all, of, apart }
    }

    /// What all lessons came to.
    pub fn all(&self) -> &Codebook {
        &self.all
    }

    /// What is known of the system that an incident is in.
    pub fn about(&self, scene: &Scene) -> &Codebook {
        let own = system(&self.of, scene).and_then(|number| self.apart.get(&number));
        own.unwrap_or(&self.all)
    }
}

/// The system that an incident is in; none when it is in several, or in one that is not known.
fn system(of: &BTreeMap<ComponentName, usize>, scene: &Scene) -> Option<usize> {
    let mut numbers = scene.parts.iter().filter_map(|part| of.get(&part.name).copied());
    let first = numbers.next()?;
    numbers.all(|number| number == first).then_some(first)
}

fn systems(lessons: &[Lesson]) -> BTreeMap<ComponentName, usize> {
    let mut of: BTreeMap<ComponentName, usize> = BTreeMap::new();
    for (number, lesson) in lessons.iter().enumerate() {
        let names: Vec<&ComponentName> = lesson.scene.parts.iter().map(|part| &part.name).collect();
        let met: BTreeSet<usize> = names.iter().filter_map(|name| of.get(*name).copied()).collect();
        let joined = met.first().copied().unwrap_or(number);
        if met.len() > 1 {
            of.values_mut().filter(|it| met.contains(it)).for_each(|it| *it = joined);
        }
        of.extend(names.into_iter().map(|name| (name.clone(), joined)));
    }
    of
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
        let codebook = known.about(scene);
        codebook.kinds_of(&codebook.hypotheses(scene))[0].0.to_string()
    }

    #[test]
    fn what_a_sign_means_elsewhere_does_not_count_where_enough_is_known() {
        let here = lessons("shop", [("cpu", "cpu_hog"), ("mem", "memory_leak")], ENOUGH);
        let there = lessons("bank", [("mem", "cpu_hog"), ("cpu", "memory_leak")], 3 * ENOUGH);
        let known = Systems::learned(&[here, there].concat());
        assert_eq!(kind(&known, &scene("shop", 0, "cpu")), "cpu_hog");
        assert_eq!(kind(&known, &scene("bank", 0, "cpu")), "memory_leak");
        assert_eq!(known.about(&scene("mill", 0, "cpu")), known.all(), "of a third one");
    }

    #[test]
    fn one_that_is_hardly_known_is_helped_by_others() {
        let here = lessons("shop", [("cpu", "cpu_hog"), ("cpu", "cpu_hog")], 2);
        let there = lessons("bank", [("cpu", "cpu_hog"), ("mem", "memory_leak")], ENOUGH);
        let known = Systems::learned(&[here, there].concat());
        assert_eq!(kind(&known, &scene("shop", 0, "mem")), "memory_leak");
    }

    #[test]
    fn incidents_that_share_a_component_are_of_one_system() {
        let mut lessons = lessons("shop", [("cpu", "cpu_hog"), ("mem", "memory_leak")], 2);
        let others = self::lessons("bank", [("cpu", "cpu_hog"), ("mem", "memory_leak")], 2);
        let mut joint = others[0].clone();
        joint.scene.parts.extend(lessons[0].scene.parts.clone());
        lessons.extend(others);
        assert_eq!(systems(&lessons).into_values().collect::<BTreeSet<_>>().len(), 2);
        lessons.push(joint);
        assert_eq!(systems(&lessons).into_values().collect::<BTreeSet<_>>().len(), 1);
        assert_eq!(Systems::learned(&lessons).apart.len(), 0);
    }
}
