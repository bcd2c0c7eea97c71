//! What can be wrong with the simulated shop.

use events::catalogue::fault_kind as kind;

/// A fault on a component, or on the link from `peer` to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    pub kind: &'static str,
    pub component: &'static str,
    pub peer: Option<&'static str>,
}

impl Fault {
    pub fn new(kind: &'static str, component: &'static str) -> Self {
        Self { kind, component, peer: None }
    }

    pub fn link(kind: &'static str, peer: &'static str, component: &'static str) -> Self {
        Self { kind, component, peer: Some(peer) }
    }

    /// Whether the link from `caller` to `callee` is disturbed.
    pub fn on_link(&self, caller: &str, callee: &str) -> bool {
        self.component == callee && self.peer.is_none_or(|peer| peer == caller)
    }

    pub fn deploys(&self) -> bool {
        [kind::ERROR_VERSION, kind::SLOW_VERSION, kind::MEMORY_LEAK].contains(&self.kind)
    }

    /// Kinds that every component can have on its inbound links.
    pub const OF_LINKS: [&'static str; 8] = [
        kind::LATENCY,
        kind::JITTER,
        kind::BANDWIDTH,
        kind::CONNECTION_RESET,
        kind::BLACK_HOLE,
        kind::PARTITION,
        kind::HTTP_ERROR,
        kind::SLOW_RESPONSE,
    ];

    /// Kinds that every process can have.
    pub const OF_PROCESSES: [&'static str; 6] = [
        kind::PROCESS_KILL,
        kind::PROCESS_PAUSE,
        kind::CPU_STARVATION,
        kind::MEMORY_LEAK,
        kind::ERROR_VERSION,
        kind::SLOW_VERSION,
    ];

    /// Every fault that the shop's drivers can inject.
    pub fn all() -> Vec<Self> {
        let mut faults = Vec::new();
        for component in super::system::COMPONENTS {
            for kind in Self::OF_LINKS.into_iter().chain(Self::OF_PROCESSES) {
                let versions = [kind::ERROR_VERSION, kind::SLOW_VERSION, kind::MEMORY_LEAK];
                if component != "database" || !versions.contains(&kind) {
                    faults.push(Self::new(kind, component));
                }
            }
        }
        for (peer, component) in super::system::EDGES {
            for kind in Self::OF_LINKS {
                faults.push(Self::link(kind, peer, component));
            }
        }
        faults.push(Self::new(kind::DATABASE_CONNECTION_FAILURE, "database"));
        faults.push(Self::new(kind::POOL_EXHAUSTION, "orders"));
        for component in ["gateway", "catalog", "cart"] {
            faults.push(Self::new(kind::FLOOD, component));
        }
        faults
    }
}
