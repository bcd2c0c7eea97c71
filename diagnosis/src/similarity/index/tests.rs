//! The index against an exhaustive comparison.

use events::{ComponentName, FaultKind, Timestamp};
use proptest::prelude::*;

use super::super::{PastIncident, nearest, nearest_told};
use super::*;
use crate::fingerprint::{Feature, Role, Symptom};

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    let role = prop_oneof![Just(Role::Suspect), Just(Role::Caller), Just(Role::Entrance)];
    let feature = prop_oneof![
        Just(Feature::Errors),
        Just(Feature::Latency),
        Just(Feature::Memory),
        Just(Feature::Reach),
    ];
    // Few and coarse numbers, so that equal scores come about.
    let strength = (-4..=4i32).prop_map(|n| f64::from(n) / 4.0);
    let symptom = (role, feature, strength).prop_map(|(role, feature, strength)| Symptom {
        role,
        feature,
        strength,
        evidence: Vec::new(),
    });
    let component = || "[a-d]".prop_map(|name| ComponentName::new(name).unwrap());
    let share = || (0..=5u32).prop_map(|n| f64::from(n) / 5.0);
    (
        prop::option::of(component()),
        prop::collection::vec(symptom, 0..8),
        prop::collection::btree_map(component(), share(), 0..4),
        prop::collection::btree_map("[p-s]", share(), 0..4),
    )
        .prop_map(|(suspect, symptoms, components, reasons)| Fingerprint {
            suspect,
            symptoms,
            components,
            reasons,
        })
}

fn told() -> impl Strategy<Value = Told> {
    let marks = || prop::collection::btree_set("[a-f]", 0..5);
    (marks(), marks()).prop_map(|(text, structure)| Told { text, structure })
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, Fingerprint, Told),
    Label(usize, Claim, u32, Option<usize>),
    Unlabel(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = |name: &str| Claim::FaultKind { fault_kind: FaultKind::new(name).unwrap() };
    let cart = ComponentName::new("cart").unwrap();
    let claim = prop_oneof![
        Just(Claim::FalsePositive {}),
        Just(kind("latency")),
        Just(kind("partition")),
        Just(Claim::RootCause { component: cart }),
    ];
    let step = prop_oneof![
        4 => (0..12usize, fingerprint(), told()).prop_map(|(n, it, told)| Step::Put(n, it, told)),
        2 => (0..12usize, claim, 0..3u32, prop::option::of(0..2usize))
            .prop_map(|(n, claim, sure, fault)| Step::Label(n, claim, sure, fault)),
        1 => (0..60usize).prop_map(Step::Unlabel),
    ];
    prop::collection::vec(step, 0..60)
}

fn incident(n: usize) -> IncidentId {
    IncidentId::new(format!("i{n}")).unwrap()
}

fn fault(n: usize) -> FaultId {
    FaultId::new(format!("f{n}")).unwrap()
}

fn label(step: usize) -> LabelId {
    LabelId::new(format!("l{step}")).unwrap()
}

fn opinion(step: usize, claim: &Claim, sure: u32) -> Opinion {
    Opinion {
        label: label(step),
        claim: claim.clone(),
        confidence: f64::from(sure) / 2.0,
        at: Timestamp::UNIX_EPOCH,
        retracted: false,
    }
}

/// Step `n` happens at position `n`.
fn index_of(steps: &[Step]) -> FingerprintIndex {
    let mut index = FingerprintIndex::default();
    for (n, step) in steps.iter().enumerate() {
        let position = n as u64;
        match step {
            Step::Put(of, fingerprint, told) => {
                index.put_told(position, &incident(*of), fingerprint, told)
            }
            Step::Label(of, claim, sure, by) => {
                let opinion = opinion(n, claim, *sure);
                let (incident, fault) = (incident(*of), by.map(fault));
                index.label(position, Labelled { incident, opinion, fault });
            }
            Step::Unlabel(given) => index.unlabel(position, &label(*given)),
        }
    }
    index
}

/// The past as it was known, by walking all of it.
fn past_of(steps: &[Step], asked: &Nearest<'_>) -> Vec<(PastIncident, Told)> {
    let mut past = std::collections::BTreeMap::new();
    let mut labels = std::collections::BTreeMap::new();
    for (n, step) in steps.iter().enumerate().filter(|(n, _)| *n as u64 <= asked.at) {
        match step {
            Step::Put(of, fingerprint, told) => {
                past.insert(incident(*of), (fingerprint.clone(), told.clone()));
            }
            Step::Label(of, claim, sure, by) => {
                labels.insert(n, (incident(*of), opinion(n, claim, *sure), by.map(fault)));
            }
            Step::Unlabel(given) => {
                labels.remove(given);
            }
        }
    }
    let of = |of: &IncidentId| {
        let counts = |fault: &Option<FaultId>| {
            fault.as_ref().is_none_or(|fault| !asked.withheld.contains(fault))
        };
        let on = labels.values().filter(|(on, _, fault)| on == of && counts(fault));
        verdict(on.map(|(_, opinion, _)| opinion.clone()))
    };
    past.into_iter()
        .filter(|(incident, _)| Some(incident) != asked.excluding)
        .filter(|(incident, _)| !of(incident).is_false_positive())
        .filter(|(incident, _)| !asked.of_known_kind || of(incident).fault_kind().is_some())
        .map(|(incident, (fingerprint, told))| {
            let (root_cause, fault_kind, fixed_by) = (None, None, Vec::new());
            (PastIncident { incident, fingerprint, root_cause, fault_kind, fixed_by }, told)
        })
        .collect()
}

/// What was ever told up to a position.
fn ever_told(steps: &[Step], at: u64) -> Vec<&Told> {
    let up_to = steps.iter().zip(0..).take_while(|(_, position)| *position <= at);
    let told = up_to.filter_map(|(step, _)| match step {
        Step::Put(_, _, told) => Some(told),
        _ => None,
    });
    told.collect()
}

proptest! {
    /// To the last bit: ids, scores and reasons, as of any position.
    #[test]
    fn the_nearest_are_those_of_an_exhaustive_comparison(
        steps in steps(),
        looks in fingerprint(),
        told in told(),
        at in 0..70u64,
        first in 1..6usize,
        least in 0..4u32,
        of_known_kind: bool,
        excluded in prop::option::of(0..12usize),
        ahead in 0..8usize,
    ) {
        let excluding = excluded.map(incident);
        let withheld = BTreeSet::from([fault(0)]);
        let asked = Nearest {
            fingerprint: &looks,
            at,
            first,
            min_score: f64::from(least) / 4.0,
            excluding: excluding.as_ref(),
            withheld: &withheld,
            of_known_kind,
        };
        let index = index_of(&steps);
        let past = past_of(&steps, &asked);
        let looking: Vec<PastIncident> = past.iter().map(|(past, _)| past.clone()).collect();
        let expected = nearest(&looks, &looking, first, asked.min_score);
        prop_assert_eq!(index.nearest(&asked), expected);

        let known = ever_told(&steps, at);
        let past: Vec<_> = past.iter().map(|(past, told)| (past, told)).collect();
        let least = asked.min_score;
        let expected = nearest_told((&looks, &told), &known, &past, first, least);
        for similar in &expected {
            let sum: f64 = similar.reasons.iter().map(|it| it.contribution.get()).sum();
            prop_assert!((sum - similar.score.get()).abs() < 1e-9, "{:?}", similar);
        }
        // Whoever goes ahead.
        prop_assert_eq!(&index.nearest_ahead(&asked, &told, ahead), &expected);
        prop_assert_eq!(index.nearest_told(&asked, &told), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// So many that marks are rows of bits, and that most are passed over; as of the end and of a
    /// position before it.
    #[test]
    fn the_nearest_among_many_are_those_of_an_exhaustive_comparison(
        put in prop::collection::vec((fingerprint(), told()), 400..900),
        incidents in 100..900usize,
        looks in fingerprint(),
        told in told(),
        ahead in 0..60usize,
        before in 0..400u64,
    ) {
        let put = put.into_iter().enumerate();
        let put = put.map(|(n, (it, told))| Step::Put(n % incidents, it, told));
        let steps: Vec<Step> = put.collect();
        let index = index_of(&steps);
        for at in [steps.len() as u64, before] {
            let asked = Nearest {
                fingerprint: &looks,
                at,
                first: 10,
                min_score: 0.1,
                excluding: None,
                withheld: &BTreeSet::new(),
                of_known_kind: false,
            };
            let past = past_of(&steps, &asked);
            let past: Vec<_> = past.iter().map(|(past, told)| (past, told)).collect();
            let known = ever_told(&steps, at);
            let (first, least) = (asked.first, asked.min_score);
            let expected = nearest_told((&looks, &told), &known, &past, first, least);
            prop_assert_eq!(index.nearest_ahead(&asked, &told, ahead), expected);
        }
    }
}

#[test]
fn what_a_fingerprint_cannot_hold_is_refused() {
    for unsound in [
        r#"{"symptoms": [{"role": "suspect", "feature": "errors", "strength": 1e308}]}"#,
        r#"{"components": {"a": 2.0}}"#,
        r#"{"reasons": {"own excess": -0.5}}"#,
    ] {
        assert!(serde_json::from_str::<Fingerprint>(unsound).is_err(), "{unsound}");
    }
}
