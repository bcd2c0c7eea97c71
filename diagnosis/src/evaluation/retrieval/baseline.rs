//! Plain ways to find similar incidents, to be better than.

use std::collections::BTreeMap;

use events::ComponentName;
use rust_stemmers::{Algorithm, Stemmer};

use super::{Question, Remembered};
use crate::search::{B, K1, words};

/// The latest incidents whose label names the component that is suspected now, then the rest; the
/// latest first in both. `suspects` has, for every incident, the first suspect of the diagnosis
/// that was made while it was live.
pub fn same_component_most_recent(
    incidents: &[Remembered],
    suspects: &[Option<ComponentName>],
    question: &Question,
) -> Vec<usize> {
    let suspect = suspects[question.asked].as_ref();
    let is_its =
        |place: &usize| suspect.is_some() && incidents[*place].component.as_ref() == suspect;
    let latest = || question.past.iter().rev().copied();
    latest().filter(is_its).chain(latest().filter(|place| !is_its(place))).collect()
}

/// BM25 over whole texts, with the words and constants of [`search`](crate::search): what a search
/// engine makes of the text of an incident.
#[derive(Clone, Debug)]
pub struct Bm25 {
    texts: Vec<BTreeMap<String, u32>>,
}

impl Bm25 {
    /// Over the text of every incident, in their order.
    pub fn of(texts: &[String]) -> Self {
        let stemmer = Stemmer::create(Algorithm::English);
        let count = |text: &String| {
            let mut counts = BTreeMap::new();
            words(text, |_, word| {
                *counts.entry(stemmer.stem(word).into_owned()).or_default() += 1;
            });
            counts
        };
        Self { texts: texts.iter().map(count).collect() }
    }

    /// The past incidents that share a word with the one in question, the best first; of equal
    /// ones the latest. Counts are those of the past.
    pub fn ask(&self, question: &Question) -> Vec<usize> {
        let length = |place: usize| f64::from(self.texts[place].values().sum::<u32>());
        let all = question.past.len() as f64;
        let mean = question.past.iter().map(|place| length(*place)).sum::<f64>() / all.max(1.0);
        let with = |word: &String| {
            question.past.iter().filter(|place| self.texts[**place].contains_key(word)).count()
        };
        let rarity =
            |word| (1.0 + (all - with(word) as f64 + 0.5) / (with(word) as f64 + 0.5)).ln();
        let asked: Vec<(&String, f64)> =
            self.texts[question.asked].keys().map(|word| (word, rarity(word))).collect();
        let score = |place: usize| -> f64 {
            let norm = K1 * (1.0 - B + B * length(place) / mean);
            let share = |(word, rarity): &(&String, f64)| {
                let count = f64::from(*self.texts[place].get(*word)?);
                Some(rarity * count * (K1 + 1.0) / (count + norm))
            };
            asked.iter().filter_map(share).sum()
        };
        let latest = question.past.iter().rev();
        let mut found: Vec<(f64, usize)> = latest.map(|&place| (score(place), place)).collect();
        found.retain(|(score, _)| *score > 0.0);
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().map(|(_, place)| place).collect()
    }
}
