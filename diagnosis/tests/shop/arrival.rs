//! An incident that is asked about while its newest window is still being reported.

use std::collections::BTreeSet;

use diagnosis::evidence::{Evidence, Gathered};
use diagnosis::rank::{Ranking, method};
use events::catalogue::fault_kind as kind;
use events::{EventId, Timestamp};

use super::fault::Fault;
use super::recording::Run;
use super::rng::Rng;

fn rank(gathered: Gathered) -> Ranking {
    method("causal@1").unwrap().rank(&Evidence::new(gathered))
}

/// The reports of the newest window in the order in which they come in.
fn reports(gathered: &Gathered, newest: Timestamp, order: u64) -> Vec<EventId> {
    let snapshots = gathered.snapshots.iter().map(|s| (s.window.start, s.event));
    let edges = gathered.edges.iter().map(|e| (e.window.start, e.event));
    let of_newest = snapshots.chain(edges).filter(|(start, _)| *start == newest);
    let mut reports: Vec<EventId> =
        of_newest.map(|(_, event)| event).collect::<BTreeSet<_>>().into_iter().collect();
    let mut rng = Rng::new(order);
    reports.sort_by_cached_key(|_| rng.bits());
    reports
}

fn without(gathered: &Gathered, late: &[EventId]) -> Gathered {
    let mut gathered = gathered.clone();
    gathered.snapshots.retain(|s| !late.contains(&s.event));
    gathered.edges.retain(|e| !late.contains(&e.event));
    gathered
}

fn place(ranking: &Ranking, component: &str) -> Option<usize> {
    ranking.suspects.iter().position(|s| s.component.as_str() == component)
}

#[test]
fn a_window_that_is_coming_in_changes_no_answer() {
    let mut asked = 0;
    for (number, fault) in Fault::all().into_iter().enumerate().step_by(3) {
        for after in [2, 4] {
            let run = Run::of(fault, after, number as u64);
            let gathered = run.gathered("gateway");
            let reports = reports(&gathered, run.start_of(run.windows - 1), number as u64);
            let whole = place(&rank(gathered.clone()), fault.component);
            let absent = place(&rank(without(&gathered, &reports)), fault.component);
            for arrived in 1..reports.len() {
                let ranking = rank(without(&gathered, &reports[arrived..]));
                let found = place(&ranking, fault.component);
                asked += 1;
                assert!(
                    found == whole || found == absent,
                    "{fault:?}, {arrived} of {} reports: {found:?}, {whole:?} with the window, \
                     {absent:?} without: {ranking:?}",
                    reports.len()
                );
            }
        }
    }
    assert!(asked > 1_000, "{asked}");
}

// Here to leave the window out is to know nothing.
#[test]
fn the_first_window_accuses_nobody_for_what_is_not_reported_yet() {
    let (mut asked, mut wrong) = (0, Vec::new());
    for (number, fault) in Fault::all().into_iter().enumerate().step_by(3) {
        let run = Run::of(fault, 1, number as u64);
        let gathered = run.gathered("gateway");
        if place(&rank(gathered.clone()), fault.component) != Some(0) {
            continue;
        }
        let reports = reports(&gathered, run.start_of(run.windows - 1), number as u64);
        for arrived in 1..reports.len() {
            let ranking = rank(without(&gathered, &reports[arrived..]));
            asked += 1;
            if let Some(first) = ranking.suspects.first()
                && first.component.as_str() != fault.component
            {
                wrong.push(format!(
                    "{fault:?} {arrived} of {}: {} {:.2}",
                    reports.len(),
                    first.component,
                    first.score.get()
                ));
            }
        }
    }
    println!("{} of {asked} wrong: {wrong:#?}", wrong.len());
    assert!(wrong.len() * 20 <= asked, "{} of {asked}: {wrong:#?}", wrong.len());
}

#[test]
fn who_is_silent_for_longer_than_one_window_is_not_waited_for() {
    let run = Run::of(Fault::new(kind::LATENCY, "payments"), 3, 7);
    let gathered = run.gathered("gateway");
    let silent = |windows: usize| {
        let since = run.start_of(run.windows - windows);
        let mut gathered = gathered.clone();
        let is_silent = |component: &str, start: Timestamp| component == "cart" && start >= since;
        gathered.snapshots.retain(|s| !is_silent(s.component.as_str(), s.window.start));
        gathered.edges.retain(|e| !is_silent(e.caller.as_str(), e.window.start));
        gathered
    };
    let newest = run.start_of(run.windows - 1);
    let cites_newest = |gathered: Gathered| {
        let events = reports(&gathered, newest, 0);
        let ranking = rank(gathered);
        let terms = ranking.suspects.iter().flat_map(|suspect| &suspect.terms);
        terms.flat_map(|term| &term.evidence).any(|event| events.contains(event))
    };
    assert!(cites_newest(gathered.clone()), "the newest window is part of the answer");
    assert!(!cites_newest(silent(1)), "it may be late");
    assert!(cites_newest(silent(2)), "it is silent");
}
