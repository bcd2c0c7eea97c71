//! How well similar incidents are found: every case of a data set asks those that came before it.
//!
//! `cargo run -p datasets --release --example similar -- petshop|nezha|tvdiag|recording PATH`
//!
//! A diagnosis without any label says who is suspected. Where a data set tells no times (TVDiag),
//! ten orders are drawn.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

#[path = "similar/known.rs"]
mod known;
#[path = "similar/near.rs"]
mod near;

use std::path::Path;

use anyhow::{Context, bail};
use datasets::{nezha, petshop, recording, tvdiag};
use diagnosis::evaluation::Interval;
use diagnosis::evaluation::retrieval::{
    Bm25, CaseScores, Judged, Question, Remembered, Scores, by_case, by_draw, by_time, difference,
    judged, rows, same_component_most_recent,
};

use known::Known;
use near::{By, Near, tell_nearness};

const SEED: u64 = 1;
const DRAWS: u64 = 10;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, path] = &arguments[..] else {
        bail!("expected petshop|nezha|tvdiag|recording PATH")
    };
    let path = Path::new(path);
    let read = match name.as_str() {
        "petshop" => petshop::read(path),
        "nezha" => nezha::read(path),
        "tvdiag" => tvdiag::read(path),
        "recording" => recording::read(path),
        name => bail!("{name:?} is no data set that can be read"),
    };
    let data_set = read.with_context(|| format!("{name} at {}", path.display()))?;
    let known = Known::all(&data_set);
    let remembered: Vec<Remembered> = known.iter().map(|it| it.remembered.clone()).collect();
    let questions = match name.as_str() {
        "tvdiag" => (0..DRAWS).map(|seed| by_draw(&remembered, seed)).collect(),
        _ => vec![by_time(&remembered)],
    };
    report(&known, &remembered, &questions)
}

fn report(
    known: &[Known],
    remembered: &[Remembered],
    orders: &[Vec<Question>],
) -> anyhow::Result<()> {
    let ask = |way: &dyn Fn(&Question) -> Vec<usize>| -> Vec<Judged> {
        orders.iter().flat_map(|questions| judged(remembered, questions, way)).collect()
    };
    let texts: Vec<String> = known.iter().map(|it| it.lines.join("\n")).collect();
    let suspects: Vec<_> = known.iter().map(|it| it.fingerprint.suspect.clone()).collect();
    let bm25 = Bm25::of(&texts);
    let recent = |it: &Question| same_component_most_recent(remembered, &suspects, it);
    let (mut measured, mut all, mut nearest) = (Vec::new(), Vec::new(), Vec::new());
    for questions in orders {
        let near = Near::of(known, questions)?;
        let places = |it: &Question, by| near.ask(it, by).into_iter().map(|(_, it)| it).collect();
        measured.extend(judged(remembered, questions, |it| places(it, By::Fingerprint)));
        all.extend(judged(remembered, questions, |it| {
            let found = near.ask(it, By::All);
            nearest.push((it.asked, found.first().copied()));
            found.into_iter().map(|(_, place)| place).collect()
        }));
    }
    let ways: Vec<(&str, Vec<CaseScores>)> = vec![
        ("by chance", by_case(&all, Judged::by_chance)),
        ("same component, latest", by_case(&ask(&recent), Judged::scores)),
        ("BM25", by_case(&ask(&|it| bm25.ask(it)), Judged::scores)),
        ("fingerprints", by_case(&measured, Judged::scores)),
        ("all three", by_case(&all, Judged::scores)),
    ];
    for (name, scores) in &ways {
        for row in rows(scores, SEED) {
            println!("{:14} {:>4}  {:22} {}", row.history, row.cases, name, told(&row.scores));
        }
    }
    let Some((last, scores)) = ways.last() else { return Ok(()) };
    for (name, others) in &ways[..ways.len() - 1] {
        for row in difference(scores, others, SEED) {
            println!("{:14} {last} − {name}:  {}", row.history, told(&row.scores));
        }
    }
    tell_nearness(remembered, &nearest);
    Ok(())
}

fn told(scores: &[(f64, Interval); 4]) -> String {
    let told = Scores::NAMES.iter().zip(scores).map(|(name, (mean, interval))| {
        format!("{name} {mean:.3} [{:.2}, {:.2}]", interval.low, interval.high)
    });
    told.collect::<Vec<_>>().join("  ")
}
