//! What is usual: estimates that a few odd windows do not move.
//!
//! Location and spread are the median and the median absolute deviation, scaled to the standard
//! deviation of a normal distribution (P. J. Rousseeuw, C. Croux, "Alternatives to the Median
//! Absolute Deviation", JASA 88, 1993). Shares of few calls are pulled towards what is usual, or
//! bounded by the score interval of E. B. Wilson ("Probable Inference, the Law of Succession, and
//! Statistical Inference", JASA 22, 1927): three failures of three calls are not an outage yet.

/// Makes a median absolute deviation comparable to a standard deviation.
const MAD_TO_SIGMA: f64 = 1.4826;

/// What can be subtracted or divided by in every unit: a latency below 2 ms or within a fifth of
/// the usual is jitter of the machine, an error share below 2 % the noise of a network.
pub mod floor {
    /// Latency in milliseconds, absolute.
    pub const LATENCY_MS: f64 = 2.0;
    /// Latency relative to the usual.
    pub const LATENCY_SHARE: f64 = 0.2;
    /// Error share.
    pub const ERROR_SHARE: f64 = 0.02;
    /// Traffic relative to the usual.
    pub const TRAFFIC_SHARE: f64 = 0.2;
    /// Processor cores.
    pub const CPU_CORES: f64 = 0.05;
    /// Resident memory relative to the usual.
    pub const MEMORY_SHARE: f64 = 0.1;
    /// Saturation.
    pub const SATURATION: f64 = 0.1;
}

/// Median and spread of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// The median.
    pub median: f64,
    /// The scaled median absolute deviation; 0 for a constant series.
    pub spread: f64,
    /// How many values it stands on.
    pub windows: usize,
}

impl Usual {
    /// Of the finite values; `None` when there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        let median = median(&mut values)?;
        let windows = values.len();
        let mut distances: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
        let spread = self::median(&mut distances)? * MAD_TO_SIGMA;
        Some(Self { median, spread, windows })
    }

    /// Distance of `value` in spreads of at least `floor`; the sign is the direction.
    pub fn deviation(&self, value: f64, floor: f64) -> f64 {
        (value - self.median) / self.spread.max(floor).max(f64::MIN_POSITIVE)
    }

    /// The smallest latency spread that is taken seriously, in milliseconds.
    pub fn latency_floor_ms(&self) -> f64 {
        floor::LATENCY_MS.max(self.median * floor::LATENCY_SHARE)
    }
}

/// The middle value, the mean of the two middle ones for an even count. The values change places.
pub fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let is_odd = values.len() % 2 == 1;
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = below.iter().copied().max_by(f64::total_cmp).filter(|_| !is_odd);
    Some(lower.map_or(*upper, |lower| f64::midpoint(lower, *upper)))
}

/// The share of failures as far as `calls` can show it: as if a few more calls had gone as
/// `usual` (the mean of a Beta prior worth [`PRIOR_CALLS`]).
pub fn shrunk_share(errors: f64, calls: f64, usual: f64) -> f64 {
    ((errors + PRIOR_CALLS * usual) / (calls + PRIOR_CALLS)).clamp(0.0, 1.0)
}

/// How many calls the usual share counts for.
pub const PRIOR_CALLS: f64 = 3.0;

/// The smallest share that explains `errors` of `calls` at 95 % confidence (Wilson's interval).
pub fn least_share(errors: f64, calls: f64) -> f64 {
    const Z: f64 = 1.96;
    if calls <= 0.0 {
        return 0.0;
    }
    let share = (errors / calls).clamp(0.0, 1.0);
    let centre = share + Z * Z / (2.0 * calls);
    let margin = Z * (share * (1.0 - share) / calls + Z * Z / (4.0 * calls * calls)).sqrt();
    ((centre - margin) / (1.0 + Z * Z / calls)).clamp(0.0, 1.0)
}

/// `x` folded into 0..1: `half` gives one half, the rest saturates.
pub fn saturating(x: f64, half: f64) -> f64 {
    if x <= 0.0 { 0.0 } else { x / (x + half) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_window_does_not_move_the_usual() {
        let calm = Usual::of([10.0, 11.0, 9.0, 10.0, 10.5]).unwrap();
        let wild = Usual::of([10.0, 11.0, 9.0, 10.0, 10_000.0]).unwrap();
        assert_eq!(calm.median, wild.median);
        assert!(wild.spread < 2.0, "{wild:?}");
        assert!(wild.deviation(40.0, wild.latency_floor_ms()) > 10.0);
    }

    #[test]
    fn the_middle_is_that_of_sorted_values() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&mut [2.0, 7.0, 7.0, 7.0]), Some(7.0));
        assert_eq!(median(&mut [5.0]), Some(5.0));
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn nothing_measured_is_no_baseline() {
        assert_eq!(Usual::of([]), None);
        assert_eq!(Usual::of([f64::NAN, f64::INFINITY]), None);
    }

    #[test]
    fn a_constant_series_still_has_a_finite_deviation() {
        let usual = Usual::of([0.0; 8]).unwrap();
        assert_eq!(usual.deviation(0.0, 0.0), 0.0);
        assert!(usual.deviation(1.0, 0.02).is_finite());
    }

    #[test]
    fn few_calls_are_weak_evidence() {
        assert!(least_share(3.0, 3.0) < 0.5);
        assert!(least_share(300.0, 300.0) > 0.98);
        assert_eq!(least_share(0.0, 0.0), 0.0);
        assert!(shrunk_share(1.0, 1.0, 0.0) < 0.3);
        assert!(shrunk_share(100.0, 100.0, 0.0) > 0.95);
        let unchanged = shrunk_share(0.0, 0.0, 0.1);
        assert!((unchanged - 0.1).abs() < 1e-12, "no call changes nothing: {unchanged}");
    }
}
