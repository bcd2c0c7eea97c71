//! How alike two incidents are in what was measured, what was said and how it lay together.
//!
//! Each of the three is a share of what both have in all that either has, rare marks counting more
//! (weighted Jaccard). Their mean is weighed by how much of it the incident in question has: who
//! comes with alerts only is not judged by telemetry. The result reads as a share too, means the
//! same for every question, and falls apart into reasons.

use std::collections::{BTreeMap, BTreeSet};

use events::IncidentId;
use events::catalogue::diagnosis::{ScoreTerm, SimilarIncident};
use events::value::{Line, Ratio};

use super::{PLACE, PastIncident, REASONS, SYMPTOMS, Similarity, Told, compare};
use crate::fingerprint::Fingerprint;
use crate::rank::{finite, grains};

/// Less similar incidents are not near: where the nearest scored less, 14 in 100 were of the same
/// kind (184 questions of TVDiag), which is what chance comes to.
pub const LEAST_NEAR: f64 = 0.2;

/// What a mark can weigh at most is some ten; so many marks of one make a text half trusted.
const HALF_HEARD: f64 = 20.0;
/// Weights are counted in these, so that sums do not depend on their order.
const STEPS: f64 = 4_096.0;
/// Marks that are named among the reasons; the others are one reason.
const NAMED: usize = 5;

/// Of the incidents that are known, rarity is counted over the first ones, as many as these leading
/// binary digits of their number say. So it stands still while an eighth comes to what is known,
/// and what an incident's own marks weigh can be kept.
const COUNTED_DIGITS: u32 = 4;

/// Over how many of `known` incidents rarity is counted.
pub(super) fn counted(known: usize) -> usize {
    let rest = (usize::BITS - known.leading_zeros()).saturating_sub(COUNTED_DIGITS);
    known >> rest << rest
}

/// How rare a mark is that `with` of `all` incidents have, in steps.
pub(super) fn rarity(with: usize, all: usize) -> u64 {
    let (with, all) = (with as f64, (all.max(with)) as f64);
    ((1.0 + (all - with + 0.5) / (with + 0.5)).ln() * STEPS).round() as u64
}

/// How alike two sets of marks are, by the weights of what is asked, of the other and of what both
/// have; 0 to 1.
pub(super) fn alike(asked: u64, other: u64, both: u64) -> f64 {
    both as f64 / ((asked + other - both) as f64 + HALF_HEARD * STEPS)
}

/// How much each of the three counts for a question; they add up to 1 unless nothing is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voices {
    pub measured: f64,
    pub text: f64,
    pub structure: f64,
}

impl Voices {
    /// For a fingerprint, and marks of these weights.
    pub fn of(fingerprint: &Fingerprint, text: u64, structure: u64) -> Self {
        let part = |has: bool, share: f64| if has { share } else { 0.0 };
        let has_place = fingerprint.suspect.is_some() || !fingerprint.components.is_empty();
        let measured = part(!fingerprint.symptoms.is_empty(), SYMPTOMS)
            + part(!fingerprint.reasons.is_empty(), REASONS)
            + part(has_place, PLACE);
        let heard = |weight: u64| weight as f64 / (weight as f64 + HALF_HEARD * STEPS);
        let (text, structure) = (heard(text), heard(structure));
        let all = (measured + text + structure).max(f64::MIN_POSITIVE);
        Self { measured: measured / all, text: text / all, structure: structure / all }
    }

    /// The score, from how alike each of the three is.
    pub fn score(self, measured: f64, text: f64, structure: f64) -> f64 {
        let sum = self.measured * measured + self.text * text + self.structure * structure;
        grains(sum).clamp(0.0, 1.0)
    }
}

/// How rare each mark is among the incidents that are [`counted`].
#[derive(Clone, Debug)]
pub(super) struct Rarities<'m> {
    with: BTreeMap<&'m str, usize>,
    all: usize,
}

impl<'m> Rarities<'m> {
    pub fn of(marks: impl ExactSizeIterator<Item = &'m BTreeSet<String>>) -> Self {
        let all = counted(marks.len());
        let mut rarities = Self { with: BTreeMap::new(), all };
        for marks in marks.take(all) {
            marks.iter().for_each(|mark| *rarities.with.entry(mark).or_default() += 1);
        }
        rarities
    }

    fn weight(&self, mark: &str) -> u64 {
        rarity(self.with.get(mark).copied().unwrap_or(0), self.all)
    }

    fn sum(&self, marks: &BTreeSet<String>) -> u64 {
        marks.iter().map(|mark| self.weight(mark)).sum()
    }

    fn alike(&self, asked: &BTreeSet<String>, other: &BTreeSet<String>) -> f64 {
        let both = asked.intersection(other).map(|mark| self.weight(mark)).sum();
        alike(self.sum(asked), self.sum(other), both)
    }

    fn shared(&self, asked: &BTreeSet<String>, other: &BTreeSet<String>) -> Shared {
        let both = asked.intersection(other).map(|mark| (mark.clone(), self.weight(mark)));
        Shared { alike: self.alike(asked, other), marks: both.collect() }
    }
}

/// The past incidents most like the one that looks and is told so: at most `first`, none below
/// `min_score`, the most similar first. How rare a mark is depends on what is `known` of any
/// incident, whether it may be an answer or not. It compares with every one;
/// [`index`](super::index) finds the same among very many.
pub fn nearest_told(
    (fingerprint, told): (&Fingerprint, &Told),
    known: &[&Told],
    past: &[(&PastIncident, &Told)],
    first: usize,
    min_score: f64,
) -> Vec<SimilarIncident> {
    let text = Rarities::of(known.iter().map(|it| &it.text));
    let structure = Rarities::of(known.iter().map(|it| &it.structure));
    let voices = Voices::of(fingerprint, text.sum(&told.text), structure.sum(&told.structure));
    let mut found: Vec<(f64, &PastIncident, &Told)> = past
        .iter()
        .map(|(past, theirs)| {
            let measured = compare(fingerprint, &past.fingerprint).score.get();
            let text = text.alike(&told.text, &theirs.text);
            let structure = structure.alike(&told.structure, &theirs.structure);
            (voices.score(measured, text, structure), *past, *theirs)
        })
        .filter(|(score, ..)| *score > 0.0 && *score >= min_score)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.incident.cmp(&b.1.incident)));
    found.truncate(first);
    let answer = |(score, past, theirs): (f64, &PastIncident, &Told)| {
        let measured = compare(fingerprint, &past.fingerprint);
        let text = text.shared(&told.text, &theirs.text);
        let structure = structure.shared(&told.structure, &theirs.structure);
        answer(&past.incident, voices, score, measured, text, structure)
    };
    found.into_iter().map(answer).collect()
}

/// How alike two sets of marks are, and the marks that both have with their weights.
pub(super) struct Shared {
    pub alike: f64,
    pub marks: Vec<(String, u64)>,
}

/// An incident that was found, with its reasons.
pub(super) fn answer(
    incident: &IncidentId,
    voices: Voices,
    score: f64,
    measured: Similarity,
    text: Shared,
    structure: Shared,
) -> SimilarIncident {
    let reasons = reasons(voices, score, measured, text, structure);
    let score = Ratio::new(score).expect("a score is clamped to a ratio");
    SimilarIncident { incident: incident.clone(), score, reasons }
}

/// The reasons of a score, the largest first: they add up to it.
fn reasons(
    voices: Voices,
    score: f64,
    measured: Similarity,
    text: Shared,
    structure: Shared,
) -> Vec<ScoreTerm> {
    let own = measured.reasons.into_iter().map(|reason| {
        let share = voices.measured * reason.contribution.get();
        ScoreTerm { contribution: finite(grains(share)), ..reason }
    });
    let said = named("both tell of", voices.text, text);
    let laid = named("both show", voices.structure, structure);
    let mut reasons: Vec<ScoreTerm> =
        own.chain(said).chain(laid).filter(|reason| reason.contribution.get() > 0.0).collect();
    let largest_first = |a: &ScoreTerm, b: &ScoreTerm| {
        let shares = b.contribution.get().total_cmp(&a.contribution.get());
        shares.then_with(|| a.name.cmp(&b.name))
    };
    reasons.sort_by(largest_first);
    // What rounding took or gave is the largest reason's.
    let sum: f64 = reasons.iter().map(|reason| reason.contribution.get()).sum();
    if let Some(largest) = reasons.first_mut() {
        largest.contribution = finite(largest.contribution.get() + score - sum);
    }
    reasons
}

/// The rarest marks that both have, each with its part of the share, and the others together.
fn named(what: &str, voice: f64, shared: Shared) -> Vec<ScoreTerm> {
    let Shared { alike, mut marks } = shared;
    marks.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let all: u64 = marks.iter().map(|(_, weight)| weight).sum();
    let term = |name: String, weight: u64| ScoreTerm {
        name: Line::clipped(&name),
        contribution: finite(grains(voice * alike * weight as f64 / all.max(1) as f64)),
        evidence: Vec::new(),
    };
    let others = marks.split_off(marks.len().min(NAMED));
    let mut terms: Vec<ScoreTerm> =
        marks.into_iter().map(|(mark, weight)| term(format!("{what} “{mark}”"), weight)).collect();
    if !others.is_empty() {
        let name = format!("{what} {} more", others.len());
        terms.push(term(name, others.iter().map(|(_, weight)| weight).sum()));
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rarity_is_counted_over_nearly_all_and_stands_still_meanwhile() {
        let counts: Vec<usize> = (0..=100_000).map(counted).collect();
        assert!(counts.iter().enumerate().all(|(known, it)| *it <= known && known - it <= it / 8));
        assert!(counts.is_sorted());
        let steps: BTreeSet<usize> = counts.into_iter().collect();
        assert!(steps.len() < 130, "{}", steps.len());
        assert!(steps.iter().all(|step| counted(*step) == *step));
    }
}
