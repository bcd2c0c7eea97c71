//! How much of a steady state held.

use events::value::Ratio;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::SteadyStateRecord;

/// How many of the probes that were taken during and after a method held. There is no way to
/// make one in which more held than were taken, so that no share of it exceeds one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resilience {
    held: u64,
    broke: u64,
}

impl Resilience {
    /// Counts one probe.
    pub fn count(&mut self, held: bool) {
        let side = if held { &mut self.held } else { &mut self.broke };
        *side = side.saturating_add(1);
    }

    /// Counts every probe of a measurement.
    pub fn count_all(&mut self, record: &SteadyStateRecord) {
        record.probes.iter().for_each(|probe| self.count(probe.tolerance_met));
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            held: self.held.saturating_add(other.held),
            broke: self.broke.saturating_add(other.broke),
        }
    }

    /// Probes that held.
    pub fn held(self) -> u64 {
        self.held
    }

    /// Probes that were taken.
    pub fn taken(self) -> u64 {
        self.held.saturating_add(self.broke)
    }

    /// The share that held; `None` when no probe was taken, which is not the same as none held.
    pub fn ratio(self) -> Option<Ratio> {
        if self.held == 0 && self.broke == 0 {
            return None;
        }
        let (held, broke) = (self.held as f64, self.broke as f64);
        Ratio::new(held / (held + broke)).ok()
    }

    /// The share in whole percent, rounded down: 100 only when every probe held.
    pub fn percent(self) -> Option<u8> {
        let share = self.ratio()?.get();
        let percent = (share * 100.0).floor() as u8;
        Some(if self.broke > 0 { percent.min(99) } else { percent })
    }
}

impl std::fmt::Display for Resilience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.percent() {
            Some(percent) => write!(f, "{percent} % ({} of {} probes)", self.held, self.taken()),
            None => f.write_str("not measured"),
        }
    }
}

impl Serialize for Resilience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Resilience", 3)?;
        fields.serialize_field("held", &self.held)?;
        fields.serialize_field("taken", &self.taken())?;
        fields.serialize_field("ratio", &self.ratio())?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(probes: &[bool]) -> Resilience {
        let mut resilience = Resilience::default();
        probes.iter().for_each(|held| resilience.count(*held));
        resilience
    }

    #[test]
    fn nothing_measured_is_no_verdict() {
        assert_eq!(Resilience::default().ratio(), None);
        assert_eq!(Resilience::default().to_string(), "not measured");
        assert_eq!(of(&[true, true, false]).to_string(), "66 % (2 of 3 probes)");
    }

    #[test]
    fn one_of_very_many_that_broke_is_not_all() {
        let many = Resilience { held: u64::MAX, broke: 1 };
        assert_eq!(many.percent(), Some(99));
        assert!(many.ratio().unwrap().get() <= 1.0);
        assert!(many.and(many).ratio().unwrap().get() <= 1.0);
    }

    proptest! {
        #[test]
        fn a_share_is_never_above_one_and_whole_only_when_all_held(
            runs in prop::collection::vec(prop::collection::vec(any::<bool>(), 0..40), 0..20)
        ) {
            let sum = runs.iter().map(|run| of(run)).fold(Resilience::default(), Resilience::and);
            let probes: Vec<_> = runs.concat();
            let held = probes.iter().filter(|held| **held).count() as u64;
            prop_assert_eq!((sum.held(), sum.taken()), (held, probes.len() as u64));
            match (sum.ratio(), sum.percent()) {
                (Some(ratio), Some(percent)) => {
                    prop_assert!((0.0..=1.0).contains(&ratio.get()));
                    prop_assert!(percent <= 100);
                    prop_assert_eq!(percent == 100, probes.iter().all(|held| *held));
                }
                (None, None) => prop_assert!(probes.is_empty()),
                other => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn any_counts_make_a_share(held in any::<u64>(), broke in any::<u64>()) {
            let one = Resilience { held, broke };
            if let Some(ratio) = one.and(one).ratio() {
                prop_assert!((0.0..=1.0).contains(&ratio.get()));
            }
        }
    }
}
