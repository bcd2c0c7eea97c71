//! The SurrealDB server, as its own binary starts it, for the tests of a graph store that is
//! shared. It is built from the same SurrealDB as everything else.

use std::process::ExitCode;

use surrealdb_server::core::CommunityComposer;

fn main() -> ExitCode {
    surrealdb_server::init(CommunityComposer())
}
