//! Telemetry of a small system with a fault in it, made by rule, for tests that need the same
//! history twice.

use std::time::Duration;

use events::catalogue::experiment::{ClearedBy, FaultCleared, FaultInjected};
use events::catalogue::telemetry::{
    CallStatistics, Latency, MetricSnapshotRecorded, TraceEdgesRecorded, Window,
};
use events::catalogue::topology::{ComponentDescribed, DependencyObserved};
use events::value::{Line, NonNegative, Ratio};
use events::{ComponentName, Event, EventData, EventId, FaultId, FaultKind, Timestamp};
use uuid::Uuid;

/// Who calls whom.
pub const CALLS: &[(&str, &str)] = &[
    ("users", "gateway"),
    ("gateway", "catalog"),
    ("gateway", "checkout"),
    ("checkout", "payments"),
    ("checkout", "orders"),
];
/// Length of a window.
pub const WINDOW_MS: u64 = 2_000;
/// Requests in a window.
const REQUESTS: u64 = 80;

/// A history of `windows` windows in which `slow` answers late from window `from` to `to`.
pub struct History {
    /// When it begins.
    pub start: Timestamp,
    /// Number of windows.
    pub windows: u64,
    /// The component at fault.
    pub slow: &'static str,
    /// First window of the fault.
    pub from: u64,
    /// First window after the fault.
    pub to: u64,
}

impl History {
    /// Everything that is told of it, in the order in which it happened.
    pub fn events(&self) -> Vec<Event> {
        let mut events = self.telemetry();
        events.extend(self.truth());
        events.sort_by_key(|event| event.time);
        events
    }

    /// Topology and telemetry, in order.
    pub fn telemetry(&self) -> Vec<Event> {
        let mut made = Maker::new("telemetry");
        let mut events = Vec::new();
        for (caller, callee) in CALLS {
            let kind = if *caller == "users" { "client" } else { "service" };
            events.push(made.event(self.start, described(caller, kind)));
            let call = DependencyObserved {
                caller: component(caller),
                callee: component(callee),
                protocol: None,
            };
            events.push(made.event(self.start, call));
        }
        for index in 0..self.windows {
            let window = self.window(index);
            let end = window.end();
            for (caller, callee) in CALLS {
                let slow = self.is_slow(index, callee);
                events.push(made.event(end, snapshot(callee, &window, index, slow)));
                events.push(made.event(end, edge(caller, callee, &window, index, slow)));
            }
        }
        events
    }

    /// What the experiment would say of it: the ground truth.
    pub fn truth(&self) -> Vec<Event> {
        let mut made = Maker::new("truth");
        let fault = FaultId::new("fault-1").expect("a short text");
        let injected = FaultInjected {
            fault: fault.clone(),
            experiment: None,
            kind: FaultKind::new("latency").expect("a short text"),
            component: component(self.slow),
            peer: None,
            parameters: Default::default(),
            deadline_ms: None,
        };
        let cleared = FaultCleared {
            fault,
            experiment: None,
            cleared_by: ClearedBy::Rollback,
            action: Line::new("removed the delay").expect("a short text"),
            verified: true,
        };
        vec![
            made.event(self.window(self.from).start, injected),
            made.event(self.window(self.to).start, cleared),
        ]
    }

    fn window(&self, index: u64) -> Window {
        let offset = Duration::from_millis(index * WINDOW_MS);
        Window { start: self.start + offset, duration_ms: WINDOW_MS }
    }

    /// The component at fault and everything that waits for it.
    fn is_slow(&self, index: u64, component: &str) -> bool {
        (self.from..self.to).contains(&index) && reaches(component, self.slow)
    }
}

/// Windows of one round of [`rounds`].
const ROUND_WINDOWS: u64 = 100;
/// Components that fail in turn.
const SLOW: [&str; 4] = ["payments", "orders", "catalog", "checkout"];

/// One history behind the other, from `start` on: in each a component is slow for a while. About
/// a thousand events each, no two of which have the same id.
pub fn rounds(start: Timestamp) -> impl Iterator<Item = Vec<Event>> {
    (0..).map(move |round| {
        let after = Duration::from_millis(round * ROUND_WINDOWS * WINDOW_MS);
        let slow = SLOW[round as usize % SLOW.len()];
        let (from, to) = (ROUND_WINDOWS / 2, ROUND_WINDOWS / 2 + 15 + round % 7);
        let history = History { start: start + after, windows: ROUND_WINDOWS, slow, from, to };
        let mut told = history.events();
        // Every history of the same shape has the same ids and the same fault.
        let fault = FaultId::new(format!("fault-{round}")).expect("a short text");
        for event in &mut told {
            event.id = event.id.derived(&format!("round {round}"));
            match &mut event.data {
                EventData::FaultInjected(data) => data.fault = fault.clone(),
                EventData::FaultCleared(data) => data.fault = fault.clone(),
                _ => {}
            }
        }
        told
    })
}

fn reaches(from: &str, to: &str) -> bool {
    from == to
        || CALLS.iter().filter(|(caller, _)| *caller == from).any(|(_, next)| reaches(next, to))
}

/// Ids that are the same in every run.
struct Maker {
    name: &'static str,
    made: u64,
}

impl Maker {
    fn new(name: &'static str) -> Self {
        Self { name, made: 0 }
    }

    fn event(&mut self, time: Timestamp, data: impl Into<EventData>) -> Event {
        self.made += 1;
        let name = format!("{} {}", self.name, self.made);
        let id = EventId(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()));
        Event::with_id(id, Line::new("/tests").expect("a short text"), time, data)
    }
}

fn component(name: &str) -> ComponentName {
    ComponentName::new(name).expect("the names of this module are short")
}

fn described(name: &str, kind: &str) -> ComponentDescribed {
    ComponentDescribed {
        component: component(name),
        kind: Some(Line::new(kind).expect("a short text")),
        owner: None,
        criticality: None,
        description: None,
        attributes: Default::default(),
    }
}

/// A few per cent of variation that is the same in every run.
fn wobble(index: u64) -> f64 {
    1.0 + 0.03 * ((index * 7 % 11) as f64 - 5.0) / 5.0
}

fn latency(index: u64, slow: bool) -> Latency {
    let added_ms = if slow { 400.0 } else { 0.0 };
    let ms = |base: f64| NonNegative::new(base * wobble(index) + added_ms).expect("not negative");
    Latency { p50_ms: ms(10.0), p95_ms: ms(20.0), p99_ms: ms(30.0), mean_ms: Some(ms(12.0)) }
}

fn requests(index: u64) -> u64 {
    REQUESTS + index * 5 % 7
}

fn snapshot(name: &str, window: &Window, index: u64, slow: bool) -> MetricSnapshotRecorded {
    MetricSnapshotRecorded {
        component: component(name),
        window: window.clone(),
        requests: Some(requests(index)),
        errors: Some(0),
        latency: Some(latency(index, slow)),
        saturation: Some(Ratio::new(0.1).expect("a ratio")),
        cpu_cores: Some(NonNegative::new(0.05 * wobble(index)).expect("not negative")),
        memory_bytes: Some(NonNegative::new(5e7).expect("not negative")),
        extras: Default::default(),
    }
}

fn edge(caller: &str, callee: &str, window: &Window, index: u64, slow: bool) -> TraceEdgesRecorded {
    TraceEdgesRecorded {
        caller: component(caller),
        window: window.clone(),
        edges: vec![CallStatistics {
            callee: component(callee),
            calls: requests(index),
            errors: 0,
            latency: Some(latency(index, slow)),
            exemplar_trace_ids: Vec::new(),
        }],
    }
}
