//! Log lines, counted by template over windows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use diagnosis::templates::Miner;
use events::catalogue::telemetry::{LogPattern, LogPatternsRecorded, LogSeverity, MAX_ENTRIES};
use events::value::Line;
use events::{ComponentName, Timestamp};
use jiff::SignedDuration;
use serde_json::Value;

use super::{Recorded, pods};
use crate::table::{self, ReadError};

/// Rows further than this from the day have a wrong clock.
const NEAR_THE_DAY: SignedDuration = SignedDuration::from_hours(48);
/// Words of a line among which its severity stands.
const WORDS_WITH_SEVERITY: usize = 4;

type Key = (ComponentName, Timestamp);
type Counts = BTreeMap<(usize, LogSeverity), u64>;

/// Records the templates of every component and window.
pub fn read(folders: &[PathBuf], recorded: &mut Recorded) -> Result<(), ReadError> {
    let mut miners: BTreeMap<ComponentName, Miner> = BTreeMap::new();
    let mut windows: BTreeMap<Key, Counts> = BTreeMap::new();
    for folder in folders {
        let folder = folder.join("log");
        for file in table::files(&folder)? {
            read_file(&folder.join(file), recorded, &mut miners, &mut windows)?;
        }
    }
    for ((component, start), counts) in windows {
        let miner = &miners[&component];
        // Different groups may have come to the same template.
        let mut merged: BTreeMap<(String, LogSeverity), u64> = BTreeMap::new();
        for ((group, severity), count) in counts {
            *merged.entry((miner.template(group), severity)).or_default() += count;
        }
        let mut patterns: Vec<LogPattern> = Vec::new();
        for ((template, severity), count) in merged.into_iter().take(MAX_ENTRIES) {
            let template = Line::clipped(&template);
            patterns.push(LogPattern { template, severity, count, exemplar_trace_ids: Vec::new() });
        }
        *recorded.components.entry(component.clone()).or_default() += 1;
        let window = recorded.clock.window(start);
        let what = format!("logs {component} {}", start.as_millisecond());
        let end = window.end();
        recorded.at(start).record(&what, end, LogPatternsRecorded { component, window, patterns });
    }
    Ok(())
}

fn read_file(
    path: &Path,
    recorded: &Recorded,
    miners: &mut BTreeMap<ComponentName, Miner>,
    windows: &mut BTreeMap<Key, Counts>,
) -> Result<(), ReadError> {
    let Some(rows) = table::rows(path)? else { return Ok(()) };
    let mut columns: Option<[usize; 3]> = None;
    for row in rows.into_byte_records() {
        let row = row.map_err(|error| ReadError::io(path, error.into()))?;
        let cell = |column: usize| String::from_utf8_lossy(row.get(column).unwrap_or_default());
        let Some([time, pod, log]) = columns else {
            let find = |name: &str| row.iter().position(|cell| cell == name.as_bytes());
            columns = match (find("TimeUnixNano"), find("PodName"), find("Log")) {
                (Some(time), Some(pod), Some(log)) => Some([time, pod, log]),
                _ => return Ok(()),
            };
            continue;
        };
        let nanos = cell(time).trim().parse().ok();
        let at = nanos.and_then(|nanos: i128| Timestamp::from_nanosecond(nanos).ok());
        let (Some(at), Some(component)) = (at, pods::component(cell(pod).trim())) else { continue };
        if at.duration_since(recorded.start).abs() > NEAR_THE_DAY {
            continue;
        }
        let (line, severity) = message(&cell(log));
        let group = miners.entry(component.clone()).or_default().learn(&line);
        let start = recorded.clock.window(at).start;
        let counts = windows.entry((component, start)).or_default();
        *counts.entry((group, severity)).or_default() += 1;
    }
    Ok(())
}

// The runtime wraps a line in JSON, and some services write JSON themselves.
fn message(cell: &str) -> (String, LogSeverity) {
    let inner = |text: &str, keys: &[&str]| -> Option<(String, Option<String>)> {
        let value: Value = serde_json::from_str(text.trim()).ok()?;
        let find = |keys: &[&str]| {
            let found = keys.iter().find_map(|key| value.get(key).and_then(Value::as_str));
            found.map(str::to_owned)
        };
        Some((find(keys)?, find(&["severity", "level"])))
    };
    let line = inner(cell, &["log"]).map_or_else(|| cell.to_owned(), |(line, _)| line);
    let (line, said) = inner(&line, &["message", "msg"]).unwrap_or((line, None));
    let first = line.split_whitespace().take(WORDS_WITH_SEVERITY);
    let severity = said.iter().map(String::as_str).chain(first).find_map(severity);
    (line, severity.unwrap_or(LogSeverity::Info))
}

fn severity(word: &str) -> Option<LogSeverity> {
    match word.trim_matches(|c: char| !c.is_alphabetic()).to_ascii_lowercase().as_str() {
        "trace" | "debug" => Some(LogSeverity::Debug),
        "info" => Some(LogSeverity::Info),
        "warn" | "warning" => Some(LogSeverity::Warning),
        "error" | "severe" => Some(LogSeverity::Error),
        "fatal" | "critical" | "panic" => Some(LogSeverity::Fatal),
        _ => None,
    }
}
