//! What the live detector makes of recorded stretches: a table, or JSON.

use datasets::watched::Stretches;
use diagnosis::detect::Settings;
use diagnosis::evaluation::detection::{Observed, Report, Score, Times, score, watch};
use serde_json::{Value, json};

use super::report::plain;

/// Runs the detector over every stretch; `told` hears how many are done.
pub(crate) fn report(read: &Stretches, told: &mut dyn FnMut(usize)) -> Report {
    let judged = read.stretches.iter().enumerate().map(|(done, stretch)| {
        let observed = Observed::of(&stretch.events);
        let score = score(&observed, &watch(&observed, Settings::default()), &stretch.truth);
        told(done + 1);
        score
    });
    Report::of(&judged.collect::<Vec<Score>>())
}

/// By kind of fault, by part of the detector, and what was raised without a reason.
pub(crate) fn table(report: &Report) -> String {
    let header = ["FAULT", "INJECTED", "MOVED", "DETECTED", "BESIDE", "MEDIAN", "90 %"];
    let mut kinds = plain(header);
    for row in &report.kinds {
        let [median, most] = times(row.times);
        let counts = [row.injected, row.moved, row.detected, row.detected_beside];
        let cells = std::iter::once(row.kind.clone()).chain(counts.map(|it| it.to_string()));
        kinds.add_row(cells.chain([median, most]));
    }
    let mut parts = plain(["PART", "DETECTED", "FIRST", "ALONE", "FALSE", "MEDIAN", "90 %"]);
    for row in &report.parts {
        let [median, most] = times(row.times);
        let counts = [row.detected, row.first, row.alone, row.false_alarms];
        let cells = std::iter::once(row.part.clone()).chain(counts.map(|it| it.to_string()));
        parts.add_row(cells.chain([median, most]));
    }
    let mut text = format!("{}\n\n{}\n\n", kinds.trim_fmt(), parts.trim_fmt());
    text.push_str(&format!(
        "{} false alarms in {:.2} hours without a fault or another reason",
        report.false_alarms.len(),
        report.quiet_hours
    ));
    if let Some(rate) = report.false_alarms_per_hour {
        text.push_str(&format!(", {rate:.2} an hour"));
    }
    for alarm in &report.false_alarms {
        text.push_str(&format!("\nfalse: {alarm}"));
    }
    let missed = report.kinds.iter().filter(|row| row.kind != "all").flat_map(|row| &row.missed);
    for missed in missed {
        text.push_str(&format!("\nmissed: {missed}"));
    }
    text
}

/// The same as one document.
pub(crate) fn json(report: &Report, data_set: &str) -> Value {
    json!({ "task": "detect", "dataset": data_set, "report": report })
}

fn times(times: Option<Times>) -> [String; 2] {
    let told = |windows: u64, seconds: f64| {
        let plural = if windows == 1 { "" } else { "s" };
        format!("{windows} window{plural}, {seconds:.1} s")
    };
    times.map_or_else(Default::default, |it| {
        [told(it.median_windows, it.median_s), told(it.p90_windows, it.p90_s)]
    })
}
