//! What follows the log yields to requests (ADR 30).

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use tests::server::Server;

/// The niceness of the process's threads of this name.
fn niceness(process: u32, name: &str) -> BTreeSet<i64> {
    let threads = PathBuf::from(format!("/proc/{process}/task")).read_dir().unwrap();
    let stats = threads.filter_map(|thread| {
        // Threads come and go.
        std::fs::read_to_string(thread.unwrap().path().join("stat")).ok()
    });
    stats
        .filter_map(|stat| {
            let (named, rest) = stat.rsplit_once(") ")?;
            named.ends_with(&format!("({name}")).then_some(())?;
            // proc(5): the 19th field of all, the first behind the name is the third.
            Some(rest.split(' ').nth(16).unwrap().parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn the_graph_and_the_reactors_yield_to_requests() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let requests = niceness(server.id(), "tokio-rt-worker");
    assert_eq!(requests.len(), 1, "{requests:?}");
    // Behind 19 nothing is nicer.
    let behind = requests.iter().map(|nice| (nice + 10).min(19)).collect();
    assert_eq!(niceness(server.id(), "behind"), behind);
    assert_eq!(niceness(server.id(), "event-log"), requests);
    server.stop();
}
