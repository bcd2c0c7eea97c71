//! `schema.graphql` is the contract with clients: a change of it is seen in review.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::path::PathBuf;

fn committed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema.graphql")
}

#[test]
fn the_committed_sdl_is_current() {
    let committed = fs::read_to_string(committed()).unwrap_or_default();
    let current = schema::graphql::sdl();
    let differs = committed.lines().zip(current.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| committed.lines().count().min(current.lines().count()));
    assert!(
        committed == current,
        "schema/schema.graphql differs from the schema from line {} on:\n  committed: {:?}\n  \
         current:   {:?}\nIf the change is meant, write the file anew and commit it:\n  cargo test \
         --workspace --test graphql_sdl -- --ignored",
        line + 1,
        committed.lines().nth(line),
        current.lines().nth(line),
    );
}

#[test]
#[ignore = "writes schema/schema.graphql"]
fn write_the_sdl() {
    fs::write(committed(), schema::graphql::sdl()).unwrap();
}

/// Explorers show descriptions; a field without one is a field to guess at.
#[test]
fn everything_has_a_description() {
    let sdl = schema::graphql::sdl();
    let (definitions, _) = sdl.split_once("\ndirective ").unwrap_or((&sdl, ""));
    let mut missing = Vec::new();
    let (mut described, mut in_block) = (false, false);
    for line in definitions.lines().map(str::trim) {
        if in_block || line.starts_with('"') {
            in_block ^= line.matches("\"\"\"").count() % 2 == 1;
            described = true;
        } else if !line.is_empty() && !line.starts_with(['}', ')']) {
            if !described {
                missing.push(line);
            }
            described = false;
        }
    }
    assert!(missing.is_empty(), "without a description:\n{}", missing.join("\n"));
}
