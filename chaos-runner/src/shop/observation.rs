//! Telemetry of the shop: at the end of every window the proxies' observations and the
//! processes' own numbers become events.

mod process;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::catalogue::telemetry::{
    CallStatistics, MetricSnapshotRecorded, TraceEdgesRecorded, Window,
};
use events::value::{Finite, Line, NonNegative, Ratio};
use events::{Event, Timestamp};
use tokio::sync::mpsc;
use tracing::warn;

use super::control::WindowSignals;
use super::proxy::{Observed, Proxy};
use super::supervision::Supervised;
use super::topology::{self, Component, Edge, component_name};
use process::{ProcessUse, Sampler};

/// Windows that are kept for readers of the control API.
const KEPT_WINDOWS: usize = 600;
/// Times in a window that a process is asked for its numbers.
const SAMPLES_PER_WINDOW: u32 = 5;
/// They are asked no more often than this.
const SHORTEST_SAMPLING: Duration = Duration::from_millis(200);

/// Where events go. When nobody takes them they are dropped: the shop must not stop because
/// its observer did.
#[derive(Clone)]
pub(crate) struct Outlet {
    events: mpsc::Sender<Event>,
    observations: bool,
}

impl Outlet {
    /// Without `observations`, only what nobody can observe is sent.
    pub(crate) fn new(events: mpsc::Sender<Event>, observations: bool) -> Self {
        Self { events, observations }
    }

    /// Sends what a receiver of OpenTelemetry observes as well: where that is to be counted, this
    /// is not.
    pub(crate) fn observed(&self, source: &str, at: Timestamp, data: impl Into<events::EventData>) {
        if self.observations {
            self.send(source, at, data);
        }
    }

    /// Sends one event of `source`.
    pub(crate) fn send(&self, source: &str, at: Timestamp, data: impl Into<events::EventData>) {
        let event = Event::new(Line::clipped(source), at, data);
        if let Err(error) = self.events.try_send(event) {
            warn!(%error, "an event was dropped");
        }
    }
}

/// The newest windows.
#[derive(Default)]
pub(crate) struct Signals(Mutex<VecDeque<WindowSignals>>);

impl Signals {
    /// The newest `count`, oldest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<WindowSignals> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().skip(kept.len().saturating_sub(count)).cloned().collect()
    }

    fn push(&self, signals: WindowSignals) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_WINDOWS {
            kept.pop_front();
        }
        kept.push_back(signals);
    }
}

/// Observes a shop, window by window.
pub(crate) struct Observer {
    pub(crate) window: Duration,
    pub(crate) proxies: Arc<[Proxy]>,
    pub(crate) processes: Arc<[Supervised]>,
    pub(crate) outlet: Outlet,
    pub(crate) signals: Arc<Signals>,
}

impl Observer {
    /// Runs for as long as it is polled. Windows begin at multiples of their length; what
    /// happened before the first of them is not reported, because the window was not whole.
    pub(crate) async fn run(self) {
        let length_ms = i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX).max(1);
        let mut samplers: Vec<_> = self.processes.iter().map(|_| Sampler::default()).collect();
        let mut start_ms = next_boundary(Timestamp::now().as_millisecond(), length_ms);
        sleep_until(start_ms).await;
        let _ = self.close_window(&mut samplers).await;
        loop {
            let end_ms = next_boundary(start_ms.max(now_ms() - length_ms), length_ms);
            self.sample_until(end_ms, &mut samplers).await;
            let (observed, used) = self.close_window(&mut samplers).await;
            let window = Window {
                start: Timestamp::from_millisecond(end_ms - length_ms)
                    .expect("the clock stands within the years that a timestamp can have"),
                duration_ms: length_ms.unsigned_abs(),
            };
            self.publish(signals(window, &observed, &used));
            start_ms = end_ms;
        }
    }

    async fn sample_until(&self, end_ms: i64, samplers: &mut [Sampler]) {
        let step = (self.window / SAMPLES_PER_WINDOW).max(SHORTEST_SAMPLING);
        let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        while now_ms() + step_ms < end_ms {
            tokio::time::sleep(step).await;
            let asked = samplers.iter_mut().zip(self.processes.iter());
            let asked = asked.map(|(sampler, process)| sampler.sample(process.live()));
            futures::future::join_all(asked).await;
        }
        sleep_until(end_ms).await;
    }

    async fn close_window(
        &self,
        samplers: &mut [Sampler],
    ) -> (BTreeMap<Edge, Observed>, BTreeMap<&'static str, ProcessUse>) {
        let observed =
            self.proxies.iter().map(|proxy| (proxy.edge(), proxy.take_observed())).collect();
        let closed = samplers.iter_mut().zip(self.processes.iter()).map(|(sampler, process)| {
            let name = process.component().name;
            async move { (name, sampler.close(process.live()).await) }
        });
        (observed, futures::future::join_all(closed).await.into_iter().collect())
    }

    fn publish(&self, signals: WindowSignals) {
        let end = signals.window.end();
        for snapshot in &signals.components {
            self.outlet.observed("/shop/proxy", end, snapshot.clone());
        }
        for calls in &signals.callers {
            self.outlet.observed("/shop/proxy", end, calls.clone());
        }
        self.signals.push(signals);
    }
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// The first multiple of the length after `ms`.
fn next_boundary(ms: i64, length_ms: i64) -> i64 {
    (ms.div_euclid(length_ms) + 1) * length_ms
}

async fn sleep_until(ms: i64) {
    let left = u64::try_from(ms - now_ms()).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(left)).await;
}

fn signals(
    window: Window,
    observed: &BTreeMap<Edge, Observed>,
    used: &BTreeMap<&'static str, ProcessUse>,
) -> WindowSignals {
    let components = topology::COMPONENTS
        .iter()
        .filter(|component| component.has_process())
        .map(|component| snapshot(component, &window, observed, used.get(component.name)))
        .collect();
    let callers = topology::COMPONENTS
        .iter()
        .filter_map(|component| trace_edges(component, &window, observed))
        .collect();
    WindowSignals { window, components, callers }
}

fn snapshot(
    component: &Component,
    window: &Window,
    observed: &BTreeMap<Edge, Observed>,
    used: Option<&ProcessUse>,
) -> MetricSnapshotRecorded {
    let mut inbound = Observed::default();
    observed.iter().filter(|(edge, _)| edge.callee == component.name).for_each(|(_, one)| {
        inbound.merge(one);
    });
    let number = |n: f64| NonNegative::new(n).ok();
    let up = used.is_some_and(|used| used.up);
    let measured = used.filter(|used| used.up);
    let mut extras = BTreeMap::from([("up".to_owned(), f64::from(u8::from(up)))]);
    extras.extend(measured.into_iter().flat_map(ProcessUse::extras));
    MetricSnapshotRecorded {
        component: component.id(),
        window: window.clone(),
        requests: Some(inbound.calls),
        errors: Some(inbound.errors),
        latency: inbound.latency(),
        saturation: measured.and_then(|used| Ratio::new(used.saturation.clamp(0.0, 1.0)).ok()),
        cpu_cores: measured.and_then(|used| used.cpu_cores).and_then(number),
        memory_bytes: measured.and_then(|used| used.memory_bytes).and_then(number),
        extras: extras
            .into_iter()
            .filter_map(|(name, value)| Some((name, Finite::new(value).ok()?)))
            .collect(),
    }
}

fn trace_edges(
    caller: &Component,
    window: &Window,
    observed: &BTreeMap<Edge, Observed>,
) -> Option<TraceEdgesRecorded> {
    let outgoing = observed.iter().filter(|(edge, _)| edge.caller == caller.name);
    let edges: Vec<_> = outgoing
        .map(|(edge, calls)| CallStatistics {
            callee: component_name(edge.callee),
            calls: calls.calls,
            errors: calls.errors,
            latency: calls.latency(),
            exemplar_trace_ids: Vec::new(),
        })
        .collect();
    if edges.is_empty() {
        return None;
    }
    Some(TraceEdgesRecorded { caller: caller.id(), window: window.clone(), edges })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_at_multiples_of_their_length() {
        assert_eq!(next_boundary(0, 2_000), 2_000);
        assert_eq!(next_boundary(1_999, 2_000), 2_000);
        assert_eq!(next_boundary(2_000, 2_000), 4_000);
    }

    #[test]
    fn silent_shop_has_counts_of_zero_and_no_latency() {
        let window = Window { start: Timestamp::UNIX_EPOCH, duration_ms: 2_000 };
        let observed = topology::EDGES.map(|edge| (edge, Observed::default())).into();
        let signals = signals(window, &observed, &BTreeMap::new());
        let payments = signals.component("payments").unwrap();
        assert_eq!((payments.requests, payments.errors), (Some(0), Some(0)));
        assert_eq!((&payments.latency, payments.saturation), (&None, None));
        assert_eq!(payments.extras["up"].get(), 0.0);
        assert!(signals.component("users").is_none());
        assert_eq!(signals.edge("users", "gateway").unwrap().calls, 0);
        let edges: usize = signals.callers.iter().map(|caller| caller.edges.len()).sum();
        assert_eq!(edges, topology::EDGES.len());
    }
}
