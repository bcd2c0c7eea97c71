//! How a driver sees that a fault is gone: from outside, as a caller would.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::shop::proxy::Proxy;
use crate::shop::service::{PING_PATH, Stats};
use crate::shop::supervision::Supervised;

/// Longest time for a fault to be seen gone.
const PATIENCE: Duration = Duration::from_secs(8);
/// Longest wait for one answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether the callee answers through each of the proxies, once patience is used up at the
/// latest.
pub(super) async fn reachable<'a>(proxies: impl Iterator<Item = &'a Proxy>) -> bool {
    let edges: Vec<_> =
        proxies.map(|proxy| (proxy.address(), proxy.edge().protocol() == "http")).collect();
    for (address, http) in edges {
        let began = Instant::now();
        while !(if http { ping(address).await } else { database_answers(address).await }) {
            if began.elapsed() > PATIENCE {
                return false;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    true
}

/// Whether what the process says about itself comes to be as wanted.
pub(super) async fn comes_to(process: &Supervised, wanted: impl Fn(&Stats) -> bool) -> bool {
    let began = Instant::now();
    loop {
        if stats(process).await.is_some_and(|stats| wanted(&stats)) {
            return true;
        }
        if began.elapsed() > PATIENCE {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ping(address: SocketAddr) -> bool {
    let Some(http) = client() else { return false };
    let answer = http.get(format!("http://{address}{PING_PATH}")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// Asks for encryption, which a PostgreSQL server answers with one byte before any session.
async fn database_answers(address: SocketAddr) -> bool {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let exchange = async {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(&SSL_REQUEST).await?;
        socket.read_u8().await
    };
    let answer = tokio::time::timeout(ANSWER_PATIENCE, exchange).await;
    matches!(answer, Ok(Ok(b'N' | b'S')))
}

/// What the process says about itself; `None` when it does not answer.
pub(super) async fn stats(process: &Supervised) -> Option<Stats> {
    let admin = process.live()?.admin;
    client()?.get(format!("http://{admin}/-/stats")).send().await.ok()?.json().await.ok()
}

/// A client without kept connections: each look is a new one.
fn client() -> Option<reqwest::Client> {
    let builder = reqwest::Client::builder().no_proxy().timeout(ANSWER_PATIENCE);
    builder.pool_max_idle_per_host(0).build().ok()
}
