//! Whether a fault moved a golden signal: told in hindsight from the data, not by the detector.

use std::collections::BTreeMap;

use events::catalogue::telemetry::{Latency, Window};
use events::{ComponentName, EventData};
use jiff::{SignedDuration, Timestamp};

use super::{AFTERMATH_WINDOWS, HOPS, Injection, Observed, Truth};
use crate::baseline::median;
use crate::contrast::mean_ms;
use crate::detect::Topology;

/// Windows before the injection that are compared with, the last ones, and the fewest that do.
const MOST_BEFORE: usize = 15;
const LEAST_BEFORE: usize = 5;
/// Windows wholly in the fault, at least.
const LEAST_DURING: usize = 2;

/// Whether traffic, errors, latency, saturation or availability of a component or a call at most
/// [`HOPS`] calls away from the fault was another one.
///
/// The median over the windows that lie wholly in the fault is outside of everything that the
/// last 15 windows before it had (at least 5; windows of other faults and their aftermath left
/// out), and differs from their median by what a user would notice: errors by one in a hundred
/// calls, latency (mean or 95th percentile) by half and 5 ms, traffic by a factor of two and ten
/// calls a window, saturation by a tenth, availability at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moved {
    /// It did.
    Yes,
    /// It did not.
    No,
    /// Nothing near was measured long enough before it, or in it.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Measure {
    Calls,
    ErrorShare,
    MeanMs,
    P95Ms,
    Saturation,
    Up,
}

type Place = (Option<ComponentName>, ComponentName, Measure);

/// Everything that was measured of golden signals, by what and where.
pub(super) struct Measured(BTreeMap<Place, Vec<(Window, f64)>>);

impl Measured {
    pub(super) fn of(observed: &Observed) -> Self {
        let mut measured = Self(BTreeMap::new());
        for recorded in observed.events() {
            match &recorded.event.data {
                EventData::MetricSnapshotRecorded(data) => {
                    let place = (None, &data.component, &data.window);
                    measured.traffic(place, data.requests, data.errors, data.latency.as_ref());
                    let saturation = data.saturation.map(|it| it.get());
                    let up = data.extras.get("up").map(|it| it.get());
                    measured.push(place, Measure::Saturation, saturation);
                    measured.push(place, Measure::Up, up);
                }
                EventData::TraceEdgesRecorded(data) => {
                    for edge in &data.edges {
                        let place = (Some(&data.caller), &edge.callee, &data.window);
                        let (calls, errors) = (Some(edge.calls), Some(edge.errors));
                        measured.traffic(place, calls, errors, edge.latency.as_ref());
                    }
                }
                _ => {}
            }
        }
        measured
    }

    fn traffic(
        &mut self,
        place: (Option<&ComponentName>, &ComponentName, &Window),
        calls: Option<u64>,
        errors: Option<u64>,
        latency: Option<&Latency>,
    ) {
        let calls = calls.map(|calls| calls as f64);
        let share = calls.filter(|calls| *calls > 0.0).zip(errors);
        self.push(place, Measure::Calls, calls);
        let share = share.map(|(calls, errors)| errors as f64 / calls);
        self.push(place, Measure::ErrorShare, share);
        self.push(place, Measure::MeanMs, latency.map(mean_ms));
        self.push(place, Measure::P95Ms, latency.map(|it| it.p95_ms.get()));
    }

    fn push(
        &mut self,
        (caller, component, window): (Option<&ComponentName>, &ComponentName, &Window),
        measure: Measure,
        value: Option<f64>,
    ) {
        if let Some(value) = value {
            let place = (caller.cloned(), component.clone(), measure);
            self.0.entry(place).or_default().push((window.clone(), value));
        }
    }

    pub(super) fn moved(&self, fault: &Injection, truth: &Truth, topology: &Topology) -> Moved {
        let near = |place: &Place| topology.hops(&fault.component, &place.1, HOPS).is_some();
        let verdicts = self.0.iter().filter(|(place, _)| near(place)).map(|(place, series)| {
            let before = before(series, fault, truth);
            let inside =
                |window: &Window| fault.from <= window.start && window.end() <= fault.until;
            let during = series.iter().filter(|(window, _)| inside(window));
            verdict(place.2, before, during.map(|(_, value)| *value).collect())
        });
        // `Yes` is the least, then `No`.
        verdicts.min().unwrap_or(Moved::Unknown)
    }
}

// The last values before the fault that no fault touches.
fn before(series: &[(Window, f64)], fault: &Injection, truth: &Truth) -> Vec<f64> {
    let touched = |window: &Window| {
        let step = i64::try_from(window.duration_ms).unwrap_or(i64::MAX);
        let aftermath = SignedDuration::from_millis(step).saturating_mul(AFTERMATH_WINDOWS as i32);
        let over = |until: Timestamp| until.saturating_add(aftermath).unwrap_or(Timestamp::MAX);
        let touches = |it: &Injection| it.from < window.end() && window.start < over(it.until);
        truth.injections.iter().any(touches)
    };
    let earlier = series.iter().rev().filter(|(window, _)| window.end() <= fault.from);
    let calm = earlier.filter(|(window, _)| !touched(window));
    calm.take(MOST_BEFORE).map(|(_, value)| *value).collect()
}

fn verdict(measure: Measure, mut before: Vec<f64>, mut during: Vec<f64>) -> Moved {
    if before.len() < LEAST_BEFORE || during.len() < LEAST_DURING {
        return Moved::Unknown;
    }
    let lowest = before.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = before.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (Some(usual), Some(now)) = (median(&mut before), median(&mut during)) else {
        return Moved::Unknown;
    };
    let by = (now - usual).abs();
    let felt = match measure {
        Measure::ErrorShare => now > usual && by >= 0.01,
        Measure::MeanMs | Measure::P95Ms => now >= usual * 1.5 && by >= 5.0,
        Measure::Calls => (now >= usual * 2.0 || now <= usual / 2.0) && by >= 10.0,
        Measure::Saturation => now > usual && by >= 0.1,
        Measure::Up => now < usual,
    };
    if felt && !(lowest..=highest).contains(&now) { Moved::Yes } else { Moved::No }
}
