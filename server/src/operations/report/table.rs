//! The report for a terminal.

use std::fmt::Write;

use super::{Durations, Faults, LEAST_FOR_INTERVAL, NOTHING_LEARNED, Part, Rate, Report};
use crate::evaluation::report::plain;

/// The whole report.
pub(super) fn of(report: &Report) -> String {
    let record = &report.track_record;
    let all = &record.all;
    let mut text = format!(
        "{}, {} of them false alarms; {}, {} of them without an incident\n",
        counted(all.incidents, "incident"),
        all.false_positives,
        counted(record.faults, "injected fault"),
        record.unnoticed_faults,
    );
    if all.incidents > 0 {
        let parts = record.by_month.iter().chain([all]);
        let _ = write!(text, "\n{}\n", parts_table("MONTH", parts));
        let _ = write!(text, "\n{}\n", parts_table("RANKED BY", record.by_model.iter()));
        let _ = write!(text, "\n{}\n", parts_table("NOTICED BY", record.by_detector.iter()));
        text.push_str(
            "\nUNEXPLAINED: by no fault, change or label; FIRST: the labelled cause was the first suspect \
             of the last\ndiagnosis; THREE: it was among the first three; KIND: so was the kind of fault \
             of the first; SIMILAR: the\nmost similar past incident was of the same kind. With the 95 % \
             interval, of five or more.\n",
        );
    }
    if !record.by_fault_kind.is_empty() {
        let _ = write!(text, "\n{}\n", faults_table(&record.by_fault_kind));
    }
    let _ = write!(text, "\n{}", models(report));
    text
}

fn counted(count: u32, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}

fn parts_table<'p>(key: &str, parts: impl Iterator<Item = &'p Part>) -> String {
    let mut table = plain([
        key,
        "INCIDENTS",
        "FALSE",
        "UNEXPLAINED",
        "DETECTED",
        "RESOLVED",
        "FIRST",
        "THREE",
        "KIND",
        "SIMILAR",
    ]);
    for part in parts {
        table.add_row([
            part.key.clone(),
            part.incidents.to_string(),
            part.false_positives.to_string(),
            part.unexplained.to_string(),
            durations(part.time_to_detect),
            durations(part.time_to_resolve),
            rate(part.first),
            rate(part.first_three),
            rate(part.fault_kind),
            rate(part.similar),
        ]);
    }
    table.trim_fmt()
}

fn faults_table(faults: &[Faults]) -> String {
    let mut table = plain(["FAULT KIND", "INJECTED", "UNNOTICED", "DETECTED"]);
    for kind in faults {
        table.add_row([
            kind.fault_kind.clone(),
            kind.faults.to_string(),
            kind.unnoticed.to_string(),
            durations(kind.time_to_detect),
        ]);
    }
    table.trim_fmt()
}

/// The median and what 90 % stay within.
pub(super) fn durations(of: Durations) -> String {
    match of.p50_ms.zip(of.p90_ms) {
        Some((half, most)) => format!("{} / {}", time(half), time(most)),
        None => "-".to_owned(),
    }
}

fn time(ms: f64) -> String {
    let seconds = ms / 1e3;
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    }
}

pub(super) fn rate(of: Rate) -> String {
    match (of.ratio, of.low, of.high) {
        (Some(ratio), ..) if of.of < LEAST_FOR_INTERVAL => format!("{ratio:.2} of {}", of.of),
        (Some(ratio), Some(low), Some(high)) => {
            format!("{ratio:.2} [{low:.2}, {high:.2}] of {}", of.of)
        }
        _ => "-".to_owned(),
    }
}

fn models(report: &Report) -> String {
    let models = &report.models.nodes;
    if models.is_empty() {
        return NOTHING_LEARNED.to_owned();
    }
    let mut table = plain(["MODEL", "TAUGHT BY", "FIRST (BEFORE)", "KIND F1 (BEFORE)", ""]);
    for model in models {
        let metric = |name: &str| match model.metric(name) {
            Some(metric) => match metric.before {
                Some(before) => format!("{:.2} ({before:.2})", metric.value),
                None => format!("{:.2}", metric.value),
            },
            None => "-".to_owned(),
        };
        let taught = model.metric("incidents_of_known_cause");
        table.add_row([
            model.key.clone(),
            taught.map_or("-".to_owned(), |metric| format!("{:.0}", metric.value)),
            metric("hit_at_1"),
            metric("kind_weighted_f1"),
            report.state(model),
        ]);
    }
    format!("{}\n\non incidents that did not teach the model", table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_what_people_count_in() {
        let told = [0.4, 90_000.0, 600_000.0, 14_400_000.0, 864_000_000.0].map(time);
        assert_eq!(told, ["0 s", "90 s", "10 min", "4 h", "10 d"]);
    }
}
