//! How well similar incidents are found: every case of a data set asks those that came before it.
//!
//! `cargo run -p datasets --release --example similar -- petshop|nezha|tvdiag|recording PATH [meaning]`
//!
//! A diagnosis without any label says who is suspected. Where a data set tells no times (TVDiag),
//! ten orders are drawn. `meaning` adds what the texts mean by the built-in embedding: alone, as a
//! fourth share of the score, and standardized as search does it.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod similar {
    pub mod meaning;
}

use std::path::Path;

use anyhow::{Context, bail};
use datasets::remembered::{Found, Known, Way, found};
use datasets::{nezha, petshop, recording, tvdiag};
use diagnosis::evaluation::Interval;
use diagnosis::evaluation::retrieval::{Grade, Remembered, Scores, difference, rows};
use diagnosis::similarity::LEAST_NEAR;

use similar::meaning;

const SEED: u64 = 1;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, path, is_meant) = match &arguments[..] {
        [name, path] => (name, path, false),
        [name, path, meaning] if meaning == "meaning" => (name, path, true),
        _ => bail!("expected petshop|nezha|tvdiag|recording PATH [meaning]"),
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
    let Found { mut ways, nearest } = found(&data_set, &known);
    if is_meant {
        // What is asked by stays last: the others are compared with it.
        let last = ways.len() - 1;
        ways.splice(last..last, meaning::ways(&data_set, &known));
    }
    for Way { name, scores } in &ways {
        for row in rows(scores, SEED) {
            println!("{:14} {:>4}  {:22} {}", row.history, row.cases, name, told(&row.scores));
        }
    }
    let Some((last, others)) = ways.split_last() else { return Ok(()) };
    for other in others {
        for row in difference(&last.scores, &other.scores, SEED) {
            let (last, other) = (last.name, other.name);
            println!("{:14} {last} − {other}:  {}", row.history, told(&row.scores));
        }
    }
    let remembered: Vec<Remembered> = known.into_iter().map(|it| it.remembered).collect();
    tell_nearness(&remembered, &nearest);
    Ok(())
}

fn told(scores: &[(f64, Interval); 4]) -> String {
    let told = Scores::NAMES.iter().zip(scores).map(|(name, (mean, interval))| {
        format!("{name} {mean:.3} [{:.2}, {:.2}]", interval.low, interval.high)
    });
    told.collect::<Vec<_>>().join("  ")
}

/// How often the nearest was of the same kind, by its score.
fn tell_nearness(remembered: &[Remembered], answers: &[(usize, Option<(f64, usize)>)]) {
    const FROM: [f64; 5] = [0.0, LEAST_NEAR, 0.3, 0.4, 0.6];
    let mut bins = [(0usize, 0usize); FROM.len()];
    for (asked, nearest) in answers {
        let Some((score, place)) = nearest else { continue };
        let bin = &mut bins[FROM.iter().rposition(|from| score >= from).unwrap_or(0)];
        bin.0 += 1;
        let grade = Grade::of(&remembered[*asked], &remembered[*place]);
        bin.1 += usize::from(grade >= Grade::SameKind);
    }
    for (from, (all, right)) in FROM.iter().zip(bins).filter(|(_, (all, _))| *all > 0) {
        println!(
            "nearest from {from:.1}: {all:>5}, of the same kind {:.2}",
            right as f64 / all as f64
        );
    }
}
