//! Ranks the cases of a data set by every method and prints how often the truth came first.
//!
//! `cargo run -p datasets --release --example rank -- petshop|nezha|recording PATH [--method M] [--cases]
//! [--together] [--cross-validate K]`
//!
//! With `--together` the cases are one history: what was recorded during the earlier ones is part
//! of the past of the later ones, and nobody says when one is over.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use datasets::case::{Case, DataSet, Noticed};
use datasets::evidence::{Span, gather};
use datasets::{nezha, petshop, recording};
use diagnosis::evaluation::{Outcome, folds, place, table};
use diagnosis::evidence::Evidence;
use diagnosis::rank::causal::model::{Choice, learn};
use diagnosis::rank::causal::{Causal, choice};
use diagnosis::rank::{Ranker, methods};

const KS: [usize; 3] = [1, 3, 5];
const SEED: u64 = 1;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, path, rest @ ..] = &arguments[..] else {
        bail!("expected petshop|nezha|recording PATH [--method M] [--cases]");
    };
    let wanted = rest.iter().skip_while(|a| *a != "--method").nth(1);
    let flag = |name: &str| rest.iter().any(|argument| argument == name);
    let (told, together) = (flag("--cases"), flag("--together"));
    let started = Instant::now();
    let data_set = read(name, Path::new(path))?;
    println!("{} cases, read in {:.1} s", data_set.cases.len(), started.elapsed().as_secs_f64());
    for skipped in &data_set.skipped {
        println!("skipped {}: {}", skipped.path.display(), skipped.reason);
    }
    if let Some(k) = rest.iter().skip_while(|a| *a != "--cross-validate").nth(1) {
        let rankers = learned(&data_set, k.parse().context("--cross-validate")?, together);
        println!("\n{}, learned from the other folds", methods()[0].name());
        let rankers = rankers.iter().map(|ranker| ranker as &dyn Ranker).collect::<Vec<_>>();
        evaluate(&data_set, &rankers, told, together);
        return Ok(());
    }
    for ranker in methods() {
        if wanted.is_none_or(|wanted| wanted == ranker.name()) {
            println!("\n{}", ranker.name());
            evaluate(&data_set, &vec![*ranker; data_set.cases.len()], told, together);
        }
    }
    Ok(())
}

fn read(name: &str, path: &Path) -> anyhow::Result<DataSet> {
    let data_set = match name {
        "petshop" => petshop::read(path),
        "nezha" => nezha::read(path),
        "recording" => recording::read(path),
        other => bail!("{other:?} is none of petshop, nezha and recording"),
    };
    data_set.with_context(|| format!("{name} at {path:?}"))
}

// A ranker for each case, that learned from the cases of the other folds.
fn learned(data_set: &DataSet, k: usize, together: bool) -> Vec<Causal> {
    let cases: Vec<(&str, &str)> =
        data_set.cases.iter().map(|case| (case.group.as_str(), case.name.as_str())).collect();
    let folds = folds(&cases, k);
    let choices: Vec<Option<Choice>> = data_set
        .cases
        .iter()
        .map(|case| {
            let truth = case.truth.as_ref()?;
            Some(choice(&evidence(data_set, case, together), &truth.root_causes, &[]))
        })
        .collect();
    let of_fold = |fold: usize| {
        let others = folds.iter().zip(&choices).filter(|(other, _)| **other != fold);
        let others: Vec<Choice> = others.filter_map(|(_, choice)| choice.clone()).collect();
        Causal::with(learn(&others))
    };
    let rankers: Vec<Causal> = (0..k.max(1)).map(of_fold).collect();
    folds.iter().map(|&fold| rankers[fold].clone()).collect()
}

// By the ranker at the place of the case.
fn evaluate(data_set: &DataSet, rankers: &[&dyn Ranker], told: bool, together: bool) {
    let mut outcomes = Vec::new();
    let mut slowest = 0.0_f64;
    for (case, ranker) in data_set.cases.iter().zip(rankers) {
        let evidence = evidence(data_set, case, together);
        let started = Instant::now();
        let ranking = ranker.rank(&evidence);
        slowest = slowest.max(started.elapsed().as_secs_f64());
        let Some(truth) = &case.truth else { continue };
        let found = place(&truth.root_causes, ranking.suspects.iter().map(|s| &s.component));
        if told || found != Some(0) {
            tell(case, found, &ranking);
        }
        outcomes.push(Outcome { case: case.name.clone(), group: case.group.clone(), place: found });
    }
    println!("{:28} {:>5}   top-1                top-3                top-5", "", "cases");
    for row in table(&outcomes, &KS, SEED) {
        let hits: Vec<String> = row
            .hits
            .iter()
            .map(|(share, i)| format!("{share:.3} [{:.2}, {:.2}]", i.low, i.high))
            .collect();
        println!("{:28} {:>5}   {}", row.group, row.cases, hits.join("   "));
    }
    println!("slowest ranking {:.1} ms", slowest * 1_000.0);
}

fn evidence(data_set: &DataSet, case: &Case, together: bool) -> Evidence {
    let own = data_set.events_of(case);
    let span = Span::of(data_set.name);
    if !together {
        return gather(own, &case.noticed, span);
    }
    let earlier = data_set
        .cases
        .iter()
        .filter(|other| other.periods == case.periods && other.noticed.at < case.noticed.at);
    let noticed = Noticed { until: None, ..case.noticed.clone() };
    gather(own.chain(earlier.flat_map(|other| &other.events)), &noticed, span)
}

fn tell(case: &Case, found: Option<usize>, ranking: &diagnosis::rank::Ranking) {
    let truth = case.truth.as_ref().map(|truth| truth.root_causes[0].as_str()).unwrap_or_default();
    let kind = case.truth.as_ref().and_then(|truth| truth.fault_kind.as_ref());
    let kind = kind.map(|kind| kind.as_str()).unwrap_or_default();
    let at = found.map_or("not found".to_owned(), |place| format!("at {}", place + 1));
    println!("  {} {truth} {kind}: {at}", case.name);
    if let Some(reason) = &ranking.abstained {
        println!("      abstained: {reason}");
    }
    let shown = |place: &usize| *place < 3 || Some(*place) == found;
    let places = (0..ranking.suspects.len()).filter(shown);
    for suspect in places.map(|place| &ranking.suspects[place]) {
        let terms: Vec<String> = suspect
            .terms
            .iter()
            .map(|term| format!("{} {:.3}", term.name, term.contribution.get()))
            .collect();
        println!("      {} {:.3}: {}", suspect.component, suspect.score.get(), terms.join(", "));
    }
}
