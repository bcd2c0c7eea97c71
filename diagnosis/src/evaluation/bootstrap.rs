//! How far a mean may be off.

/// Between these the mean lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

const RESAMPLES: usize = 2_000;

/// The percentile bootstrap interval of the mean (B. Efron, "Bootstrap Methods: Another Look at
/// the Jackknife", Ann. Statist. 7, 1979). It is empty (both ends the mean) where all values are
/// the same, which then says little: few cases can all be hits by luck.
pub fn interval(values: &[f64], seed: u64) -> Interval {
    resampled(values, seed, |drawn| drawn.iter().sum::<f64>() / drawn.len() as f64)
}

/// As [`interval`], of anything that is computed from cases.
pub(super) fn resampled<C: Clone>(
    cases: &[C],
    seed: u64,
    computed: impl Fn(&[C]) -> f64,
) -> Interval {
    if cases.is_empty() {
        return Interval { low: 0.0, high: 0.0 };
    }
    let mut state = seed;
    let mut drawn = Vec::with_capacity(cases.len());
    let mut found: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            drawn.clear();
            drawn.extend((0..cases.len()).map(|_| cases[below(&mut state, cases.len())].clone()));
            computed(&drawn)
        })
        .collect();
    found.sort_by(f64::total_cmp);
    let at = |share: f64| found[((RESAMPLES - 1) as f64 * share).round() as usize];
    Interval { low: at(0.025), high: at(0.975) }
}

/// A number below `bound`; the state goes on.
// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): seeded, and the same everywhere.
pub(super) fn below(state: &mut u64, bound: usize) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^= bits >> 31;
    ((u128::from(bits) * bound as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_cases_are_surer() {
        let few: Vec<f64> = (0..20).map(|i| f64::from(i % 4 == 0)).collect();
        let many: Vec<f64> = (0..2_000).map(|i| f64::from(i % 4 == 0)).collect();
        let (few, many) = (interval(&few, 1), interval(&many, 1));
        assert!(few.low < many.low && many.high < few.high, "{few:?} {many:?}");
        assert!((many.low - 0.231).abs() < 0.01 && (many.high - 0.269).abs() < 0.01, "{many:?}");
    }

    #[test]
    fn the_seed_decides() {
        let values: Vec<f64> = (0..50).map(f64::from).collect();
        assert_eq!(interval(&values, 3), interval(&values, 3));
        assert_ne!(interval(&values, 3), interval(&values, 4));
        assert_eq!(interval(&[], 3), Interval { low: 0.0, high: 0.0 });
    }
}
