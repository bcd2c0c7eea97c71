//! What an incident was, when labels contradict each other: the one rule, used wherever an
//! answer needs a single one (ADR 0014).
//!
//! - A label that was taken back does not count.
//! - Of labels that contradict each other the one of the highest confidence counts, of equal ones
//!   the latest, at the same moment the one with the larger id. Who says it does not matter: a
//!   person who is as sure as an experiment and speaks later overrules it.
//! - Labels that say the same stand together: what counts for one of them counts for all.
//! - Root cause, fault kind, severity and duplicate have one answer each. Contributing factors
//!   do not contradict each other. That nothing was wrong contradicts every root cause, fault
//!   kind and contributing factor; it does not contradict a severity or a duplicate.
//!
//! The verdict depends on the set of labels and not on the order in which they arrived.

use std::cmp::Ordering;

use events::catalogue::incident::Severity;
use events::catalogue::label::Claim;
use events::{ComponentName, FaultKind, IncidentId, LabelId, Timestamp};

/// A label, as far as the rule needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Opinion {
    /// The label.
    pub label: LabelId,
    /// What it says.
    pub claim: Claim,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// When it was given.
    pub at: Timestamp,
    /// Whether it was taken back.
    pub retracted: bool,
}

/// Why one label counts and not the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The other is surer.
    LessSure,
    /// The other is as sure, and later.
    Earlier,
    /// The other is as sure, of the same moment, and its id is larger.
    SmallerId,
}

/// A label that does not count.
#[derive(Clone, Debug, PartialEq)]
pub struct Overruled {
    /// Which.
    pub opinion: Opinion,
    /// The label that counts instead.
    pub by: LabelId,
    /// Why that one.
    pub because: Because,
}

/// What the labels of an incident come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The labels that count, the strongest first.
    pub counting: Vec<Opinion>,
    /// The labels that contradict one that counts, the strongest first.
    pub overruled: Vec<Overruled>,
}

/// The verdict on the labels of one incident.
pub fn verdict(opinions: impl IntoIterator<Item = Opinion>) -> Verdict {
    let mut opinions: Vec<_> = opinions.into_iter().filter(|it| !it.retracted).collect();
    // The same label twice is one label; what else it could say would be another label.
    opinions.sort_by(|a, b| stronger(b, a).then_with(|| same_text(a, b)));
    opinions.dedup();
    let mut verdict = Verdict::default();
    for opinion in opinions {
        match verdict.counting.iter().find(|it| contradict(&it.claim, &opinion.claim)) {
            None => verdict.counting.push(opinion),
            Some(winner) => verdict.overruled.push(Overruled {
                by: winner.label.clone(),
                because: because(&opinion, winner),
                opinion,
            }),
        }
    }
    verdict
}

impl Verdict {
    /// The component that caused it.
    pub fn root_cause(&self) -> Option<&ComponentName> {
        self.counting.iter().find_map(|it| match &it.claim {
            Claim::RootCause { component } => Some(component),
            _ => None,
        })
    }

    /// What kind of fault it was.
    pub fn fault_kind(&self) -> Option<&FaultKind> {
        self.counting.iter().find_map(|it| match &it.claim {
            Claim::FaultKind { fault_kind } => Some(fault_kind),
            _ => None,
        })
    }

    /// How bad it was.
    pub fn severity(&self) -> Option<Severity> {
        self.counting.iter().find_map(|it| match &it.claim {
            Claim::Severity { severity } => Some(*severity),
            _ => None,
        })
    }

    /// The incident that it is the same as.
    pub fn duplicate_of(&self) -> Option<&IncidentId> {
        self.counting.iter().find_map(|it| match &it.claim {
            Claim::Duplicate { of } => Some(of),
            _ => None,
        })
    }

    /// The components that made it worse, by name.
    pub fn contributing_factors(&self) -> Vec<&ComponentName> {
        let mut components: Vec<_> = self
            .counting
            .iter()
            .filter_map(|it| match &it.claim {
                Claim::ContributingFactor { component } => Some(component),
                _ => None,
            })
            .collect();
        components.sort();
        components.dedup();
        components
    }

    /// Whether nothing was wrong.
    pub fn is_false_positive(&self) -> bool {
        self.counting.iter().any(|it| it.claim == Claim::FalsePositive {})
    }
}

fn stronger(a: &Opinion, b: &Opinion) -> Ordering {
    let sure = a.confidence.total_cmp(&b.confidence);
    sure.then_with(|| a.at.cmp(&b.at)).then_with(|| a.label.cmp(&b.label))
}

/// A total order on what is left, so that not even equal ids make the answer depend on arrival.
fn same_text(a: &Opinion, b: &Opinion) -> Ordering {
    if a.claim == b.claim {
        return Ordering::Equal;
    }
    format!("{:?}", a.claim).cmp(&format!("{:?}", b.claim))
}

fn because(loser: &Opinion, winner: &Opinion) -> Because {
    if loser.confidence < winner.confidence {
        Because::LessSure
    } else if loser.at < winner.at {
        Because::Earlier
    } else {
        Because::SmallerId
    }
}

fn contradict(a: &Claim, b: &Claim) -> bool {
    use Claim::{ContributingFactor, Duplicate, FalsePositive, FaultKind, RootCause, Severity};
    match (a, b) {
        (FalsePositive {}, RootCause { .. } | FaultKind { .. } | ContributingFactor { .. })
        | (RootCause { .. } | FaultKind { .. } | ContributingFactor { .. }, FalsePositive {}) => {
            true
        }
        (RootCause { .. }, RootCause { .. })
        | (FaultKind { .. }, FaultKind { .. })
        | (Severity { .. }, Severity { .. })
        | (Duplicate { .. }, Duplicate { .. }) => a != b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn component(name: &str) -> ComponentName {
        ComponentName::new(name).unwrap()
    }

    fn caused(name: &str) -> Claim {
        Claim::RootCause { component: component(name) }
    }

    fn opinion(label: &str, second: i64, confidence: f64, claim: Claim) -> Opinion {
        Opinion {
            label: LabelId::new(label).unwrap(),
            claim,
            confidence,
            at: Timestamp::from_second(second).unwrap(),
            retracted: false,
        }
    }

    fn told(verdict: &Verdict) -> Vec<(&str, &str, Because)> {
        let told = |it: &'_ Overruled| it.because;
        let overruled = verdict.overruled.iter();
        overruled.map(|it| (it.opinion.label.as_str(), it.by.as_str(), told(it))).collect()
    }

    #[test]
    fn the_surest_counts_then_the_latest_then_the_larger_id() {
        let verdict = verdict([
            opinion("a", 9, 0.5, caused("cart")),
            opinion("b", 1, 0.9, caused("orders")),
            opinion("c", 2, 0.9, caused("payments")),
            opinion("d", 2, 0.9, caused("database")),
            opinion("e", 1, 0.1, caused("database")),
        ]);
        assert_eq!(verdict.root_cause(), Some(&component("database")));
        let counting: Vec<_> = verdict.counting.iter().map(|it| it.label.as_str()).collect();
        assert_eq!(counting, ["d", "e"], "what says the same stands beside it");
        let expected = [
            ("c", "d", Because::SmallerId),
            ("b", "d", Because::Earlier),
            ("a", "d", Because::LessSure),
        ];
        assert_eq!(told(&verdict), expected);
    }

    #[test]
    fn who_is_as_sure_as_an_experiment_and_later_overrules_it() {
        let experiment = opinion("experiment", 1, 1.0, caused("cart"));
        let unsure = opinion("unsure", 2, 0.9, caused("orders"));
        let sure = opinion("sure", 3, 1.0, caused("payments"));
        let first = verdict([experiment.clone(), unsure.clone()]);
        assert_eq!(first.root_cause(), Some(&component("cart")));
        let second = verdict([experiment, unsure, sure]);
        assert_eq!(second.root_cause(), Some(&component("payments")));
    }

    #[test]
    fn nothing_was_wrong_contradicts_causes_and_not_severities() {
        let bad = Claim::Severity { severity: Severity::Critical };
        let kind = Claim::FaultKind { fault_kind: FaultKind::new("latency").unwrap() };
        let weak = verdict([
            opinion("fp", 5, 0.4, Claim::FalsePositive {}),
            opinion("rc", 1, 0.5, caused("cart")),
            opinion("s", 1, 0.1, bad.clone()),
        ]);
        assert!(!weak.is_false_positive());
        assert_eq!(told(&weak), [("fp", "rc", Because::LessSure)]);
        let strong = verdict([
            opinion("fp", 5, 0.9, Claim::FalsePositive {}),
            opinion("rc", 1, 0.5, caused("cart")),
            opinion("fk", 1, 0.5, kind),
            opinion("s", 1, 0.1, bad),
        ]);
        assert!(strong.is_false_positive());
        assert_eq!((strong.root_cause(), strong.fault_kind()), (None, None));
        assert_eq!(strong.severity(), Some(Severity::Critical));
    }

    #[test]
    fn what_was_taken_back_does_not_count() {
        let mut taken_back = opinion("a", 9, 1.0, caused("cart"));
        taken_back.retracted = true;
        let left = verdict([taken_back, opinion("b", 1, 0.1, caused("orders"))]);
        assert_eq!(left.root_cause(), Some(&component("orders")));
        assert!(left.overruled.is_empty());
    }

    #[test]
    fn factors_stand_beside_each_other() {
        let factor = |name| Claim::ContributingFactor { component: component(name) };
        let both = verdict([
            opinion("a", 1, 0.2, factor("orders")),
            opinion("b", 1, 0.9, factor("cart")),
            opinion("c", 1, 0.9, caused("cart")),
        ]);
        assert_eq!(both.contributing_factors(), [&component("cart"), &component("orders")]);
        assert!(both.overruled.is_empty());
    }

    fn some_opinion() -> impl Strategy<Value = Opinion> {
        let claim = prop_oneof![
            "[ab]".prop_map(|name| caused(&name)),
            "[ab]".prop_map(|name| Claim::ContributingFactor { component: component(&name) }),
            "[ab]".prop_map(|kind| Claim::FaultKind { fault_kind: FaultKind::new(kind).unwrap() }),
            "[ab]".prop_map(|of| Claim::Duplicate { of: IncidentId::new(of).unwrap() }),
            Just(Claim::FalsePositive {}),
            Just(Claim::Severity { severity: Severity::Info }),
            Just(Claim::Severity { severity: Severity::Error }),
        ];
        let confidence = prop_oneof![Just(0.5), Just(1.0)];
        ("[a-d]", claim, confidence, 0..3i64, prop::bool::weighted(0.2)).prop_map(
            |(label, claim, confidence, second, retracted)| Opinion {
                retracted,
                ..opinion(&label, second, confidence, claim)
            },
        )
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            (given, shuffled) in prop::collection::vec(some_opinion(), 0..9)
                .prop_flat_map(|given| (Just(given.clone()), Just(given).prop_shuffle())),
        ) {
            let first = verdict(given.clone());
            prop_assert_eq!(verdict(shuffled), first.clone());
            // Nothing is lost, and what counts agrees with itself.
            let mut known: Vec<_> = given.into_iter().filter(|it| !it.retracted).collect();
            known.sort_by(|a, b| stronger(b, a).then_with(|| same_text(a, b)));
            known.dedup();
            prop_assert_eq!(first.counting.len() + first.overruled.len(), known.len());
            for a in &first.counting {
                for b in &first.counting {
                    prop_assert!(!contradict(&a.claim, &b.claim));
                }
            }
        }
    }
}
