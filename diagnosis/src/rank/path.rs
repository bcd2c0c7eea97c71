//! How trouble at a suspect reaches where it was noticed: along the calls.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use events::ComponentName;

use crate::contrast::Contrast;
use crate::evidence::Call;

/// Shortest call paths from one component to all others. Among equally short ones the path
/// over the more disturbed calls wins, then the names decide.
pub struct Paths<'e> {
    start: &'e ComponentName,
    came_from: BTreeMap<&'e ComponentName, &'e ComponentName>,
}

impl<'e> Paths<'e> {
    /// Follows the calls from `start`; cycles end where they were entered.
    pub fn from(start: &'e ComponentName, contrast: &Contrast<'e>) -> Self {
        let mut came_from = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(caller) = queue.pop_front() {
            let mut callees: Vec<_> = contrast
                .outbound(caller)
                .map(|(callee, edge)| {
                    let slower = edge.slower_ms().unwrap_or(0.0) / 1_000.0;
                    (edge.failing_more() + slower, callee)
                })
                .collect();
            callees.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
            for (_, callee) in callees {
                if callee != start && !came_from.contains_key(callee) {
                    came_from.insert(callee, caller);
                    queue.push_back(callee);
                }
            }
        }
        Self { start, came_from }
    }

    /// Follows the calls that are known, where none was measured; names decide.
    pub fn along(start: &'e ComponentName, calls: &'e [Call]) -> Self {
        let mut callees: BTreeMap<&ComponentName, BTreeSet<&'e ComponentName>> = BTreeMap::new();
        for call in calls {
            callees.entry(&call.caller).or_default().insert(&call.callee);
        }
        let mut came_from = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(caller) = queue.pop_front() {
            for &callee in callees.get(caller).into_iter().flatten() {
                if callee != start && !came_from.contains_key(callee) {
                    came_from.insert(callee, caller);
                    queue.push_back(callee);
                }
            }
        }
        Self { start, came_from }
    }

    /// The path to `target`, both ends included; empty when no calls lead there.
    pub fn to(&self, target: &ComponentName) -> Vec<ComponentName> {
        let mut path = vec![target.clone()];
        let mut at = target;
        while at != self.start {
            let Some(&caller) = self.came_from.get(at) else { return Vec::new() };
            path.push(caller.clone());
            at = caller;
        }
        path.reverse();
        path
    }
}
