//! Multinomial logistic regression over sparse rows.

use serde::{Deserialize, Serialize};

use crate::codebook::lbfgs;

/// How strongly weights are held at zero, against one example.
const HELD: f64 = 0.05;
/// Temperatures that are looked through: sixteenths of a doubling, up to three either way.
const FINEST: f64 = 16.0;
const MOST_STEPS: i32 = 48;

/// Places and values of what is not zero.
pub type Row = Vec<(usize, f64)>;

/// A row of a known class.
#[derive(Clone, Debug)]
pub struct Labelled {
    pub row: Row,
    pub class: usize,
    pub weight: f64,
}

/// Weights: of each place those of all classes, and last what each class has in any case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logistic {
    classes: usize,
    weights: Vec<f64>,
}

impl Logistic {
    /// The weights under which the labels are likeliest, held near zero.
    pub fn learned(classes: usize, places: usize, examples: &[Labelled]) -> Self {
        let start = vec![0.0; (places + 1) * classes];
        let weights = lbfgs::descend(start, |weights, gradient| {
            let mut loss = 0.0;
            for ((gradient, weight), place) in gradient.iter_mut().zip(weights).zip(0..) {
                // How frequent a class is, is nothing to be held back.
                let held = if place < places * classes { HELD } else { HELD / 10.0 };
                *gradient = held * weight;
                loss += held * weight * weight / 2.0;
            }
            for Labelled { row, class, weight } in examples {
                let chances = chances(&scores(classes, weights, row), 1.0);
                loss -= weight * chances[*class].max(f64::MIN_POSITIVE).ln();
                let off: Vec<f64> = chances
                    .iter()
                    .zip(0..)
                    .map(|(chance, it)| weight * (chance - f64::from(u8::from(it == *class))))
                    .collect();
                for (place, value) in row.iter().copied().chain([(places, 1.0)]) {
                    let gradient = &mut gradient[place * classes..(place + 1) * classes];
                    gradient.iter_mut().zip(&off).for_each(|(g, off)| *g += off * value);
                }
            }
            loss
        });
        Self { classes, weights }
    }

    /// What speaks for each class.
    pub fn scores(&self, row: &Row) -> Vec<f64> {
        scores(self.classes, &self.weights, row)
    }
}

fn scores(classes: usize, weights: &[f64], row: &Row) -> Vec<f64> {
    let Some(last) = weights.len().checked_sub(classes) else { return Vec::new() };
    let mut scores = weights[last..].to_vec();
    for (place, value) in row {
        let weights = &weights[place * classes..(place + 1) * classes];
        scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += weight * value);
    }
    scores
}

/// The probability of each class, by what speaks for it.
pub fn chances(scores: &[f64], temperature: f64) -> Vec<f64> {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let odds: Vec<f64> = scores.iter().map(|score| ((score - most) / temperature).exp()).collect();
    let all: f64 = odds.iter().sum();
    odds.into_iter().map(|odds| odds / all).collect()
}

/// The temperature under which the true classes of `held_out` are likeliest; each is what speaks
/// for the classes, and the true one.
pub fn temperature(held_out: &[(Vec<f64>, usize)]) -> f64 {
    let surprise = |temperature: f64| -> f64 {
        let told = held_out.iter().map(|(scores, class)| chances(scores, temperature)[*class]);
        told.map(|chance| -chance.max(f64::MIN_POSITIVE).ln()).sum()
    };
    let candidates = (-MOST_STEPS..=MOST_STEPS).map(|step| (f64::from(step) / FINEST).exp2());
    let best = candidates.map(|it| (surprise(it), it)).min_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(1.0, |(_, temperature)| temperature)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(place: usize, class: usize) -> Labelled {
        Labelled { row: vec![(place, 1.0)], class, weight: 1.0 }
    }

    #[test]
    fn probabilities_follow_how_often_it_was_so() {
        // Of what has place 0, three in four are of class 0.
        let examples: Vec<Labelled> =
            (0..400).map(|n| labelled(n % 2, usize::from(n % 2 == 1 || n % 8 == 0))).collect();
        let learned = Logistic::learned(2, 2, &examples);
        let chance = chances(&learned.scores(&vec![(0, 1.0)]), 1.0)[0];
        assert!((chance - 0.75).abs() < 0.01, "{chance}");
    }

    #[test]
    fn who_boasts_is_cooled_and_who_is_timid_is_warmed() {
        let held_out = |score: f64| -> Vec<(Vec<f64>, usize)> {
            (0..100).map(|n| (vec![score, 0.0], usize::from(n % 4 == 0))).collect()
        };
        // Right three times in four: the odds are 3, whatever was said.
        for said in [0.5, 3f64.ln(), 4.0] {
            let found = chances(&[said, 0.0], temperature(&held_out(said)))[0];
            assert!((found - 0.75).abs() < 0.01, "{said}: {found}");
        }
    }
}
