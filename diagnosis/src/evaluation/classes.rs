//! How well classes are told: precision and recall joined, class by class.

use std::collections::BTreeMap;

use super::bootstrap::{Interval, resampled};

/// The F1 score of every class, weighted by how many cases truly are of it (C. J. van Rijsbergen,
/// 1979); 0 without cases. Each pair is what a case is and what it was taken for, if anything.
pub fn weighted_f1<C: Ord>(told: &[(C, Option<C>)]) -> f64 {
    #[derive(Default)]
    struct Count {
        right: usize,
        truly: usize,
        taken_for: usize,
    }
    let mut counts: BTreeMap<&C, Count> = BTreeMap::new();
    for (truth, taken_for) in told {
        counts.entry(truth).or_default().truly += 1;
        if let Some(taken_for) = taken_for {
            let count = counts.entry(taken_for).or_default();
            count.taken_for += 1;
            count.right += usize::from(truth == taken_for);
        }
    }
    let weighted: f64 = counts
        .values()
        .filter(|count| count.truly > 0)
        .map(|count| {
            let f1 = 2.0 * count.right as f64 / (count.truly + count.taken_for) as f64;
            f1 * count.truly as f64
        })
        .sum();
    if told.is_empty() { 0.0 } else { weighted / told.len() as f64 }
}

/// Between which [`weighted_f1`] lies with 95 % confidence, by resampled cases.
pub fn weighted_f1_interval<C: Ord + Clone>(told: &[(C, Option<C>)], seed: u64) -> Interval {
    resampled(told, seed, weighted_f1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_count_by_their_cases() {
        assert_eq!(weighted_f1::<&str>(&[]), 0.0);
        let right = [("cpu", Some("cpu")), ("memory", Some("memory"))];
        assert_eq!(weighted_f1(&right), 1.0);
        // cpu: precision 2/3, recall 1, so 0.8; memory was never told.
        let told = [("cpu", Some("cpu")), ("cpu", Some("cpu")), ("memory", Some("cpu"))];
        assert!((weighted_f1(&told) - 0.8 * 2.0 / 3.0).abs() < 1e-12);
        let silent = [("cpu", Some("cpu")), ("cpu", None)];
        assert!((weighted_f1(&silent) - 2.0 / 3.0).abs() < 1e-12, "who abstains misses");
    }

    #[test]
    fn an_interval_holds_the_score_and_shrinks_with_cases() {
        let told = |n: usize| -> Vec<(&str, Option<&str>)> {
            (0..n).map(|n| ("cpu", Some(if n % 4 == 0 { "memory" } else { "cpu" }))).collect()
        };
        let (few, many) = (told(20), told(400));
        let of = |told: &[(&'static str, Option<&'static str>)]| weighted_f1_interval(told, 1);
        let (wide, narrow) = (of(&few), of(&many));
        let score = weighted_f1(&many);
        assert!(narrow.low < score && score < narrow.high, "{narrow:?} {score}");
        assert!(narrow.high - narrow.low < wide.high - wide.low, "{narrow:?} {wide:?}");
    }
}
