//! Whether a probability means what it says.

const BINS: usize = 10;

/// Expected calibration error: by how much the stated probability and the share that was right
/// differ, in ten bins of equal width weighed by their cases (Naeini, Cooper, Hauskrecht, AAAI
/// 2015); 0 without cases. Each pair is what was stated and whether it was right.
pub fn calibration_error(told: &[(f64, bool)]) -> f64 {
    let mut bins = [(0.0, 0.0); BINS];
    for (stated, right) in told {
        let bin = &mut bins[((stated * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += stated;
        bin.1 += f64::from(u8::from(*right));
    }
    let off: f64 = bins.iter().map(|(stated, right)| (stated - right).abs()).sum();
    off / told.len().max(1) as f64
}

/// Mean squared difference between the stated probability and what came true (G. W. Brier, 1950).
pub fn brier_score(told: &[(f64, bool)]) -> f64 {
    let off = told.iter().map(|(stated, right)| (stated - f64::from(u8::from(*right))).powi(2));
    off.sum::<f64>() / told.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_right_as_often_as_it_says_is_not_off() {
        let told: Vec<(f64, bool)> = (0..100).map(|i| (0.75, i % 4 != 0)).collect();
        assert!(calibration_error(&told) < 1e-12);
        assert!((brier_score(&told) - 0.1875).abs() < 1e-12);
        let boasting: Vec<(f64, bool)> = told.iter().map(|(_, right)| (1.0, *right)).collect();
        assert!((calibration_error(&boasting) - 0.25).abs() < 1e-12);
        assert_eq!((calibration_error(&[]), brier_score(&[])), (0.0, 0.0));
    }
}
