//! Records the seed data anew: a fresh server, a fresh shop, the suite, and what comes of it.
//!
//! `just record-seed-data` writes `seed-data/shop.ndjson`. Nothing is edited afterwards: what is
//! not good enough is not written, and the exit code is 1.

#![allow(clippy::print_stdout, reason = "what it prints is its result")]

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use events::Timestamp;
use tests::seed::programme::{self, Item};
use tests::seed::recorder::{Noticed, Recorder, Telemetry, WINDOW};

/// Records incidents of the demo shop for the seed data.
#[derive(Debug, Parser)]
struct Args {
    /// Folder for the recording; the runbooks are read from `runbooks` in the seed data.
    #[arg(long, default_value = "seed-data")]
    out: PathBuf,
    /// Folder with the runbooks.
    #[arg(long, default_value = "seed-data/runbooks")]
    runbooks: PathBuf,
    /// Who describes the shop to the server.
    #[arg(long, value_enum, default_value = "otlp")]
    telemetry: Telemetry,
    /// Seed of the users and of the disturbances.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only so many experiments of each round, to try the recorder out: it says what is missing
    /// and writes all the same.
    #[arg(long)]
    take: Option<usize>,
    /// Only experiments with this in their name, to try them out; may be given several times.
    #[arg(long)]
    only: Vec<String>,
}

impl Args {
    fn is_trial(&self) -> bool {
        self.take.is_some() || !self.only.is_empty()
    }

    /// The experiments of a round that are wanted.
    fn wanted(&self, mut round: Vec<Item>) -> Vec<Item> {
        let only = &self.only;
        round.retain(|item| only.is_empty() || only.iter().any(|it| item.name.contains(it)));
        round.truncate(self.take.unwrap_or(usize::MAX));
        round
    }
}

/// What is normal has to be learnt before anything can be unusual.
const LEARNING: Duration = Duration::from_secs(30);
/// A stretch in which nothing happens.
const CALM: Duration = Duration::from_secs(60);
/// More users than usual: the ramp, and the bursts after it.
const BUSY: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(30));

struct Show {
    began: Instant,
}

impl Show {
    fn say(&self, words: &str) {
        let seconds = self.began.elapsed().as_secs();
        println!("{:>3}:{:02}  {words}", seconds / 60, seconds % 60);
        // Whoever waits for half an hour wants to see it.
        let _ = std::io::stdout().flush();
    }
}

async fn round(recorder: &mut Recorder, show: &Show, items: &[Item]) {
    for (index, item) in items.iter().enumerate() {
        let began = Instant::now();
        let came = match recorder.run(item).await {
            Ok(Noticed::Labelled) => "noticed and labelled".to_owned(),
            Ok(Noticed::No) => "not noticed".to_owned(),
            Ok(Noticed::Late) => "not over or not labelled in time".to_owned(),
            Err(error) => format!("left out: {error:#}"),
        };
        show.say(&format!(
            "{:>2}/{} {:<40} {came}, {:.0} s",
            index + 1,
            items.len(),
            item.name,
            began.elapsed().as_secs_f64()
        ));
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let show = Show { began: Instant::now() };
    let first = args.wanted(programme::shipped_suite()?);
    let second = args.wanted(programme::elsewhere()?);
    let runbooks = programme::runbooks(&args.runbooks, Timestamp::now())?;
    let short = |time: Duration| if args.is_trial() { WINDOW * 3 } else { time };
    let folder = tempfile::tempdir()?;
    show.say(&format!("starting a server and a shop in {}", folder.path().display()));
    let mut recorder = Recorder::start(folder.path(), args.telemetry, args.seed).await?;
    show.say(&format!("publishing {} runbooks and learning what is normal", runbooks.len()));
    recorder.publish(&runbooks).await?;
    recorder.calm(LEARNING).await?;
    round(&mut recorder, &show, &first).await;
    show.say("a calm stretch");
    recorder.calm(short(CALM)).await?;
    show.say("a busy hour: a ramp of users, then bursts");
    recorder.busy_hour(short(BUSY.0), short(BUSY.1)).await?;
    recorder.calm(short(CALM / 3)).await?;
    show.say("maintenance of cart");
    recorder.maintenance("cart", "restart of cart for a new certificate").await?;
    round(&mut recorder, &show, &second).await;
    show.say("maintenance of payments");
    recorder.maintenance("payments", "restart of payments for a kernel update").await?;
    show.say("ending");
    let (lines, recording) = recorder.finish().await?;

    println!("\n{}\n", recording.table());
    let missing = recording.shortcomings();
    for what in &missing {
        println!("missing: {what}");
    }
    if !missing.is_empty() && !args.is_trial() {
        println!("nothing was written: the recording is not good enough");
        return Ok(ExitCode::FAILURE);
    }
    std::fs::create_dir_all(&args.out)?;
    let path = args.out.join("shop.ndjson");
    let mut text = String::new();
    for line in &lines {
        text.push_str(&line.to_string());
        text.push('\n');
    }
    std::fs::write(&path, &text).with_context(|| format!("writing {}", path.display()))?;
    let megabytes = text.len() as f64 / 1e6;
    println!("{} events, {megabytes:.1} MB, in {}", lines.len(), path.display());
    Ok(ExitCode::SUCCESS)
}
