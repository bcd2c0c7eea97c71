//! Spans of many files, by window.

use std::collections::BTreeMap;

use events::catalogue::telemetry::{
    CallStatistics, Latency, MAX_EXTRAS, MetricSnapshotRecorded, TraceEdgesRecorded,
};
use events::value::{Finite, NonNegative};
use events::{ComponentName, Timestamp};

use super::tree::{Span, relatives};
use crate::nezha::Recorded;
use crate::nezha::clock::Clock;

/// Share of an operation's spans that must lead to one callee for the rest to count as calls of
/// it whose other side was lost.
const LEADS_TO: f64 = 0.8;

type OfComponent = BTreeMap<ComponentName, Answered>;
type Durations = Vec<f64>;

/// What was seen so far.
#[derive(Default)]
pub struct Sums {
    windows: BTreeMap<Timestamp, (OfComponent, BTreeMap<ComponentName, Called>)>,
    /// How often an operation of a component led to each callee.
    leads: BTreeMap<(ComponentName, String), BTreeMap<ComponentName, u64>>,
    entrances: BTreeMap<ComponentName, u64>,
}

#[derive(Default)]
struct Answered {
    took: Durations,
    operations: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Called {
    callees: BTreeMap<ComponentName, Durations>,
    /// Spans without a child, by operation: some are calls whose other side was lost.
    ends: BTreeMap<String, Durations>,
}

impl Sums {
    /// Adds the spans of a file.
    pub fn add(&mut self, spans: &[Span], clock: &Clock) {
        for (span, relatives_of) in spans.iter().zip(relatives(spans).iter()) {
            let start = clock.window(span.start).start;
            let (answered, called) = self.windows.entry(start).or_default();
            let of = answered.entry(span.component.clone()).or_default();
            *of.operations.entry(span.operation.clone()).or_default() += 1;
            let parent = relatives_of.parent.map(|parent| &spans[parent]);
            let is_entry = parent.is_none_or(|parent| parent.component != span.component);
            if is_entry {
                of.took.push(span.ms);
            }
            if parent.is_none() {
                *self.entrances.entry(span.component.clone()).or_default() += 1;
            }
            if relatives_of.own_children + relatives_of.foreign_children == 0 && !is_entry {
                let of = called.entry(span.component.clone()).or_default();
                of.ends.entry(span.operation.clone()).or_default().push(span.ms);
            }
        }
        self.add_calls(spans, clock);
    }

    // As long as the caller waited, where its span is about this call alone.
    fn add_calls(&mut self, spans: &[Span], clock: &Clock) {
        let relatives = relatives(spans);
        for (span, relatives_of) in spans.iter().zip(&relatives) {
            let Some(parent) = relatives_of.parent else { continue };
            let caller = &spans[parent];
            if caller.component == span.component {
                continue;
            }
            let waits = relatives[parent].foreign_children == 1
                && relatives[parent].own_children == 0
                && relatives[parent]
                    .parent
                    .is_some_and(|of| spans[of].component == caller.component);
            let (start, ms) =
                if waits { (caller.start, caller.ms.max(span.ms)) } else { (span.start, span.ms) };
            let window = clock.window(start).start;
            let (_, called) = self.windows.entry(window).or_default();
            let called = called.entry(caller.component.clone()).or_default();
            called.callees.entry(span.component.clone()).or_default().push(ms);
            let operation = (caller.component.clone(), caller.operation.clone());
            let leads = self.leads.entry(operation).or_default();
            *leads.entry(span.component.clone()).or_default() += 1;
        }
    }

    /// Records everything; answers through which component most traces enter.
    pub fn record(mut self, recorded: &mut Recorded) -> Option<ComponentName> {
        let leads = self.certain_leads();
        for (start, (answered, called)) in std::mem::take(&mut self.windows) {
            let window = recorded.clock.window(start);
            let end = window.end();
            for (component, answered) in answered {
                *recorded.components.entry(component.clone()).or_default() += 1;
                let what = format!("spans {component} {}", start.as_millisecond());
                let data = answered.snapshot(&component, &window);
                recorded.at(start).record(&what, end, data);
            }
            for (caller, called) in called {
                let edges = called.edges(&caller, &leads);
                if edges.is_empty() {
                    continue;
                }
                let what = format!("calls {caller} {}", start.as_millisecond());
                let data = TraceEdgesRecorded { caller, window: window.clone(), edges };
                recorded.at(start).record(&what, end, data);
            }
        }
        let most = self.entrances.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)));
        most.map(|(component, _)| component)
    }

    fn certain_leads(&self) -> BTreeMap<(ComponentName, String), ComponentName> {
        let certain = self.leads.iter().filter_map(|(operation, callees)| {
            let total: u64 = callees.values().sum();
            let (callee, most) = callees.iter().max_by_key(|(_, count)| **count)?;
            (*most as f64 >= LEADS_TO * total as f64).then(|| (operation.clone(), callee.clone()))
        });
        certain.collect()
    }
}

impl Called {
    fn edges(
        mut self,
        caller: &ComponentName,
        leads: &BTreeMap<(ComponentName, String), ComponentName>,
    ) -> Vec<CallStatistics> {
        for (operation, took) in self.ends {
            if let Some(callee) = leads.get(&(caller.clone(), operation)) {
                self.callees.entry(callee.clone()).or_default().extend(took);
            }
        }
        let edges = self.callees.into_iter().map(|(callee, took)| CallStatistics {
            callee,
            calls: took.len() as u64,
            errors: 0,
            latency: latency(took),
            exemplar_trace_ids: Vec::new(),
        });
        edges.collect()
    }
}

impl Answered {
    fn snapshot(
        self,
        component: &ComponentName,
        window: &events::catalogue::telemetry::Window,
    ) -> MetricSnapshotRecorded {
        let operations = self.operations.into_iter().take(MAX_EXTRAS).map(|(operation, count)| {
            let name: String = format!("spans.{operation}").chars().take(200).collect();
            (name, Finite::new(count as f64).expect("a count is finite"))
        });
        MetricSnapshotRecorded {
            component: component.clone(),
            window: window.clone(),
            requests: Some(self.took.len() as u64),
            errors: None,
            latency: latency(self.took),
            saturation: None,
            cpu_cores: None,
            memory_bytes: None,
            extras: operations.collect(),
        }
    }
}

fn latency(mut ms: Durations) -> Option<Latency> {
    ms.sort_by(f64::total_cmp);
    let last = ms.len().checked_sub(1)?;
    let number = |ms: f64| NonNegative::new(ms).expect("durations are finite and not negative");
    let at = |share: f64| number(ms[(last as f64 * share).round() as usize]);
    let mean = ms.iter().sum::<f64>() / ms.len() as f64;
    Some(Latency {
        p50_ms: at(0.5),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        mean_ms: Some(number(mean)),
    })
}
