//! How long a ranking takes, as a ratio to reading the same evidence once.
//!
//! An hour of windows of ten seconds: a tree of components in which each calls two others, a fault
//! in one of them for the last minute. `cargo bench -p diagnosis --bench rank`
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use diagnosis::evidence::{EdgeEvidence, Evidence, Gathered, LogEvidence, SnapshotEvidence};
use diagnosis::rank::methods;
use events::catalogue::telemetry::{CallStatistics, Latency, LogPattern, LogSeverity, Window};
use events::value::{Line, NonNegative};
use events::{ComponentName, EventId, Timestamp};
use jiff::SignedDuration;
use uuid::Uuid;

const WINDOWS: usize = 360;
const AFTER: usize = 6;
const WINDOW_S: i64 = 10;
const ROUNDS: usize = 5;
const TEMPLATES: usize = 8;

fn main() {
    println!(
        "{:>11} {:>9} {:>12} {:>10} {:>9} {:>6}",
        "components", "windows", "method", "ranking", "scan", "ratio"
    );
    for components in [50, 1_000] {
        let evidence = evidence(components);
        let scan_ms = fastest(|| scan(&evidence));
        for ranker in methods() {
            let ranking_ms = fastest(|| ranker.rank(&evidence));
            let first = ranker.rank(&evidence).suspects.first().map(|s| s.component.to_string());
            println!(
                "{components:>11} {WINDOWS:>9} {:>12} {ranking_ms:>7.2} ms {scan_ms:>6.2} ms {:>6.1}  first: {}",
                ranker.name(),
                ranking_ms / scan_ms,
                first.unwrap_or_else(|| "nobody".to_owned()),
            );
        }
    }
}

fn fastest<T>(mut work: impl FnMut() -> T) -> f64 {
    let took = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        black_box(work());
        started.elapsed().as_secs_f64() * 1_000.0
    });
    took.fold(f64::INFINITY, f64::min)
}

// Everything that a ranking has to look at, looked at once.
fn scan(evidence: &Evidence) -> f64 {
    let snapshots = evidence.snapshots().iter().map(|s| {
        s.requests.unwrap_or(0) as f64
            + s.latency.as_ref().map_or(0.0, |l| l.p99_ms.get())
            + s.component.as_str().len() as f64
    });
    let edges = evidence.edges().iter().map(|e| {
        e.stats.calls as f64
            + e.stats.latency.as_ref().map_or(0.0, |l| l.p99_ms.get())
            + (e.caller.as_str().len() + e.stats.callee.as_str().len()) as f64
    });
    let logs = evidence.logs().iter().flat_map(|l| &l.patterns).map(|p| p.count as f64);
    snapshots.sum::<f64>() + edges.sum::<f64>() + logs.sum::<f64>()
}

fn evidence(components: usize) -> Evidence {
    let names: Vec<ComponentName> =
        (0..components).map(|n| ComponentName::new(format!("component-{n:04}")).unwrap()).collect();
    let begin = Timestamp::from_second(1_760_000_000).unwrap();
    let broken = components / 3;
    let mut gathered = Gathered {
        noticed: names[0].clone(),
        noticed_at: begin + SignedDuration::from_secs(WINDOW_S * (WINDOWS - AFTER) as i64),
        calls: Vec::new(),
        snapshots: Vec::new(),
        edges: Vec::new(),
        logs: Vec::new(),
        changes: Vec::new(),
        alerts: Vec::new(),
    };
    let mut id = 0_u128;
    let mut next_id = || {
        id += 1;
        EventId(Uuid::from_u128(id))
    };
    for at in 0..WINDOWS {
        let start = begin + SignedDuration::from_secs(WINDOW_S * at as i64);
        let window = Window { start, duration_ms: WINDOW_S as u64 * 1_000 };
        for (number, name) in names.iter().enumerate() {
            let faulty = at >= WINDOWS - AFTER && below(number, broken);
            let latency = latency(if faulty { 400.0 } else { 20.0 + (at % 7) as f64 });
            gathered.snapshots.push(SnapshotEvidence {
                event: next_id(),
                component: name.clone(),
                window: window.clone(),
                requests: Some(100 + at as u64 % 5),
                errors: Some(0),
                latency: Some(latency),
                saturation: None,
                cpu_cores: NonNegative::new(0.2).ok(),
                memory_bytes: NonNegative::new(5e7).ok(),
                extras: BTreeMap::new(),
            });
            let event = next_id();
            for callee in [2 * number + 1, 2 * number + 2].into_iter().filter(|c| *c < components) {
                gathered.edges.push(edge(
                    event,
                    name,
                    &names[callee],
                    &window,
                    at,
                    below(callee, broken),
                ));
            }
            gathered.logs.push(LogEvidence {
                event: next_id(),
                component: name.clone(),
                window: window.clone(),
                patterns: (0..TEMPLATES).map(|n| pattern(n, at)).collect(),
            });
        }
    }
    Evidence::new(gathered)
}

// Whether calls of a component reach the broken one.
fn below(component: usize, broken: usize) -> bool {
    let mut at = broken;
    while at > component {
        at = (at - 1) / 2;
    }
    at == component
}

fn edge(
    event: EventId,
    caller: &ComponentName,
    callee: &ComponentName,
    window: &Window,
    at: usize,
    slow: bool,
) -> EdgeEvidence {
    let faulty = slow && at >= WINDOWS - AFTER;
    EdgeEvidence {
        event,
        caller: caller.clone(),
        window: window.clone(),
        stats: CallStatistics {
            callee: callee.clone(),
            calls: 100 + at as u64 % 5,
            errors: 0,
            latency: Some(latency(if faulty { 400.0 } else { 20.0 + (at % 7) as f64 })),
            exemplar_trace_ids: Vec::new(),
        },
    }
}

fn latency(mean: f64) -> Latency {
    let ms = |ms: f64| NonNegative::new(ms).unwrap();
    Latency {
        p50_ms: ms(mean),
        p95_ms: ms(mean * 2.0),
        p99_ms: ms(mean * 3.0),
        mean_ms: Some(ms(mean)),
    }
}

fn pattern(number: usize, at: usize) -> LogPattern {
    LogPattern {
        template: Line::new(format!("step {number} of the request is done <*>")).unwrap(),
        severity: LogSeverity::Info,
        count: (100 + at as u64 % 5) / (1 + number as u64 / 3),
        exemplar_trace_ids: Vec::new(),
    }
}
