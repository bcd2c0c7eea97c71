//! How well the kind of fault is told from the words of an incident alone.
//!
//! `cargo run -p datasets --release --example kinds -- nezha|tvdiag|recording PATH`
//!
//! The cases of each system are dealt into five parts, kinds evenly; each is asked of what the
//! other four taught.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use datasets::case::{Case, DataSet};
use datasets::evidence::{Span, gather};
use datasets::{nezha, recording, tvdiag};
use diagnosis::classify::{Classifier, Example, LEAST_SURE};
use diagnosis::evaluation::{
    brier_score, calibration_error, folds, interval, weighted_f1, weighted_f1_interval,
};
use diagnosis::wording;
use events::FaultKind;

const PARTS: usize = 5;
const SEED: u64 = 1;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, path] = &arguments[..] else { bail!("expected nezha|tvdiag|recording PATH") };
    let path = Path::new(path);
    let read = match name.as_str() {
        "nezha" => nezha::read(path),
        "tvdiag" => tvdiag::read(path),
        "recording" => recording::read(path),
        name => bail!("{name:?} is no data set with words"),
    };
    let data_set = read.with_context(|| format!("{name} at {}", path.display()))?;
    let mut systems: BTreeMap<&str, Vec<Example>> = BTreeMap::new();
    for case in &data_set.cases {
        let kind = case.truth.as_ref().and_then(|truth| truth.fault_kind.clone());
        if let Some(kind) = kind {
            systems.entry(&case.group).or_default().push(example(&data_set, case, kind));
        }
    }
    systems.iter().for_each(|(system, examples)| report(system, examples));
    Ok(())
}

fn example(data_set: &DataSet, case: &Case, kind: FaultKind) -> Example {
    let evidence = gather(data_set.events_of(case), &case.noticed, Span::of(data_set.name));
    let title = case.title.as_ref().map(|title| title.as_str());
    let text = wording::lines(title, &evidence).join("\n");
    Example { name: case.name.clone(), text, kind, confidence: 1.0 }
}

fn report(system: &str, examples: &[Example]) {
    let names: Vec<(&str, &str)> =
        examples.iter().map(|it| (it.kind.as_str(), it.name.as_str())).collect();
    let parts = folds(&names, PARTS);
    let mut told: Vec<(FaultKind, Option<(FaultKind, f64)>)> = Vec::new();
    let mut slowest = 0.0_f64;
    for part in 0..PARTS {
        let of = |held: bool| {
            let dealt = examples.iter().zip(&parts);
            dealt.filter(move |(_, it)| (**it == part) == held).map(|(example, _)| example.clone())
        };
        let began = Instant::now();
        let learned = Classifier::learned(&of(false).collect::<Vec<_>>());
        slowest = slowest.max(began.elapsed().as_secs_f64());
        told.extend(of(true).map(|it| (it.kind, learned.kinds(&it.text).into_iter().next())));
    }
    let likeliest: Vec<(FaultKind, Option<FaultKind>)> = told
        .iter()
        .map(|(truth, first)| (truth.clone(), first.as_ref().map(|(kind, _)| kind.clone())))
        .collect();
    let said: Vec<(f64, bool)> = told
        .iter()
        .filter_map(|(truth, first)| first.as_ref().map(|(kind, likely)| (*likely, kind == truth)))
        .collect();
    let right: Vec<f64> = likeliest
        .iter()
        .map(|(truth, it)| f64::from(u8::from(it.as_ref() == Some(truth))))
        .collect();
    let share = interval(&right, SEED);
    let f1 = weighted_f1_interval(&likeliest, SEED);
    let sure: Vec<bool> =
        said.iter().filter(|(likely, _)| *likely >= LEAST_SURE).map(|(_, right)| *right).collect();
    println!(
        "{system}: {} cases; weighted F1 {:.3} [{:.2}, {:.2}], right {:.3} [{:.2}, {:.2}]; \
         calibration error {:.3}, Brier {:.3}; decided {} of them, {:.3} right; \
         slowest learning {slowest:.1} s",
        examples.len(),
        weighted_f1(&likeliest),
        f1.low,
        f1.high,
        right.iter().sum::<f64>() / right.len().max(1) as f64,
        share.low,
        share.high,
        calibration_error(&said),
        brier_score(&said),
        sure.len(),
        sure.iter().filter(|right| **right).count() as f64 / sure.len().max(1) as f64,
    );
    let most = commonest(examples);
    let always: Vec<_> = examples.iter().map(|it| (it.kind.clone(), most.clone())).collect();
    println!("{system}: always the commonest kind: weighted F1 {:.3}", weighted_f1(&always));
}

fn commonest(examples: &[Example]) -> Option<FaultKind> {
    let mut counts: BTreeMap<&FaultKind, usize> = BTreeMap::new();
    examples.iter().for_each(|it| *counts.entry(&it.kind).or_default() += 1);
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(kind, _)| kind.clone())
}
