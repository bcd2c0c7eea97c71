//! The fault kinds that the local drivers inject. A kind is open text ([`FaultKind`]): other
//! tools and data sets bring their own.

use crate::id::FaultKind;

/// Every kind that `chaos-runner` can inject locally.
pub const LOCAL: &[&str] = &[
    LATENCY,
    JITTER,
    BANDWIDTH,
    CONNECTION_RESET,
    BLACK_HOLE,
    PARTITION,
    HTTP_ERROR,
    SLOW_RESPONSE,
    PROCESS_KILL,
    PROCESS_PAUSE,
    CPU_STARVATION,
    MEMORY_LEAK,
    ERROR_VERSION,
    SLOW_VERSION,
    DATABASE_CONNECTION_FAILURE,
    POOL_EXHAUSTION,
    FLOOD,
];

/// A fixed delay on every exchange.
pub const LATENCY: &str = "latency";
/// A random delay on every exchange.
pub const JITTER: &str = "jitter";
/// Few bytes a second.
pub const BANDWIDTH: &str = "bandwidth";
/// Connections closed by RST in mid-exchange.
pub const CONNECTION_RESET: &str = "connection_reset";
/// Connections accepted, nothing ever answered.
pub const BLACK_HOLE: &str = "black_hole";
/// No connection between two components.
pub const PARTITION: &str = "partition";
/// A share of the answers replaced by an HTTP error.
pub const HTTP_ERROR: &str = "http_error";
/// A share of the answers held back.
pub const SLOW_RESPONSE: &str = "slow_response";
/// The process ended by SIGKILL.
pub const PROCESS_KILL: &str = "process_kill";
/// The process stopped by SIGSTOP.
pub const PROCESS_PAUSE: &str = "process_pause";
/// The process stopped for a share of every period.
pub const CPU_STARVATION: &str = "cpu_starvation";
/// A version that keeps memory for every request.
pub const MEMORY_LEAK: &str = "memory_leak";
/// A version with an endpoint that answers errors.
pub const ERROR_VERSION: &str = "error_version";
/// A version with a slow endpoint.
pub const SLOW_VERSION: &str = "slow_version";
/// The database refuses connections.
pub const DATABASE_CONNECTION_FAILURE: &str = "database_connection_failure";
/// All pooled connections taken.
pub const POOL_EXHAUSTION: &str = "pool_exhaustion";
/// More requests than the target can serve.
pub const FLOOD: &str = "flood";

/// The typed form of one of this module's names.
pub fn named(kind: &'static str) -> FaultKind {
    FaultKind::new(kind).expect("the names of this module are short and printable")
}
