//! A conditional logit over hypotheses: each component of an incident with each kind of fault.
//!
//! `score(c, k) = x(c) · (shared + own(k))`; the probability is the softmax over all hypotheses of
//! the incident (D. McFadden, "Conditional logit analysis of qualitative choice behavior", 1974).
//! Both parts are held near what they were before learning (ridge), the own part closer, so that
//! a kind seen twice leans on what all kinds share.

use super::lbfgs::descend;

/// Pull of the shared weights, and of each kind's own, towards where they began.
const SHARED_PULL: f64 = 1.0;
const OWN_PULL: f64 = 2.0;
/// Share of labels that are taken to be wrong whatever their confidence: a label that all other
/// incidents speak against loses its pull instead of bending the weights.
const WRONG: f64 = 0.05;

/// An incident as numbers.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// For each component its features: place of the weight, number.
    pub rows: Vec<Vec<(usize, f64)>>,
    /// The component that caused it; `None` when only its kind is known.
    pub cause: Option<usize>,
    /// The kind; `None` when only the cause is known.
    pub kind: Option<usize>,
    /// How much it counts.
    pub weight: f64,
}

/// Weights: for each feature the shared one, then each kind's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// How many kinds, at least 1.
    pub kinds: usize,
    /// `features × (1 + kinds)`.
    pub values: Vec<f64>,
}

impl Weights {
    /// The score of every hypothesis of one component.
    fn scores(&self, row: &[(usize, f64)], scores: &mut [f64]) {
        scores.fill(0.0);
        let wide = self.kinds + 1;
        for (feature, value) in row {
            let weights = &self.values[feature * wide..(feature + 1) * wide];
            for (score, own) in scores.iter_mut().zip(&weights[1..]) {
                *score += value * (weights[0] + own);
            }
        }
    }

    /// The probability of every hypothesis, `components × kinds`.
    pub fn probabilities(&self, rows: &[Vec<(usize, f64)>]) -> Vec<f64> {
        let mut all = vec![0.0; rows.len() * self.kinds];
        for (row, scores) in rows.iter().zip(all.chunks_mut(self.kinds)) {
            self.scores(row, scores);
        }
        softmax(&mut all);
        all
    }

    /// The weights under which the choices are likeliest, starting at `prior`.
    pub fn learned(prior: Self, choices: &[Choice]) -> Self {
        let kinds = prior.kinds;
        let start = prior.values.clone();
        let values = descend(start, |at, gradient| {
            let mut loss = pull(at, &prior.values, kinds, gradient);
            let weights = Self { kinds, values: at.to_vec() };
            for choice in choices {
                loss += weights.charge(choice, gradient);
            }
            loss
        });
        Self { kinds, values }
    }

    // The loss of one choice; adds its gradient.
    fn charge(&self, choice: &Choice, gradient: &mut [f64]) -> f64 {
        let kinds = self.kinds;
        let chances = self.probabilities(&choice.rows);
        let is_target = |place: usize, kind: usize| {
            choice.cause.is_none_or(|cause| cause == place) && choice.kind.is_none_or(|k| k == kind)
        };
        let (mut right, mut targets) = (0.0, 0.0);
        for (index, chance) in chances.iter().enumerate() {
            if is_target(index / kinds, index % kinds) {
                right += chance;
                targets += 1.0;
            }
        }
        let by_chance = targets / chances.len().max(1) as f64;
        let likelihood = (1.0 - WRONG) * right + WRONG * by_chance;
        let believed = choice.weight * (1.0 - WRONG) * right / likelihood;
        let wide = kinds + 1;
        for (place, row) in choice.rows.iter().enumerate() {
            let mut errors = vec![0.0; wide];
            for kind in 0..kinds {
                let chance = chances[place * kinds + kind];
                let wanted = if is_target(place, kind) { chance / right } else { 0.0 };
                errors[kind + 1] = believed * (chance - wanted);
                errors[0] += errors[kind + 1];
            }
            for (feature, value) in row {
                let slots = &mut gradient[feature * wide..(feature + 1) * wide];
                for (slot, error) in slots.iter_mut().zip(&errors) {
                    *slot += value * error;
                }
            }
        }
        -choice.weight * likelihood.ln()
    }
}

fn pull(at: &[f64], prior: &[f64], kinds: usize, gradient: &mut [f64]) -> f64 {
    let mut loss = 0.0;
    for (index, ((at, prior), gradient)) in at.iter().zip(prior).zip(gradient).enumerate() {
        let pull = if index % (kinds + 1) == 0 { SHARED_PULL } else { OWN_PULL };
        loss += 0.5 * pull * (at - prior).powi(2);
        *gradient = pull * (at - prior);
    }
    loss
}

/// Shares in proportion to the exponentials.
pub fn softmax(scores: &mut [f64]) {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - most).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}
