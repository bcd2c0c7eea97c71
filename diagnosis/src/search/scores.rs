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
    /// One over the standard deviation of the BM25 scores, and of the cosines.
    per_word: f64,
    per_cosine: f64,
}

impl Scores {
    /// Of the BM25 scores of all units, and of the cosines of all passages that were known.
    pub fn new(known: &AsOf<'_>, words: Vec<f64>, cosines: Option<(Vec<f32>, f64)>) -> Self {
        let meant = cosines.map(|(cosines, least_near)| {
            let (mut of_words, mut of_cosines) = (Spread::default(), Spread::default());
            let passages = known.passages();
            for unit in known.held() {
                of_words.add(words[unit]);
                of_cosines.add(f64::from(cosines[passages[unit] as usize]));
            }
            let (per_word, per_cosine) = (1.0 / of_words.spread(), 1.0 / of_cosines.spread());
            Meant { cosines, least_near, per_word, per_cosine }
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
        answers.then_some(words * meant.per_word + cosine * meant.per_cosine)
    }

    /// What a word's BM25 share is multiplied by.
    pub fn per_word(&self) -> f64 {
        self.meant.as_ref().map_or(1.0, |meant| meant.per_word)
    }

    /// The cosine of a unit, and its share of the score.
    pub fn nearness(&self, known: &AsOf<'_>, unit: usize) -> Option<(f64, f64)> {
        let meant = self.meant.as_ref()?;
        let cosine = meant.cosine(known, unit);
        Some((cosine, cosine * meant.per_cosine))
    }
}

impl Meant {
    fn cosine(&self, known: &AsOf<'_>, unit: usize) -> f64 {
        f64::from(self.cosines[known.passages()[unit] as usize])
    }
}

/// The standard deviation of what was added, told from sums in one pass. They are sums of distances
/// from the first value, so that what is the same throughout has none, to the last bit; where the
/// first is far from nearly all others, it is right to a millionth.
#[derive(Default)]
struct Spread {
    first: Option<f64>,
    count: u32,
    sum: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, value: f64) {
        let distance = value - *self.first.get_or_insert(value);
        self.count += 1;
        self.sum += distance;
        self.squares += distance * distance;
    }

    /// 1 where all are the same, for what sets none apart may count as it likes.
    fn spread(&self) -> f64 {
        let count = f64::from(self.count.max(1));
        let mean = self.sum / count;
        let spread = (self.squares / count - mean * mean).max(0.0).sqrt();
        if spread > LEAST_SPREAD { spread } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spread(values: &[f64]) -> f64 {
        let mut spread = Spread::default();
        values.iter().for_each(|value| spread.add(*value));
        spread.spread()
    }

    proptest! {
        #[test]
        fn the_spread_is_the_standard_deviation(
            values in prop::collection::vec(-50.0..50.0f64, 2..200),
        ) {
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / count;
            let right = variance.sqrt();
            prop_assert!((spread(&values) - right).abs() <= 1e-9 * right.max(1.0));
        }

        #[test]
        fn what_sets_none_apart_counts_as_it_likes(value in -1e6..1e6f64, count in 0usize..200) {
            prop_assert_eq!(spread(&vec![value; count]), 1.0);
        }
    }
}
