//! Who was seen to call whom.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use events::{ComponentName, EventData};

/// The call graph as far as the log has told it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    callees: BTreeMap<ComponentName, BTreeSet<ComponentName>>,
    callers: BTreeMap<ComponentName, BTreeSet<ComponentName>>,
}

impl Topology {
    /// Takes what an event tells of calls.
    pub fn observe(&mut self, data: &EventData) {
        match data {
            EventData::DependencyObserved(data) => self.call(&data.caller, &data.callee),
            EventData::TraceEdgesRecorded(data) => {
                data.edges.iter().for_each(|edge| self.call(&data.caller, &edge.callee));
            }
            _ => {}
        }
    }

    fn call(&mut self, caller: &ComponentName, callee: &ComponentName) {
        if self.callees.get(caller).is_some_and(|callees| callees.contains(callee)) {
            return;
        }
        self.callees.entry(caller.clone()).or_default().insert(callee.clone());
        self.callers.entry(callee.clone()).or_default().insert(caller.clone());
    }

    /// Who calls a component.
    pub fn callers<'t>(
        &'t self,
        component: &ComponentName,
    ) -> impl Iterator<Item = &'t ComponentName> {
        self.callers.get(component).into_iter().flatten()
    }

    /// Everyone who calls a component, directly or not, itself excluded.
    pub fn upstream(&self, component: &ComponentName) -> BTreeSet<&ComponentName> {
        let mut found = BTreeSet::new();
        let mut queue: VecDeque<&ComponentName> = self.callers(component).collect();
        while let Some(caller) = queue.pop_front() {
            if caller != component && found.insert(caller) {
                queue.extend(self.callers(caller));
            }
        }
        found
    }

    /// How many calls lie between the components, in whichever direction; `None` past `most`.
    pub fn hops(&self, from: &ComponentName, to: &ComponentName, most: usize) -> Option<usize> {
        let near = |at: &ComponentName| {
            let callees = self.callees.get(at).into_iter().flatten();
            callees.chain(self.callers.get(at).into_iter().flatten()).collect::<Vec<_>>()
        };
        let mut seen = BTreeSet::from([from]);
        let mut queue = VecDeque::from([(from, 0)]);
        while let Some((at, hops)) = queue.pop_front() {
            if at == to {
                return Some(hops);
            }
            if hops < most {
                queue
                    .extend(near(at).into_iter().filter(|c| seen.insert(c)).map(|c| (c, hops + 1)));
            }
        }
        None
    }

    /// Whether calls are known of both components, and none lead from one to the other in whichever
    /// direction: two systems.
    pub fn are_apart(&self, one: &ComponentName, other: &ComponentName) -> bool {
        let known = |it| self.callees.contains_key(it) || self.callers.contains_key(it);
        known(one) && known(other) && self.hops(one, other, usize::MAX).is_none()
    }

    /// How many calls lie between a component and the users: 1 is an entrance. Components that
    /// no caller without callers leads to are farthest.
    pub fn depth(&self, component: &ComponentName) -> usize {
        let mut seen = BTreeSet::from([component]);
        let mut queue = VecDeque::from([(component, 0)]);
        while let Some((at, depth)) = queue.pop_front() {
            let mut callers = self.callers(at).peekable();
            if callers.peek().is_none() {
                return depth;
            }
            queue.extend(callers.filter(|c| seen.insert(c)).map(|c| (c, depth + 1)));
        }
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use events::catalogue::topology::DependencyObserved;

    use super::*;

    fn name(name: &str) -> ComponentName {
        ComponentName::new(name).unwrap()
    }

    fn topology(calls: &[(&str, &str)]) -> Topology {
        let mut topology = Topology::default();
        for (caller, callee) in calls {
            let (caller, callee) = (name(caller), name(callee));
            topology.observe(&DependencyObserved { caller, callee, protocol: None }.into());
        }
        topology
    }

    #[test]
    fn hops_count_in_both_directions_up_to_a_limit() {
        let graph = topology(&[("users", "gateway"), ("gateway", "cart"), ("gateway", "checkout")]);
        assert_eq!(graph.hops(&name("cart"), &name("cart"), 0), Some(0));
        assert_eq!(graph.hops(&name("cart"), &name("checkout"), 2), Some(2));
        assert_eq!(graph.hops(&name("cart"), &name("checkout"), 1), None);
        assert_eq!(graph.hops(&name("cart"), &name("elsewhere"), 9), None);
    }

    #[test]
    fn systems_are_apart_when_calls_are_known_of_both() {
        let graph = topology(&[("users", "gateway"), ("gateway", "cart"), ("cron", "reports")]);
        assert!(!graph.are_apart(&name("cart"), &name("users")));
        assert!(graph.are_apart(&name("cart"), &name("reports")));
        assert!(!graph.are_apart(&name("cart"), &name("unheard-of")));
        assert!(!graph.are_apart(&name("unheard-of"), &name("unheard-of")));
    }

    #[test]
    fn depth_is_the_distance_to_whoever_is_not_called() {
        let graph = topology(&[("users", "gateway"), ("gateway", "cart"), ("cart", "gateway")]);
        assert_eq!(graph.depth(&name("users")), 0);
        assert_eq!(graph.depth(&name("gateway")), 1);
        assert_eq!(graph.depth(&name("cart")), 2);
        assert_eq!(
            graph.upstream(&name("cart")),
            BTreeSet::from([&name("users"), &name("gateway")])
        );
        let circle = topology(&[("a", "b"), ("b", "a")]);
        assert_eq!(circle.depth(&name("a")), usize::MAX);
    }
}
