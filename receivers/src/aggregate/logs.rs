//! Logs: lines by their shape while a window is open, shapes by their template when it is closed.
//!
//! A shape is a line with what varies for certain taken out; there are few, and counting one is a
//! look-up. Templates are mined from the shapes of a window in the order of their text, so that
//! the order in which lines came makes no difference.

mod drain;
mod shape;

use std::collections::BTreeMap;

use ahash::AHashMap;
use events::catalogue::telemetry::{LogPattern, LogPatternsRecorded, LogSeverity, MAX_ENTRIES};
use events::value::{Finite, Line};
use events::{ComponentName, EventData};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use xxhash_rust::xxh3::xxh3_64;

use super::Aggregator;
use super::components::{ComponentNo, ResourceNo};
use super::dropped::{Absorbed, Reason, Totals};
use super::edges::Exemplars;
use super::open::ComponentWindow;
use super::window::{self, Number};
use drain::Mined;
pub use drain::Miner;
use shape::write_shape;

/// The lines of a component in a window.
#[derive(Debug, Default)]
pub struct Lines {
    by_hash: AHashMap<u64, Shape>,
    /// Lines without room for their shape.
    other: Counted,
    /// By severity, from debug to fatal.
    severities: [u64; 5],
}

/// Lines of one shape.
#[derive(Debug)]
struct Shape {
    text: Box<str>,
    counted: Counted,
}

/// How often something was logged, how bad it was at worst, and in which traces.
#[derive(Debug, Default)]
struct Counted {
    count: u64,
    severity: Option<LogSeverity>,
    exemplars: Exemplars,
}

impl Counted {
    fn add(&mut self, severity: LogSeverity, trace: Option<u128>) {
        self.count += 1;
        self.severity = self.severity.max(Some(severity));
        if let Some(trace) = trace {
            self.exemplars.offer(severity >= LogSeverity::Error, 0, trace);
        }
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.severity = self.severity.max(other.severity);
        self.exemplars.merge(other.exemplars);
    }
}

impl Aggregator {
    /// Takes the records of a request.
    pub(super) fn absorb_lines(&mut self, request: &ExportLogsServiceRequest) -> Absorbed {
        let mut absorbed = Absorbed::default();
        for of_resource in &request.resource_logs {
            let records = || of_resource.scope_logs.iter().flat_map(|scope| &scope.log_records);
            let seen = self.grid.number(self.now_ns);
            let (place, component) =
                match self.components.resource(of_resource.resource.as_ref(), seen) {
                    Ok(known) => known,
                    Err(reason) => {
                        absorbed.drop(reason, records().count() as u64);
                        continue;
                    }
                };
            for record in records() {
                match self.absorb_line(place, component, record) {
                    Ok(()) => absorbed.accepted += 1,
                    Err(reason) => absorbed.drop(reason, 1),
                }
            }
        }
        self.totals.lines += absorbed.accepted;
        absorbed
    }

    fn absorb_line(
        &mut self,
        place: ResourceNo,
        component: ComponentNo,
        record: &LogRecord,
    ) -> Result<(), Reason> {
        let sent = match record.time_unix_nano {
            0 => record.observed_time_unix_nano,
            time => time,
        };
        let time_ns = window::sent(sent).ok_or(Reason::InvalidTime)?;
        let number = self.accepts(time_ns)?;
        if record.attributes.len() > self.settings.limits.attributes {
            return Err(Reason::TooManyAttributes);
        }
        let trace = match <[u8; 16]>::try_from(record.trace_id.as_slice()) {
            Ok(bytes) => Some(u128::from_be_bytes(bytes)).filter(|trace| *trace != 0),
            Err(_) if record.trace_id.is_empty() => None,
            Err(_) => return Err(Reason::InvalidId),
        };
        let mut text = std::mem::take(&mut self.line);
        text.clear();
        write_shape(message(record), &mut text);
        let most = self.settings.limits.shapes;
        let of = self.open.entry(number).or_default().component(component);
        of.note(place, time_ns);
        let room = of.lines.get_or_insert_default().add(&text, severity(record), trace, most);
        if !room {
            self.totals.drop(Reason::TooManyShapes, 1);
        }
        self.line = text;
        Ok(())
    }

    /// The patterns of a component's lines in a window, and what they add to its snapshot.
    pub(super) fn mine(
        &mut self,
        component: ComponentNo,
        number: Number,
        of: &mut ComponentWindow,
    ) -> Option<Told> {
        let lines = of.lines.take()?;
        let most = self.settings.limits.templates;
        let miner = self.miners.entry(component).or_default();
        Some(lines.told(miner, number, most, &mut self.totals))
    }
}

/// What the lines of a component in a window come to.
#[derive(Debug)]
pub struct Told {
    patterns: Vec<LogPattern>,
    /// Further measurements of its snapshot.
    pub extras: BTreeMap<String, Finite>,
}

impl Told {
    /// The patterns as facts, each with as many as one holds.
    pub fn facts(
        &self,
        component: &ComponentName,
        window: &events::catalogue::telemetry::Window,
    ) -> Vec<EventData> {
        let fact = |patterns: &[LogPattern]| {
            let (component, window) = (component.clone(), window.clone());
            LogPatternsRecorded { component, window, patterns: patterns.to_vec() }.into()
        };
        self.patterns.chunks(MAX_ENTRIES).map(fact).collect()
    }
}

impl Lines {
    /// Counts a line; `false` if there was no room for its shape.
    fn add(&mut self, text: &str, severity: LogSeverity, trace: Option<u128>, most: usize) -> bool {
        self.severities[severity as usize] += 1;
        let room = self.by_hash.len() < most;
        match self.by_hash.entry(xxh3_64(text.as_bytes())) {
            std::collections::hash_map::Entry::Occupied(mut entry) => {
                entry.get_mut().counted.add(severity, trace);
            }
            std::collections::hash_map::Entry::Vacant(entry) if room => {
                let shape = entry.insert(Shape { text: text.into(), counted: Counted::default() });
                shape.counted.add(severity, trace);
            }
            std::collections::hash_map::Entry::Vacant(_) => {
                self.other.add(severity, trace);
                return false;
            }
        }
        true
    }

    fn told(self, miner: &mut Miner, number: Number, most: usize, totals: &mut Totals) -> Told {
        let mut shapes: Vec<Shape> = self.by_hash.into_values().collect();
        shapes.sort_by(|one, other| one.text.cmp(&other.text));
        let mut other = self.other;
        let mut by_template = BTreeMap::<u64, Counted>::new();
        miner.begin(number);
        for Shape { text, counted } in shapes {
            match miner.add(&text, most) {
                Mined::Template(id) => by_template.entry(id).or_default().merge(counted),
                Mined::NoRoom => {
                    totals.drop(Reason::TooManyTemplates, counted.count);
                    other.merge(counted);
                }
            }
        }
        // Two templates may have become the same text.
        let mut by_text = BTreeMap::<String, Counted>::new();
        for (id, counted) in by_template {
            by_text.entry(miner.text(id)).or_default().merge(counted);
        }
        if other.count > 0 {
            by_text.entry("<*>".to_owned()).or_default().merge(other);
        }
        let news = miner.end();
        let [_, _, warnings, errors, fatal] = self.severities;
        let lines = self.severities.iter().sum::<u64>();
        let extras = [
            ("log_lines", lines),
            ("log_warning_lines", warnings),
            ("log_error_lines", errors + fatal),
            ("log_new_patterns", news.new),
            ("log_vanished_patterns", news.vanished),
        ];
        let extra = |(name, count): (&str, u64)| {
            let count = Finite::new(count as f64).expect("a count is finite");
            (name.to_owned(), count)
        };
        let patterns = by_text.into_iter().map(|(text, counted)| LogPattern {
            template: Line::clipped(&text),
            severity: counted.severity.unwrap_or(LogSeverity::Info),
            count: counted.count,
            exemplar_trace_ids: counted.exemplars.ids().map(|id| Line::clipped(&id)).collect(),
        });
        Told { patterns: patterns.collect(), extras: extras.map(extra).into() }
    }
}

/// What a record says: its text, or what a structured one calls its message or its event.
fn message(record: &LogRecord) -> &str {
    let body = record.body.as_ref().and_then(|body| body.value.as_ref());
    match body {
        Some(Value::StringValue(text)) => text,
        Some(Value::KvlistValue(list)) => {
            let named = list.values.iter().find(|pair| {
                matches!(pair.key.as_str(), "message" | "msg" | "event" | "body" | "log")
            });
            named.and_then(crate::otlp::attributes::text).unwrap_or(&record.event_name)
        }
        _ => &record.event_name,
    }
}

/// How bad a record says it is, by number or else by name.
fn severity(record: &LogRecord) -> LogSeverity {
    match record.severity_number {
        1..=8 => LogSeverity::Debug,
        9..=12 => LogSeverity::Info,
        13..=16 => LogSeverity::Warning,
        17..=20 => LogSeverity::Error,
        21..=24 => LogSeverity::Fatal,
        _ => match record.severity_text.to_ascii_lowercase().as_str() {
            "trace" | "debug" => LogSeverity::Debug,
            "warn" | "warning" => LogSeverity::Warning,
            "err" | "error" => LogSeverity::Error,
            "fatal" | "critical" | "crit" | "alert" | "emerg" | "panic" => LogSeverity::Fatal,
            _ => LogSeverity::Info,
        },
    }
}

#[cfg(test)]
mod tests;
