//! What a process uses: from its own stats endpoint and from `/proc`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use procfs::process::Process;

use crate::shop::service::Stats;
use crate::shop::supervision::Live;

/// Longest wait for a process's own numbers.
const STATS_PATIENCE: Duration = Duration::from_millis(300);
/// Memory that counts as all there is for one process.
const MEMORY_LIMIT_BYTES: f64 = 512.0 * 1024.0 * 1024.0;

/// What a process used in a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ProcessUse {
    /// It exists at the end of the window and answered at least once in it. Once is enough: a
    /// busy machine delays answers, and a process that hangs answers none in the next window.
    pub(super) up: bool,
    /// Share of its tightest bound, averaged over the window.
    pub(super) saturation: f64,
    pub(super) cpu_cores: Option<f64>,
    pub(super) memory_bytes: Option<f64>,
    in_flight: f64,
    pool: Option<PoolUse>,
    connections: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct PoolUse {
    in_use: f64,
    waiting: f64,
    size: f64,
}

impl ProcessUse {
    /// What has no field of its own in a snapshot.
    pub(super) fn extras(&self) -> Vec<(String, f64)> {
        let mut extras = vec![("in_flight".to_owned(), self.in_flight)];
        if let Some(pool) = self.pool {
            extras.push(("pool_in_use".to_owned(), pool.in_use));
            extras.push(("pool_waiting".to_owned(), pool.waiting));
            extras.push(("pool_size".to_owned(), pool.size));
        }
        extras.extend(self.connections.map(|count| ("connections".to_owned(), count)));
        extras
    }
}

/// Gathers what one component's process uses during a window.
#[derive(Default)]
pub(super) struct Sampler {
    http: Option<(SocketAddr, reqwest::Client)>,
    samples: Vec<Stats>,
    cpu: Option<CpuMark>,
}

/// Processor time that a process had used at some moment.
#[derive(Clone, Copy)]
struct CpuMark {
    pid: u32,
    seconds: f64,
    at: Instant,
}

impl Sampler {
    /// Asks the process once.
    pub(super) async fn sample(&mut self, live: Option<Live>) {
        if let Some(live) = live
            && let Some(stats) = self.ask(live.admin).await
        {
            self.samples.push(stats);
        }
    }

    /// Ends the window.
    pub(super) async fn close(&mut self, live: Option<Live>) -> ProcessUse {
        self.sample(live).await;
        let samples = std::mem::take(&mut self.samples);
        let mut used = average(&samples);
        let Some(live) = live else {
            self.cpu = None;
            return used;
        };
        used.cpu_cores = self.cpu_cores(live.pid);
        used.memory_bytes = memory_bytes(live.pid);
        used.up = !samples.is_empty() && used.memory_bytes.is_some();
        let memory_share = used.memory_bytes.unwrap_or(0.0) / MEMORY_LIMIT_BYTES;
        used.saturation = used.saturation.max(memory_share).min(1.0);
        used
    }

    async fn ask(&mut self, admin: SocketAddr) -> Option<Stats> {
        if self.http.as_ref().is_none_or(|(address, _)| *address != admin) {
            let client = reqwest::Client::builder().no_proxy().timeout(STATS_PATIENCE).build();
            self.http = Some((admin, client.ok()?));
        }
        let (_, http) = self.http.as_ref()?;
        let answer = http.get(format!("http://{admin}/-/stats")).send().await.ok()?;
        answer.json().await.ok()
    }

    /// Cores used since the last call for the same process.
    fn cpu_cores(&mut self, pid: u32) -> Option<f64> {
        let now = CpuMark { pid, seconds: cpu_seconds(pid)?, at: Instant::now() };
        let before = self.cpu.replace(now).filter(|mark| mark.pid == pid)?;
        let wall = now.at.duration_since(before.at).as_secs_f64();
        (wall > 0.0).then(|| ((now.seconds - before.seconds) / wall).max(0.0))
    }
}

fn process(pid: u32) -> Option<Process> {
    Process::new(i32::try_from(pid).ok()?).ok()
}

fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = process(pid)?.stat().ok()?;
    Some((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
}

fn memory_bytes(pid: u32) -> Option<f64> {
    let pages = process(pid)?.statm().ok()?.resident;
    Some((pages * procfs::page_size()) as f64)
}

fn average(samples: &[Stats]) -> ProcessUse {
    let mean = |number: &dyn Fn(&Stats) -> f64| {
        samples.iter().map(number).sum::<f64>() / samples.len().max(1) as f64
    };
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let newest = samples.last();
    let requests = mean(&|stats| share(stats.in_flight, stats.limit));
    let pool_share =
        mean(&|stats| stats.pool.as_ref().map_or(0.0, |pool| share(pool.in_use, pool.size)));
    let pool = newest.and_then(|stats| stats.pool.as_ref()).map(|newest| PoolUse {
        in_use: mean(&|stats| stats.pool.as_ref().map_or(0.0, |pool| pool.in_use as f64)),
        waiting: mean(&|stats| stats.pool.as_ref().map_or(0.0, |pool| pool.waiting as f64)),
        size: newest.size as f64,
    });
    ProcessUse {
        saturation: requests.max(pool_share).min(1.0),
        in_flight: mean(&|stats| stats.in_flight as f64),
        pool,
        connections: newest.and_then(|stats| stats.connections).map(|count| count as f64),
        ..ProcessUse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::service::PoolStats;

    fn stats(in_flight: usize, in_use: usize) -> Stats {
        let pool = Some(PoolStats { size: 8, in_use, waiting: in_flight });
        Stats { version: "1.0.0".to_owned(), in_flight, limit: 32, pool, connections: None }
    }

    #[test]
    fn saturation_is_the_tightest_bound_averaged() {
        let used = average(&[stats(0, 4), stats(8, 8)]);
        assert!((used.saturation - 0.75).abs() < 1e-9, "{used:?}");
        assert!((used.in_flight - 4.0).abs() < 1e-9);
        assert_eq!(used.pool, Some(PoolUse { in_use: 6.0, waiting: 4.0, size: 8.0 }));
    }

    #[tokio::test]
    async fn a_gone_process_is_not_up_and_uses_nothing() {
        let used = Sampler::default().close(None).await;
        assert!(!used.up);
        assert_eq!((used.cpu_cores, used.memory_bytes), (None, None));
    }

    #[test]
    fn own_processor_time_and_memory_are_read() {
        let own = std::process::id();
        assert!(memory_bytes(own).unwrap() > 100_000.0);
        assert!(cpu_seconds(own).is_some());
        let mut sampler = Sampler::default();
        assert_eq!(sampler.cpu_cores(own), None);
        assert!(sampler.cpu_cores(own).unwrap() >= 0.0);
    }
}
