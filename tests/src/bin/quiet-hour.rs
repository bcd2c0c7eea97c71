//! Counts the false alarms of an hour of traffic without faults: as many users all the time, then
//! more and fewer of them, then bursts.
//!
//! `just quiet-hour` takes an hour, better on a machine with nothing else to do. Every incident is
//! printed; what was learnt before the first count is not counted.

#![allow(clippy::print_stdout, reason = "what it prints is its result")]

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use chaos_runner::shop::control::LoadShape;
use clap::Parser;
use events::{Event, EventData, Timestamp};
use serde_json::Value;
use tests::seed::recorder::{Recorder, Telemetry};

/// Counts false alarms of the demo shop without faults.
#[derive(Debug, Parser)]
struct Args {
    /// How long: a third of it each for steady, ramping and bursting users.
    #[arg(long, default_value_t = 60)]
    minutes: u32,
    /// Who describes the shop to the server.
    #[arg(long, value_enum, default_value = "otlp")]
    telemetry: Telemetry,
    /// Seed of the users.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// File for all events (NDJSON), to look into with `faultline import`.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// What is normal has to be learnt before anything can be unusual.
const LEARNING: Duration = Duration::from_secs(60);
/// Usual users make so many requests a second.
const USUAL: f64 = 40.0;

fn stretches(third: Duration) -> anyhow::Result<[(&'static str, LoadShape, Duration); 4]> {
    let half = third / 2;
    let over_ms = u64::try_from(half.as_millis())?;
    let (few, many) = (USUAL / 2.0, USUAL * 2.0);
    let burst = LoadShape::Burst {
        base_rps: USUAL * 0.75,
        burst_rps: USUAL * 2.25,
        every_ms: 60_000,
        burst_ms: 15_000,
    };
    Ok([
        ("steady", LoadShape::Steady { rps: USUAL }, third),
        ("more and more", LoadShape::Ramp { from_rps: few, to_rps: many, over_ms }, half),
        ("fewer and fewer", LoadShape::Ramp { from_rps: many, to_rps: few, over_ms }, half),
        ("bursts", burst, third),
    ])
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let mut recorder = Recorder::start(folder.path(), args.telemetry, args.seed).await?;
    println!("learning what is normal for {} s", LEARNING.as_secs());
    recorder.calm(LEARNING).await?;
    let mut before = recorder.recording().incidents();
    println!("  incidents while learning: {before}");
    let mut counted = 0;
    for (name, shape, time) in stretches(Duration::from_secs(60) * args.minutes / 3)? {
        print!("{name}, {:.0} min: ", time.as_secs_f64() / 60.0);
        // Whoever waits for an hour wants to see where it is.
        std::io::stdout().flush()?;
        recorder.users(&shape, time).await?;
        let now = recorder.recording().incidents();
        println!("{} incidents", now - before);
        counted += now - before;
        before = now;
    }
    let (lines, _) = recorder.finish().await?;
    lines.iter().filter_map(opened).for_each(|line| println!("  {line}"));
    println!("{counted} false alarms in {} minutes", args.minutes);
    if let Some(path) = &args.out {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// An incident that was opened, in words.
fn opened(line: &Value) -> Option<String> {
    let event = Event::from_cloud_event(line.clone(), Timestamp::now()).ok()?;
    match event.data {
        EventData::IncidentOpened(it) => Some(format!("{} {}", event.time, it.title)),
        _ => None,
    }
}
