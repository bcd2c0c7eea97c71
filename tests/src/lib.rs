//! Integration, end-to-end and fault tests. They drive the real binaries over real sockets and
//! poll for state; nothing depends on this crate.

pub mod cli;
pub mod kurrentdb;
pub mod measure;
pub mod multiply;
pub mod process;
pub mod recorded;
pub mod seed;
pub mod server;
pub mod shop_history;
pub mod surreal;
