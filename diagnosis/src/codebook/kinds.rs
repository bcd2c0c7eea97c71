//! Of which kind the fault of a component is.

use std::collections::BTreeMap;

use events::FaultKind;
use serde::{Deserialize, Serialize};

use super::features::Feature;
use super::forest::{Example, Forest};
use super::signature::signature;
use super::terms::{self, SignTerm};
use super::{Lesson, Scene, shown_often};

/// Lessons from which the forest weighs as much as the weights of the hypotheses.
const TRUSTED_LESSONS: f64 = 12.0;

/// What is not there is told of as this.
const ABSENT: &str = "what it does not show";

/// A forest over the signatures of the components that were at fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kinds {
    columns: Vec<String>,
    forest: Forest,
    /// How many lessons grew it.
    lessons: usize,
}

impl Kinds {
    /// Learns from the lessons that tell both the cause and its kind.
    pub fn learned(lessons: &[Lesson], weights: &[f64], kinds: &[FaultKind]) -> Self {
        let told = lessons.iter().zip(weights).filter_map(|(lesson, weight)| {
            let cause = lesson.scene.find(lesson.cause.as_ref()?)?;
            let class = kinds.binary_search(lesson.kind.as_ref()?).ok()?;
            Some((signature(&lesson.scene, cause), class, *weight))
        });
        let told: Vec<(Vec<Feature>, usize, f64)> = told.collect();
        let columns = shown_often(told.iter().map(|(signature, ..)| signature.iter()));
        let columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
        let examples: Vec<Example> = told
            .iter()
            .map(|(signature, class, weight)| Example {
                row: row(signature, &columns),
                class: *class,
                weight: *weight,
            })
            .collect();
        let forest = Forest::grown(&examples, kinds.len());
        Self { columns, forest, lessons: examples.len() }
    }

    /// Mixes what the forest says of the component at `place` into the shares of the kinds, and
    /// tells what speaks for the kind that is then the likeliest, the weightiest first.
    pub fn tell(&self, scene: &Scene, place: usize, shares: &mut [f64]) -> Vec<SignTerm> {
        let signature = signature(scene, place);
        let row = row(&signature, &self.columns);
        let Some(said) = self.forest.shares(&row, shares.len()) else { return Vec::new() };
        let lessons = self.lessons as f64;
        let trusted = lessons / (lessons + TRUSTED_LESSONS);
        for (share, said) in shares.iter_mut().zip(said) {
            *share += trusted * (said - *share);
        }
        let likeliest = (0..shares.len()).max_by(|a, b| shares[*a].total_cmp(&shares[*b]));
        let added = self.forest.contributions(&row, likeliest.unwrap_or(0));
        let added: BTreeMap<&str, f64> =
            self.columns.iter().map(String::as_str).zip(added).collect();
        // A column that the component does not show speaks too, by not being there.
        let is_absent = |column: &&String| {
            signature.binary_search_by(|feature| feature.name.cmp(column)).is_err()
        };
        let absent = self.columns.iter().filter(is_absent).map(|name| Feature {
            name: name.clone(),
            value: 0.0,
            sign: Some(ABSENT.to_owned()),
        });
        let seen: Vec<Feature> = signature.iter().cloned().chain(absent).collect();
        terms::told(&scene.parts[place], &seen, |feature| added.get(feature.name.as_str()).copied())
    }
}

fn row(signature: &[Feature], columns: &[String]) -> Vec<f64> {
    let mut row = vec![0.0; columns.len()];
    for feature in signature {
        if let Ok(place) = columns.binary_search(&feature.name) {
            row[place] = feature.value;
        }
    }
    row
}
