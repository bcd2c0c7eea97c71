//! Runs the live detector over a data set and prints how long it took to detect what was
//! injected, what it missed, and what it raised without a reason.
//!
//! `cargo run -p datasets --example detect -- recording|nezha|petshop PATH [--json] [--cases]`

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::path::Path;

use anyhow::bail;
use datasets::watched;
use diagnosis::detect::Settings;
use diagnosis::evaluation::detection::{Observed, Report, Score, Times, score, watch};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, path, rest @ ..] = &arguments[..] else {
        bail!("expected recording|nezha|petshop PATH [--json] [--cases]");
    };
    let flag = |name: &str| rest.iter().any(|argument| argument == name);
    let read = watched::read(name, Path::new(path))?;
    let scores: Vec<Score> = read
        .stretches
        .iter()
        .map(|stretch| {
            let observed = Observed::of(&stretch.events);
            score(&observed, &watch(&observed, Settings::default()), &stretch.truth)
        })
        .collect();
    let report = Report::of(&scores);
    if flag("--json") {
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    for skipped in &read.skipped {
        println!("skipped {}: {}", skipped.path.display(), skipped.reason);
    }
    if flag("--cases") {
        scores.iter().for_each(cases);
    }
    print(&report);
    Ok(())
}

fn cases(score: &Score) {
    for judged in &score.injections {
        let injection = &judged.injection;
        let kind = injection.kind.as_ref().map_or("unknown", |kind| kind.as_str());
        let found = judged.detection.as_ref().map_or("not detected".to_owned(), |detection| {
            let parts: Vec<String> =
                judged.by_part.iter().map(|(part, d)| format!("{part} {}", d.windows)).collect();
            format!(
                "{} windows at {}: {}",
                detection.windows,
                detection.component,
                parts.join(", ")
            )
        });
        let at = injection.from.strftime("%H:%M:%S");
        println!("{at} {kind} of {}, moved {:?}: {found}", injection.component, judged.moved);
    }
}

fn print(report: &Report) {
    println!(
        "{:28} {:>8} {:>6} {:>9} {:>7}  median      p90",
        "fault kind", "injected", "moved", "detected", "beside"
    );
    for row in &report.kinds {
        println!(
            "{:28} {:>8} {:>6} {:>9} {:>7}  {}",
            row.kind,
            row.injected,
            row.moved,
            row.detected,
            row.detected_beside,
            times(row.times)
        );
        row.missed
            .iter()
            .filter(|_| row.kind != "all")
            .for_each(|name| println!("  missed {name}"));
    }
    println!(
        "\n{:28} {:>8} {:>6} {:>6} {:>6}  median      p90",
        "part", "detected", "first", "alone", "false"
    );
    for row in &report.parts {
        println!(
            "{:28} {:>8} {:>6} {:>6} {:>6}  {}",
            row.part,
            row.detected,
            row.first,
            row.alone,
            row.false_alarms,
            times(row.times)
        );
    }
    let per_hour = report.false_alarms_per_hour.unwrap_or(0.0);
    println!(
        "\n{} false alarms in {:.2} quiet hours: {per_hour:.2} an hour",
        report.false_alarms.len(),
        report.quiet_hours
    );
    report.false_alarms.iter().for_each(|alarm| println!("  {alarm}"));
}

fn times(times: Option<Times>) -> String {
    times.map_or_else(String::new, |t| {
        let Times { median_windows, p90_windows, median_s, p90_s } = t;
        format!("{median_windows} w {median_s:5.1} s  {p90_windows} w {p90_s:5.1} s")
    })
}
