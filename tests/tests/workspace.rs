//! Holds the workspace to the shape that ARCHITECTURE.md shows.

use std::collections::BTreeSet;
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Which crates of the workspace each crate may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("events", &[]),
    ("diagnosis", &["events"]),
    ("datasets", &["diagnosis", "events"]),
    ("embedding", &["diagnosis"]),
    ("receivers", &["events"]),
    ("schema", &["diagnosis", "events"]),
    ("server", &["datasets", "diagnosis", "embedding", "events", "receivers", "schema"]),
    ("chaos-runner", &["events"]),
    (
        "tests",
        &[
            "chaos-runner",
            "datasets",
            "diagnosis",
            "embedding",
            "events",
            "receivers",
            "schema",
            "server",
        ],
    ),
];

/// Which ones its tests may use beside.
const TESTS_MAY_USE: &[(&str, &[&str])] =
    &[("chaos-runner", &["receivers"]), ("datasets", &["embedding"])];

/// What a crate must never reach, however indirectly.
const MUST_NOT_REACH: &[(&str, &[&str])] = &[
    ("events", &["axum", "hyper", "reqwest", "surrealdb", "async-graphql", "tonic", "kurrentdb"]),
    ("diagnosis", &["tokio-postgres", "axum", "hyper", "reqwest", "surrealdb", "async-graphql"]),
    ("datasets", &["tokio-postgres", "axum", "hyper", "reqwest", "surrealdb", "async-graphql"]),
    ("embedding", &["hf-hub", "ureq", "reqwest", "onig", "openssl-sys", "cmake"]),
    ("receivers", &["axum", "hyper", "reqwest", "surrealdb", "async-graphql", "tonic"]),
    ("chaos-runner", &["surrealdb", "async-graphql", "tonic"]),
];

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .other_options(vec!["--offline".to_owned(), "--locked".to_owned()])
        .exec()
        .expect("the workspace that runs this test has readable metadata")
}

#[test]
fn crates_depend_only_in_the_documented_direction() {
    let metadata = metadata();
    let members: BTreeSet<&str> =
        metadata.workspace_packages().iter().map(|package| package.name.as_str()).collect();
    let documented: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    assert_eq!(members, documented, "every crate of the workspace stands in MAY_USE");

    for package in metadata.workspace_packages() {
        let (_, allowed) =
            MAY_USE.iter().find(|(name, _)| *name == package.name.as_str()).expect("checked above");
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let tested = dependency.kind == DependencyKind::Development
                && TESTS_MAY_USE
                    .iter()
                    .any(|(of, tests)| *of == package.name.as_str() && tests.contains(&name));
            if members.contains(name) {
                let allowed = tested || allowed.contains(&name);
                assert!(allowed, "{} must not depend on {name}", package.name);
            }
        }
    }
}

#[test]
fn light_crates_stay_free_of_the_heavy_ones() {
    for (root, forbidden) in MUST_NOT_REACH {
        let reached = reached(root);
        assert!(reached.contains(*root), "{root} is among what its tree lists");
        for name in *forbidden {
            assert!(!reached.contains(*name), "{root} must not reach {name}");
        }
    }
}

/// What a crate is built of on its own. The metadata of the workspace would not do: there the
/// features that other members ask for are switched on too.
fn reached(root: &str) -> BTreeSet<String> {
    #[expect(clippy::disallowed_methods, reason = "cargo says itself which cargo it is")]
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let tree = std::process::Command::new(cargo)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}", "--package", root])
        .output()
        .expect("cargo can be asked for a tree");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8_lossy(&tree.stdout).into_owned();
    lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}
