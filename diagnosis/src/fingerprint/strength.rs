//! How strongly each feature of a component changed, on one scale.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use events::{ComponentName, EventId};
use serde::{Deserialize, Deserializer};

use super::Feature;
use crate::baseline::{floor, saturating};
use crate::contrast::{Contrast, EdgeContrast, Measured, Series};

/// Weaker than this is as usual.
const LEAST: f64 = 0.05;
const HALF_SLOW_MS: f64 = 150.0;
const HALF_SLOWEST_MS: f64 = 300.0;
const HALF_GROWN: f64 = 0.5;
/// Traffic eight times the usual, or an eighth of it, is as much as can be told apart.
const FULL_DOUBLINGS: f64 = 3.0;
const LEAST_DOUBLINGS: f64 = 0.4;
/// A caller notices from this share of failures on.
const NOTICED_FAILING: f64 = 0.05;

/// A feature of a component, how strong it is and what shows it.
pub type Strength = (Feature, f64, Vec<EventId>);

/// Reads a strength. A fingerprint may come from any client: a number that no strength can be
/// would make a similarity that no share can be.
pub fn read<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    within(-1.0..=1.0, f64::deserialize(from)?)
}

/// As [`read`], of shares by name.
pub fn read_shares<'de, D, K>(from: D) -> Result<BTreeMap<K, f64>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
{
    let shares: BTreeMap<K, f64> = BTreeMap::deserialize(from)?;
    shares.into_iter().map(|(name, share)| Ok((name, within(0.0..=1.0, share)?))).collect()
}

fn within<E: serde::de::Error>(range: RangeInclusive<f64>, number: f64) -> Result<f64, E> {
    if range.contains(&number) {
        Ok(number)
    } else {
        let (from, to) = range.into_inner();
        Err(E::custom(format!("expected a number from {from} to {to}, got {number}")))
    }
}

/// Every unusual feature of a component.
pub fn of(contrast: &Contrast<'_>, component: &ComponentName) -> Vec<Strength> {
    let mut strengths = vec![
        failures(contrast, component),
        traffic(contrast, component),
        reach(contrast, component),
        changed(contrast, component),
    ];
    if let Some(measured) = contrast.components.get(component) {
        strengths.extend([
            slower(Feature::Latency, &measured.p50_ms, HALF_SLOW_MS),
            slower(Feature::TailLatency, &measured.p95_ms, HALF_SLOWEST_MS),
            saturation(&measured.saturation),
            processor(&measured.cpu_cores),
            memory(&measured.memory_bytes),
            down(measured),
        ]);
    }
    strengths.retain(|(_, strength, _)| strength.abs() >= LEAST);
    for (_, strength, _) in &mut strengths {
        *strength = (strength.clamp(-1.0, 1.0) * 1_000.0).round() / 1_000.0;
    }
    strengths
}

fn failures(contrast: &Contrast<'_>, component: &ComponentName) -> Strength {
    let edges = || contrast.inbound(component).map(|(_, edge)| edge);
    let calls: f64 = edges().map(|edge| edge.after.calls).sum();
    let failed: f64 = edges().map(|edge| edge.after.calls * edge.failing_more()).sum();
    let share = if calls > 0.0 { failed / calls } else { 0.0 };
    let more = share - floor::ERROR_SHARE;
    // Between a half and all of the calls lies another kind of fault; between 1 % and 2 % does not.
    (Feature::Errors, more.max(0.0).powf(0.7), first(edges().map(|e| e.most_failing(1))))
}

fn traffic(contrast: &Contrast<'_>, component: &ComponentName) -> Strength {
    let (before, after) = contrast.inbound_rates(component);
    let enough = before * contrast.after_s >= 5.0 || after * contrast.after_s >= 5.0;
    let doublings = if enough { ((after + 0.5) / (before + 0.5)).log2() } else { 0.0 };
    let beyond = doublings.abs() - LEAST_DOUBLINGS;
    let strength = beyond.max(0.0) / (FULL_DOUBLINGS - LEAST_DOUBLINGS) * doublings.signum();
    let events = first(contrast.inbound(component).map(|(_, edge)| edge.busiest(1)));
    (Feature::Traffic, strength, events)
}

// One link alone or all of them: what tells a cut cable from a broken component.
fn reach(contrast: &Contrast<'_>, component: &ComponentName) -> Strength {
    let edges: Vec<&EdgeContrast> = contrast
        .inbound(component)
        .map(|(_, edge)| edge)
        .filter(|edge| edge.after.calls > 0.0)
        .collect();
    let notices = |edge: &&&EdgeContrast| {
        let noise = edge.usual_ms().map_or(f64::INFINITY, |u| 2.0 * u.latency_floor_ms());
        edge.failing_more() > NOTICED_FAILING || edge.slower_ms().unwrap_or(0.0) > noise
    };
    let noticing = edges.iter().filter(notices).count();
    let share = noticing as f64 / edges.len().max(1) as f64;
    (Feature::Reach, share, Vec::new())
}

fn changed(contrast: &Contrast<'_>, component: &ComponentName) -> Strength {
    let last = contrast.last_change(component);
    let strength = last.map_or(0.0, |(_, recency)| recency);
    (Feature::Change, strength, last.map(|(change, _)| change.event).into_iter().collect())
}

fn slower(feature: Feature, series: &Series, half_ms: f64) -> Strength {
    let strength = series.usual().zip(series.mean_after()).map_or(0.0, |(usual, after)| {
        let noise = usual.latency_floor_ms().max(2.0 * usual.spread);
        let more = after - usual.median;
        // Answers that come too soon are refusals.
        let sooner = (-more - noise).max(0.0) / usual.median.max(noise);
        saturating(more - noise, half_ms) - sooner
    });
    (feature, strength, shown(series))
}

fn saturation(series: &Series) -> Strength {
    let more = series.usual().zip(series.mean_after()).map_or(0.0, |(u, after)| after - u.median);
    let strength = if more.abs() > floor::SATURATION { more } else { 0.0 };
    (Feature::Saturation, strength, shown(series))
}

fn processor(series: &Series) -> Strength {
    let strength = series.usual().zip(series.mean_after()).map_or(0.0, |(usual, after)| {
        let away = after - usual.median;
        let noise = floor::CPU_CORES + 2.0 * usual.spread;
        let beyond = (away.abs() - noise).max(0.0);
        saturating(beyond, usual.median.max(floor::CPU_CORES)) * away.signum()
    });
    (Feature::Cpu, strength, shown(series))
}

fn memory(series: &Series) -> Strength {
    let grown = series.usual().zip(series.largest()).map_or(0.0, |(usual, (_, largest))| {
        let noise = (usual.median * floor::MEMORY_SHARE).max(3.0 * usual.spread);
        (largest - usual.median - noise) / usual.median.max(1.0)
    });
    (Feature::Memory, saturating(grown, HALF_GROWN), shown(series))
}

fn down(measured: &Measured) -> Strength {
    let usual = measured.down.usual().map_or(0.0, |usual| usual.median);
    let share = measured.down.mean_after().map_or(0.0, |share| (share - usual).max(0.0));
    (Feature::Availability, -share, shown(&measured.down))
}

fn shown(series: &Series) -> Vec<EventId> {
    series.farthest().map(|(event, _)| event).into_iter().collect()
}

fn first(sources: impl Iterator<Item = Vec<EventId>>) -> Vec<EventId> {
    sources.flatten().take(1).collect()
}
