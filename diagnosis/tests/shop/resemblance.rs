//! Which past incidents are found similar, over every kind of fault.

use std::collections::BTreeMap;

use diagnosis::diagnose::diagnose;
use diagnosis::fingerprint::Fingerprint;
use diagnosis::rank::methods;
use diagnosis::similarity::{PastIncident, compare};
use events::catalogue::fault_kind as kind;
use events::{ComponentName, FaultKind, IncidentId};

use super::fault::Fault;
use super::recording::Run;

fn fingerprint(fault: Fault, seed: u64) -> Fingerprint {
    let evidence = Run::of(fault, 4, seed).evidence("gateway");
    diagnose(&evidence, &[], methods()[0]).fingerprint
}

// Kinds that leave the same traces in windows of golden signals are one group: a delay is a
// delay wherever it comes from.
fn group(of: &str) -> &str {
    match of {
        kind::LATENCY | kind::JITTER | kind::BANDWIDTH | kind::CPU_STARVATION => "slow",
        kind::SLOW_RESPONSE => "slow",
        kind::CONNECTION_RESET | kind::HTTP_ERROR => "failing in part",
        kind::PARTITION | kind::DATABASE_CONNECTION_FAILURE => "refusing",
        other => other,
    }
}

struct Known {
    fault: Fault,
    fingerprint: Fingerprint,
}

fn everything() -> Vec<Known> {
    let faults = Fault::all().into_iter().filter(|fault| fault.peer.is_none());
    faults.map(|fault| Known { fault, fingerprint: fingerprint(fault, 1) }).collect()
}

#[test]
fn the_same_kind_elsewhere_is_more_alike_than_another_kind() {
    let known = everything();
    let (mut same, mut other) = (Vec::new(), Vec::new());
    let mut table: BTreeMap<(&str, &str), (f64, usize)> = BTreeMap::new();
    for a in &known {
        for b in known.iter().filter(|b| a.fault.component != b.fault.component) {
            let score = compare(&a.fingerprint, &b.fingerprint).score.get();
            let cell = table.entry((a.fault.kind, b.fault.kind)).or_default();
            *cell = (cell.0 + score, cell.1 + 1);
            if group(a.fault.kind) == group(b.fault.kind) {
                same.push(score);
            } else {
                other.push(score);
            }
        }
    }
    let by_kind = |a, b| table.get(&(a, b)).map(|(sum, count)| sum / *count as f64);
    for (a, b) in table.keys().filter(|(a, b)| group(a) != group(b)) {
        if let (Some(same), Some(other)) = (by_kind(a, a), by_kind(a, b)) {
            assert!(same > other + 0.05, "{a}: {same:.2} like itself, {other:.2} like {b}");
        }
    }
    let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    let (same, other) = (mean(&same), mean(&other));
    println!("same group {same:.3}, other {other:.3}");
    assert!(same > 0.6 && other < 0.45 && same > other + 0.25, "{same:.3} against {other:.3}");
}

#[test]
fn the_same_kind_elsewhere_is_among_the_first_three() {
    let known = everything();
    let past: Vec<PastIncident> = known
        .iter()
        .map(|known| PastIncident {
            incident: IncidentId::new(format!("{} {}", known.fault.kind, known.fault.component))
                .unwrap(),
            fingerprint: known.fingerprint.clone(),
            root_cause: Some(ComponentName::new(known.fault.component).unwrap()),
            fault_kind: Some(FaultKind::new(known.fault.kind).unwrap()),
            fixed_by: vec!["cleared".to_owned()],
        })
        .collect();
    let ranker = methods()[0];
    let (mut runs, mut found, mut exact) = (0, 0, 0);
    for truth in &known {
        let elsewhere: Vec<PastIncident> = past
            .iter()
            .filter(|p| p.root_cause.as_ref().unwrap().as_str() != truth.fault.component)
            .cloned()
            .collect();
        let group_exists = elsewhere
            .iter()
            .any(|p| group(p.fault_kind.as_ref().unwrap().as_str()) == group(truth.fault.kind));
        if !group_exists {
            continue;
        }
        let evidence = Run::of(truth.fault, 4, 2).evidence("gateway");
        let diagnosis = diagnose(&evidence, &elsewhere, ranker);
        let kind_of = |incident: &str| incident.split(' ').next().unwrap().to_owned();
        let kinds: Vec<String> =
            diagnosis.similar.iter().take(3).map(|s| kind_of(s.incident.as_str())).collect();
        runs += 1;
        let hit = kinds.iter().any(|kind| group(kind) == group(truth.fault.kind));
        found += usize::from(hit);
        let named = diagnosis.ranking.suspects[0].fault_kind.as_ref().map(|k| k.as_str());
        exact += usize::from(named.is_some_and(|named| group(named) == group(truth.fault.kind)));
        if !hit {
            println!("{:?}: {kinds:?}", truth.fault);
        }
    }
    println!("{found} of {runs} found, {exact} named");
    assert!(found * 10 >= runs * 9, "{found} of {runs}");
    assert!(exact * 10 >= runs * 7, "{exact} of {runs}");
}

#[test]
fn reasons_add_up_to_the_score_and_the_same_is_the_same() {
    for known in everything() {
        let other = fingerprint(Fault::new(kind::HTTP_ERROR, "payments"), 7);
        for similarity in
            [compare(&known.fingerprint, &other), compare(&known.fingerprint, &known.fingerprint)]
        {
            let sum: f64 = similarity.reasons.iter().map(|r| r.contribution.get()).sum();
            assert!(sum == similarity.score.get(), "{sum} against {:?}", similarity.score);
        }
        let itself = compare(&known.fingerprint, &known.fingerprint).score.get();
        assert!(itself > 0.99, "{:?} is {itself} like itself", known.fault);
    }
}
