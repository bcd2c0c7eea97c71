//! One number from several windows of telemetry.
//!
//! Counts are summed. Quantiles and gauges of several windows have no exact sum, so the worst
//! window stands for all: a steady state that held in the worst window held.

use events::catalogue::telemetry::{Latency, MetricSnapshotRecorded};
use events::value::NonNegative;

use crate::experiment::{Signal, SignalProbe};
use crate::run::ActivityError;
use crate::shop::control::WindowSignals;

/// Reads a signal over `windows`.
pub(super) fn read(probe: &SignalProbe, windows: &[WindowSignals]) -> Result<f64, ActivityError> {
    if windows.is_empty() {
        return Err(not_measured(probe, "no window of telemetry lies within that time"));
    }
    let snapshots: Vec<_> =
        windows.iter().filter_map(|signals| signals.component(probe.component.as_str())).collect();
    if snapshots.is_empty() {
        return Err(not_measured(probe, "the shop has no telemetry of this component"));
    }
    let requests: u64 = snapshots.iter().filter_map(|snapshot| snapshot.requests).sum();
    let errors: u64 = snapshots.iter().filter_map(|snapshot| snapshot.errors).sum();
    let error_ratio = || {
        if requests == 0 {
            return Err(not_measured(probe, "no request ended in that time"));
        }
        Ok(errors as f64 / requests as f64)
    };
    match probe.signal {
        Signal::ErrorRatio => error_ratio(),
        Signal::Availability => error_ratio().map(|ratio| 1.0 - ratio),
        Signal::RequestsPerSecond => {
            let milliseconds: u64 = windows.iter().map(|signals| signals.window.duration_ms).sum();
            Ok(requests as f64 * 1_000.0 / milliseconds as f64)
        }
        Signal::P50Ms => worst_latency(probe, &snapshots, |latency| latency.p50_ms),
        Signal::P95Ms => worst_latency(probe, &snapshots, |latency| latency.p95_ms),
        Signal::P99Ms => worst_latency(probe, &snapshots, |latency| latency.p99_ms),
        Signal::Saturation => worst(probe, &snapshots, |it| it.saturation.map(|ratio| ratio.get())),
        Signal::CpuCores => worst(probe, &snapshots, |it| it.cpu_cores.map(NonNegative::get)),
        Signal::MemoryBytes => worst(probe, &snapshots, |it| it.memory_bytes.map(NonNegative::get)),
    }
}

/// The error of a signal that cannot be read.
pub(super) fn not_measured(probe: &SignalProbe, why: impl Into<String>) -> ActivityError {
    ActivityError::NotMeasured {
        signal: probe.signal,
        component: probe.component.clone(),
        why: why.into(),
    }
}

fn worst_latency(
    probe: &SignalProbe,
    snapshots: &[&MetricSnapshotRecorded],
    quantile: impl Fn(&Latency) -> NonNegative,
) -> Result<f64, ActivityError> {
    worst(probe, snapshots, |snapshot| snapshot.latency.as_ref().map(|it| quantile(it).get()))
}

fn worst(
    probe: &SignalProbe,
    snapshots: &[&MetricSnapshotRecorded],
    signal: impl Fn(&MetricSnapshotRecorded) -> Option<f64>,
) -> Result<f64, ActivityError> {
    snapshots
        .iter()
        .filter_map(|snapshot| signal(snapshot))
        .max_by(f64::total_cmp)
        .ok_or_else(|| not_measured(probe, "the component did not report it in that time"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn windows(snapshots: &[Value]) -> Vec<WindowSignals> {
        let window = json!({"start": "2026-01-01T00:00:00Z", "duration_ms": 2000});
        let one = |fields: &Value| {
            let mut snapshot = json!({"component": "cart", "window": window});
            snapshot.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            json!({"window": window, "components": [snapshot], "callers": []})
        };
        snapshots.iter().map(|it| serde_json::from_value(one(it)).unwrap()).collect()
    }

    fn probe(signal: Signal) -> SignalProbe {
        SignalProbe { signal, component: "cart".parse().unwrap() }
    }

    #[test]
    fn counts_are_summed_and_quantiles_are_the_worst() {
        let latency = |p95: u64| json!({"p50_ms": 1, "p95_ms": p95, "p99_ms": 90});
        let windows = windows(&[
            json!({"requests": 90, "errors": 0, "latency": latency(20)}),
            json!({"requests": 10, "errors": 5, "latency": latency(80)}),
        ]);
        assert_eq!(read(&probe(Signal::ErrorRatio), &windows).unwrap(), 0.05);
        assert_eq!(read(&probe(Signal::Availability), &windows).unwrap(), 0.95);
        assert_eq!(read(&probe(Signal::RequestsPerSecond), &windows).unwrap(), 25.0);
        assert_eq!(read(&probe(Signal::P95Ms), &windows).unwrap(), 80.0);
    }

    #[test]
    fn what_was_not_measured_is_an_error_and_not_zero() {
        let silent = windows(&[json!({"requests": 0, "errors": 0})]);
        let error = read(&probe(Signal::ErrorRatio), &silent).unwrap_err();
        assert_eq!(
            error.to_string(),
            "error_ratio of cart was not measured: no request ended in that time"
        );
        assert!(read(&probe(Signal::P95Ms), &silent).is_err());
        assert!(read(&probe(Signal::Saturation), &silent).is_err());
        assert!(read(&probe(Signal::ErrorRatio), &[]).is_err());
        assert_eq!(read(&probe(Signal::RequestsPerSecond), &silent).unwrap(), 0.0);
    }
}
