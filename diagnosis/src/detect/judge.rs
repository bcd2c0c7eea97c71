//! One window against the past: what is unusual, and is it overwhelming.
//!
//! A busy machine is loud: latencies triple for a window, a single call fails. So a finding must
//! be large in absolute terms, large beside the usual and statistically beyond doubt, and it
//! must last, unless it is overwhelming.

use std::collections::BTreeMap;

use events::catalogue::diagnosis::AnomalyPart;
use events::catalogue::incident::Signal;
use events::catalogue::telemetry::Latency;
use events::value::Finite;
use events::{ComponentName, EventId};

use super::assembly::Slot;
use super::history::{History, Subject};
use super::{Settings, Topology};
use crate::baseline::{Usual, floor, least_share};
use crate::contrast::mean_ms;

/// Deviations are cut off here; past it they say nothing more.
const MOST_DEVIATION: f64 = 1_000.0;

const SLOW_FACTOR: f64 = 2.5;
const SLOW_BY_MS: f64 = 30.0;
/// Less slow than this, a component must stay slow for a window longer.
const CLEARLY_SLOW_FACTOR: f64 = 3.5;
const CLEARLY_SLOW_BY_MS: f64 = 100.0;
/// The slowest answers alone say something only when they are much slower: they are what a busy
/// machine delays first.
const SLOWEST_FACTOR: f64 = 4.0;
const SLOWEST_BY_MS: f64 = 200.0;
const OVERWHELMINGLY_SLOW_BY_MS: f64 = 250.0;
const LEAST_TIMED_CALLS: f64 = 5.0;

const FAILING_BY: f64 = 0.03;
const LEAST_FAILURES: f64 = 3.0;
const OVERWHELMINGLY_FAILING: f64 = 0.2;
const USUALLY_WITHOUT_FAILURES: f64 = 0.03;

const SURGE_FACTOR: f64 = 3.0;
const SURGE_BY_CALLS: f64 = 30.0;
const OVERWHELMING_SURGE_FACTOR: f64 = 6.0;
/// More load has to last for so much longer than anything else, in seconds: a burst that is over by
/// then hurts nobody, or what it hurts is told by itself.
const SURGE_LASTS_S: f64 = 20.0;
const COLLAPSE_FACTOR: f64 = 0.2;
const COLLAPSE_BY_CALLS: f64 = 15.0;
const STILL_CALLING: f64 = 0.5;

const FULL: f64 = 0.9;
const USUALLY_NOT_FULL: f64 = 0.6;
const MEMORY_FACTOR: f64 = 1.3;
const MEMORY_BY_BYTES: f64 = 12.0 * 1024.0 * 1024.0;
const UNUSUAL_CPU: f64 = 6.0;

const LEAST_NEW_LINES: u64 = 2;

/// Calls that make a share or a quantile worth looking at.
const ENOUGH_CALLS: f64 = 10.0;

/// What one window says of a subject.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    pub calls: Option<f64>,
    pub calls_per_s: Option<f64>,
    pub errors: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub mean_ms: Option<f64>,
    pub saturation: Option<f64>,
    pub cpu_cores: Option<f64>,
    pub memory_bytes: Option<f64>,
    pub down: Option<f64>,
}

impl Values {
    /// Of every subject that the window tells of.
    pub fn of_slot(slot: &Slot) -> Vec<(Subject, Self)> {
        let seconds = slot.seconds();
        let components = slot.snapshots.values().map(|(_, data)| {
            let up = data.extras.get("up").map(|up| up.get());
            let traffic = Self::traffic(data.requests, data.errors, data.latency.as_ref(), seconds);
            let values = Self {
                saturation: data.saturation.map(|s| s.get()),
                cpu_cores: data.cpu_cores.map(|c| c.get()),
                memory_bytes: data.memory_bytes.map(|m| m.get()),
                down: up.map(|up| f64::from(up < 0.5)),
                ..traffic
            };
            (Subject::Component(data.component.clone()), values)
        });
        let edges = slot.edges.iter().map(|((caller, callee), (_, edge))| {
            let subject = Subject::Edge { caller: caller.clone(), callee: callee.clone() };
            let (calls, errors) = (Some(edge.calls), Some(edge.errors));
            (subject, Self::traffic(calls, errors, edge.latency.as_ref(), seconds))
        });
        let logs = slot.logs.keys().map(|it| (Subject::Logs(it.clone()), Self::default()));
        components.chain(edges).chain(logs).collect()
    }

    fn traffic(
        calls: Option<u64>,
        errors: Option<u64>,
        latency: Option<&Latency>,
        seconds: f64,
    ) -> Self {
        let calls = calls.map(|n| n as f64);
        Self {
            calls,
            calls_per_s: calls.map(|n| n / seconds),
            errors: calls.map(|calls| (errors.unwrap_or(0) as f64).min(calls)),
            p50_ms: latency.map(|l| l.p50_ms.get()),
            p95_ms: latency.map(|l| l.p95_ms.get()),
            mean_ms: latency.map(mean_ms),
            ..Self::default()
        }
    }
}

/// One unusual signal of one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Whose.
    pub subject: Subject,
    /// What and by how much.
    pub part: AnomalyPart,
    /// The event that shows it.
    pub event: EventId,
    /// One window of it is enough.
    pub overwhelming: bool,
    /// How many windows longer than usual it must last.
    pub windows_more: usize,
    /// Whether it makes an anomaly; otherwise it only adds to the picture of one.
    pub triggers: bool,
}

/// A window, the past, and who calls whom.
pub struct Context<'d> {
    slot: &'d Slot,
    histories: &'d BTreeMap<Subject, History>,
    topology: &'d Topology,
}

impl<'d> Context<'d> {
    /// Of one window.
    pub fn of(
        slot: &'d Slot,
        histories: &'d BTreeMap<Subject, History>,
        topology: &'d Topology,
    ) -> Self {
        Self { slot, histories, topology }
    }

    /// Everything unusual in the window, ordered by subject.
    pub fn findings(&self, settings: &Settings) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (subject, values) in Values::of_slot(self.slot) {
            let Some(history) = self.histories.get(&subject) else { continue };
            if history.windows() < settings.least_windows {
                continue;
            }
            let mut verdicts = vec![failing(&values, history), slow(&values, history)];
            if let Subject::Component(component) = &subject {
                verdicts.extend([
                    surge(&values, history, self.slot),
                    self.collapse(component, &values, history),
                    down(&values, history),
                    full(&values, history),
                    leaking(&values, history),
                    processor(&values, history),
                ]);
            }
            if let Subject::Logs(component) = &subject {
                verdicts.push(self.novel(component, history, settings));
            }
            let event = self.event_of(&subject);
            findings.extend(verdicts.into_iter().flatten().map(|verdict| Finding {
                subject: subject.clone(),
                part: verdict.part(),
                event,
                overwhelming: verdict.overwhelming && !history.is_fitful(verdict.signal),
                windows_more: verdict.windows_more,
                triggers: verdict.triggers,
            }));
        }
        findings
    }

    fn event_of(&self, subject: &Subject) -> EventId {
        let event = match subject {
            Subject::Component(component) => self.slot.snapshots.get(component).map(|s| s.0),
            Subject::Edge { caller, callee } => {
                self.slot.edges.get(&(caller.clone(), callee.clone())).map(|e| e.0)
            }
            Subject::Logs(component) => self.slot.logs.get(component).map(|l| l.0),
        };
        event.expect("a subject of a window was read from a report of the window")
    }

    // New errors make an anomaly when they go on; new warnings only add to the picture of one.
    fn novel(
        &self,
        component: &ComponentName,
        history: &History,
        settings: &Settings,
    ) -> Option<Verdict> {
        let (_, data) = self.slot.logs.get(component)?;
        let new = history.vocabulary().new_lines(&data.patterns, settings.least_windows);
        let none = Usual { median: 0.0, spread: 0.0, windows: history.windows() };
        let verdict = Verdict::of(Signal::Logs, new.complaints as f64, &none, 1.0);
        (new.complaints >= LEAST_NEW_LINES)
            .then_some(Verdict { triggers: new.errors >= LEAST_NEW_LINES, ..verdict })
    }

    // Calls stop coming although whoever makes them is itself called as before. Users who stay
    // away are no incident, so callers that nobody calls do not count.
    fn collapse(
        &self,
        component: &ComponentName,
        values: &Values,
        history: &History,
    ) -> Option<Verdict> {
        let usual = history.quietest(self.slot.window.start)?;
        let rate = values.calls_per_s?;
        let missing = (usual.median - rate) * self.slot.seconds();
        if rate > usual.median * COLLAPSE_FACTOR || missing < COLLAPSE_BY_CALLS {
            return None;
        }
        let still_calling = self.topology.callers(component).any(|caller| {
            let history = self.histories.get(&Subject::Component(caller.clone()));
            let now = self.slot.snapshots.get(caller).and_then(|(_, data)| data.requests);
            let usual = history.and_then(|h| h.usual(|v| v.calls_per_s)).map(|u| u.median);
            match (now, usual) {
                (Some(now), Some(usual)) if usual > 0.0 => {
                    now as f64 / self.slot.seconds() >= usual * STILL_CALLING
                }
                _ => false,
            }
        });
        let noise = (usual.median * floor::TRAFFIC_SHARE).max(1.0);
        still_calling.then(|| Verdict::of(Signal::Traffic, rate, &usual, noise))
    }
}

struct Verdict {
    signal: Signal,
    observed: f64,
    baseline: f64,
    deviation: f64,
    overwhelming: bool,
    windows_more: usize,
    triggers: bool,
}

impl Verdict {
    fn of(signal: Signal, observed: f64, usual: &Usual, floor: f64) -> Self {
        let deviation = usual.deviation(observed, floor).clamp(-MOST_DEVIATION, MOST_DEVIATION);
        let baseline = usual.median;
        Self {
            signal,
            observed,
            baseline,
            deviation,
            overwhelming: false,
            windows_more: 0,
            triggers: true,
        }
    }

    fn overwhelming_if(mut self, overwhelming: bool) -> Self {
        self.overwhelming = overwhelming;
        self
    }

    fn part(&self) -> AnomalyPart {
        let finite = |number| Finite::new(number).expect("measured values are finite");
        AnomalyPart {
            signal: self.signal,
            observed: finite(self.observed),
            baseline: finite(self.baseline),
            deviation: finite(self.deviation),
        }
    }
}

fn failing(values: &Values, history: &History) -> Option<Verdict> {
    let (calls, errors) = (values.calls?, values.errors?);
    if errors < LEAST_FAILURES {
        return None;
    }
    let usual_calls = history.sum(|v| v.calls);
    let usual_share = history.sum(|v| v.errors) / usual_calls.max(1.0);
    if least_share(errors, calls) < (usual_share * 2.0).max(usual_share + FAILING_BY) {
        return None;
    }
    let by_window = |v: &Values| Some(v.errors? / v.calls.filter(|calls| *calls > 0.0)?);
    let spread = history.usual(by_window).map_or(0.0, |usual| usual.spread);
    let usual = Usual { median: usual_share, spread, windows: history.windows() };
    let share = errors / calls;
    let overwhelming = share > OVERWHELMINGLY_FAILING
        && calls >= ENOUGH_CALLS
        && usual_share < USUALLY_WITHOUT_FAILURES;
    let verdict = Verdict::of(Signal::Errors, share, &usual, floor::ERROR_SHARE);
    Some(verdict.overwhelming_if(overwhelming))
}

fn slow(values: &Values, history: &History) -> Option<Verdict> {
    let calls = values.calls.filter(|calls| *calls >= LEAST_TIMED_CALLS)?;
    let slower = |value: f64, usual: &Usual, factor: f64, by_ms: f64| {
        let by = value - usual.median;
        by >= by_ms.max(3.0 * usual.spread) && value >= usual.median * factor
    };
    let (mean, usual_mean) = (values.mean_ms?, history.usual(|v| v.mean_ms)?);
    let (p95, usual_p95) = (values.p95_ms?, history.usual(|v| v.p95_ms)?);
    let usual_p50 = history.usual(|v| v.p50_ms)?;
    // One wild call moves the mean of a few; then the slowest twentieth has not moved.
    let in_all = slower(mean, &usual_mean, SLOW_FACTOR, SLOW_BY_MS)
        && slower(p95, &usual_p95, SLOW_FACTOR / 2.0, SLOW_BY_MS);
    let at_worst = calls >= ENOUGH_CALLS && slower(p95, &usual_p95, SLOWEST_FACTOR, SLOWEST_BY_MS);
    let (observed, usual) = match (in_all, at_worst) {
        (true, _) => (mean, usual_mean),
        (false, true) => (p95, usual_p95),
        (false, false) => return None,
    };
    let clearly = slower(observed, &usual, CLEARLY_SLOW_FACTOR, CLEARLY_SLOW_BY_MS);
    let overwhelming = calls >= ENOUGH_CALLS
        && values.p50_ms.is_some_and(|p50| p50 - usual_p50.median >= OVERWHELMINGLY_SLOW_BY_MS);
    let verdict = Verdict::of(Signal::Latency, observed, &usual, usual.latency_floor_ms());
    Some(Verdict { overwhelming, windows_more: usize::from(!clearly), ..verdict })
}

fn surge(values: &Values, history: &History, slot: &Slot) -> Option<Verdict> {
    let usual = history.busiest(slot.window.start)?;
    let rate = values.calls_per_s?;
    let more = (rate - usual.median) * slot.seconds();
    if rate < usual.median * SURGE_FACTOR || more < SURGE_BY_CALLS {
        return None;
    }
    let overwhelming =
        rate >= usual.median.max(1.0) * OVERWHELMING_SURGE_FACTOR && more >= 3.0 * SURGE_BY_CALLS;
    let noise = (usual.median * floor::TRAFFIC_SHARE).max(1.0);
    let windows_more = (SURGE_LASTS_S / slot.seconds().max(1.0)) as usize;
    let verdict = Verdict::of(Signal::Traffic, rate, &usual, noise).overwhelming_if(overwhelming);
    Some(Verdict { windows_more, ..verdict })
}

fn down(values: &Values, history: &History) -> Option<Verdict> {
    let usual = history.usual(|v| v.down)?;
    let is_down = values.down? > 0.5 && usual.median < 0.5;
    let availability = |down: f64| 1.0 - down;
    is_down.then(|| Verdict {
        signal: Signal::Availability,
        observed: availability(1.0),
        baseline: availability(usual.median),
        deviation: -1.0 / floor::SATURATION,
        overwhelming: false,
        windows_more: 0,
        triggers: true,
    })
}

fn full(values: &Values, history: &History) -> Option<Verdict> {
    let usual = history.usual(|v| v.saturation)?;
    let saturation = values.saturation?;
    (saturation >= FULL && usual.median <= USUALLY_NOT_FULL)
        .then(|| Verdict::of(Signal::Saturation, saturation, &usual, floor::SATURATION))
}

// Memory may step up once, when a cache fills; a leak goes on.
fn leaking(values: &Values, history: &History) -> Option<Verdict> {
    let usual = history.usual(|v| v.memory_bytes)?;
    let memory = values.memory_bytes?;
    let latest: Vec<f64> =
        std::iter::once(memory).chain(history.latest(|v| v.memory_bytes).take(3)).collect();
    let rising = latest.len() >= 3 && latest.windows(2).all(|pair| pair[0] > pair[1]);
    let grown = memory >= usual.median * MEMORY_FACTOR && memory >= usual.median + MEMORY_BY_BYTES;
    let noise = (usual.median * floor::MEMORY_SHARE).max(1.0);
    (rising && grown).then(|| Verdict::of(Signal::Memory, memory, &usual, noise))
}

fn processor(values: &Values, history: &History) -> Option<Verdict> {
    let usual = history.usual(|v| v.cpu_cores)?;
    let verdict = Verdict::of(Signal::Cpu, values.cpu_cores?, &usual, floor::CPU_CORES);
    (verdict.deviation.abs() >= UNUSUAL_CPU).then_some(Verdict { triggers: false, ..verdict })
}
