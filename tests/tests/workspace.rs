//! Holds the workspace to the shape that ARCHITECTURE.md shows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Which crates of the workspace each crate may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("events", &[]),
    ("diagnosis", &["events"]),
    ("schema", &["diagnosis", "events"]),
    ("server", &["diagnosis", "events", "schema"]),
    ("chaos-runner", &["events"]),
    ("tests", &["chaos-runner", "diagnosis", "events", "schema", "server"]),
];

/// What a crate must never reach, however indirectly.
const MUST_NOT_REACH: &[(&str, &[&str])] = &[
    ("events", &["axum", "hyper", "reqwest", "surrealdb", "async-graphql"]),
    ("diagnosis", &["tokio-postgres", "axum", "hyper", "reqwest", "surrealdb", "async-graphql"]),
    ("chaos-runner", &["surrealdb", "async-graphql"]),
];

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    MetadataCommand::new()
        .manifest_path(manifest)
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
            if members.contains(name) {
                assert!(allowed.contains(&name), "{} must not depend on {name}", package.name);
            }
        }
    }
}

#[test]
fn light_crates_stay_free_of_the_heavy_ones() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().expect("cargo metadata resolves dependencies");
    let names: BTreeMap<_, _> = metadata
        .packages
        .iter()
        .map(|package| (package.id.clone(), package.name.to_string()))
        .collect();
    for (root, forbidden) in MUST_NOT_REACH {
        let package = metadata
            .workspace_packages()
            .into_iter()
            .find(|package| package.name.as_str() == *root)
            .expect("every crate named here is in the workspace");
        let mut reached = BTreeSet::new();
        let mut open = vec![package.id.clone()];
        while let Some(id) = open.pop() {
            let node =
                resolve.nodes.iter().find(|node| node.id == id).expect("a resolved dependency");
            for dependency in &node.deps {
                let ordinary =
                    dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
                if ordinary && reached.insert(dependency.pkg.clone()) {
                    open.push(dependency.pkg.clone());
                }
            }
        }
        for id in &reached {
            let name = names[id].as_str();
            assert!(!forbidden.contains(&name), "{root} must not reach {name}");
        }
    }
}
