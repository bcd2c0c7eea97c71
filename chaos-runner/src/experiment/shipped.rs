//! The experiments that come with the program.

use super::{Environment, Experiment, LoadError, load};

/// A shipped experiment: its name and its file.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// The file's name without its ending.
    pub name: &'static str,
    /// The file.
    pub text: &'static str,
}

macro_rules! shipped {
    ($($name:literal,)*) => {
        /// Every shipped experiment, in the order in which a suite runs them.
        pub const ALL: &[Shipped] = &[$(Shipped {
            name: $name,
            text: include_str!(concat!("../../scenarios/", $name, ".yaml")),
        },)*];
    };
}

shipped! {
    "database-connection-failure",
    "denial-of-service",
    "communication-failure",
    "bad-release",
    "overload-catalog",
    "overload-cart",
    "broken-endpoint-catalog",
    "broken-endpoint-checkout",
    "latency-payments",
    "latency-database",
    "jitter-catalog",
    "bandwidth-catalog",
    "connection-reset-orders",
    "black-hole-payments",
    "http-error-cart",
    "http-error-gateway",
    "slow-response-orders",
    "process-kill-payments",
    "process-pause-cart",
    "cpu-starvation-catalog",
    "memory-leak-checkout",
    "slow-version-catalog",
    "pool-exhaustion-orders",
}

impl Shipped {
    /// The shipped experiment of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|shipped| shipped.name == name)
    }

    /// Reads it.
    pub fn read(&self, environment: &Environment<'_>) -> Result<Experiment, LoadError> {
        load::parse(&format!("{}.yaml", self.name), self.text, environment)
    }
}
