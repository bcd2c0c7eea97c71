//! A shop in this process, its events, and waiting for what its windows show.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chaos_runner::shop::control::{
    ClearedFault, ControlClient, FaultSpec, InjectedFault, WindowSignals,
};
use chaos_runner::shop::{Shop, ShopOptions};
use events::catalogue::experiment::ClearedBy;
use events::catalogue::telemetry::{CallStatistics, MetricSnapshotRecorded};
use events::{ComponentName, Event, FaultKind};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Longest wait for anything; the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Running {
    pub shop: Shop,
    pub control: ControlClient,
    pub events: mpsc::Receiver<Event>,
}

pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_chaos-runner"))
}

pub async fn start() -> Running {
    let (sender, events) = mpsc::channel(100_000);
    let options =
        ShopOptions { program: program(), window: Duration::from_secs(1), ..Default::default() };
    let shop = Shop::start(options, sender).await.unwrap();
    let control = ControlClient::new(shop.control_url());
    let running = Running { shop, control, events };
    running.calm("gateway").await;
    running
}

pub fn spec(kind: &str, component: &str, more: Value) -> FaultSpec {
    let mut spec = json!({ "kind": kind, "component": component });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

impl Running {
    /// Waits for a window that began after `since` and fits.
    pub async fn window(
        &self,
        what: &str,
        since: events::Timestamp,
        fits: impl Fn(&WindowSignals) -> bool,
    ) -> WindowSignals {
        let began = Instant::now();
        loop {
            let windows = self.control.signals(20).await.unwrap();
            let new = windows.iter().filter(|window| window.window.start >= since);
            if let Some(window) = new.clone().find(|window| fits(window)) {
                return window.clone();
            }
            assert!(
                began.elapsed() < PATIENCE,
                "no window showed {what}; the last was {:#?}",
                windows.last()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until a component is served as without faults.
    pub async fn calm(&self, component: &str) {
        let since = events::Timestamp::now();
        self.window(&format!("{component} calm"), since, |window| {
            let snapshot = of(window, component);
            snapshot.extras["up"].get() == 1.0
                && snapshot.requests.unwrap() > 0
                && snapshot.errors == Some(0)
                && snapshot.latency.as_ref().is_some_and(|latency| latency.p50_ms.get() < 200.0)
        })
        .await;
    }

    /// Injects, waits until a window shows it, undoes it, waits until it is gone.
    pub async fn acts_and_ends(
        &self,
        spec: FaultSpec,
        shown: impl Fn(&WindowSignals) -> bool,
    ) -> (InjectedFault, ClearedFault) {
        let injected = self.control.inject(&spec).await.unwrap();
        assert_eq!(self.control.faults().await.unwrap(), std::slice::from_ref(&injected));
        self.window(&injected.description, injected.injected_at, shown).await;
        let cleared = self.control.clear(&injected.fault, ClearedBy::Rollback).await.unwrap();
        assert!(cleared.verified, "{cleared:?}");
        assert_eq!(cleared.cleared_by, ClearedBy::Rollback);
        assert_eq!(self.control.faults().await.unwrap(), []);
        self.calm(spec.component.as_str()).await;
        (injected, cleared)
    }

    pub async fn version(&self, component: &str) -> String {
        let status = self.control.status().await.unwrap();
        let found = status.components.iter().find(|c| c.component.as_str() == component);
        found.unwrap().version.clone()
    }

    pub async fn pids(&self) -> Vec<u32> {
        let status = self.control.status().await.unwrap();
        status.components.iter().filter_map(|component| component.pid).collect()
    }

    pub async fn end(self) {
        let pids = self.pids().await;
        self.shop.stop().await;
        assert!(pids.iter().all(|pid| !is_running(*pid)), "{pids:?}");
    }
}

pub fn of<'a>(window: &'a WindowSignals, component: &str) -> &'a MetricSnapshotRecorded {
    window.component(component).unwrap()
}

pub fn edge<'a>(window: &'a WindowSignals, caller: &str, callee: &str) -> &'a CallStatistics {
    window.edge(caller, callee).unwrap()
}

pub fn all_fail(edge: &CallStatistics) -> bool {
    edge.calls > 0 && edge.errors == edge.calls
}

pub fn p50(edge: &CallStatistics) -> f64 {
    edge.latency.as_ref().map_or(0.0, |latency| latency.p50_ms.get())
}

/// Whether a process exists and is no zombie.
pub fn is_running(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("State:") && !status.contains("State:\tZ")
}

pub fn name(text: &str) -> ComponentName {
    ComponentName::new(text).unwrap()
}

pub fn kind(text: &str) -> FaultKind {
    FaultKind::new(text).unwrap()
}
