//! What was measured of one component, before against after.

use events::EventId;

use super::{EdgeContrast, Side, mean_ms};
use crate::baseline::Usual;
use crate::evidence::SnapshotEvidence;

/// One measurement over the windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Values before the incident.
    pub before: Vec<f64>,
    /// Values from its first window on, with the event that each was read from.
    pub after: Vec<(EventId, f64)>,
}

impl Series {
    fn add(&mut self, side: Side, event: EventId, value: Option<f64>) {
        let Some(value) = value else { return };
        match side {
            Side::Before => self.before.push(value),
            Side::After => self.after.push((event, value)),
            Side::Between => {}
        }
    }

    /// What was usual before.
    pub fn usual(&self) -> Option<Usual> {
        Usual::of(self.before.iter().copied())
    }

    /// Mean from the incident's first window on.
    pub fn mean_after(&self) -> Option<f64> {
        let sum: f64 = self.after.iter().map(|(_, value)| value).sum();
        (!self.after.is_empty()).then(|| sum / self.after.len() as f64)
    }

    /// The value after that is farthest from the usual, and the event that shows it.
    pub fn farthest(&self) -> Option<(EventId, f64)> {
        let usual = self.usual()?.median;
        let distance = |value: f64| (value - usual).abs();
        self.after
            .iter()
            .copied()
            .max_by(|a, b| distance(a.1).total_cmp(&distance(b.1)).then(b.0.cmp(&a.0)))
    }

    /// The largest value after, and the event that shows it.
    pub fn largest(&self) -> Option<(EventId, f64)> {
        self.after.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    }
}

/// Every measurement of a component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Requests a second.
    pub traffic: Series,
    /// Share of the requests that failed; windows without requests have none.
    pub error_share: Series,
    /// Mean latency in milliseconds.
    pub mean_ms: Series,
    /// Median latency in milliseconds.
    pub p50_ms: Series,
    /// 95th percentile of latency in milliseconds.
    pub p95_ms: Series,
    /// Share of the tightest resource in use.
    pub saturation: Series,
    /// Processor cores in use.
    pub cpu_cores: Series,
    /// Resident memory in bytes.
    pub memory_bytes: Series,
    /// 1 when the component did not answer when asked how it is, 0 when it did.
    pub down: Series,
    windows: Vec<(Side, EventId, f64, f64, Option<f64>)>,
}

impl Measured {
    pub(super) fn add(&mut self, side: Side, snapshot: &SnapshotEvidence) {
        let event = snapshot.event;
        let latency = snapshot.latency.as_ref();
        let seconds = snapshot.window.duration_ms.max(1) as f64 / 1_000.0;
        if let Some(requests) = snapshot.requests.map(|n| n as f64) {
            let errors = snapshot.errors.unwrap_or(0) as f64;
            self.traffic.add(side, event, Some(requests / seconds));
            let share = (requests > 0.0).then(|| (errors / requests).min(1.0));
            self.error_share.add(side, event, share);
            self.windows.push((side, event, requests, errors, latency.map(mean_ms)));
        }
        self.mean_ms.add(side, event, latency.map(mean_ms));
        self.p50_ms.add(side, event, latency.map(|l| l.p50_ms.get()));
        self.p95_ms.add(side, event, latency.map(|l| l.p95_ms.get()));
        self.saturation.add(side, event, snapshot.saturation.map(|s| s.get()));
        self.cpu_cores.add(side, event, snapshot.cpu_cores.map(|c| c.get()));
        self.memory_bytes.add(side, event, snapshot.memory_bytes.map(|m| m.get()));
        self.down.add(side, event, snapshot.up().map(|up| f64::from(!up)));
    }

    pub(super) fn has_traffic(&self) -> bool {
        !self.windows.is_empty()
    }

    // What it answered, as if it had been seen on an edge that carries `share` of it.
    pub(super) fn as_edge(&self, share: f64) -> EdgeContrast {
        let mut edge = EdgeContrast::default();
        for (side, event, requests, errors, mean) in &self.windows {
            edge.add_window(*side, *event, requests * share, errors * share, *mean);
        }
        edge
    }
}
