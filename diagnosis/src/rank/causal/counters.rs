//! How often things happened on one component: in all before and after, and window by window.
//!
//! Every ranking needs the totals of everything. The windows are dear to keep and told apart for
//! the few components only whose totals do not go together: they are counted again for those.

use std::collections::BTreeMap;

use events::EventId;
use events::catalogue::telemetry::LogSeverity;
use jiff::Timestamp;

use crate::contrast::Side;
use crate::evidence::{EdgeEvidence, LogEvidence, SnapshotEvidence};

/// Extras of this form count how often a named thing happened in the window, such as spans of an
/// operation.
pub const NAMED: &str = "spans.";

/// What can be counted of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted<'e> {
    /// Requests that it says it answered.
    Requests,
    /// Calls of it that its callers saw.
    Called,
    /// Its calls of another component.
    Calls(&'e str),
    /// A named thing.
    Named(&'e str),
    /// Lines of a log template.
    Lines(&'e str, LogSeverity),
}

/// How often something happened in all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter {
    /// In the windows before.
    pub before: f64,
    /// From the incident's first window on.
    pub after: f64,
    /// The event that counted it last.
    pub last: Option<EventId>,
}

impl Counter {
    /// Adds a window.
    pub fn add(&mut self, side: Side, event: EventId, count: f64) {
        if count <= 0.0 {
            return;
        }
        match side {
            Side::Before => self.before += count,
            Side::After => self.after += count,
            Side::Between => return,
        }
        self.last = Some(event);
    }
}

/// Something for each thing that is counted, found again where it comes next: windows repeat the
/// same things in the same order.
#[derive(Debug)]
pub struct Counters<'e, T> {
    counters: Vec<(Counted<'e>, T)>,
    next: usize,
}

impl<T> Default for Counters<'_, T> {
    fn default() -> Self {
        Self { counters: Vec::new(), next: 0 }
    }
}

impl<'e, T> Counters<'e, T> {
    /// That of a thing, made when there is none.
    pub fn of(&mut self, counted: Counted<'e>) -> &mut T
    where
        T: Default,
    {
        let from_next = (self.next..self.counters.len()).chain(0..self.next);
        let found = from_next.into_iter().find(|&place| self.counters[place].0 == counted);
        let place = found.unwrap_or_else(|| {
            self.counters.push((counted, T::default()));
            self.counters.len() - 1
        });
        self.next = if place + 1 < self.counters.len() { place + 1 } else { 0 };
        &mut self.counters[place].1
    }

    /// Adds a thing that has none yet.
    pub fn push(&mut self, counted: Counted<'e>, counter: T) {
        self.counters.push((counted, counter));
    }

    /// Puts them in one order, whatever came first.
    pub fn sort(&mut self) {
        self.counters.sort_by_key(|(counted, _)| *counted);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Counted<'e>, &T)> {
        self.counters.iter().map(|(counted, counter)| (counted, counter))
    }

    /// That of a thing.
    pub fn get(&self, counted: &Counted<'_>) -> Option<&T> {
        self.iter().find(|(known, _)| *known == counted).map(|(_, counter)| counter)
    }
}

/// How often something happened in each window that has any of it, the earliest first.
pub type Windows = Vec<(Timestamp, f64)>;

/// What was told of a component before the incident, in the order of time.
#[derive(Debug, Default)]
pub struct Usually<'e> {
    pub snapshots: Vec<&'e SnapshotEvidence>,
    pub logs: Vec<&'e LogEvidence>,
    /// The calls that it made.
    pub calls: Vec<&'e EdgeEvidence>,
    /// The calls of it.
    pub called: Vec<&'e EdgeEvidence>,
}

impl<'e> Usually<'e> {
    /// Counts everything again, window by window.
    pub fn windows(&self) -> BTreeMap<Counted<'e>, Windows> {
        let mut counters: Counters<'e, Windows> = Counters::default();
        let mut add = |counted, at, count| {
            if count <= 0.0 {
                return;
            }
            let windows = counters.of(counted);
            match windows.last_mut() {
                Some((last, sum)) if *last == at => *sum += count,
                _ => windows.push((at, count)),
            }
        };
        for it in &self.snapshots {
            if let Some(requests) = it.requests {
                add(Counted::Requests, it.window.start, requests as f64);
            }
            for (name, value) in &it.extras {
                if let Some(name) = name.strip_prefix(NAMED) {
                    add(Counted::Named(name), it.window.start, value.get());
                }
            }
        }
        for it in &self.logs {
            for pattern in &it.patterns {
                let counted = Counted::Lines(pattern.template.as_str(), pattern.severity);
                add(counted, it.window.start, pattern.count as f64);
            }
        }
        for it in &self.calls {
            let counted = Counted::Calls(it.stats.callee.as_str());
            add(counted, it.window.start, it.stats.calls as f64);
        }
        for it in &self.called {
            add(Counted::Called, it.window.start, it.stats.calls as f64);
        }
        counters.counters.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use events::catalogue::telemetry::{LogPattern, Window};
    use events::value::Line;
    use uuid::Uuid;

    use super::*;

    fn log(second: i64, counts: [u64; 2]) -> LogEvidence {
        let pattern = |(template, count)| LogPattern {
            template: Line::clipped(template),
            severity: LogSeverity::Info,
            count,
            exemplar_trace_ids: Vec::new(),
        };
        LogEvidence {
            event: EventId(Uuid::from_u128(second as u128)),
            component: events::ComponentName::new("cart").unwrap(),
            window: Window { start: Timestamp::from_second(second).unwrap(), duration_ms: 1_000 },
            patterns: ["begun", "done"].into_iter().zip(counts).map(pattern).collect(),
        }
    }

    #[test]
    fn windows_that_count_nothing_are_left_out_and_equal_ones_are_one() {
        let logs = [log(1, [3, 0]), log(2, [4, 1]), log(2, [2, 0]), log(3, [0, 5])];
        let usually = Usually { logs: logs.iter().collect(), ..Usually::default() };
        let windows = usually.windows();
        let of = |template| &windows[&Counted::Lines(template, LogSeverity::Info)][..];
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(of("begun"), [(at(1), 3.0), (at(2), 6.0)]);
        assert_eq!(of("done"), [(at(2), 1.0), (at(3), 5.0)]);
    }
}
