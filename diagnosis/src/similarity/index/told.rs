//! The nearest by what was measured, said and laid together.

use events::catalogue::diagnosis::SimilarIncident;

use super::super::blend::{Voices, answer};
use super::super::{Told, compare};
use super::marks::Weights;
use super::{FingerprintIndex, Nearest, OPEN};
use crate::rank::GRAIN;

impl FingerprintIndex {
    /// The incidents most like the one in question, of which this is told, the most similar first,
    /// by [`nearest_told`](super::super::nearest_told) over everything that was known. What any
    /// incident ever was, up to then, counts in how rare a mark is.
    pub fn nearest_told(&self, asked: &Nearest<'_>, told: &Told) -> Vec<SimilarIncident> {
        let asked = &Nearest { at: asked.at.min(OPEN - 1), ..*asked };
        let known = self.known(asked.at);
        let prepared = self.rows.ask(asked.fingerprint);
        let text = self.text.ask(&told.text, known);
        let structure = self.structure.ask(&told.structure, known);
        let voices = Voices::of(asked.fingerprint, text.sum, structure.sum);
        let (most_text, most_structure) = (self.text.most(&text), self.structure.most(&structure));
        let promising = self.promising(asked, |entry| {
            let measured = voices.measured * self.rows.most(&prepared, entry);
            let said = voices.text * most_text[entry];
            // A score is rounded to a grain.
            measured + said + voices.structure * most_structure[entry] + GRAIN
        });
        let (mut of_text, mut of_structure) = (Weights::default(), Weights::default());
        let found = self.best(asked, promising, |entry| {
            let measured = self.rows.score(&prepared, entry);
            let said = self.text.alike(&text, entry, &mut of_text);
            let laid = self.structure.alike(&structure, entry, &mut of_structure);
            voices.score(measured, said, laid)
        });
        let answered = found.into_iter().map(|found| {
            let measured = compare(asked.fingerprint, &self.rows.fingerprint(found.entry));
            let text = self.text.shared(&text, found.entry, &mut of_text);
            let structure = self.structure.shared(&structure, found.entry, &mut of_structure);
            answer(found.incident, voices, found.score, measured, text, structure)
        });
        answered.collect()
    }
}
