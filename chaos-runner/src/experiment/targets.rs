//! What an experiment acts on.

use std::collections::BTreeSet;

use events::ComponentName;

use super::{ActivityKind, Experiment, Provider};

/// The components and edges that the faults of an experiment act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    components: BTreeSet<ComponentName>,
    /// Caller and callee.
    edges: BTreeSet<(ComponentName, ComponentName)>,
    /// It runs programs or sends requests of which nobody knows what they act on.
    unknown: bool,
}

impl Targets {
    /// What `experiment` acts on.
    pub fn of(experiment: &Experiment) -> Self {
        let mut targets =
            Self { components: BTreeSet::new(), edges: BTreeSet::new(), unknown: false };
        for activity in experiment.method.iter().chain(&experiment.rollbacks) {
            match &activity.provider {
                Provider::Fault(action) => {
                    let component = action.component.clone();
                    match &action.peer {
                        Some(peer) => {
                            targets.edges.insert((peer.clone(), component));
                        }
                        None => {
                            targets.components.insert(component);
                        }
                    }
                }
                Provider::Process(_) | Provider::Http(_) => {
                    targets.unknown |= activity.kind == ActivityKind::Action;
                }
                Provider::ClearFault { .. } | Provider::Signal(_) => {}
            }
        }
        targets
    }

    /// Whether the two act on different parts. An edge is a part of both of its ends; what is
    /// not known meets everything.
    pub fn are_disjoint(&self, other: &Self) -> bool {
        !self.unknown
            && !other.unknown
            && self.components.is_disjoint(&other.components)
            && self.edges.is_disjoint(&other.edges)
            && !self.ends_on(&other.components)
            && !other.ends_on(&self.components)
    }

    fn ends_on(&self, components: &BTreeSet<ComponentName>) -> bool {
        self.edges
            .iter()
            .any(|(caller, callee)| components.contains(caller) || components.contains(callee))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::parse;

    fn targets(method: &str) -> Targets {
        let text = format!("title: T\ndescription: D\nmethod: [{method}]");
        Targets::of(&parse("x.yaml", &text, &|_| None).unwrap())
    }

    fn fault(component: &str) -> Targets {
        targets(&format!(
            "{{name: x, type: action, provider: {{type: faultline, fault: latency, {component}}}}}"
        ))
    }

    #[test]
    fn parts_that_touch_are_not_disjoint() {
        let cart = fault("component: cart");
        let payments = fault("component: payments");
        let from_checkout = fault("component: cart, peer: checkout");
        let from_gateway = fault("component: cart, peer: gateway");
        let checkout = fault("component: checkout");
        assert!(cart.are_disjoint(&payments) && payments.are_disjoint(&cart));
        assert!(!cart.are_disjoint(&cart));
        assert!(from_checkout.are_disjoint(&from_gateway));
        assert!(!from_checkout.are_disjoint(&cart), "the callee is the same");
        assert!(!checkout.are_disjoint(&from_checkout), "the caller is at fault itself");
        assert!(from_checkout.are_disjoint(&payments));
    }

    #[test]
    fn a_program_may_act_on_anything() {
        let program = targets("{name: x, type: action, provider: {type: process, path: 'true'}}");
        assert!(!program.are_disjoint(&fault("component: cart")));
        assert!(!program.are_disjoint(&targets("")));
        assert!(targets("").are_disjoint(&fault("component: cart")));
    }
}
