//! From words and meaning to one score.

use super::corpus::AsOf;

/// Smaller than this, differences are rounding.
const LEAST_SPREAD: f64 = 1e-9;

/// What each paragraph comes to.
pub struct Scores {
    /// The BM25 score of each unit.
    words: Vec<f64>,
    meant: Option<Meant>,
}

/// How near each paragraph is, where there is a meaning to be near to.
struct Meant {
    /// By passage.
    cosines: Vec<f32>,
    least_near: f64,
    spread_of_words: f64,
    spread_of_cosines: f64,
}

impl Scores {
    /// Of the BM25 scores of all units, and of the cosines of all passages that were known.
    pub fn new(known: &AsOf<'_>, words: Vec<f64>, cosines: Option<(Vec<f32>, f64)>) -> Self {
        let meant = cosines.map(|(cosines, least_near)| Meant {
            spread_of_words: spread(known, |unit| words[unit]),
            spread_of_cosines: spread(known, |unit| f64::from(cosines[known.passage(unit)])),
            cosines,
            least_near,
        });
        Self { words, meant }
    }

    /// The score of a unit that answers the question: one that has a word of it, or is near enough
    /// to what it means.
    pub fn of(&self, known: &AsOf<'_>, unit: usize) -> Option<f64> {
        let words = self.words[unit];
        let Some(meant) = &self.meant else { return (words > 0.0).then_some(words) };
        let cosine = meant.cosine(known, unit);
        let answers = words > 0.0 || cosine >= meant.least_near;
        answers.then(|| words / meant.spread_of_words + cosine / meant.spread_of_cosines)
    }

    /// What a word's BM25 share is divided by.
    pub fn spread_of_words(&self) -> f64 {
        self.meant.as_ref().map_or(1.0, |meant| meant.spread_of_words)
    }

    /// The cosine of a unit, and its share of the score.
    pub fn nearness(&self, known: &AsOf<'_>, unit: usize) -> Option<(f64, f64)> {
        let meant = self.meant.as_ref()?;
        let cosine = meant.cosine(known, unit);
        Some((cosine, cosine / meant.spread_of_cosines))
    }
}

impl Meant {
    fn cosine(&self, known: &AsOf<'_>, unit: usize) -> f64 {
        f64::from(self.cosines[known.passage(unit)])
    }
}

/// The standard deviation over the paragraphs that held; 1 where all are the same, for what sets
/// none apart may count as it likes.
fn spread(known: &AsOf<'_>, of: impl Fn(usize) -> f64) -> f64 {
    let (count, sum) =
        known.held().fold((0usize, 0.0), |(count, sum), unit| (count + 1, sum + of(unit)));
    let mean = sum / count.max(1) as f64;
    let squares: f64 = known.held().map(|unit| (of(unit) - mean).powi(2)).sum();
    let spread = (squares / count.max(1) as f64).sqrt();
    if spread > LEAST_SPREAD { spread } else { 1.0 }
}
