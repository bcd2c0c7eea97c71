//! Evidence split at the moment the incident was noticed: before against after.
//!
//! Windows that end within the guard before that moment belong to neither side, because faults
//! begin before they are noticed and would colour the baseline. Neither do windows before it in
//! which the whole system was as disturbed as in an incident: the fault of an hour ago is not
//! what is usual.

mod edge;
mod measured;
mod split;

use std::collections::{BTreeMap, BTreeSet};

use events::ComponentName;
use events::catalogue::telemetry::Latency;
use jiff::{SignedDuration, Timestamp};

pub use edge::{EdgeContrast, Flow};
pub use measured::{Measured, Series};

use crate::evidence::{ChangeEvidence, Evidence};
use split::Split;

/// Changes this long before the incident was noticed may have caused it.
const CHANGE_REACH: SignedDuration = SignedDuration::from_mins(10);
/// A change loses half of its weight with each such time that nothing happened after it.
const CHANGE_HALF_LIFE: SignedDuration = SignedDuration::from_mins(1);

/// Which side of the incident's beginning a window is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before, and far enough from it.
    Before,
    /// In the guard.
    Between,
    /// Not over when the incident was noticed.
    After,
}

/// Evidence, split and summed.
#[derive(Debug)]
pub struct Contrast<'e> {
    noticed_at: Timestamp,
    /// Length of time that the windows before cover.
    pub before_s: f64,
    /// Length of time that the windows after cover.
    pub after_s: f64,
    /// Distinct windows before.
    pub before_windows: usize,
    /// Distinct windows after.
    pub after_windows: usize,
    /// Who calls whom and how that changed. `None` as the caller stands for callers nobody saw.
    pub edges: BTreeMap<(Option<&'e ComponentName>, &'e ComponentName), EdgeContrast>,
    /// What was measured of each component.
    pub components: BTreeMap<&'e ComponentName, Measured>,
    /// Changes that may have caused the incident, the latest last.
    pub changes: BTreeMap<&'e ComponentName, Vec<&'e ChangeEvidence>>,
}

impl<'e> Contrast<'e> {
    /// Splits the evidence at [`Evidence::noticed_at`].
    pub fn of(evidence: &'e Evidence) -> Self {
        let split = Split::of(evidence);
        let before = split.covered(evidence, Side::Before);
        let after = split.covered(evidence, Side::After);
        let mut contrast = Self {
            noticed_at: evidence.noticed_at(),
            before_s: before.seconds,
            after_s: after.seconds,
            before_windows: before.windows,
            after_windows: after.windows,
            edges: BTreeMap::new(),
            components: BTreeMap::new(),
            changes: BTreeMap::new(),
        };
        contrast.sum(evidence, &split);
        contrast.stand_in_for_unseen_edges(evidence);
        contrast.changes = recent_changes(evidence, &split);
        contrast
    }

    fn sum(&mut self, evidence: &'e Evidence, split: &Split) {
        for call in evidence.calls() {
            self.components.entry(&call.caller).or_default();
            self.components.entry(&call.callee).or_default();
        }
        self.components.entry(evidence.noticed()).or_default();
        for edge in evidence.edges() {
            let side = split.side(&edge.window);
            let key = (Some(&edge.caller), &edge.stats.callee);
            self.edges.entry(key).or_default().add(side, edge.event, &edge.stats);
        }
        for snapshot in evidence.snapshots() {
            let side = split.side(&snapshot.window);
            self.components.entry(&snapshot.component).or_default().add(side, snapshot);
        }
    }

    // Metrics without traces: what a component answered is split evenly among those known to
    // call it, which is the least that can be assumed.
    fn stand_in_for_unseen_edges(&mut self, evidence: &'e Evidence) {
        let seen: BTreeSet<&ComponentName> = self.edges.keys().map(|(_, callee)| *callee).collect();
        let mut made = Vec::new();
        for (&component, measured) in &self.components {
            if seen.contains(component) || !measured.has_traffic() {
                continue;
            }
            let mut callers: Vec<Option<&ComponentName>> = evidence
                .calls()
                .iter()
                .filter(|call| call.callee == *component)
                .map(|call| Some(&call.caller))
                .collect();
            if callers.is_empty() {
                callers.push(None);
            }
            let share = 1.0 / callers.len() as f64;
            for caller in callers {
                made.push(((caller, component), measured.as_edge(share)));
            }
        }
        self.edges.extend(made);
    }

    /// The edges into a component.
    pub fn inbound(
        &self,
        component: &ComponentName,
    ) -> impl Iterator<Item = (Option<&'e ComponentName>, &EdgeContrast)> {
        self.edges
            .iter()
            .filter(move |((_, callee), _)| *callee == component)
            .map(|((caller, _), edge)| (*caller, edge))
    }

    /// The edges out of a component.
    pub fn outbound(
        &self,
        component: &ComponentName,
    ) -> impl Iterator<Item = (&'e ComponentName, &EdgeContrast)> {
        self.edges
            .iter()
            .filter(move |((caller, _), _)| *caller == Some(component))
            .map(|((_, callee), edge)| (*callee, edge))
    }

    /// Whether a component only calls: nobody calls it and nothing is measured of what it
    /// answers. Users are such; what happens to them is the symptom, never the cause.
    pub fn is_client(&self, component: &ComponentName) -> bool {
        self.inbound(component).next().is_none() && self.outbound(component).next().is_some()
    }

    /// The latest change of a component that may have caused the incident, and its weight from
    /// 0 to 1: the longer all was well with it, the less it says.
    pub fn last_change(&self, component: &ComponentName) -> Option<(&'e ChangeEvidence, f64)> {
        let change = self.changes.get(component)?.last().copied()?;
        let lead = self.noticed_at.duration_since(change.at).max(SignedDuration::ZERO);
        let half_lives = lead.as_secs_f64() / CHANGE_HALF_LIFE.as_secs_f64();
        Some((change, 0.5_f64.powf(half_lives)))
    }

    /// Calls a second into a component, before and after.
    pub fn inbound_rates(&self, component: &ComponentName) -> (f64, f64) {
        let (before, after) = self
            .inbound(component)
            .fold((0.0, 0.0), |(b, a), (_, edge)| (b + edge.before.calls, a + edge.after.calls));
        (rate(before, self.before_s), rate(after, self.after_s))
    }
}

/// Events a second; 0 when no time was observed.
pub fn rate(count: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { count / seconds } else { 0.0 }
}

/// The mean latency, estimated from the quantiles when it was not measured.
pub fn mean_ms(latency: &Latency) -> f64 {
    latency.mean_ms.map_or_else(
        || 0.90 * latency.p50_ms.get() + 0.08 * latency.p95_ms.get() + 0.02 * latency.p99_ms.get(),
        |mean| mean.get(),
    )
}

// What was changed after the incident was noticed was changed because of it, except within the
// first window, whose start is earlier than what it shows. The deployment that a component began
// with changed nothing: there was nothing before it.
fn recent_changes<'e>(
    evidence: &'e Evidence,
    split: &Split,
) -> BTreeMap<&'e ComponentName, Vec<&'e ChangeEvidence>> {
    let mut first_windows: BTreeMap<&ComponentName, Timestamp> = BTreeMap::new();
    for snapshot in evidence.snapshots() {
        first_windows.entry(&snapshot.component).or_insert_with(|| snapshot.window.end());
    }
    let mut changes: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for change in evidence.changes() {
        let lead = split.noticed_at().duration_since(change.at);
        let is_first = first_windows.get(&change.component).is_some_and(|end| change.at <= *end);
        if lead <= CHANGE_REACH && lead >= -split.guard && !is_first {
            changes.entry(&change.component).or_default().push(change);
        }
    }
    changes
}
