//! When requests arrive.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::shop::control::LoadShape;

/// The rate is taken as constant over this time.
const STEP: Duration = Duration::from_millis(1);
/// An arrival is sought no further ahead than this, so that a rate of zero needs no special case.
const HORIZON: Duration = Duration::from_millis(500);

/// The arrivals of one shape from its begin on.
pub(super) struct Schedule {
    shape: LoadShape,
    elapsed: Duration,
    /// Requests that the rate has yet to earn before the next arrival.
    to_earn: Option<f64>,
}

/// What comes next. Times are since the begin of the shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    /// A request is to be sent at this time.
    Arrival(Duration),
    /// None is before this time.
    Quiet(Duration),
}

impl Schedule {
    pub(super) fn new(shape: LoadShape) -> Self {
        Self { shape, elapsed: Duration::ZERO, to_earn: None }
    }

    /// The next arrival. Intervals vary by half of their length around what the rate asks for.
    pub(super) fn next(&mut self, dice: &mut ChaCha8Rng) -> Next {
        let mut to_earn = self.to_earn.take().unwrap_or_else(|| dice.random_range(0.5..1.5));
        let horizon = self.elapsed + HORIZON;
        while self.elapsed < horizon {
            let rate = rate_at(&self.shape, self.elapsed);
            let earned = rate * STEP.as_secs_f64();
            if earned >= to_earn {
                self.elapsed += Duration::from_secs_f64(to_earn / rate);
                return Next::Arrival(self.elapsed);
            }
            self.elapsed += STEP;
            to_earn -= earned;
        }
        self.to_earn = Some(to_earn);
        Next::Quiet(self.elapsed)
    }
}

/// Requests a second at some time since the begin of a shape.
pub(super) fn rate_at(shape: &LoadShape, elapsed: Duration) -> f64 {
    let elapsed_ms = elapsed.as_secs_f64() * 1_000.0;
    match *shape {
        LoadShape::Steady { rps } | LoadShape::Flood { rps } => rps,
        LoadShape::Ramp { from_rps, to_rps, over_ms } => {
            let share = if over_ms == 0 { 1.0 } else { elapsed_ms / over_ms as f64 };
            from_rps + (to_rps - from_rps) * share.min(1.0)
        }
        LoadShape::Burst { base_rps, burst_rps, every_ms, burst_ms } => {
            let place = elapsed_ms % every_ms.max(1) as f64;
            if place < burst_ms as f64 { burst_rps } else { base_rps }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// Arrivals in each second.
    fn arrivals(shape: LoadShape, seconds: usize) -> Vec<usize> {
        let mut dice = ChaCha8Rng::seed_from_u64(7);
        let mut schedule = Schedule::new(shape);
        let mut counts = vec![0; seconds];
        loop {
            let (at, arrivals) = match schedule.next(&mut dice) {
                Next::Arrival(at) => (at, 1),
                Next::Quiet(until) => (until, 0),
            };
            let Some(count) = counts.get_mut(at.as_secs() as usize) else { return counts };
            *count += arrivals;
        }
    }

    fn assert_near(counts: &[usize], expected: &[f64]) {
        for (count, expected) in counts.iter().zip(expected) {
            let off = (*count as f64 - expected).abs();
            assert!(off <= expected * 0.15 + 3.0, "{counts:?}, expected {expected:?}");
        }
    }

    #[test]
    fn steady_is_the_same_every_second() {
        assert_near(&arrivals(LoadShape::Steady { rps: 40.0 }, 5), &[40.0; 5]);
    }

    #[test]
    fn a_rate_of_zero_is_quiet() {
        assert_eq!(arrivals(LoadShape::Steady { rps: 0.0 }, 3), [0; 3]);
    }

    #[test]
    fn ramp_rises_in_a_line_and_stays() {
        let shape = LoadShape::Ramp { from_rps: 0.0, to_rps: 100.0, over_ms: 4_000 };
        let counts = arrivals(shape, 6);
        assert_near(&counts, &[12.5, 37.5, 62.5, 87.5, 100.0, 100.0]);
    }

    #[test]
    fn burst_comes_back_every_period() {
        let shape =
            LoadShape::Burst { base_rps: 10.0, burst_rps: 100.0, every_ms: 3_000, burst_ms: 1_000 };
        assert_near(&arrivals(shape, 6), &[100.0, 10.0, 10.0, 100.0, 10.0, 10.0]);
    }

    #[test]
    fn flood_keeps_its_rate_when_it_is_high() {
        assert_near(&arrivals(LoadShape::Flood { rps: 2_000.0 }, 2), &[2_000.0; 2]);
    }
}
