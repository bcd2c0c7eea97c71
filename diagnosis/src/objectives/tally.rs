//! What a snapshot counts for an objective.

use events::catalogue::model::{Indicator, SloDefined};
use events::catalogue::telemetry::{Latency, MetricSnapshotRecorded};

/// What an objective counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Requests.
    pub total: f64,
    /// Those of them that were not good.
    pub bad: f64,
}

impl Tally {
    /// What a snapshot counts for an objective; `None` if it did not measure it.
    pub fn of(snapshot: &MetricSnapshotRecorded, slo: &SloDefined) -> Option<Self> {
        let total = snapshot.requests? as f64;
        let bad = match slo.indicator {
            Indicator::Availability => snapshot.errors? as f64,
            Indicator::Latency if total == 0.0 => 0.0,
            Indicator::Latency => {
                let within = share_within(snapshot.latency.as_ref()?, slo.threshold_ms?.get());
                total * (1.0 - within)
            }
        };
        Some(Self { total, bad: bad.min(total) })
    }
}

/// The share of requests within a limit, told from three quantiles: straight lines between them,
/// and beyond the last one as far again as from the 95th to the 99th percentile.
pub fn share_within(latency: &Latency, limit_ms: f64) -> f64 {
    let (p50, p95, p99) = (latency.p50_ms.get(), latency.p95_ms.get(), latency.p99_ms.get());
    let points = [(0.0, 0.0), (p50, 0.5), (p95, 0.95), (p99, 0.99), (p99 + (p99 - p95), 1.0)];
    let above = points.iter().position(|(value, _)| limit_ms < *value);
    match above {
        None => 1.0,
        Some(0) => 0.0,
        Some(index) => {
            let ((low, from), (high, to)) = (points[index - 1], points[index]);
            from + (to - from) * (limit_ms - low) / (high - low)
        }
    }
}
