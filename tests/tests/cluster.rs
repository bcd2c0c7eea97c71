//! Several servers share one log and one graph on a SurrealDB server: one writes it at a time.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "cluster/node.rs"]
mod node;
#[path = "cluster/pair.rs"]
mod pair;
#[path = "cluster/servers.rs"]
mod servers;
#[path = "cluster/store.rs"]
mod store;
