//! Asking the index, as a server does.

use std::collections::{BTreeMap, BTreeSet};

use diagnosis::evaluation::retrieval::{Grade, Question, Remembered};
use diagnosis::similarity::LEAST_NEAR;
use diagnosis::similarity::index::{FingerprintIndex, Nearest};
use events::IncidentId;

use super::known::Known;

/// What is further down counts as not found, which matters to nobody who looks for it.
const MOST: usize = 30;

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    Fingerprint,
    All,
}

/// An index for each history, in which its incidents follow each other in the order of questions.
pub struct Near<'k> {
    known: &'k [Known],
    histories: BTreeMap<&'k str, FingerprintIndex>,
    positions: Vec<u64>,
}

impl<'k> Near<'k> {
    pub fn of(known: &'k [Known], questions: &[Question]) -> anyhow::Result<Self> {
        let mut histories: BTreeMap<&str, FingerprintIndex> = BTreeMap::new();
        let mut positions = vec![0; known.len()];
        for (position, question) in (1u64..).zip(questions) {
            let Known { remembered, fingerprint, told, .. } = &known[question.asked];
            let index = histories.entry(&remembered.history).or_default();
            index.put_told(position, &id(question.asked)?, fingerprint, told);
            positions[question.asked] = position;
        }
        Ok(Self { known, histories, positions })
    }

    /// The past incidents, the most similar first, with their scores.
    pub fn ask(&self, question: &Question, by: By) -> Vec<(f64, usize)> {
        let Known { remembered, fingerprint, told, .. } = &self.known[question.asked];
        let Some(last) = question.past.last() else { return Vec::new() };
        let asked = Nearest {
            fingerprint,
            at: self.positions[*last],
            first: MOST,
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

fn id(place: usize) -> anyhow::Result<IncidentId> {
    Ok(IncidentId::new(place.to_string())?)
}

/// How often the nearest was of the same kind, by its score.
pub fn tell_nearness(remembered: &[Remembered], answers: &[(usize, Option<(f64, usize)>)]) {
    const FROM: [f64; 5] = [0.0, LEAST_NEAR, 0.3, 0.4, 0.6];
    let mut bins = [(0usize, 0usize); FROM.len()];
    for (asked, nearest) in answers {
        let Some((score, place)) = nearest else { continue };
        let bin = &mut bins[FROM.iter().rposition(|from| score >= from).unwrap_or(0)];
        bin.0 += 1;
        let grade = Grade::of(&remembered[*asked], &remembered[*place]);
        bin.1 += usize::from(grade >= Grade::SameKind);
    }
    for (from, (all, right)) in FROM.iter().zip(bins).filter(|(_, (all, _))| *all > 0) {
        println!(
            "nearest from {from:.1}: {all:>5}, of the same kind {:.2}",
            right as f64 / all as f64
        );
    }
}
