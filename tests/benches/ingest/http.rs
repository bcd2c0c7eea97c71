//! Posting to a server that does everything else as well.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tests::measure::memory_mb;
use tests::server::Server;

use super::Load;

/// How often the server is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// At how many looks it is told how far everything is.
const TELL_EVERY: usize = 20;
/// How long the graph may take to catch up.
const LIMIT: Duration = Duration::from_secs(1_800);

/// What came of it.
#[derive(Default)]
pub struct Posted {
    /// Acknowledged.
    pub events: usize,
    /// How long there was posting.
    pub posting: Duration,
    /// Batches that the server refused for load and that were sent again.
    pub refused: usize,
    /// Events that were in the graph when the posting ended.
    pub projected_meanwhile: u64,
    pub greatest_lag: u64,
    pub always_ready: bool,
    /// Events about which the reactors had decided when the posting ended.
    pub decided_meanwhile: u64,
    /// From the end of the posting until the graph had everything.
    pub caught_up: Duration,
    pub memory_mb: f64,
}

/// What the server says of itself.
#[derive(Clone, Copy, Default)]
struct Look {
    head: u64,
    projected: u64,
    reacted: u64,
}

pub async fn post(data: &Path, bodies: Vec<String>, load: &Load) -> Posted {
    let server = Arc::new(Server::start_for(data, &[], 2 * LIMIT, |_| {}).await);
    let url = format!("{}/v1/events", server.url());
    let bodies = Arc::new(Mutex::new(bodies.into_iter()));
    let (acknowledged, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let ended = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(watched(server.clone(), ended.clone()));

    let started = Instant::now();
    let until = started + Duration::from_secs(load.seconds);
    let connections = (0..load.connections).map(|_| {
        let (bodies, url) = (bodies.clone(), url.clone());
        let (acknowledged, refused) = (acknowledged.clone(), refused.clone());
        let batch = load.batch;
        tokio::spawn(async move {
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            while Instant::now() < until {
                let Some(body) = bodies.lock().unwrap().next() else { return };
                refused.fetch_add(posted(&http, &url, body).await, Ordering::Relaxed);
                acknowledged.fetch_add(batch, Ordering::Relaxed);
            }
        })
    });
    for connection in join_all(connections).await {
        connection.unwrap();
    }
    let posting = started.elapsed();
    let last = looked(&server).await;
    let caught_up = caught_up(&server).await;
    ended.store(true, Ordering::Relaxed);
    let mut posted = watching.await.unwrap();
    posted.events = acknowledged.load(Ordering::Relaxed);
    posted.refused = refused.load(Ordering::Relaxed);
    (posted.projected_meanwhile, posted.decided_meanwhile) = (last.projected, last.reacted);
    (posted.posting, posted.caught_up) = (posting, caught_up);
    Arc::into_inner(server).expect("nobody else has it any more").stop();
    posted
}

/// Sends until it is taken, as `Retry-After` says; how often it was refused.
async fn posted(http: &reqwest::Client, url: &str, body: String) -> usize {
    for refused in 0.. {
        let request = http.post(url).header("content-type", "application/cloudevents-batch+json");
        let answer = request.body(body.clone()).send().await.unwrap();
        if answer.status().is_success() {
            answer.bytes().await.unwrap();
            return refused;
        }
        let after = answer.headers().get("retry-after").cloned();
        let status = answer.status();
        let Some(after) = after else { panic!("{status}: {}", answer.text().await.unwrap()) };
        let seconds = after.to_str().unwrap().parse().unwrap();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
    unreachable!("there is always a next number")
}

/// The extremes of what the server says until it ended.
async fn watched(server: Arc<Server>, ended: Arc<AtomicBool>) -> Posted {
    let mut seen = Posted { always_ready: true, ..Posted::default() };
    for looks in 1.. {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let look = looked(&server).await;
        if looks % TELL_EVERY == 0 {
            eprintln!("  {} events in the log, {} in the graph", look.head, look.projected);
        }
        seen.greatest_lag = seen.greatest_lag.max(look.head.saturating_sub(look.projected));
        seen.memory_mb = seen.memory_mb.max(memory_mb(server.id()));
        seen.always_ready &= server.get("/readyz").await.unwrap().0 == 200;
        tokio::time::sleep(LOOK).await;
    }
    seen
}

/// Waits until the graph has what the log has, which grows by what the reactors decide.
async fn caught_up(server: &Server) -> Duration {
    let started = Instant::now();
    loop {
        let look = looked(server).await;
        if look.projected == look.head {
            return started.elapsed();
        }
        assert!(started.elapsed() < LIMIT, "the graph did not catch up in time");
        tokio::time::sleep(LOOK / 10).await;
    }
}

async fn looked(server: &Server) -> Look {
    let metrics = server.text("/metrics").await.unwrap();
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().last()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    Look {
        head: value("faultline_log_head_position") as u64,
        projected: value("faultline_projection_position") as u64,
        reacted: value("faultline_reactor_position") as u64,
    }
}
