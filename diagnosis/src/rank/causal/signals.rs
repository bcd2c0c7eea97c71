//! What was measured of one component, before against after.

use events::EventId;

use super::counters::{Counted, Counter, Counters, NAMED};
use crate::baseline::Usual;
use crate::contrast::Side;
use crate::evidence::{LogEvidence, SnapshotEvidence};

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
    pub counters: Counters<'e, Counter>,
}

impl<'e> Signals<'e> {
    /// Adds a snapshot, but for how many requests it counts.
    pub fn add(&mut self, side: Side, snapshot: &'e SnapshotEvidence) {
        let event = snapshot.event;
        let seconds = snapshot.window.duration_ms.max(1) as f64 / 1_000.0;
        let requests = snapshot.requests.map(|requests| requests as f64);
        self.traffic.add(side, event, requests.map(|requests| requests / seconds));
        self.saturation.add(side, event, snapshot.saturation.map(|share| share.get()));
        self.cpu_cores.add(side, event, snapshot.cpu_cores.map(|cores| cores.get()));
        self.memory_bytes.add(side, event, snapshot.memory_bytes.map(|bytes| bytes.get()));
        self.down.add(side, event, snapshot.up().map(|up| f64::from(!up)));
        for (name, value) in &snapshot.extras {
            if let Some(name) = name.strip_prefix(NAMED) {
                self.counters.of(Counted::Named(name)).add(side, event, value.get());
            } else if name == UTILIZATION {
                self.cpu_share.add(side, event, Some(value.get() / 100.0));
            }
        }
    }

    /// Adds log lines.
    pub fn add_log(&mut self, side: Side, log: &'e LogEvidence) {
        for pattern in &log.patterns {
            let counted = Counted::Lines(pattern.template.as_str(), pattern.severity);
            self.counters.of(counted).add(side, log.event, pattern.count as f64);
        }
    }

    /// To be called once when everything is added.
    pub fn close(&mut self) {
        self.counters.sort();
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
