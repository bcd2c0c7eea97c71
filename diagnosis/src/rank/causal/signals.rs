//! What was measured of one component, before against after.

use events::EventId;
use events::catalogue::telemetry::{LogSeverity, Window};
use jiff::Timestamp;

use crate::baseline::Usual;
use crate::contrast::Side;
use crate::evidence::{EdgeEvidence, LogEvidence, SnapshotEvidence};

/// Extras of this form count how often a named thing happened in the window, such as spans of an
/// operation.
const COUNTED: &str = "spans.";
/// The share of its processor limit that a component uses, in percent.
const UTILIZATION: &str = "cpu_utilization_percent";

/// One measurement over the windows.
#[derive(Clone, Debug, Default)]
pub struct Series {
    before: Vec<f64>,
    after: Vec<(EventId, f64)>,
    usual: Option<Usual>,
    newest: Option<Usual>,
}

const NEWEST_WINDOWS: usize = 5;

impl Series {
    fn add(&mut self, side: Side, event: EventId, value: Option<f64>) {
        let Some(value) = value else { return };
        match side {
            Side::Before => self.before.push(value),
            Side::After => self.after.push((event, value)),
            Side::Between => {}
        }
    }

    fn close(&mut self) {
        self.usual = Usual::of(self.before.iter().copied());
        self.newest = Usual::of(self.before.iter().rev().take(NEWEST_WINDOWS).copied());
        self.after.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    }

    /// What was usual before.
    pub fn usual(&self) -> Option<Usual> {
        self.usual
    }

    /// What was usual just before.
    pub fn newest(&self) -> Option<Usual> {
        self.newest
    }

    /// Values from the incident's first window on, the largest first.
    pub fn after(&self) -> &[(EventId, f64)] {
        &self.after
    }

    /// Their mean.
    pub fn mean_after(&self) -> Option<f64> {
        let sum: f64 = self.after.iter().map(|(_, value)| value).sum();
        (!self.after.is_empty()).then(|| sum / self.after.len() as f64)
    }

    /// The mean of the larger half: what began within a window shows in the next ones.
    pub fn high_after(&self) -> Option<f64> {
        let half = &self.after[..self.after.len().div_ceil(2)];
        let sum: f64 = half.iter().map(|(_, value)| value).sum();
        (!half.is_empty()).then(|| sum / half.len() as f64)
    }

    /// The value after that is farthest from the usual.
    pub fn farthest(&self) -> Option<(EventId, f64)> {
        let usual = self.usual()?.median;
        let distance = |value: f64| (value - usual).abs();
        let values = self.after.iter().copied();
        values.max_by(|a, b| distance(a.1).total_cmp(&distance(b.1)).then(b.0.cmp(&a.0)))
    }
}

/// What can be counted of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted<'e> {
    /// Requests that it says it answered.
    Requests,
    /// Calls of it that its callers saw.
    Called,
    /// Its calls of another component.
    Calls(&'e str),
    /// A named thing.
    Named(&'e str),
    /// Lines of a log template.
    Lines(&'e str, LogSeverity),
}

/// How often something happened, by window.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    /// In the windows before, those without any left out, the earliest first.
    pub before: Vec<(Timestamp, f64)>,
    /// The total of them.
    pub total_before: f64,
    /// The total from the incident's first window on.
    pub total_after: f64,
    /// The event that counted it last.
    pub last: Option<EventId>,
}

impl Counter {
    fn add(&mut self, side: Side, at: Timestamp, event: EventId, count: f64) {
        if count <= 0.0 {
            return;
        }
        match side {
            Side::Before => {
                self.total_before += count;
                match self.before.last_mut() {
                    Some((last, sum)) if *last == at => *sum += count,
                    _ => self.before.push((at, count)),
                }
            }
            Side::After => self.total_after += count,
            Side::Between => return,
        }
        self.last = Some(event);
    }
}

/// The counters of a component, each found again where it comes next: windows repeat the same
/// things in the same order.
#[derive(Debug, Default)]
pub struct Counters<'e> {
    counters: Vec<(Counted<'e>, Counter)>,
    next: usize,
}

impl<'e> Counters<'e> {
    fn of(&mut self, counted: Counted<'e>) -> &mut Counter {
        let from_next = (self.next..self.counters.len()).chain(0..self.next);
        let found = from_next.into_iter().find(|&place| self.counters[place].0 == counted);
        let place = found.unwrap_or_else(|| {
            self.counters.push((counted, Counter::default()));
            self.counters.len() - 1
        });
        self.next = if place + 1 < self.counters.len() { place + 1 } else { 0 };
        &mut self.counters[place].1
    }

    /// What was counted, in one order whatever came first, once everything is added.
    pub fn iter(&self) -> impl Iterator<Item = (&Counted<'e>, &Counter)> {
        self.counters.iter().map(|(counted, counter)| (counted, counter))
    }

    /// The counter of something.
    pub fn get(&self, counted: &Counted<'_>) -> Option<&Counter> {
        self.iter().find(|(known, _)| *known == counted).map(|(_, counter)| counter)
    }
}

/// Every measurement of a component.
#[derive(Debug, Default)]
pub struct Signals<'e> {
    /// Requests a second.
    pub traffic: Series,
    /// Share of the tightest resource in use.
    pub saturation: Series,
    /// Processor cores in use.
    pub cpu_cores: Series,
    /// Share of the processor limit in use.
    pub cpu_share: Series,
    /// Resident memory in bytes.
    pub memory_bytes: Series,
    /// 1 when the component did not answer when asked how it is, 0 when it did.
    pub down: Series,
    /// What was counted.
    pub counters: Counters<'e>,
    /// Whether something was measured at all.
    pub seen: bool,
}

impl<'e> Signals<'e> {
    /// Adds a snapshot.
    pub fn add(&mut self, side: Side, snapshot: &'e SnapshotEvidence) {
        let event = snapshot.event;
        let at = snapshot.window.start;
        self.seen = true;
        let seconds = snapshot.window.duration_ms.max(1) as f64 / 1_000.0;
        if let Some(requests) = snapshot.requests.map(|requests| requests as f64) {
            self.traffic.add(side, event, Some(requests / seconds));
            self.count(Counted::Requests, side, at, event, requests);
        }
        self.saturation.add(side, event, snapshot.saturation.map(|share| share.get()));
        self.cpu_cores.add(side, event, snapshot.cpu_cores.map(|cores| cores.get()));
        self.memory_bytes.add(side, event, snapshot.memory_bytes.map(|bytes| bytes.get()));
        self.down.add(side, event, snapshot.up().map(|up| f64::from(!up)));
        for (name, value) in &snapshot.extras {
            if let Some(name) = name.strip_prefix(COUNTED) {
                self.count(Counted::Named(name), side, at, event, value.get());
            } else if name == UTILIZATION {
                self.cpu_share.add(side, event, Some(value.get() / 100.0));
            }
        }
    }

    /// Adds log lines.
    pub fn add_log(&mut self, side: Side, log: &'e LogEvidence) {
        for pattern in &log.patterns {
            let counted = Counted::Lines(pattern.template.as_str(), pattern.severity);
            self.count(counted, side, log.window.start, log.event, pattern.count as f64);
        }
    }

    /// Adds its calls of another.
    pub fn add_calls(&mut self, side: Side, edge: &'e EdgeEvidence, window: &Window) {
        let counted = Counted::Calls(edge.stats.callee.as_str());
        self.count(counted, side, window.start, edge.event, edge.stats.calls as f64);
    }

    /// Adds calls of it.
    pub fn add_called(&mut self, side: Side, edge: &EdgeEvidence, window: &Window) {
        let calls = edge.stats.calls as f64;
        self.count(Counted::Called, side, window.start, edge.event, calls);
    }

    fn count(
        &mut self,
        counted: Counted<'e>,
        side: Side,
        at: Timestamp,
        event: EventId,
        count: f64,
    ) {
        self.counters.of(counted).add(side, at, event, count);
    }

    /// To be called once when everything is added.
    pub fn close(&mut self) {
        self.counters.counters.sort_by_key(|(counted, _)| *counted);
        for series in [
            &mut self.traffic,
            &mut self.saturation,
            &mut self.cpu_cores,
            &mut self.cpu_share,
            &mut self.memory_bytes,
            &mut self.down,
        ] {
            series.close();
        }
    }
}
