//! What holds for every ranking whatever the evidence.

use diagnosis::diagnose::{Diagnosis, diagnose};
use diagnosis::evidence::{Call, Change, ChangeEvidence, Evidence, Gathered};
use diagnosis::rank::causal::model::{Weights, learn};
use diagnosis::rank::causal::{Causal, Further, choice};
use diagnosis::rank::{Ranker, method, methods};
use diagnosis::similarity::PastIncident;
use events::catalogue::fault_kind as kind;
use events::value::Line;
use events::{ComponentName, EventId, IncidentId, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;

use super::fault::Fault;
use super::recording::Run;

fn name(name: &str) -> ComponentName {
    ComponentName::new(name).unwrap()
}

/// The methods that are more than a baseline.
const TOLD: [&str; 2] = ["own-excess@1", "causal@1"];

fn check(diagnosis: &Diagnosis) {
    let ranking = &diagnosis.ranking;
    assert_eq!(ranking.abstained.is_some(), ranking.suspects.is_empty());
    let mut total = 0.0;
    let mut last = f64::INFINITY;
    for suspect in &ranking.suspects {
        let score = suspect.score.get();
        let sum: f64 = suspect.terms.iter().map(|term| term.contribution.get()).sum();
        assert!(sum == score, "{}: terms {sum}, score {score}", suspect.component);
        assert!(score > 0.0 && score <= last, "in falling order");
        assert_ne!(suspect.component.as_str(), "users", "users are never suspected");
        (total, last) = (total + score, score);
    }
    assert!(total <= 1.01, "scores are shares: {total}");
    let json = serde_json::to_string(diagnosis).unwrap();
    assert_eq!(&serde_json::from_str::<Diagnosis>(&json).unwrap(), diagnosis);
}

fn some_fault() -> impl Strategy<Value = Fault> {
    any::<Index>().prop_map(|index| *index.get(&Fault::all()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn di_1_arrival_order_changes_no_byte(fault in some_fault(), seed in 0u64..50, order in any::<u64>()) {
        let gathered = Run::of(fault, 2, seed).gathered("gateway");
        let mut shuffled = gathered.clone();
        let mut rng = super::rng::Rng::new(order);
        shuffled.snapshots.sort_by_cached_key(|_| rng.bits());
        shuffled.edges.sort_by_cached_key(|_| rng.bits());
        shuffled.changes.extend(gathered.changes.clone());
        shuffled.calls.sort_by_cached_key(|_| rng.bits());
        for ranker in methods() {
            let told = diagnose(&Evidence::new(gathered.clone()), &[], *ranker);
            check(&told);
            let again = diagnose(&Evidence::new(shuffled.clone()), &[], *ranker);
            prop_assert_eq!(serde_json::to_string(&told).unwrap(), serde_json::to_string(&again).unwrap());
        }
    }

    #[test]
    fn no_part_of_the_evidence_is_indispensable(
        fault in some_fault(),
        drop_snapshots in any::<bool>(),
        drop_edges in any::<bool>(),
        drop_baseline in any::<bool>(),
        kept in 0usize..400,
    ) {
        let mut gathered = Run::of(fault, 2, 3).gathered("gateway");
        let noticed_at = gathered.noticed_at;
        if drop_snapshots {
            gathered.snapshots.truncate(kept);
        }
        if drop_edges {
            gathered.edges.truncate(kept);
        }
        if drop_baseline {
            gathered.snapshots.retain(|s| s.window.start >= noticed_at);
            gathered.edges.retain(|e| e.window.start >= noticed_at);
        }
        for ranker in methods() {
            check(&diagnose(&Evidence::new(gathered.clone()), &[], *ranker));
        }
    }
}

// What a component is called, when it was and how long a window is decide nothing.
fn renamed(evidence: &Gathered, shift_s: i64) -> Gathered {
    let names: Vec<String> =
        evidence.calls.iter().flat_map(|c| [&c.caller, &c.callee]).map(|c| c.to_string()).collect();
    let json = serde_json::to_string(evidence).unwrap();
    let json = names
        .iter()
        .fold(json, |json, name| json.replace(&format!("\"{name}\""), &format!("\"svc {name}\"")));
    let mut renamed: Gathered = serde_json::from_str(&json).unwrap();
    let shift = jiff::SignedDuration::from_secs(shift_s);
    renamed.noticed_at += shift;
    renamed.snapshots.iter_mut().for_each(|s| s.window.start += shift);
    renamed.edges.iter_mut().for_each(|e| e.window.start += shift);
    renamed.changes.iter_mut().for_each(|c| c.at += shift);
    renamed
}

// As if the recording had been played slower, with as much in each window.
fn stretched(evidence: &Gathered, factor: i32) -> Gathered {
    let mut stretched = evidence.clone();
    let at = evidence.noticed_at;
    let later = |moment: Timestamp| at + moment.duration_since(at) * factor;
    stretched.snapshots.iter_mut().for_each(|s| {
        s.window.start = later(s.window.start);
        s.window.duration_ms *= u64::from(factor.unsigned_abs());
    });
    stretched.edges.iter_mut().for_each(|e| {
        e.window.start = later(e.window.start);
        e.window.duration_ms *= u64::from(factor.unsigned_abs());
    });
    stretched.changes.clear();
    stretched
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn names_and_the_date_decide_nothing(fault in some_fault(), seed in 0u64..50, days in -400i64..400) {
        let gathered = Run::of(fault, 2, seed).gathered("gateway");
        let ranker = method("causal@1").unwrap();
        let plain = ranker.rank(&Evidence::new(gathered.clone()));
        let other = ranker.rank(&Evidence::new(renamed(&gathered, days * 86_400)));
        let told = |suspects: &[events::catalogue::diagnosis::Suspect], prefix: &str| -> Vec<_> {
            suspects
                .iter()
                .map(|s| (format!("{prefix}{}", s.component), s.score, s.terms.clone()))
                .collect()
        };
        prop_assert_eq!(told(&plain.suspects, "svc "), told(&other.suspects, ""));
    }

    #[test]
    fn a_slower_clock_accuses_the_same_component(fault in some_fault(), seed in 0u64..50, factor in 2i32..6) {
        let mut gathered = Run::of(fault, 2, seed).gathered("gateway");
        gathered.changes.clear();
        let ranker = method("causal@1").unwrap();
        let plain = ranker.rank(&Evidence::new(gathered.clone()));
        let slower = ranker.rank(&Evidence::new(stretched(&gathered, factor)));
        let first = |ranking: &diagnosis::rank::Ranking| ranking.suspects.first().map(|s| s.component.clone());
        prop_assert_eq!(first(&plain), first(&slower));
    }
}

#[test]
fn further_observations_are_weighed_with_the_others() {
    let evidence = Run::of(Fault::new(kind::LATENCY, "payments"), 3, 1).evidence("gateway");
    let ranker = Causal::shipped();
    let event = evidence.edges()[0].event;
    let further = |strength| Further {
        component: name("cart"),
        name: "looks like a fault of last week".to_owned(),
        strength,
        evidence: vec![event],
    };
    let alone = ranker.rank_with(&evidence, &[]);
    assert_eq!(ranker.rank_with(&evidence, &[further(0.0)]), alone);
    let told = ranker.rank_with(&evidence, &[further(1.0)]);
    let cart = told.suspects.iter().find(|s| s.component == name("cart")).unwrap();
    let term = cart.terms.iter().find(|t| t.name.as_str().starts_with("looks like")).unwrap();
    assert_eq!(term.evidence, [event]);
    let heavy = Weights::new([("looks like a fault of last week".to_owned(), 30.0)]);
    let told = Causal::with(heavy).rank_with(&evidence, &[further(1.0)]);
    assert_eq!(told.suspects[0].component, name("cart"), "a learned weight decides");
}

#[test]
fn weights_are_learned_from_what_was_the_cause() {
    let incidents: Vec<_> =
        [(kind::LATENCY, "payments"), (kind::HTTP_ERROR, "cart"), (kind::PROCESS_KILL, "database")]
            .map(|(kind, component)| {
                (Run::of(Fault::new(kind, component), 2, 5).evidence("gateway"), name(component))
            })
            .into();
    let choices: Vec<_> = incidents
        .iter()
        .map(|(evidence, cause)| choice(evidence, std::slice::from_ref(cause), &[]))
        .collect();
    assert!(choices.iter().all(|choice| choice.truth.len() == 1));
    let learned = Causal::with(learn(&choices));
    for (evidence, cause) in &incidents {
        let (before, after) = (Causal::shipped().rank(evidence), learned.rank(evidence));
        assert_eq!(&after.suspects[0].component, cause);
        assert!(after.suspects[0].score >= before.suspects[0].score, "surer of what it was told");
    }
}

#[test]
fn di_2_every_term_of_trouble_cites_evidence_that_was_given() {
    for fault in [
        Fault::new(kind::LATENCY, "payments"),
        Fault::new(kind::ERROR_VERSION, "cart"),
        Fault::new(kind::PROCESS_KILL, "database"),
        Fault::new(kind::FLOOD, "catalog"),
    ] {
        let evidence = Run::of(fault, 3, 1).evidence("gateway");
        let snapshots = evidence.snapshots().iter().map(|s| s.event);
        let edges = evidence.edges().iter().map(|e| e.event);
        let given: Vec<_> =
            snapshots.chain(edges).chain(evidence.changes().iter().map(|c| c.event)).collect();
        let rankings = TOLD.map(|name| method(name).unwrap().rank(&evidence));
        let suspects = rankings.iter().flat_map(|ranking| &ranking.suspects);
        for term in suspects.flat_map(|suspect| &suspect.terms) {
            assert!(!term.evidence.is_empty(), "{fault:?}: {term:?}");
            assert!(term.evidence.iter().all(|event| given.contains(event)), "{term:?}");
        }
    }
}

#[test]
fn di_4_too_little_evidence_is_said() {
    let run = Run::of(Fault::new(kind::LATENCY, "cart"), 2, 1);
    let whole = run.gathered("gateway");
    let nothing =
        Gathered { snapshots: Vec::new(), edges: Vec::new(), calls: Vec::new(), ..whole.clone() };
    let mut before = whole.clone();
    before.snapshots.retain(|s| s.window.end() <= whole.noticed_at);
    before.edges.retain(|e| e.window.end() <= whole.noticed_at);
    let mut after = whole.clone();
    after.snapshots.retain(|s| s.window.start >= whole.noticed_at);
    after.edges.retain(|e| e.window.start >= whole.noticed_at);
    for (gathered, says) in [(nothing, "telemetry"), (before, "telemetry"), (after, "")] {
        for ranker in methods() {
            let ranking = ranker.rank(&Evidence::new(gathered.clone()));
            let reason = ranking.abstained.expect("there is nothing to compare");
            assert!(reason.as_str().contains(says), "{reason}");
        }
    }
}

#[test]
fn a_calm_shop_has_no_suspects() {
    for seed in 0..5 {
        let build = super::system::Build::default();
        let run = Run { from: 20, ..Run::calm(build, 24, seed) };
        for name in TOLD {
            let ranking = method(name).unwrap().rank(&run.evidence("gateway"));
            assert!(ranking.suspects.is_empty(), "{name}, seed {seed}: {:#?}", ranking.suspects);
        }
    }
}

#[test]
fn failures_need_no_baseline() {
    let mut gathered = Run::of(Fault::new(kind::PARTITION, "orders"), 3, 1).gathered("gateway");
    let noticed_at = gathered.noticed_at;
    gathered.snapshots.retain(|s| s.window.start >= noticed_at);
    gathered.edges.retain(|e| e.window.start >= noticed_at);
    let evidence = Evidence::new(gathered);
    for told in TOLD {
        let ranking = method(told).unwrap().rank(&evidence);
        assert_eq!(ranking.suspects[0].component, name("orders"), "{told}");
    }
}

#[test]
fn a_circle_of_calls_ends() {
    let mut gathered = Run::of(Fault::new(kind::LATENCY, "cart"), 3, 1).gathered("gateway");
    gathered.calls.push(Call { caller: name("catalog"), callee: name("gateway") });
    let mut back = gathered.edges.clone();
    back.retain(|edge| edge.caller == name("cart"));
    for edge in &mut back {
        edge.caller = name("catalog");
        edge.stats.callee = name("cart");
    }
    gathered.edges.extend(back);
    let evidence = Evidence::new(gathered);
    for ranker in methods() {
        check(&diagnose(&evidence, &[], *ranker));
    }
}

#[test]
fn the_path_follows_the_calls_from_where_it_was_noticed() {
    let evidence = Run::of(Fault::new(kind::LATENCY, "database"), 3, 1).evidence("gateway");
    for name in TOLD {
        let ranking = method(name).unwrap().rank(&evidence);
        let path: Vec<&str> = ranking.suspects[0].path.iter().map(|c| c.as_str()).collect();
        assert_eq!(path, ["gateway", "checkout", "orders", "database"], "{name}");
    }
}

#[test]
fn metrics_without_traces_still_rank() {
    for component in ["database", "payments", "catalog"] {
        let mut gathered = Run::of(Fault::new(kind::LATENCY, component), 3, 1).gathered("gateway");
        gathered.edges.clear();
        let evidence = Evidence::new(gathered);
        for told in TOLD {
            let ranking = method(told).unwrap().rank(&evidence);
            let rank = ranking.suspects.iter().position(|s| s.component == name(component));
            assert!(rank.is_some_and(|rank| rank < 3), "{told}, {component}: {ranking:#?}");
        }
    }
}

#[test]
fn the_deployment_that_a_component_began_with_is_no_evidence() {
    let gathered = Run::of(Fault::new(kind::LATENCY, "payments"), 3, 1).gathered("gateway");
    let ranked = |at: Timestamp| {
        let mut gathered = gathered.clone();
        gathered.changes.push(ChangeEvidence {
            event: EventId::generate(),
            component: name("payments"),
            at,
            change: Change::Deployment { version: Line::new("1.0.0").unwrap(), previous: None },
        });
        diagnose(&Evidence::new(gathered), &[], method("own-excess@1").unwrap()).ranking
    };
    let plain = diagnose(&Evidence::new(gathered.clone()), &[], method("own-excess@1").unwrap());
    let first = gathered.snapshots.iter().map(|snapshot| snapshot.window.start).min().unwrap();
    assert_eq!(ranked(first), plain.ranking);
    let later = gathered.noticed_at - jiff::SignedDuration::from_secs(4);
    assert_ne!(ranked(later), plain.ranking, "a later deployment is evidence");
}

#[test]
fn the_past_changes_no_score() {
    let evidence = Run::of(Fault::new(kind::LATENCY, "payments"), 3, 1).evidence("gateway");
    let ranker = method("own-excess@1").unwrap();
    let alone = diagnose(&evidence, &[], ranker);
    let past = PastIncident {
        incident: IncidentId::new("old").unwrap(),
        fingerprint: alone.fingerprint.clone(),
        root_cause: Some(name("cart")),
        fault_kind: Some(events::FaultKind::new(kind::LATENCY).unwrap()),
        fixed_by: Vec::new(),
    };
    let mut taught = diagnose(&evidence, &[past], ranker);
    assert_eq!(taught.similar.len(), 1);
    assert_eq!(taught.ranking.suspects[0].fault_kind.as_ref().unwrap().as_str(), kind::LATENCY);
    taught.ranking.suspects.iter_mut().for_each(|suspect| suspect.fault_kind = None);
    assert_eq!(taught.ranking, alone.ranking);
}
