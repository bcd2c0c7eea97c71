//! What the shop is made of: its components, who calls whom, and how much each can carry.

use std::time::Duration;

use events::ComponentName;
use events::catalogue::topology::Criticality;

/// The component that stands for the people who use the shop.
pub const USERS: &str = "users";
/// The only component that users reach.
pub const GATEWAY: &str = "gateway";
/// What can be bought.
pub const CATALOG: &str = "catalog";
/// What a user is about to buy.
pub const CART: &str = "cart";
/// Turns a cart into an order.
pub const CHECKOUT: &str = "checkout";
/// Charges for an order.
pub const PAYMENTS: &str = "payments";
/// Keeps the orders, in the database.
pub const ORDERS: &str = "orders";
/// The SQL database.
pub const DATABASE: &str = "database";

/// The version that every component starts with.
pub const FIRST_VERSION: &str = "1.0.0";

/// What kind of component it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Calls and is not called: no process, no signals of its own.
    Client,
    /// Answers HTTP.
    Service,
    /// Answers the PostgreSQL protocol.
    Database,
}

impl Kind {
    /// The name as it stands in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Service => "service",
            Self::Database => "database",
        }
    }
}

/// How much work a service can do at once. The work of a request itself is done by one of few
/// workers; requests that wait for a worker or for another service only count as in flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// Requests worked on at the same time.
    pub workers: usize,
    /// Shortest and longest work of one request; uniform between them.
    pub work: (Duration, Duration),
    /// Requests in the service at the same time; one more is answered 503.
    pub in_flight: usize,
    /// How long the service waits for those it calls.
    pub patience: Duration,
}

impl Capacity {
    /// Requests a second that the workers can do.
    pub fn requests_per_second(&self) -> f64 {
        let mean = (self.work.0 + self.work.1).as_secs_f64() / 2.0;
        self.workers as f64 / mean
    }
}

/// A component of the shop.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// How much depends on it.
    pub criticality: Criticality,
    /// What it does, in a sentence.
    pub description: &'static str,
    /// What it can carry; `None` for those that are not services.
    pub capacity: Option<Capacity>,
}

impl Component {
    /// The name as events carry it.
    pub fn id(&self) -> ComponentName {
        component_name(self.name)
    }

    /// Whether a process stands behind it.
    pub fn has_process(&self) -> bool {
        self.kind != Kind::Client
    }
}

/// A caller and its callee. Each has its own proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edge {
    /// Who calls.
    pub caller: &'static str,
    /// Who is called.
    pub callee: &'static str,
}

impl Edge {
    /// `http` or `postgresql`.
    pub fn protocol(&self) -> &'static str {
        if self.callee == DATABASE { "postgresql" } else { "http" }
    }
}

const fn capacity(
    workers: usize,
    work_ms: (u64, u64),
    in_flight: usize,
    patience_ms: u64,
) -> Option<Capacity> {
    Some(Capacity {
        workers,
        work: (Duration::from_millis(work_ms.0), Duration::from_millis(work_ms.1)),
        in_flight,
        patience: Duration::from_millis(patience_ms),
    })
}

/// Every component, callees before their callers, which is the order to start them in. Patience
/// shrinks from caller to callee, so that a service can still report that its callee hangs.
pub const COMPONENTS: [Component; 8] = [
    Component {
        name: DATABASE,
        kind: Kind::Database,
        criticality: Criticality::Critical,
        description: "Keeps orders in SQL tables.",
        capacity: None,
    },
    Component {
        name: ORDERS,
        kind: Kind::Service,
        criticality: Criticality::High,
        description: "Writes and reads orders through a bounded pool of database connections.",
        capacity: capacity(2, (8, 14), 32, 800),
    },
    Component {
        name: PAYMENTS,
        kind: Kind::Service,
        criticality: Criticality::High,
        description: "Charges a card.",
        capacity: capacity(2, (8, 16), 32, 800),
    },
    Component {
        name: CATALOG,
        kind: Kind::Service,
        criticality: Criticality::High,
        description: "Lists products and their prices.",
        capacity: capacity(2, (6, 12), 32, 800),
    },
    Component {
        name: CART,
        kind: Kind::Service,
        criticality: Criticality::Medium,
        description: "Keeps what each user is about to buy and prices it.",
        capacity: capacity(2, (8, 14), 32, 1_000),
    },
    Component {
        name: CHECKOUT,
        kind: Kind::Service,
        criticality: Criticality::High,
        description: "Turns a cart into a paid order.",
        capacity: capacity(2, (8, 14), 32, 1_400),
    },
    Component {
        name: GATEWAY,
        kind: Kind::Service,
        criticality: Criticality::Critical,
        description: "The shop's front door: passes requests of users on.",
        capacity: capacity(2, (8, 16), 96, 2_000),
    },
    Component {
        name: USERS,
        kind: Kind::Client,
        criticality: Criticality::Critical,
        description: "The people who use the shop.",
        capacity: None,
    },
];

const fn edge(caller: &'static str, callee: &'static str) -> Edge {
    Edge { caller, callee }
}

/// Every edge, in the order a request takes them.
pub const EDGES: [Edge; 9] = [
    edge(USERS, GATEWAY),
    edge(GATEWAY, CATALOG),
    edge(GATEWAY, CART),
    edge(GATEWAY, CHECKOUT),
    edge(CART, CATALOG),
    edge(CHECKOUT, CART),
    edge(CHECKOUT, PAYMENTS),
    edge(CHECKOUT, ORDERS),
    edge(ORDERS, DATABASE),
];

/// The component of that name.
pub fn component(name: &str) -> Option<&'static Component> {
    COMPONENTS.iter().find(|component| component.name == name)
}

/// The edges that lead to `callee`.
pub fn inbound(callee: &str) -> impl Iterator<Item = Edge> {
    EDGES.into_iter().filter(move |edge| edge.callee == callee)
}

/// A name of this module as events carry it.
pub(crate) fn component_name(name: &'static str) -> ComponentName {
    ComponentName::new(name).expect("the names of this module are short and printable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_start_after_those_they_call() {
        let place = |name| COMPONENTS.iter().position(|c| c.name == name).unwrap();
        for edge in EDGES {
            assert!(place(edge.callee) < place(edge.caller), "{edge:?}");
        }
    }

    #[test]
    fn callers_wait_longer_than_their_callees() {
        for edge in EDGES {
            let patience = |name| component(name).unwrap().capacity.map(|c| c.patience);
            if let (Some(caller), Some(callee)) = (patience(edge.caller), patience(edge.callee))
                && EDGES.iter().any(|next| next.caller == edge.callee)
            {
                assert!(caller > callee, "{edge:?}");
            }
        }
    }
}
