//! What the proxies and the processes of the simulated shop report.

use std::collections::BTreeMap;

use diagnosis::evidence::{
    Call, Change, ChangeEvidence, EdgeEvidence, Evidence, Gathered, SnapshotEvidence,
};
use events::catalogue::change::DeploymentRecorded;
use events::catalogue::fault_kind as kind;
use events::catalogue::telemetry::{
    CallStatistics, Latency, MetricSnapshotRecorded, TraceEdgesRecorded, Window,
};
use events::value::{Finite, Line, NonNegative, Ratio};
use events::{ComponentName, Event, EventData, EventId, RecordedEvent, Timestamp};
use jiff::SignedDuration;

use super::fault::Fault;
use super::rng::Rng;
use super::system::{Build, COMPONENTS, EDGES, Ended, Shop};

/// A run of the shop: so many windows, the fault in some of them.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub build: Build,
    pub windows: usize,
    pub fault: Option<Fault>,
    /// The fault's first window.
    pub from: usize,
    /// The first window without it again.
    pub to: usize,
    pub seed: u64,
}

impl Run {
    /// Twenty calm windows, then the fault to the end.
    pub fn of(fault: Fault, after: usize, seed: u64) -> Self {
        let (build, windows) = (Build::default(), 20 + after);
        Self { build, windows, fault: Some(fault), from: 20, to: windows, seed }
    }

    pub fn calm(build: Build, windows: usize, seed: u64) -> Self {
        Self { build, windows, fault: None, from: 0, to: 0, seed }
    }

    pub fn start_of(&self, window: usize) -> Timestamp {
        let ms = i64::try_from(self.build.window_ms as usize * window).unwrap();
        Timestamp::from_second(1_760_000_000).unwrap() + SignedDuration::from_millis(ms)
    }

    /// What is told of the run, in the order of the log.
    pub fn record(&self) -> Vec<RecordedEvent> {
        let window_ms = self.build.window_ms as f64;
        // Faults begin in the middle of a window.
        let begins = (self.from as f64 + 0.3) * window_ms;
        let fault = self.fault.map(|fault| (fault, begins, self.to as f64 * window_ms));
        let mut shop = Shop::new(self.build, fault, self.seed);
        shop.run(self.windows as f64 * window_ms);
        let mut log = Log { run: *self, events: Vec::new() };
        let mut rng = Rng::new(self.seed ^ 0xABCD);
        let mut served: BTreeMap<&str, f64> = BTreeMap::new();
        for window in 0..self.windows {
            let active = shop.fault_at((window as f64 + 0.9) * window_ms);
            if let Some(fault) = active.filter(|f| f.deploys() && window == self.from) {
                log.deployment(window, fault.component);
            }
            for component in COMPONENTS {
                let calls: Vec<Ended> = inbound(&shop, window, component).collect();
                *served.entry(component).or_default() += calls.len() as f64;
                let faulty = active.filter(|fault| fault.component == component);
                log.push(window, snapshot(self, window, component, &calls, faulty, &mut rng));
            }
            for caller in ["users"].into_iter().chain(COMPONENTS) {
                if let Some(data) = edges(self, &shop, window, caller) {
                    log.push(window, data);
                }
            }
        }
        log.events
    }

    /// The evidence of this run's incident when an `earlier` run of as many windows and its
    /// incident directly precede it.
    pub fn evidence_after(&self, earlier: &Run, noticed: &str) -> Evidence {
        let mut gathered = self.gathered(noticed);
        let back = earlier.start_of(earlier.windows).duration_since(self.start_of(0));
        let mut before = earlier.gathered(noticed);
        before.snapshots.iter_mut().for_each(|s| s.window.start -= back);
        before.edges.iter_mut().for_each(|e| e.window.start -= back);
        before.changes.iter_mut().for_each(|c| c.at -= back);
        gathered.snapshots.extend(before.snapshots);
        gathered.edges.extend(before.edges);
        gathered.changes.extend(before.changes);
        Evidence::new(gathered)
    }

    /// The evidence of an incident that was noticed in the fault's first window.
    pub fn evidence(&self, noticed: &str) -> Evidence {
        Evidence::new(self.gathered(noticed))
    }

    pub fn gathered(&self, noticed: &str) -> Gathered {
        let name = |name: &str| ComponentName::new(name).unwrap();
        let mut gathered = Gathered {
            noticed: name(noticed),
            noticed_at: self.start_of(self.from),
            calls: EDGES
                .map(|(caller, callee)| Call { caller: name(caller), callee: name(callee) })
                .to_vec(),
            snapshots: Vec::new(),
            edges: Vec::new(),
            logs: Vec::new(),
            changes: Vec::new(),
            alerts: Vec::new(),
        };
        for recorded in self.record() {
            let event = recorded.event.id;
            match recorded.event.data {
                EventData::MetricSnapshotRecorded(data) => {
                    gathered.snapshots.push(SnapshotEvidence::new(event, data));
                }
                EventData::TraceEdgesRecorded(data) => {
                    gathered.edges.extend(EdgeEvidence::of(event, data));
                }
                EventData::DeploymentRecorded(data) => gathered.changes.push(ChangeEvidence {
                    event,
                    component: data.component,
                    at: recorded.event.time,
                    change: Change::Deployment { version: data.version, previous: None },
                }),
                other => panic!("not told by the shop: {other:?}"),
            }
        }
        gathered
    }
}

struct Log {
    run: Run,
    events: Vec<RecordedEvent>,
}

impl Log {
    fn push(&mut self, window: usize, data: impl Into<EventData>) {
        self.push_at(self.run.start_of(window + 1), data);
    }

    fn deployment(&mut self, window: usize, component: &str) {
        let data = DeploymentRecorded {
            component: ComponentName::new(component).unwrap(),
            version: Line::new("2.0.0").unwrap(),
            previous_version: None,
            description: None,
        };
        self.push_at(self.run.start_of(window), data);
    }

    fn push_at(&mut self, time: Timestamp, data: impl Into<EventData>) {
        let position = self.events.len() as u64;
        let id = (u128::from(self.run.seed) << 64) | u128::from(position);
        let id = EventId(uuid::Uuid::from_u128(id));
        let source = Line::new("/shop/proxy").unwrap();
        let event = Event::with_id(id, source, time, data);
        let stream = event.data.stream();
        self.events.push(RecordedEvent {
            event,
            stream,
            revision: position,
            position,
            recorded_at: time,
            pruned: None,
        });
    }
}

fn inbound<'s>(
    shop: &'s Shop,
    window: usize,
    component: &'static str,
) -> impl Iterator<Item = Ended> + 's {
    let callers = ["users"].into_iter().chain(COMPONENTS);
    callers.flat_map(move |caller| {
        let calls = shop.calls.get(&(window, caller, component));
        calls.map_or(&[][..], Vec::as_slice).iter().copied()
    })
}

fn non_negative(number: f64) -> NonNegative {
    NonNegative::new(number.max(0.0)).unwrap()
}

fn latency(calls: &[Ended]) -> Option<Latency> {
    let mut ms: Vec<f64> = calls.iter().map(|call| call.ms).collect();
    ms.sort_by(f64::total_cmp);
    let at = |q: f64| non_negative(ms[((ms.len() - 1) as f64 * q) as usize]);
    (!ms.is_empty()).then(|| Latency {
        p50_ms: at(0.5),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        mean_ms: Some(non_negative(ms.iter().sum::<f64>() / ms.len() as f64)),
    })
}

fn snapshot(
    run: &Run,
    window: usize,
    component: &str,
    calls: &[Ended],
    fault: Option<Fault>,
    rng: &mut Rng,
) -> MetricSnapshotRecorded {
    let kind = fault.map(|fault| fault.kind);
    let up = !matches!(kind, Some(kind::PROCESS_KILL | kind::PROCESS_PAUSE));
    let seconds = run.build.window_ms as f64 / 1_000.0;
    let busy: f64 = calls.iter().map(|call| call.ms).sum::<f64>() / 1_000.0 / seconds;
    let pool = if component == "orders" { 8.0 } else { 64.0 };
    let saturation = match kind {
        Some(kind::POOL_EXHAUSTION | kind::FLOOD) => 1.0,
        _ => (busy / pool + 0.02 * rng.unit()).min(1.0),
    };
    let leaked = match kind {
        Some(kind::MEMORY_LEAK) => 8e6 * (window - run.from + 1) as f64,
        _ => 0.0,
    };
    let memory = 20e6 + 0.4e6 * rng.normal() + leaked;
    let starved = if kind == Some(kind::CPU_STARVATION) { 0.3 } else { 1.0 };
    let cpu = (0.01 + 0.0008 * calls.len() as f64 / seconds) * rng.lognormal(0.2) * starved;
    let failed = calls.iter().filter(|call| call.failed).count() as u64;
    let up_extra = Finite::new(f64::from(up)).unwrap();
    MetricSnapshotRecorded {
        component: ComponentName::new(component).unwrap(),
        window: Window { start: run.start_of(window), duration_ms: run.build.window_ms },
        requests: Some(calls.len() as u64),
        errors: Some(failed),
        latency: latency(calls),
        saturation: up.then(|| Ratio::new(saturation).unwrap()),
        cpu_cores: up.then(|| non_negative(cpu)),
        memory_bytes: up.then(|| non_negative(memory)),
        extras: BTreeMap::from([("up".to_owned(), up_extra)]),
    }
}

fn edges(
    run: &Run,
    shop: &Shop,
    window: usize,
    caller: &'static str,
) -> Option<TraceEdgesRecorded> {
    let edges: Vec<CallStatistics> = shop
        .calls
        .range((window, caller, "")..)
        .take_while(|((w, c, _), _)| *w == window && *c == caller)
        .map(|((_, _, callee), calls)| CallStatistics {
            callee: ComponentName::new(*callee).unwrap(),
            calls: calls.len() as u64,
            errors: calls.iter().filter(|call| call.failed).count() as u64,
            latency: latency(calls),
            exemplar_trace_ids: Vec::new(),
        })
        .collect();
    (!edges.is_empty()).then(|| TraceEdgesRecorded {
        caller: ComponentName::new(caller).unwrap(),
        window: Window { start: run.start_of(window), duration_ms: run.build.window_ms },
        edges,
    })
}
