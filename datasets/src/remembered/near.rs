//! Asking the index, as a server does.

use std::collections::{BTreeMap, BTreeSet};

use diagnosis::evaluation::retrieval::Question;
use diagnosis::similarity::index::{FingerprintIndex, Nearest};
use events::IncidentId;

use super::Known;

/// What is further down counts as not found, which matters to nobody who looks for it.
pub const MOST: usize = 30;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// What was measured.
    Fingerprint,
    /// What was measured, what was said, and how it lay together.
    All,
}

/// An index for each history, in which its incidents follow each other in the order of questions.
#[derive(Debug)]
pub struct Near<'k> {
    known: &'k [Known],
    histories: BTreeMap<&'k str, FingerprintIndex>,
    positions: Vec<u64>,
}

impl<'k> Near<'k> {
    /// Puts the incidents into indexes.
    pub fn of(known: &'k [Known], questions: &[Question]) -> Self {
        let mut histories: BTreeMap<&str, FingerprintIndex> = BTreeMap::new();
        let mut positions = vec![0; known.len()];
        for (position, question) in (1u64..).zip(questions) {
            let Known { remembered, fingerprint, told, .. } = &known[question.asked];
            let index = histories.entry(&remembered.history).or_default();
            index.put_told(position, &id(question.asked), fingerprint, told);
            positions[question.asked] = position;
        }
        Self { known, histories, positions }
    }

    /// The past incidents, at most so many, the most similar first, with their scores.
    pub fn ask(&self, question: &Question, by: By, most: usize) -> Vec<(f64, usize)> {
        let Known { remembered, fingerprint, told, .. } = &self.known[question.asked];
        let Some(last) = question.past.last() else { return Vec::new() };
        let asked = Nearest {
            fingerprint,
            at: self.positions[*last],
            first: most,
            min_score: 0.0,
            excluding: None,
            withheld: &BTreeSet::new(),
            of_known_kind: false,
        };
        let index = &self.histories[remembered.history.as_str()];
        let found = match by {
            By::Fingerprint => index.nearest(&asked),
            By::All => index.nearest_told(&asked, told),
        };
        let place = |id: &IncidentId| id.as_str().parse().ok();
        found.iter().filter_map(|it| Some((it.score.get(), place(&it.incident)?))).collect()
    }
}

fn id(place: usize) -> IncidentId {
    IncidentId::new(place.to_string()).expect("digits are an id")
}
