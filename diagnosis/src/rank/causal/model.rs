//! How much each observation weighs: a log-linear model over the components.
//!
//! The utility of a component is the weighted sum of its observations, and its probability of
//! being the cause the share of its exponential (conditional logit: D. McFadden, "Conditional
//! Logit Analysis of Qualitative Choice Behavior", 1974). The weights are few, at least 0, and
//! held near the ones that stand here before anything was learned.

use std::collections::BTreeMap;

use events::FaultKind;
use events::catalogue::fault_kind;

/// The observations and what they weigh before anything was learned.
pub const PRIOR: [(&str, f64); 16] = [
    ("a resource is used up", 1.5),
    ("a usual step is missing", 6.0),
    ("calls stay unanswered", 2.0),
    ("complaints in its log", 2.0),
    ("configured shortly before", 3.0),
    ("deployed shortly before", 3.0),
    ("failing by itself", 6.0),
    ("memory grows", 4.0),
    ("more calls than its callers' growth explains", 5.0),
    ("not answering", 4.0),
    ("overload it passes on", 6.0),
    ("processor limit reached", 5.0),
    ("slow by itself", 6.0),
    ("slow or failing in all", 0.3),
    ("trouble under another of its names", 6.0),
    ("unusual processor time", 0.6),
];

/// The kind of fault that an observation speaks for, where it speaks for one.
pub fn kind(name: &str) -> Option<FaultKind> {
    let kind = match name {
        "failing by itself" => fault_kind::HTTP_ERROR,
        "memory grows" => fault_kind::MEMORY_LEAK,
        "more calls than its callers' growth explains" => fault_kind::FLOOD,
        "not answering" => fault_kind::PROCESS_KILL,
        "processor limit reached" => CPU_CONTENTION,
        "slow by itself" => fault_kind::LATENCY,
        _ => return None,
    };
    Some(fault_kind::named(kind))
}

/// Something beside the component's work takes its processor time. No local driver does that.
const CPU_CONTENTION: &str = "cpu_contention";

/// What a further observation that the model does not know weighs, such as one of a codebook.
pub const UNKNOWN: f64 = 1.0;

/// Weights by name of the observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights(BTreeMap<String, f64>);

impl Default for Weights {
    fn default() -> Self {
        Self::new(std::iter::empty())
    }
}

impl Weights {
    /// The prior, with the given weights in place of its own. Negative ones count as 0 and those
    /// that are no number are passed over, so that no stored model can break a ranking.
    pub fn new(learned: impl IntoIterator<Item = (String, f64)>) -> Self {
        let prior = PRIOR.iter().map(|(name, weight)| ((*name).to_owned(), *weight));
        let learned = learned.into_iter().filter(|(_, weight)| weight.is_finite());
        Self(prior.chain(learned.map(|(name, weight)| (name, weight.max(0.0)))).collect())
    }

    /// What an observation weighs.
    pub fn of(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(UNKNOWN)
    }

    /// All of them, by name: the form in which a model is recorded.
    pub fn by_name(&self) -> &BTreeMap<String, f64> {
        &self.0
    }
}

/// What was observed of the components of one incident, by name of the observation, and which of
/// them was the cause.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Strength by name of the observation, for each component; also for those without any.
    pub observed: Vec<BTreeMap<String, f64>>,
    /// The places of the true causes in `observed`.
    pub truth: Vec<usize>,
}

/// How far weights may be drawn from the prior; a weight that is off by this costs as much as an
/// incident whose cause was given a probability of 0.6.
const LOOSE: f64 = 1.0;
const STEPS: usize = 400;

/// Learns weights from incidents whose cause is known: the largest posterior under a normal prior
/// around [`PRIOR`], by projected gradient ascent with a fixed number of steps. Incidents whose
/// true cause is not among the components teach nothing.
pub fn learn(choices: &[Choice]) -> Weights {
    let names: Vec<String> = Weights::default().0.into_keys().collect();
    let prior: Vec<f64> = names.iter().map(|name| Weights::default().of(name)).collect();
    let known: Vec<Rows> = choices.iter().filter_map(|choice| Rows::of(choice, &names)).collect();
    let mut weights = prior.clone();
    for step in 0..STEPS {
        let mut slope: Vec<f64> = weights
            .iter()
            .zip(&prior)
            .map(|(weight, prior)| (prior - weight) / (LOOSE * LOOSE))
            .collect();
        for rows in &known {
            rows.add_slope(&weights, &mut slope);
        }
        let rate = 2.0 / (known.len() as f64 + 4.0) / (1.0 + step as f64 / 100.0);
        for (weight, slope) in weights.iter_mut().zip(slope) {
            *weight = (*weight + rate * slope).max(0.0);
        }
    }
    Weights::new(names.into_iter().zip(weights))
}

struct Rows {
    rows: Vec<Vec<f64>>,
    truth: Vec<usize>,
}

impl Rows {
    fn of(choice: &Choice, names: &[String]) -> Option<Self> {
        let row = |observed: &BTreeMap<String, f64>| {
            names.iter().map(|name| observed.get(name).copied().unwrap_or(0.0)).collect()
        };
        let truth: Vec<usize> =
            choice.truth.iter().copied().filter(|place| *place < choice.observed.len()).collect();
        let rows = choice.observed.iter().map(row).collect();
        (!truth.is_empty()).then_some(Self { rows, truth })
    }

    // Of the logarithm of the probability that the true causes have together.
    fn add_slope(&self, weights: &[f64], slope: &mut [f64]) {
        let utilities: Vec<f64> =
            self.rows.iter().map(|row| row.iter().zip(weights).map(|(x, w)| x * w).sum()).collect();
        let all = probabilities(&utilities);
        let true_utilities: Vec<f64> = self.truth.iter().map(|&place| utilities[place]).collect();
        let among = probabilities(&true_utilities);
        for (row, share) in self.rows.iter().zip(all) {
            row.iter().zip(&mut *slope).for_each(|(x, slope)| *slope -= share * x);
        }
        for (&place, share) in self.truth.iter().zip(among) {
            self.rows[place].iter().zip(&mut *slope).for_each(|(x, slope)| *slope += share * x);
        }
    }
}

/// The share of each exponential.
pub fn probabilities(utilities: &[f64]) -> Vec<f64> {
    let largest = utilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = utilities.iter().map(|u| (u - largest).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(observed: &[&[(&str, f64)]], truth: usize) -> Choice {
        let row = |row: &&[(&str, f64)]| row.iter().map(|(n, x)| ((*n).to_owned(), *x)).collect();
        Choice { observed: observed.iter().map(row).collect(), truth: vec![truth] }
    }

    #[test]
    fn what_misleads_loses_weight_and_what_tells_gains() {
        let misled = choice(&[&[("slow by itself", 0.9)], &[("memory grows", 0.5)]], 1);
        let learned = learn(&vec![misled; 20]);
        let prior = Weights::default();
        assert!(learned.of("slow by itself") < 0.5 * prior.of("slow by itself"), "{learned:?}");
        assert!(learned.of("memory grows") > prior.of("memory grows"));
        assert_eq!(
            learned.of("not answering"),
            prior.of("not answering"),
            "nothing was said of it"
        );
    }

    #[test]
    fn one_label_moves_little_and_none_nothing() {
        let misled = choice(&[&[("slow by itself", 0.9)], &[("memory grows", 0.5)]], 1);
        let learned = learn(std::slice::from_ref(&misled));
        let (now, prior) = (learned.of("slow by itself"), Weights::default().of("slow by itself"));
        assert!(now < prior && now > 0.4 * prior, "{now}");
        assert_eq!(learn(&[]), Weights::default());
        let unknown = Choice { truth: vec![7], ..misled };
        assert_eq!(learn(&[unknown]), Weights::default(), "its cause is not among the components");
    }

    #[test]
    fn learning_is_repeatable_and_stored_weights_cannot_break_it() {
        let choices =
            vec![choice(&[&[("slow by itself", 0.2)], &[("failing by itself", 0.9)]], 0); 5];
        assert_eq!(learn(&choices), learn(&choices));
        let odd = Weights::new([("slow by itself".to_owned(), f64::NAN), ("x".to_owned(), -1.0)]);
        assert_eq!(odd.of("slow by itself"), Weights::default().of("slow by itself"));
        assert_eq!((odd.of("x"), odd.of("never heard of")), (0.0, UNKNOWN));
    }

    #[test]
    fn probabilities_add_up() {
        let shares = probabilities(&[0.0, 1_000.0, 1_000.0]);
        assert_eq!(shares, [0.0, 0.5, 0.5]);
        assert!(probabilities(&[]).is_empty());
    }
}
