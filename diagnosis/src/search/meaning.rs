//! What paragraphs mean, as directions that can be compared.

use std::fmt;
use std::sync::Arc;

use crate::parts::in_parts;

/// What texts mean, as directions: the nearer the meaning, the smaller the angle.
///
/// The same text always has the same direction. An answer as of a position would change otherwise,
/// so whoever implements this asks nobody whose answer may come late, or be another one tomorrow.
pub trait Meaning: fmt::Debug + Send + Sync {
    /// The direction of the text, [`Self::dimensions`] finite numbers of any length; none when
    /// nothing of it is known.
    fn of(&self, text: &str) -> Option<Vec<f32>>;

    /// How many numbers a direction has, from 1 to [`MAX_DIMENSIONS`].
    fn dimensions(&self) -> usize;

    /// From which cosine on a paragraph answers a question without sharing a word with it.
    fn least_near(&self) -> f64;
}

/// Most numbers of a direction: products of as many still fit 32 bits.
pub const MAX_DIMENSIONS: usize = 4_096;

/// A number of a paragraph's direction is one of so many to either side of 0.
const PARAGRAPH_STEPS: f32 = i8::MAX as f32;
/// A number of a question's, of which there is one only. With [`MAX_DIMENSIONS`] of both, the sum
/// of products stays below 2^31.
const QUESTION_STEPS: f32 = 4_095.0;

/// The direction of every paragraph, by the number of the paragraph, each number rounded to a byte.
#[derive(Debug)]
pub struct Directions {
    meaning: Arc<dyn Meaning>,
    dimensions: usize,
    numbers: Vec<i8>,
    /// One over the length of the rounded direction; 0 for a paragraph that has none.
    scales: Vec<f32>,
}

impl Directions {
    /// Of no paragraph yet.
    ///
    /// # Panics
    /// When directions have more than [`MAX_DIMENSIONS`] numbers, or none.
    pub fn new(meaning: Arc<dyn Meaning>) -> Self {
        let dimensions = meaning.dimensions();
        assert!(
            (1..=MAX_DIMENSIONS).contains(&dimensions),
            "directions of {dimensions} numbers, expected 1 to {MAX_DIMENSIONS}"
        );
        Self { meaning, dimensions, numbers: Vec::new(), scales: Vec::new() }
    }

    /// See [`Meaning::least_near`].
    pub fn least_near(&self) -> f64 {
        self.meaning.least_near()
    }

    /// Adds the next paragraph.
    pub fn push(&mut self, text: &str) {
        match self.rounded(text, PARAGRAPH_STEPS) {
            Some((numbers, scale)) => {
                // Rounded to whole numbers that fit.
                self.numbers.extend(numbers.into_iter().map(|number| number as i8));
                self.scales.push(scale);
            }
            None => {
                self.numbers.resize(self.numbers.len() + self.dimensions, 0);
                self.scales.push(0.0);
            }
        }
    }

    /// The cosine of the question with each of the first `count` paragraphs, 0 with one that has
    /// no direction; none when the question has none.
    pub fn cosines(&self, question: &str, count: usize) -> Option<Vec<f32>> {
        let (numbers, scale) = self.rounded(question, QUESTION_STEPS)?;
        let question: Vec<i16> = numbers.into_iter().map(|number| number as i16).collect();
        let cosine = |(numbers, length): (&[i8], &f32)| {
            (product(numbers, &question) as f32 * scale * length).clamp(-1.0, 1.0)
        };
        Some(in_parts(0..count.min(self.scales.len()), |part| {
            let numbers = &self.numbers[part.start * self.dimensions..part.end * self.dimensions];
            numbers.chunks_exact(self.dimensions).zip(&self.scales[part]).map(cosine).collect()
        }))
    }

    /// The numbers of a direction as whole numbers up to `steps` to either side, and one over the
    /// length that they have then.
    fn rounded(&self, text: &str, steps: f32) -> Option<(Vec<f32>, f32)> {
        let direction = self.meaning.of(text)?;
        assert_eq!(direction.len(), self.dimensions, "numbers of a direction");
        let largest = direction.iter().fold(0.0f32, |largest, number| largest.max(number.abs()));
        // What is no number, or infinite, points nowhere.
        if !(largest.is_normal() && direction.iter().all(|number| number.is_finite())) {
            return None;
        }
        let whole: Vec<f32> =
            direction.iter().map(|number| (number / largest * steps).round()).collect();
        let square: f64 = whole.iter().map(|number| f64::from(*number).powi(2)).sum();
        Some((whole, (1.0 / square.sqrt()) as f32))
    }
}

/// How many products are summed at once: as many as the compiler multiplies and adds in pairs
/// instead of one by one.
const CHUNK: usize = 32;

/// The sum of products.
fn product(a: &[i8], b: &[i16]) -> i32 {
    let products = |a: &[i8], b: &[i16]| -> i32 {
        a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
    };
    let ((a, rest_of_a), (b, rest_of_b)) = (a.as_chunks::<CHUNK>(), b.as_chunks::<CHUNK>());
    let mut sum = products(rest_of_a, rest_of_b);
    for (a, b) in a.iter().zip(b) {
        // `array::map` is not inlined here, and took as long as the products.
        let mut wide = [0; CHUNK];
        wide.iter_mut().zip(a).for_each(|(wide, a)| *wide = i16::from(*a));
        let pairs = wide.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b));
        sum += pairs.sum::<i32>();
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A text of numbers means these numbers.
    #[derive(Debug)]
    struct Literal(usize);

    impl Meaning for Literal {
        fn of(&self, text: &str) -> Option<Vec<f32>> {
            let numbers: Vec<f32> = text.split(' ').filter_map(|it| it.parse().ok()).collect();
            (numbers.len() == self.0).then_some(numbers)
        }

        fn dimensions(&self) -> usize {
            self.0
        }

        fn least_near(&self) -> f64 {
            0.5
        }
    }

    fn said(numbers: &[f32]) -> String {
        numbers.iter().map(f32::to_string).collect::<Vec<_>>().join(" ")
    }

    fn cosine(a: &[f32], b: &[f32]) -> f64 {
        let product = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        product(a, b) / (product(a, a) * product(b, b)).sqrt()
    }

    proptest! {
        #[test]
        fn rounding_moves_a_cosine_little(
            paragraphs in prop::collection::vec(prop::collection::vec(-9.0f32..9.0, 24), 1..9),
            question in prop::collection::vec(-9.0f32..9.0, 24),
        ) {
            let mut directions = Directions::new(Arc::new(Literal(24)));
            paragraphs.iter().for_each(|it| directions.push(&said(it)));
            let cosines = directions.cosines(&said(&question), paragraphs.len()).unwrap();
            for (found, paragraph) in cosines.iter().zip(&paragraphs) {
                let exact = cosine(paragraph, &question);
                prop_assert!((f64::from(*found) - exact).abs() < 0.01, "{found} {exact}");
            }
        }
    }

    #[test]
    fn what_points_nowhere_is_near_to_nothing() {
        let mut directions = Directions::new(Arc::new(Literal(2)));
        for text in ["0 0", "NaN 1", "inf 1", "unknown", "3 4"] {
            directions.push(text);
        }
        assert_eq!(directions.cosines("3 4", 5).unwrap()[..4], [0.0; 4]);
        assert!((directions.cosines("3 4", 5).unwrap()[4] - 1.0).abs() < 1e-3);
        assert_eq!(directions.cosines("0.8 -0.6", 2).unwrap().len(), 2);
        for text in ["0 0", "NaN NaN", "unknown"] {
            assert_eq!(directions.cosines(text, 5), None, "{text}");
        }
    }

    /// More paragraphs than one processor takes.
    #[test]
    fn each_cosine_is_that_of_its_paragraph() {
        let told = |n: usize| said(&[n as f32 - 150.0, (n * 7 % 300) as f32]);
        let mut all = Directions::new(Arc::new(Literal(2)));
        (0..300).for_each(|n| all.push(&told(n)));
        let cosines = all.cosines("1 2", 300).unwrap();
        for (n, cosine) in cosines.iter().enumerate() {
            let mut alone = Directions::new(Arc::new(Literal(2)));
            alone.push(&told(n));
            assert_eq!(alone.cosines("1 2", 1).unwrap(), [*cosine], "{n}");
        }
    }

    #[test]
    fn sums_in_chunks_are_sums() {
        for length in [1, 31, 32, 33, 100] {
            let a: Vec<i8> = (0..length).map(|n| (n * 37 % 255 - 127) as i8).collect();
            let b: Vec<i16> = (0..length).map(|n| (n * 911 % 8_191 - 4_095) as i16).collect();
            let sum: i64 = a.iter().zip(&b).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
            assert_eq!(i64::from(product(&a, &b)), sum, "{length}");
        }
    }

    #[test]
    fn the_longest_direction_does_not_overflow() {
        let all: Vec<f32> = vec![1.0; MAX_DIMENSIONS];
        let mut directions = Directions::new(Arc::new(Literal(MAX_DIMENSIONS)));
        directions.push(&said(&all));
        assert!((directions.cosines(&said(&all), 1).unwrap()[0] - 1.0).abs() < 1e-5);
    }
}
