//! Who is affected when a component fails: its callers, their callers, and so on.

use std::collections::{BTreeSet, VecDeque};

use events::ComponentName;

use super::CallGraph;

/// What depends on a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlastRadius {
    /// Those that call it, directly or through others: the nearest first, then by name.
    pub affected: Vec<Affected>,
    /// How many entrances there are.
    pub entrances: usize,
    /// How many of them are affected, the component itself counted when it is one.
    pub entrances_affected: usize,
}

/// A component that depends on the failing one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// Which.
    pub component: ComponentName,
    /// How many calls away, from 1.
    pub distance: u32,
    /// The shortest chain of calls, from it to the failing component, both included; among
    /// equally short ones the first by name.
    pub path: Vec<ComponentName>,
}

impl CallGraph {
    /// Who is affected within `depth` calls when `component` fails; nobody when it is unknown.
    /// Breadth first, so that a cycle ends where it was entered.
    pub fn blast_radius(
        &self,
        component: &ComponentName,
        depth: u32,
        entrances: &[ComponentName],
    ) -> BlastRadius {
        let Some(failing) = self.index_of(component) else {
            return BlastRadius {
                affected: Vec::new(),
                entrances: entrances.len(),
                entrances_affected: 0,
            };
        };
        let mut next = vec![usize::MAX; self.names.len()];
        next[failing] = failing;
        let mut reached = Vec::new();
        let mut queue = VecDeque::from([(failing, 0)]);
        while let Some((node, distance)) = queue.pop_front() {
            if distance == depth {
                continue;
            }
            for &caller in &self.callers[node] {
                if next[caller] == usize::MAX {
                    next[caller] = node;
                    reached.push((distance + 1, caller));
                    queue.push_back((caller, distance + 1));
                }
            }
        }
        reached.sort_unstable();
        let affected: Vec<_> = reached
            .into_iter()
            .map(|(distance, node)| Affected {
                component: self.names[node].clone(),
                distance,
                path: self.path(node, failing, &next),
            })
            .collect();
        let hit: BTreeSet<_> = affected.iter().map(|affected| &affected.component).collect();
        let is_hit = |name: &&ComponentName| *name == component || hit.contains(*name);
        let entrances_affected = entrances.iter().filter(is_hit).count();
        BlastRadius { affected, entrances: entrances.len(), entrances_affected }
    }

    fn path(&self, from: usize, to: usize, next: &[usize]) -> Vec<ComponentName> {
        let mut path = vec![self.names[from].clone()];
        let mut at = from;
        while at != to {
            at = next[at];
            path.push(self.names[at].clone());
        }
        path
    }
}
