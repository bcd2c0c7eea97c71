//! The nearest by what was measured, said and laid together.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use events::catalogue::diagnosis::SimilarIncident;

use super::super::blend::{Voices, answer};
use super::super::{Told, compare};
use super::best::{Best, Promising};
use super::{FingerprintIndex, Nearest, OPEN};
use crate::rank::GRAIN;

/// So many entries for each that is asked for are scored before any other.
const AHEAD: usize = 4;

impl FingerprintIndex {
    /// The incidents most like the one in question, of which this is told, the most similar first,
    /// by [`nearest_told`](super::super::nearest_told) over everything that was known. What any
    /// incident ever was, up to then, counts in how rare a mark is.
    ///
    /// What is said is known nearly to the bit before anything is compared. Those that are most
    /// alike in it are compared first: what they score tells of most others that they cannot be
    /// among the nearest, whatever was measured of them.
    pub fn nearest_told(&self, asked: &Nearest<'_>, told: &Told) -> Vec<SimilarIncident> {
        let asked = &Nearest { at: asked.at.min(OPEN - 1), ..*asked };
        let known = self.known(asked.at);
        let prepared = self.rows.ask(asked.fingerprint);
        let text = self.text.ask(&told.text, known);
        let structure = self.structure.ask(&told.structure, known);
        let voices = Voices::of(asked.fingerprint, text.sum, structure.sum);
        let mut said = vec![0.0; known];
        self.text.add_most(&text, voices.text, &mut said);
        self.structure.add_most(&structure, voices.structure, &mut said);

        let score = |entry: usize| {
            let measured = self.rows.score(&prepared, entry);
            let said = self.text.alike(&text, entry);
            voices.score(measured, said, self.structure.alike(&structure, entry))
        };
        let mut best = Best::of(asked);
        // A score is rounded to a grain.
        let most = |said: f64, measured: f64| said + voices.measured * measured + GRAIN;
        let may_answer = self.may_answer(asked);
        let mut ahead = largest(&said, asked.first.saturating_mul(AHEAD));
        ahead.retain(|it| may_answer(it.entry as usize));
        for it in &mut ahead {
            let said = &mut said[it.entry as usize];
            it.most = most(std::mem::replace(said, f64::NEG_INFINITY), 1.0);
        }
        self.search(asked, &mut best, ahead, score);
        let least = best.least();
        let promising = self.promising(asked, least, |entry| {
            let at_all = most(said[entry], 1.0);
            if at_all < least {
                return at_all;
            }
            most(said[entry], self.rows.most(&prepared, entry))
        });
        self.search(asked, &mut best, promising, score);
        let answered = best.sorted().into_iter().map(|found| {
            let measured = compare(asked.fingerprint, &self.rows.fingerprint(found.entry));
            let text = self.text.shared(&text, found.entry);
            let structure = self.structure.shared(&structure, found.entry);
            answer(found.incident, voices, found.score, measured, text, structure)
        });
        answered.collect()
    }
}

/// The entries with the largest values.
fn largest(values: &[f64], first: usize) -> Vec<Promising> {
    let mut kept: BinaryHeap<Reverse<Promising>> = BinaryHeap::new();
    for (most, entry) in values.iter().copied().zip(0..) {
        if kept.len() < first {
            kept.push(Reverse(Promising { most, entry }));
        } else if let Some(mut least) = kept.peek_mut()
            && most > least.0.most
        {
            *least = Reverse(Promising { most, entry });
        }
    }
    kept.into_iter().map(|Reverse(it)| it).collect()
}
