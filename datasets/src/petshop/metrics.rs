//! Metrics of every component, a row each five minutes.

use std::collections::BTreeMap;
use std::path::Path;

use events::catalogue::telemetry::{Latency, MetricSnapshotRecorded, Window};
use events::value::NonNegative;
use events::{ComponentName, Timestamp};
use jiff::SignedDuration;

use crate::case::Recorder;
use crate::table::{self, ReadError};

/// What a row covers.
pub const STEP: SignedDuration = SignedDuration::from_mins(5);

/// `metrics.csv`.
#[derive(Debug, Default)]
pub struct Metrics {
    rows: Vec<(Timestamp, BTreeMap<ComponentName, Cells>)>,
}

#[derive(Clone, Debug, Default)]
struct Cells {
    requests: Option<f64>,
    availability: Option<f64>,
    latency: BTreeMap<String, f64>,
}

impl Metrics {
    /// Reads the table; `None` when it is not there. Columns are known by their three header
    /// rows, which differ between files.
    pub fn read(path: &Path) -> Result<Option<Self>, ReadError> {
        let Some(rows) = table::rows(path)? else { return Ok(None) };
        let mut headers: Vec<csv::StringRecord> = Vec::new();
        let mut metrics = Self::default();
        for row in rows.into_records() {
            let row = row.map_err(|error| ReadError::io(path, error.into()))?;
            let second = row.get(0).and_then(table::number);
            match second.and_then(|second| Timestamp::from_second(second as i64).ok()) {
                Some(start) if headers.len() >= 3 => metrics.push(start, &headers, &row),
                _ => headers.push(row),
            }
        }
        Ok(Some(metrics))
    }

    fn push(&mut self, start: Timestamp, headers: &[csv::StringRecord], row: &csv::StringRecord) {
        let mut cells: BTreeMap<ComponentName, Cells> = BTreeMap::new();
        for (column, cell) in row.iter().enumerate().skip(1) {
            let header = |row: usize| headers[row].get(column).unwrap_or_default().trim();
            let (Ok(component), Some(number)) =
                (ComponentName::new(header(0)), table::number(cell).filter(|n| *n >= 0.0))
            else {
                continue;
            };
            let cells = cells.entry(component).or_default();
            match (header(1), header(2)) {
                ("requests", "Sum") => cells.requests = Some(number),
                ("availability", "Average") => cells.availability = Some(number.min(100.0)),
                ("latency", statistic) => {
                    cells.latency.insert(statistic.to_owned(), number);
                }
                _ => {}
            }
        }
        self.rows.push((start, cells));
    }

    /// When the rows begin.
    pub fn starts(&self) -> impl Iterator<Item = Timestamp> {
        self.rows.iter().map(|(start, _)| *start)
    }

    /// A snapshot for each component and row.
    pub fn record(&self, recorder: &mut Recorder) {
        for (start, components) in &self.rows {
            for (component, cells) in components {
                let what = format!("snapshot {component} {}", start.as_second());
                let window = Window { start: *start, duration_ms: STEP.as_millis() as u64 };
                recorder.record(&what, *start + STEP, cells.snapshot(component, window));
            }
        }
    }
}

impl Cells {
    // Availability is the share of requests that did not fail, as a percentage of whole requests.
    fn snapshot(&self, component: &ComponentName, window: Window) -> MetricSnapshotRecorded {
        let requests = self.requests.map(|requests| requests.round() as u64);
        let errors = requests
            .zip(self.availability)
            .map(|(requests, percent)| ((1.0 - percent / 100.0) * requests as f64).round() as u64);
        MetricSnapshotRecorded {
            component: component.clone(),
            window,
            requests,
            errors,
            latency: self.latency(),
            saturation: None,
            cpu_cores: None,
            memory_bytes: None,
            extras: BTreeMap::new(),
        }
    }

    // Estimated quantiles may cross by rounding: a higher one is at least the one below.
    fn latency(&self) -> Option<Latency> {
        let ms = |statistic| self.latency.get(statistic).map(|seconds| seconds * 1_000.0);
        let mean = ms("Average");
        let p50 = ms("p50").or(mean)?;
        let p95 = ms("p95").unwrap_or(p50).max(p50);
        let p99 = ms("p99").unwrap_or(p95).max(p95);
        let ms =
            |number: f64| NonNegative::new(number).expect("a finite number that is not negative");
        Some(Latency { p50_ms: ms(p50), p95_ms: ms(p95), p99_ms: ms(p99), mean_ms: mean.map(ms) })
    }
}
