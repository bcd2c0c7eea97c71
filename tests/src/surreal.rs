//! A SurrealDB server of a test's own.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::process::{Bounded, binary};

const READY_LIMIT: Duration = Duration::from_secs(60);
/// No test needs one for longer.
const LIFE_LIMIT: Duration = Duration::from_secs(600);

/// A running SurrealDB server; dropping it kills it.
pub struct Surreal {
    child: Bounded,
    address: SocketAddr,
}

impl Surreal {
    /// A server that keeps everything in memory.
    pub async fn start() -> Self {
        Self::start_on(free_address(), "memory").await
    }

    /// A server on a folder, and at an address where one may have been before.
    pub async fn start_in(folder: &Path, address: Option<SocketAddr>) -> Self {
        let path = format!("surrealkv://{}", folder.display());
        Self::start_on(address.unwrap_or_else(free_address), &path).await
    }

    async fn start_on(address: SocketAddr, path: &str) -> Self {
        let child = Command::new(binary("surreal"))
            .args(["start", "--no-banner", "--log", "warn"])
            .args(["--user", "root", "--pass", "root", "--bind"])
            .arg(address.to_string())
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the server's binary can be started");
        let mut surreal = Self { child: Bounded::new(child, LIFE_LIMIT), address };
        surreal.ready().await;
        surreal
    }

    async fn ready(&mut self) {
        let started = Instant::now();
        let url = format!("http://{}/ready", self.address);
        loop {
            let answer = reqwest::get(&url).await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.child.child().try_wait().expect("it is this process's child");
            assert!(ended.is_none(), "the SurrealDB server ended: {ended:?}");
            assert!(started.elapsed() < READY_LIMIT, "the SurrealDB server was not ready in time");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As what a graph store of it is configured.
    pub fn url(&self) -> String {
        format!("ws://root:root@{}", self.address)
    }

    /// SIGTERM, and waits until everything is closed.
    pub fn end(&mut self) {
        self.child.signal(Signal::SIGTERM);
        self.child.wait();
    }
}

/// An address that nobody listens on. The server cannot choose one by itself and say which.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the system has free ports");
    listener.local_addr().expect("a bound listener has an address")
}
