//! The plain baseline: the nearest past incidents by tf-idf of what each component showed.

use std::collections::{BTreeMap, BTreeSet};

use diagnosis::codebook::Lesson;

use super::score::Asked;

const NEAREST: usize = 3;

pub struct Neighbours {
    rarity: BTreeMap<String, f64>,
    past: Vec<(BTreeMap<String, f64>, Lesson)>,
}

impl Neighbours {
    pub fn of(lessons: &[Lesson]) -> Self {
        let mut counts: BTreeMap<String, f64> = BTreeMap::new();
        for word in lessons.iter().flat_map(words) {
            *counts.entry(word).or_default() += 1.0;
        }
        let all = lessons.len() as f64;
        let rarity =
            counts.into_iter().map(|(word, n)| (word, ((1.0 + all) / (1.0 + n)).ln() + 1.0));
        let mut neighbours = Self { rarity: rarity.collect(), past: Vec::new() };
        neighbours.past =
            lessons.iter().map(|lesson| (neighbours.vector(lesson), lesson.clone())).collect();
        neighbours
    }

    fn vector(&self, lesson: &Lesson) -> BTreeMap<String, f64> {
        let weigh = |word: String| Some((self.rarity.get(&word).copied()?, word));
        let vector: Vec<(f64, String)> = words(lesson).into_iter().filter_map(weigh).collect();
        let length = vector.iter().map(|(weight, _)| weight * weight).sum::<f64>().sqrt();
        vector.into_iter().map(|(weight, word)| (word, weight / length)).collect()
    }

    pub fn asked(&self, lesson: &Lesson) -> Asked {
        let this = self.vector(lesson);
        let alike = |other: &BTreeMap<String, f64>| -> f64 {
            this.iter().filter_map(|(word, weight)| Some(weight * other.get(word)?)).sum()
        };
        let mut near: Vec<(f64, &Lesson)> =
            self.past.iter().map(|(vector, past)| (alike(vector), past)).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.truncate(NEAREST);
        let mut causes = BTreeMap::new();
        let mut kinds = BTreeMap::new();
        for (alike, past) in near {
            *causes.entry(past.cause.clone()).or_insert(0.0) += alike;
            *kinds.entry(past.kind.clone()).or_insert(0.0) += alike;
        }
        let ranked = |votes: BTreeMap<_, f64>| {
            let mut votes: Vec<_> = votes.into_iter().collect();
            votes.sort_by(|a, b| b.1.total_cmp(&a.1));
            votes
        };
        let causes =
            ranked(causes).into_iter().filter_map(|(c, votes)| Some((c?, votes))).collect();
        let best = kinds.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        Asked::new(lesson, causes, best.and_then(|(kind, votes)| Some((kind?, votes))))
    }
}

fn words(lesson: &Lesson) -> BTreeSet<String> {
    let parts = lesson.scene.parts.iter();
    parts.flat_map(|part| part.signs.keys().map(|sign| format!("{}|{sign}", part.name))).collect()
}
