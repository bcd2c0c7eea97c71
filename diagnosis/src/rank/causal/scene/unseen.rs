//! Metrics without traces: what a component answered is split among those known to call it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::link::Link;
use super::Part;

/// The links into components that nobody saw being called. Who suffers more probably called more
/// of what went wrong, so trouble follows trouble. `calls` are pairs of caller and callee.
pub fn links(
    parts: &[Part<'_>],
    seen: &[Link],
    calls: impl Iterator<Item = (usize, usize)>,
) -> Vec<Link> {
    let seen: BTreeSet<usize> = seen.iter().map(|link| link.callee).collect();
    let mut callers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (caller, callee) in calls {
        callers.entry(callee).or_default().push(caller);
    }
    let mut made = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let Some(answered) = part.answered.as_ref().filter(|_| !seen.contains(&place)) else {
            continue;
        };
        let Some(callers) = callers.get(&place) else {
            made.push(answered.clone());
            continue;
        };
        let weights: Vec<f64> = callers.iter().map(|&caller| suffering(&parts[caller])).collect();
        let total: f64 = weights.iter().sum();
        for (&caller, weight) in callers.iter().zip(weights) {
            made.push(answered.part(Some(caller), weight / total));
        }
    }
    made
}

// Calls answered late or not at all, in calls; a hundredth of all calls beside.
fn suffering(part: &Part<'_>) -> f64 {
    let Some(answered) = &part.answered else { return 1.0 };
    let usual_ms = answered.usual_ms().unwrap_or(0.0);
    let slower = answered.slower_ms() / (usual_ms + 1.0);
    let share = answered.failing_more() + slower.min(1.0) + 0.01;
    1.0 + share * answered.after.calls
}
