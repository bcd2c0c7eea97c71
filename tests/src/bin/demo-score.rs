//! Runs the demo with several seeds and counts how often it was right.
//!
//! `cargo run --bin demo-score -- FIRST LAST` plays the seeds from FIRST to LAST, one after the
//! other, each on an empty base, and prints a line a seed and the totals; what comes behind LAST
//! is told to the demo. Exit code 1 when a run failed; being wrong is a result, not a failure.

#![allow(clippy::print_stdout, reason = "what it prints is its result")]

use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use serde::Deserialize;
use tests::process::binary;

/// One line of `faultline demo --json`.
#[derive(Debug, Deserialize)]
struct Line {
    incident: Option<String>,
    truth: Truth,
    suspects: Vec<Suspect>,
    similar: Vec<Similar>,
}

#[derive(Debug, Deserialize)]
struct Truth {
    component: String,
    fault_kind: String,
}

#[derive(Debug, Deserialize)]
struct Suspect {
    component: String,
}

#[derive(Debug, Deserialize)]
struct Similar {
    incident: Option<String>,
}

impl Line {
    fn rank(&self) -> Option<usize> {
        let suspects = &mut self.suspects.iter();
        suspects.position(|one| one.component == self.truth.component).map(|index| index + 1)
    }

    fn told(&self) -> String {
        let rank = match (&self.incident, self.rank()) {
            (None, _) => "not noticed".to_owned(),
            (Some(_), None) => "not suspected".to_owned(),
            (Some(_), Some(rank)) => format!("rank {rank}"),
        };
        format!("{} on {}: {rank}", self.truth.fault_kind, self.truth.component)
    }
}

/// How often the demo was right.
#[derive(Debug, Default)]
struct Score {
    runs: usize,
    y_first: usize,
    x_similar: usize,
    y_right: usize,
    random_in_three: usize,
}

impl Score {
    fn count(&mut self, x: &Line, y: &Line, random: &Line) {
        let similar = y.similar.iter().take(3);
        let x_similar =
            x.incident.is_some() && similar.into_iter().any(|one| one.incident == x.incident);
        let y_first = y.rank() == Some(1);
        self.runs += 1;
        self.y_first += usize::from(y_first);
        self.x_similar += usize::from(x_similar);
        self.y_right += usize::from(y_first && x_similar);
        self.random_in_three += usize::from(random.rank().is_some_and(|rank| rank <= 3));
        let found = if x_similar { "found" } else { "not found" };
        println!("X {} · Y {}, X {found} · random {}", x.told(), y.told(), random.told());
    }
}

fn play(seed: u64, options: &[String]) -> anyhow::Result<[Line; 3]> {
    let folder = tempfile::tempdir()?;
    let output = Command::new(binary("faultline"))
        .args(["demo", "--empty", "--exit", "--json", "--seed", &seed.to_string(), "--data"])
        .arg(folder.path().join("demo"))
        .args(options)
        .output()
        .context("starting the demo")?;
    if !output.status.success() {
        bail!("seed {seed}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let lines = String::from_utf8(output.stdout)?;
    let lines: Vec<Line> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    lines.try_into().map_err(|lines: Vec<Line>| anyhow::anyhow!("{} lines, not 3", lines.len()))
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, last, options @ ..] = &arguments[..] else {
        bail!("expected the first and the last seed")
    };
    let (first, last): (u64, u64) = (first.parse()?, last.parse()?);
    let mut score = Score::default();
    let mut failed = false;
    for seed in first..=last {
        print!("seed {seed}: ");
        match play(seed, options) {
            Ok([x, y, random]) => score.count(&x, &y, &random),
            Err(error) => {
                failed = true;
                println!("{error:#}");
            }
        }
    }
    println!("{} runs", score.runs);
    println!("  Y is the first suspect and X among its 3 most similar: {}", score.y_right);
    println!("    Y is the first suspect: {}", score.y_first);
    println!("    X among the 3 most similar: {}", score.x_similar);
    println!("  the random fault is among the first 3 suspects: {}", score.random_in_three);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
