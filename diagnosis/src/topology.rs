//! What the call graph says before anything fails: who depends on whom, and on what alone.
//!
//! - [`CallGraph::blast_radius`]: who is affected when a component fails, callers of callers.
//! - [`CallGraph::cuts`]: the articulation points, and what falls apart without each.
//! - [`CallGraph::gates`]: the single points of failure: what every path from an entrance to
//!   other components passes.
//!
//! Everything takes time proportional to the number of calls (the gates nearly so), and no
//! recursion: a chain of any length is answered.

mod blast;
mod cut;
mod gate;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use events::ComponentName;

pub use blast::{Affected, BlastRadius};
pub use cut::{Cut, Part};
pub use gate::Gate;

/// Most names that a list of this module keeps beside its size: on a chain of calls the full
/// lists would grow with the square of its length.
pub const NAMED: usize = 20;

/// Components and the calls between them. The order in which they are given does not matter.
#[derive(Clone, Debug)]
pub struct CallGraph {
    /// By name.
    names: Vec<ComponentName>,
    callers: Vec<Vec<usize>>,
    callees: Vec<Vec<usize>>,
}

impl CallGraph {
    /// The graph of `calls`, caller first, and of components that may have none. A call of a
    /// component to itself says nothing about others and is left out.
    pub fn new(
        components: impl IntoIterator<Item = ComponentName>,
        calls: impl IntoIterator<Item = (ComponentName, ComponentName)>,
    ) -> Self {
        let calls: Vec<_> = calls.into_iter().collect();
        let mut names: Vec<_> = components.into_iter().collect();
        names.extend(calls.iter().flat_map(|(from, to)| [from.clone(), to.clone()]));
        names.sort();
        names.dedup();
        let index: BTreeMap<&ComponentName, usize> = names.iter().zip(0..).collect();
        let mut callers = vec![Vec::new(); names.len()];
        let mut callees = vec![Vec::new(); names.len()];
        for (from, to) in &calls {
            let (from, to) = (index[from], index[to]);
            if from != to {
                callers[to].push(from);
                callees[from].push(to);
            }
        }
        for list in callers.iter_mut().chain(&mut callees) {
            list.sort_unstable();
            list.dedup();
        }
        Self { names, callers, callees }
    }

    /// Where requests come in: what a client calls, and what nobody calls but which calls
    /// others. `is_client` tells the components that stand for users. By name.
    pub fn entrances(&self, is_client: impl Fn(&ComponentName) -> bool) -> Vec<ComponentName> {
        let clients: Vec<bool> = self.names.iter().map(is_client).collect();
        (0..self.names.len())
            .filter(|&node| !clients[node])
            .filter(|&node| {
                let begins = self.callers[node].is_empty() && !self.callees[node].is_empty();
                begins || self.callers[node].iter().any(|&caller| clients[caller])
            })
            .map(|node| self.names[node].clone())
            .collect()
    }

    fn index_of(&self, name: &ComponentName) -> Option<usize> {
        self.names.binary_search(name).ok()
    }

    fn named(&self, nodes: impl IntoIterator<Item = usize>) -> Vec<ComponentName> {
        let mut nodes: Vec<usize> = nodes.into_iter().take(NAMED).collect();
        nodes.sort_unstable();
        nodes.into_iter().map(|node| self.names[node].clone()).collect()
    }
}
