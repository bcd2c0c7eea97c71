//! Which faults the demo injects, where, and the experiment files that say so.

use std::fmt;
use std::str::FromStr;

use events::catalogue::fault_kind as kind;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Where each kind of fault of the demo can strike.
const TARGETS: &[(&str, &[&str])] = &[
    (kind::LATENCY, &["catalog", "cart", "checkout", "payments", "orders", "database"]),
    (kind::JITTER, &["catalog", "cart", "checkout", "payments", "orders"]),
    (kind::BANDWIDTH, &["catalog", "cart", "checkout", "payments", "orders"]),
    (kind::CONNECTION_RESET, &["catalog", "cart", "checkout", "payments", "orders"]),
    (kind::BLACK_HOLE, &["catalog", "cart", "checkout", "payments", "orders"]),
    (kind::PARTITION, &["catalog", "cart", "checkout", "payments", "orders"]),
    (kind::HTTP_ERROR, &["gateway", "catalog", "cart", "checkout", "payments", "orders"]),
    (kind::SLOW_RESPONSE, &["gateway", "catalog", "cart", "checkout", "payments", "orders"]),
    (kind::PROCESS_KILL, &["catalog", "cart", "checkout", "payments", "orders"]),
    (kind::PROCESS_PAUSE, &["catalog", "cart", "checkout", "payments", "orders", "database"]),
    (kind::CPU_STARVATION, &["catalog", "cart", "checkout", "payments", "orders"]),
    (kind::MEMORY_LEAK, &["catalog", "cart", "checkout", "payments", "orders"]),
    (kind::ERROR_VERSION, &["catalog", "cart", "checkout", "payments", "orders"]),
    (kind::SLOW_VERSION, &["catalog", "cart", "checkout", "payments", "orders"]),
    (kind::FLOOD, &["gateway", "catalog", "cart"]),
    (kind::DATABASE_CONNECTION_FAILURE, &["database"]),
    (kind::POOL_EXHAUSTION, &["orders"]),
];

/// A part of the demo: one fault and the incident it causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// `x`, `y` or `random`.
    pub name: &'static str,
    /// What kind of fault.
    pub fault_kind: &'static str,
    /// The component at fault.
    pub component: &'static str,
}

/// A fault asked for by name: a kind, or a kind and a component as `kind:component`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultChoice {
    kind: &'static str,
    component: Option<&'static str>,
}

/// Why a text names no fault of the demo.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownFault {
    /// No such kind.
    #[error("unknown fault kind {got:?}, expected one of {}", kinds())]
    Kind {
        /// What was given.
        got: String,
    },
    /// The kind cannot strike there.
    #[error("{kind} cannot strike {got:?}, expected one of {}", targets.join(", "))]
    Component {
        /// The kind.
        kind: &'static str,
        /// What was given.
        got: String,
        /// Where it can strike.
        targets: &'static [&'static str],
    },
}

fn kinds() -> String {
    TARGETS.iter().map(|(kind, _)| *kind).collect::<Vec<_>>().join(", ")
}

impl FromStr for FaultChoice {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let (kind, component) = match text.split_once(':') {
            Some((kind, component)) => (kind, Some(component)),
            None => (text, None),
        };
        let (kind, targets) = TARGETS
            .iter()
            .find(|(name, _)| *name == kind)
            .ok_or_else(|| UnknownFault::Kind { got: kind.to_owned() })?;
        let component = component
            .map(|component| {
                targets.iter().copied().find(|target| *target == component).ok_or_else(|| {
                    UnknownFault::Component { kind, got: component.to_owned(), targets }
                })
            })
            .transpose()?;
        Ok(Self { kind, component })
    }
}

impl Phase {
    /// What the phase shows, in a few words.
    pub fn title(&self) -> &'static str {
        match self.name {
            "x" => "X, a first fault",
            "y" => "Y, the same kind elsewhere",
            _ => "Random, any kind anywhere",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.fault_kind, self.component)
    }
}

/// The three phases that follow from `seed`: one kind on two components, then any kind anywhere,
/// or the fault that was asked for.
pub fn phases(seed: u64, fault: Option<&FaultChoice>) -> [Phase; 3] {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let pairs: Vec<_> = TARGETS.iter().filter(|(_, targets)| targets.len() >= 2).collect();
    let (pair_kind, targets) = *pick(&pairs, &mut random);
    let x = random.random_range(0..targets.len());
    let y = (x + random.random_range(1..targets.len())) % targets.len();

    let any: Vec<(&'static str, &'static str)> = TARGETS
        .iter()
        .flat_map(|(kind, targets)| targets.iter().map(move |target| (*kind, *target)))
        .filter(|(kind, target)| match fault {
            Some(choice) => {
                *kind == choice.kind && choice.component.is_none_or(|wanted| wanted == *target)
            }
            None => kind != pair_kind,
        })
        .collect();
    let (kind, component) = *pick(&any, &mut random);
    [
        Phase { name: "x", fault_kind: pair_kind, component: targets[x] },
        Phase { name: "y", fault_kind: pair_kind, component: targets[y] },
        Phase { name: "random", fault_kind: kind, component },
    ]
}

fn pick<'a, T>(from: &'a [T], random: &mut ChaCha8Rng) -> &'a T {
    from.choose(random).expect("every kind of the table has a target")
}

/// The experiment of a phase in the Chaos Toolkit format.
pub fn experiment(phase: &Phase, duration_ms: u64) -> Value {
    json!({
        "title": format!("Users do not notice {phase}"),
        "description": "Injected by the demo to see what the base makes of it.",
        "tags": ["demo", phase.fault_kind, phase.component],
        "steady-state-hypothesis": {
            "title": "Users are served",
            "probes": [{
                "type": "probe",
                "name": "share of the users' requests that fail",
                "tolerance": [0.0, 0.05],
                "provider": {
                    "type": "faultline",
                    "signal": "error_ratio",
                    "component": "gateway"
                }
            }]
        },
        "method": [{
            "type": "action",
            "name": format!("inject {phase}"),
            "provider": {
                "type": "faultline",
                "fault": phase.fault_kind,
                "component": phase.component,
                "duration_ms": duration_ms
            }
        }],
        "rollbacks": []
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn y_is_the_same_kind_elsewhere_and_random_another_kind() {
        for seed in 0..500 {
            let [x, y, random] = phases(seed, None);
            assert_eq!(x.fault_kind, y.fault_kind, "seed {seed}");
            assert_ne!(x.component, y.component, "seed {seed}");
            assert_ne!(x.fault_kind, random.fault_kind, "seed {seed}");
        }
    }

    #[test]
    fn every_kind_and_component_comes_up() {
        let seen: BTreeSet<_> = (0..2_000)
            .map(|seed| {
                let [_, _, random] = phases(seed, None);
                (random.fault_kind, random.component)
            })
            .collect();
        let all: usize = TARGETS.iter().map(|(_, targets)| targets.len()).sum();
        assert_eq!(seen.len(), all);
        for kind in kind::LOCAL {
            assert!(TARGETS.iter().any(|(name, _)| name == kind), "{kind} has no target");
        }
    }

    #[test]
    fn a_fault_asked_for_is_the_random_one() {
        let choice: FaultChoice = "process_kill:payments".parse().unwrap();
        let [_, _, random] = phases(7, Some(&choice));
        assert_eq!((random.fault_kind, random.component), ("process_kill", "payments"));
        assert!(matches!(
            "process_kill:users".parse::<FaultChoice>(),
            Err(UnknownFault::Component { .. })
        ));
        assert!(matches!("gremlin".parse::<FaultChoice>(), Err(UnknownFault::Kind { .. })));
    }
}
