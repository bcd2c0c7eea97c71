//! Which versions of a component are live, and when one is new.

use std::collections::BTreeMap;

use crate::aggregate::window::Number;

/// The versions that a component was seen in.
#[derive(Debug, Default)]
pub struct Versions {
    /// The last window of each, and whether it was told to be live before.
    live: BTreeMap<Box<str>, Number>,
}

/// A version that was not live before.
#[derive(Debug, PartialEq, Eq)]
pub struct Introduced {
    pub version: Box<str>,
    pub previous: Box<str>,
    /// The earliest telemetry of it in its window.
    pub at_ns: i64,
}

/// Windows without any telemetry of a version after which it is no longer live while another is.
/// During a rollout both are; a rollback brings one back that was gone.
const LIVE_FOR: i64 = 12;
/// Most versions that are remembered.
const MOST: usize = 16;

impl Versions {
    /// A version that is known to be live from before this process began.
    pub fn know(&mut self, version: &str) {
        self.live.entry(version.into()).or_insert(Number::MIN);
    }

    /// The version seen last.
    pub fn newest(&self) -> Option<&str> {
        let newest = self.live.iter().max_by_key(|(version, last)| (**last, *version));
        newest.map(|(version, _)| &**version)
    }

    /// The versions seen in a window, with the earliest moment of each. What is new is a
    /// deployment if there was another before; the first version of a component is where it
    /// starts from.
    pub fn seen(&mut self, window: Number, seen: BTreeMap<Box<str>, i64>) -> Vec<Introduced> {
        if seen.is_empty() {
            return Vec::new();
        }
        let previous: Option<Box<str>> = self.newest().map(Into::into);
        self.live.retain(|version, last| {
            *last >= window - LIVE_FOR || Some(version) == previous.as_ref()
        });
        let mut introduced = Vec::new();
        for (version, at_ns) in seen {
            let known = self.live.insert(version.clone(), window).is_some();
            if let (false, Some(previous)) = (known, &previous) {
                introduced.push(Introduced { version, previous: previous.clone(), at_ns });
            }
        }
        while self.live.len() > MOST {
            let oldest = self.live.iter().min_by_key(|(version, last)| (**last, *version));
            let Some(oldest) = oldest.map(|(version, _)| version.clone()) else { break };
            self.live.remove(&oldest);
        }
        introduced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions<const N: usize>(list: [&str; N]) -> BTreeMap<Box<str>, i64> {
        list.map(|version| (version.into(), 7)).into()
    }

    fn names(introduced: &[Introduced]) -> Vec<(&str, &str)> {
        introduced.iter().map(|it| (&*it.previous, &*it.version)).collect()
    }

    #[test]
    fn a_rollout_is_one_deployment_and_a_rollback_another() {
        let mut of = Versions::default();
        assert!(of.seen(0, versions(["1"])).is_empty(), "what was there is no deployment");
        assert_eq!(names(&of.seen(1, versions(["1", "2"]))), [("1", "2")]);
        assert!(of.seen(2, versions(["1", "2"])).is_empty(), "both are live during a rollout");
        for window in 3..40 {
            assert!(of.seen(window, versions(["2"])).is_empty());
        }
        assert_eq!(names(&of.seen(40, versions(["1"]))), [("2", "1")]);
    }

    #[test]
    fn what_was_live_before_a_restart_is_no_deployment_after_it() {
        let mut of = Versions::default();
        of.know("1");
        assert!(of.seen(100, versions(["1"])).is_empty());
        assert_eq!(names(&of.seen(500, versions(["2"]))), [("1", "2")]);
    }
}
