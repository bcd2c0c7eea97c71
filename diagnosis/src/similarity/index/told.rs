//! The nearest by what was measured, said and laid together.

use events::catalogue::diagnosis::SimilarIncident;

use super::super::blend::{Voices, answer};
use super::super::{Told, compare};
use super::best::Best;
use super::layers::Entry;
use super::{FingerprintIndex, Nearest, OPEN};
use crate::parts::in_parts;
use crate::rank::GRAIN;

/// So many entries for each that is asked for are held against the question before any other.
const AHEAD: usize = 200;
/// By how many values what is said is told apart to find those: a power of two, so that a value
/// and its bucket agree to the bit.
const BUCKETS: usize = 1 << 10;

impl FingerprintIndex {
    /// The incidents most like the one in question, of which this is told, the most similar first,
    /// by [`nearest_told`](super::super::nearest_told) over everything that was known. What any
    /// incident ever was, up to then, counts in how rare a mark is.
    ///
    /// What is said is known nearly to the bit before anything is compared. Those that are most
    /// alike in it go ahead: what the best of them score tells of most others that they cannot be
    /// among the nearest, whatever was measured of them. Enough have to go ahead that some of them
    /// are alike in what was measured too.
    pub fn nearest_told(&self, asked: &Nearest<'_>, told: &Told) -> Vec<SimilarIncident> {
        self.nearest_ahead(asked, told, AHEAD)
    }

    /// As [`Self::nearest_told`]. How many go ahead for each that is asked for decides how long it
    /// takes and not what comes out.
    pub(super) fn nearest_ahead(
        &self,
        asked: &Nearest<'_>,
        told: &Told,
        ahead: usize,
    ) -> Vec<SimilarIncident> {
        let asked = &Nearest { at: asked.at.min(OPEN - 1), ..*asked };
        let known = self.known(asked.at);
        let prepared = self.rows.ask(asked.fingerprint);
        let text = self.text.ask(&told.text, known);
        let structure = self.structure.ask(&told.structure, known);
        let voices = Voices::of(asked.fingerprint, text.sum, structure.sum);
        let said = self.layers(asked.at).map(|(layer, places)| {
            let said = in_parts(places.clone(), |part| {
                let mut said = vec![0.0; part.len()];
                self.text.add_most(&text, voices.text, layer, part.clone(), &mut said);
                self.structure.add_most(&structure, voices.structure, layer, part, &mut said);
                said
            });
            (places.start, said)
        });
        let said_of = |entry: Entry| {
            let (from, said) = &said[entry.layer as usize];
            said[entry.place as usize - from]
        };

        let mut measured = self.rows.scores(&prepared);
        let mut score = |entry: Entry| {
            let said = self.text.alike(&text, entry);
            voices.score(measured(entry), said, self.structure.alike(&structure, entry))
        };
        let mut best = Best::of(asked);
        // A score is rounded to a grain.
        let most = |said: f64, measured: f64| said + voices.measured * measured + GRAIN;
        let all = || said.iter().flat_map(|(_, said)| said).copied();
        let ahead = reached_by(all(), asked.first.saturating_mul(ahead));
        let promising = self.promising(asked, best.least(), |entry| match said_of(entry) {
            said if said >= ahead => most(said, self.rows.most(&prepared, entry)),
            _ => f64::NEG_INFINITY,
        });
        self.search(asked, &mut best, promising, &mut score);
        let least = best.least();
        let promising = self.promising(asked, least, |entry| {
            let said = said_of(entry);
            if said >= ahead || most(said, 1.0) < least {
                return f64::NEG_INFINITY;
            }
            most(said, self.rows.most(&prepared, entry))
        });
        self.search(asked, &mut best, promising, &mut score);
        let answered = best.sorted().into_iter().map(|found| {
            let measured = compare(asked.fingerprint, &self.rows.fingerprint(found.entry));
            let text = self.text.shared(&text, found.entry);
            let structure = self.structure.shared(&structure, found.entry);
            answer(found.incident, voices, found.score, measured, text, structure)
        });
        answered.collect()
    }
}

/// A value that at least `first` of the values reach and, unless many lie close together, few
/// more; 0 when there are not so many. They are from 0 to 1.
fn reached_by(values: impl Iterator<Item = f64>, first: usize) -> f64 {
    let mut counts = [0; BUCKETS + 1];
    values.for_each(|value| counts[((value * BUCKETS as f64) as usize).min(BUCKETS)] += 1);
    let mut reached = 0;
    let enough = |bucket: &usize| {
        reached += counts[*bucket];
        reached >= first
    };
    let bucket = (0..=BUCKETS).rev().find(enough).unwrap_or(0);
    bucket as f64 / BUCKETS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_so_many_reach_the_value_and_few_more() {
        let values: Vec<f64> = (0..5_000).map(|n| f64::from(n * 7 % 5_000) / 5_000.0).collect();
        for first in [1, 10, 300, 4_999, 5_000] {
            let value = reached_by(values.iter().copied(), first);
            let reach = values.iter().filter(|it| **it >= value).count();
            assert!((first..=first + 5).contains(&reach), "{reach} reach {value}, not {first}");
        }
        assert_eq!(reached_by(values.into_iter(), 5_001), 0.0);
        assert_eq!(reached_by([1.0, 1.0, 0.5].into_iter(), 2), 1.0);
        assert_eq!(reached_by([].into_iter(), 1), 0.0);
    }
}
