//! The SurrealDB server, as its own binary starts it, for the tests of a graph store that is
//! shared. It is built from the same SurrealDB as everything else.

// What futures of SurrealDB are made of goes deeper than the default in a release build.
#![recursion_limit = "256"]

use std::process::ExitCode;

use surrealdb_server::core::CommunityComposer;

fn main() -> ExitCode {
    surrealdb_server::init(CommunityComposer())
}
