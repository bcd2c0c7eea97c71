//! SE-1: nothing leaves the machine that was not configured to. A server that takes events in,
//! notices an incident, diagnoses it and answers questions about it has no socket whose other end,
//! or whose own address, is not on this machine.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "egress/exported.rs"]
mod exported;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use events::Event;
use serde_json::Value;
use tests::server::Server;
use tests::shop_history::History;

const LIMIT: Duration = Duration::from_secs(120);

/// The inodes of the sockets that a process has open.
fn sockets_of(process: u32) -> HashSet<u64> {
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let links = open.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    let inode = |link: &str| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    links.filter_map(|link| inode(link.to_str()?)).collect()
}

/// An address as the kernel prints it: words of four bytes in the machine's order.
fn address(hex: &str) -> IpAddr {
    let (ip, _port) = hex.split_once(':').unwrap();
    let words = (0..ip.len() / 8).map(|word| &ip[word * 8..word * 8 + 8]);
    let bytes: Vec<u8> =
        words.flat_map(|word| u32::from_str_radix(word, 16).unwrap().to_ne_bytes()).collect();
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => Ipv4Addr::from(four).into(),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).unwrap()).to_canonical(),
    }
}

/// Both ends of every Internet socket of a process.
fn ends(process: u32) -> Vec<(IpAddr, IpAddr)> {
    let own = sockets_of(process);
    let mut ends = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"] {
        let text = std::fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if own.contains(&fields[9].parse().unwrap()) {
                ends.push((address(fields[1]), address(fields[2])));
            }
        }
    }
    ends
}

fn assert_on_this_machine(server: &Server) {
    let ends = ends(server.id());
    assert!(!ends.is_empty(), "a server listens at least");
    for (own, other) in ends {
        assert!(own.is_loopback(), "{own} is open to others");
        assert!(other.is_loopback() || other.is_unspecified(), "connected to {other}");
    }
}

#[tokio::test]
async fn se_1_a_server_as_it_comes_talks_to_nobody_elsewhere() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path()).await;
    let history = History {
        start: "2026-03-01T12:00:00Z".parse().unwrap(),
        windows: 50,
        slow: "payments",
        from: 25,
        to: 38,
    };
    for chunk in history.events().chunks(50) {
        let batch: Vec<Value> = chunk.iter().map(Event::to_cloud_event).collect();
        let (status, answer) = server.post(&batch).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        assert_on_this_machine(&server);
    }
    server.settled(LIMIT).await;
    assert_on_this_machine(&server);
    let asked = "{ incidents { nodes { key diagnoses { nodes { key } } } } \
                 search(query: \"payments\", first: 5) { kind } }";
    let answer = server.graphql(asked).await;
    let diagnoses = &answer["incidents"]["nodes"][0]["diagnoses"]["nodes"];
    assert!(!diagnoses.as_array().unwrap().is_empty(), "{answer}");
    assert_on_this_machine(&server);
}
