//! Who is suspected, over every fault.

use std::collections::BTreeMap;

use diagnosis::rank::{Ranker, method};

use super::fault::Fault;
use super::recording::Run;
use super::system::Build;

#[derive(Default)]
struct Tally {
    runs: usize,
    first: usize,
    top_three: usize,
    misses: Vec<String>,
}

impl Tally {
    fn share(&self, hits: usize) -> f64 {
        hits as f64 / self.runs.max(1) as f64
    }
}

fn tally(
    ranker: &dyn Ranker,
    build: Build,
    after: usize,
    faults: impl Iterator<Item = Fault>,
) -> BTreeMap<&'static str, Tally> {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for (number, fault) in faults.enumerate() {
        let seed = number as u64;
        let run = Run { build, ..Run::of(fault, after, seed) };
        let ranking = ranker.rank(&run.evidence("gateway"));
        let rank = ranking.suspects.iter().position(|s| s.component.as_str() == fault.component);
        let tally = tallies.entry(fault.kind).or_default();
        tally.runs += 1;
        tally.first += usize::from(rank == Some(0));
        tally.top_three += usize::from(rank.is_some_and(|rank| rank < 3));
        if rank != Some(0) {
            let said: Vec<String> = ranking
                .suspects
                .iter()
                .take(3)
                .map(|s| format!("{} {:.2}", s.component, s.score.get()))
                .collect();
            let peer = fault.peer.unwrap_or("*");
            tally.misses.push(format!("{peer}->{} #{seed}: {said:?}", fault.component));
        }
    }
    tallies
}

fn report(name: &str, tallies: &BTreeMap<&str, Tally>) -> (f64, f64) {
    let total = tallies.values().fold(Tally::default(), |mut total, tally| {
        total.runs += tally.runs;
        total.first += tally.first;
        total.top_three += tally.top_three;
        total
    });
    for (kind, tally) in tallies {
        if tally.misses.is_empty() {
            continue;
        }
        println!(
            "{name} {kind:28} {:4} {:.2} {:.2}",
            tally.runs,
            tally.share(tally.first),
            tally.share(tally.top_three)
        );
        for miss in tally.misses.iter().take(8) {
            println!("    {miss}");
        }
    }
    let (first, top_three) = (total.share(total.first), total.share(total.top_three));
    println!("{name} over {} runs: top-1 {first:.3}, top-3 {top_three:.3}", total.runs);
    (first, top_three)
}

#[test]
fn own_excess_finds_the_broken_component() {
    finds_the_broken_component("own-excess@1");
}

#[test]
fn causal_finds_the_broken_component() {
    finds_the_broken_component("causal@1");
}

fn finds_the_broken_component(name: &str) {
    let ranker = method(name).unwrap();
    let tallies = tally(ranker, Build::default(), 2, Fault::all().into_iter());
    let (first, top_three) = report(name, &tallies);
    assert!(first >= 0.97 && top_three >= 0.98, "top-1 {first:.3}, top-3 {top_three:.3}");
    for (kind, tally) in tallies {
        assert!(tally.share(tally.first) >= 0.8, "{kind}: {:?}", tally.misses);
    }
}

#[test]
fn the_first_window_alone_is_enough_for_most() {
    for name in ["own-excess@1", "causal@1"] {
        let ranker = method(name).unwrap();
        let tallies = tally(ranker, Build::default(), 1, Fault::all().into_iter().step_by(2));
        let (first, top_three) = report(&format!("{name}, one window"), &tallies);
        assert!(first >= 0.95 && top_three >= 0.95, "{name}: {first:.3}, top-3 {top_three:.3}");
    }
}

#[test]
fn noise_retries_and_long_timeouts_leave_a_margin() {
    for name in ["own-excess@1", "causal@1"] {
        leave_a_margin(name);
    }
}

fn leave_a_margin(method_name: &str) {
    let ranker = method(method_name).unwrap();
    let calm = Build::default();
    let builds = [
        ("loud", Build { window_noise: 0.3, requests_per_s: 25.0, ..calm }),
        ("retries", Build { retries: 1, ..calm }),
        ("patient", Build { timeout_ms: 3_000.0, connect_wait_ms: 800.0, ..calm }),
        ("hasty", Build { timeout_ms: 450.0, ..calm }),
    ];
    for (name, build) in builds {
        let (first, top_three) =
            report(name, &tally(ranker, build, 3, Fault::all().into_iter().step_by(3)));
        assert!(
            first >= 0.9 && top_three >= 0.95,
            "{method_name}, {name}: {first:.3}, {top_three:.3}"
        );
    }
}

#[test]
fn explaining_away_beats_the_largest_deviation() {
    let name = "max-z@1";
    let (first, top_three) = report(
        name,
        &tally(method(name).unwrap(), Build::default(), 4, Fault::all().into_iter().step_by(3)),
    );
    assert!((0.4..0.9).contains(&first), "a baseline that is neither blind nor good: {first:.3}");
    assert!(top_three >= 0.9, "{top_three:.3}");
}

#[test]
fn the_incident_just_before_is_not_the_baseline() {
    for name in ["own-excess@1", "causal@1"] {
        tells_it_from_the_incident_before(name);
    }
}

fn tells_it_from_the_incident_before(method_name: &str) {
    let ranker = method(method_name).unwrap();
    let (mut runs, mut first, mut misses) = (0, 0, Vec::new());
    let faults: Vec<Fault> = Fault::all().into_iter().filter(|f| f.peer.is_none()).collect();
    for earlier in faults.iter().step_by(17) {
        // Eight calm windows, an incident of fourteen, then eight calm ones to the next.
        let x = Run { from: 8, ..Run::of(*earlier, 2, 11) };
        for fault in faults.iter().step_by(5) {
            let y = Run { from: 8, windows: 12, to: 12, ..Run::of(*fault, 0, 12) };
            let ranking = ranker.rank(&y.evidence_after(&x, "gateway"));
            let truth = fault.component;
            let found = ranking.suspects.first().is_some_and(|s| s.component.as_str() == truth);
            runs += 1;
            first += usize::from(found);
            if !found {
                let said = ranking.suspects.first().map(|s| s.component.to_string());
                misses.push(format!("{} {} after {earlier:?}: {said:?}", fault.kind, truth));
            }
        }
    }
    println!("{method_name}: {first} of {runs}: {misses:#?}");
    assert!(first * 100 >= runs * 95, "{method_name}: {first} of {runs}: {misses:#?}");
}
