//! Things that used to happen together and no longer do.
//!
//! A request that goes its usual way leaves its marks in proportion: the second log line after
//! the first, the query after the call. A proportion that held over many windows and broke names
//! the component in which the way ends early, whatever the mix of requests (G. Jiang, H. Chen,
//! K. Yoshihira, "Modeling and Tracking of Transaction Flow Dynamics for Fault Detection in
//! Complex Systems", IEEE TDSC 2006). Only counts of one component are compared with each other.

use std::cell::LazyCell;

use events::EventId;
use events::catalogue::telemetry::LogSeverity;
use jiff::Timestamp;

use super::counters::{Counted, Counter, Counters, Usually, Windows};

/// Fewer counts than this before tell no proportion.
const LEAST_COUNT: f64 = 5.0;
/// Squared error a count, up to which two things go together; by chance it is above 1.
const GOES_TOGETHER: f64 = 0.35;
/// One window of so many is left out, the one that fits worst.
const LEFT_OUT: usize = 6;
/// What is not known of an error that was never seen.
const UNSEEN_ERROR: f64 = 0.5;
/// How much larger a proportion may be once the windows that fit worst are left out.
const LEFT_OUT_TELLS: f64 = 1.4;
/// Standard deviation of a proportion from one mixture of requests to another.
const MIXTURE: f64 = 0.2;
/// Partners that are asked what to expect; the middle answer counts.
const PARTNERS: usize = 3;
/// The most frequent things that are compared, so that the pairs stay few.
const MOST_COUNTED: usize = 120;
/// What a line that was never logged before is taken to have been expected.
const UNHEARD_OF: f64 = 0.5;

/// How strongly something speaks, in nats of likelihood, and the events that show it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Break {
    /// 0 when nothing broke.
    pub nats: f64,
    /// The events that counted it.
    pub evidence: Vec<EventId>,
}

impl Break {
    fn keep_stronger(&mut self, nats: f64, counter: &Counter, partner: Option<&Counter>) {
        if nats > self.nats {
            self.nats = nats;
            let shown = [counter.last, partner.and_then(|partner| partner.last)];
            self.evidence = shown.into_iter().flatten().collect();
            self.evidence.dedup();
        }
    }
}

/// The thing that is most clearly missing beside what it used to come with.
pub fn missing(counters: &Counters<'_, Counter>, usually: &Usually<'_>) -> Break {
    let mut known: Vec<(&Counted<'_>, &Counter)> =
        counters.iter().filter(|(_, counter)| counter.before >= LEAST_COUNT).collect();
    known.sort_by(|a, b| b.1.before.total_cmp(&a.1.before));
    known.truncate(MOST_COUNTED);
    // Comparing window by window is dear, and most have nothing to tell by any partner.
    let by_window = LazyCell::new(|| {
        let mut windows = usually.windows();
        let known = known.iter().map(|(counted, counter)| ByWindow {
            counter,
            windows: windows.remove(*counted).unwrap_or_default(),
        });
        known.collect::<Vec<_>>()
    });
    let least = (known.len() as f64).ln();
    let mut found = Break::default();
    for (index, (counted, counter)) in known.iter().enumerate() {
        if is_failure(counted) {
            continue;
        }
        let told = |(other, (_, partner)): (usize, &(&Counted<'_>, &Counter))| {
            let expected = counter.before / partner.before * partner.after;
            other != index && nats(counter, LEFT_OUT_TELLS * expected) > least
        };
        if !known.iter().enumerate().any(told) {
            continue;
        }
        let Some((expected, partner)) = expected(&by_window, index) else { continue };
        found.keep_stronger(nats(counter, expected) - least, counter, Some(partner));
    }
    found
}

/// A counter with what it counted in each window before.
struct ByWindow<'c> {
    counter: &'c Counter,
    windows: Windows,
}

// By how much likelier so few are when there is something wrong.
fn nats(counter: &Counter, expected: f64) -> f64 {
    let seen = counter.after;
    if seen >= expected {
        return 0.0;
    }
    let logs = if seen > 0.0 { seen * (seen / expected).ln() } else { 0.0 };
    // The proportion itself is known only as well as it was seen before.
    let known = counter.before / (counter.before + expected);
    let nats = (expected - seen + logs) * known;
    // A way that ends is left by all. One that some leave may be another mixture of requests,
    // however many they are.
    let drift = (1.0 - seen / expected) / MIXTURE;
    nats.min(drift * drift / 2.0)
}

// Failures that stay away are no missing step.
fn is_failure(counted: &Counted<'_>) -> bool {
    match counted {
        Counted::Lines(_, severity) => *severity >= LogSeverity::Error,
        Counted::Named(name) => {
            let name = name.to_ascii_lowercase();
            ["error", "exception", "fail"].iter().any(|word| name.contains(word))
        }
        _ => false,
    }
}

// By the partners that went along with it best.
fn expected<'c>(known: &[ByWindow<'c>], of: usize) -> Option<(f64, &'c Counter)> {
    let others = known.iter().enumerate().filter(|(other, _)| *other != of);
    let mut partners: Vec<(f64, f64, &Counter)> = others
        .filter(|(_, other)| other.counter.after > 0.0)
        .filter_map(|(_, other)| {
            let (proportion, error) = proportion(&known[of], other)?;
            let expected = proportion * other.counter.after;
            (error < GOES_TOGETHER).then_some((error, expected, other.counter))
        })
        .collect();
    partners.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.2.before.total_cmp(&a.2.before)));
    partners.truncate(PARTNERS);
    partners.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (_, expected, partner) = partners.get(partners.len() / 2)?;
    Some((*expected, partner))
}

// How many there are for each of the other, and the squared error of that, a count. The windows
// that fit worst are left out: not all that came before was calm.
fn proportion(this: &ByWindow<'_>, other: &ByWindow<'_>) -> Option<(f64, f64)> {
    let mut windows = together(&this.windows, &other.windows);
    let first = this.counter.before / other.counter.before;
    let miss = |proportion: f64, (count, others): (f64, f64)| (count - proportion * others).powi(2);
    windows.sort_by(|a, b| miss(first, *a).total_cmp(&miss(first, *b)));
    windows.truncate(windows.len() - windows.len() / LEFT_OUT);
    let (counts, others) =
        windows.iter().fold((0.0, 0.0), |sum, window| (sum.0 + window.0, sum.1 + window.1));
    let proportion = counts / others;
    let missed: f64 = windows.iter().map(|window| miss(proportion, *window)).sum();
    (counts > 0.0 && others > 0.0).then(|| (proportion, (missed + UNSEEN_ERROR) / counts))
}

// Both counts of each window that has one; a window without an entry counted none.
fn together(counts: &[(Timestamp, f64)], others: &[(Timestamp, f64)]) -> Vec<(f64, f64)> {
    let (mut left, mut right) = (counts.iter().peekable(), others.iter().peekable());
    let mut windows = Vec::with_capacity(counts.len().max(others.len()));
    loop {
        let (a, b) = match (left.peek(), right.peek()) {
            (None, None) => return windows,
            (Some((a, _)), Some((b, _))) => (a <= b, b <= a),
            (a, b) => (a.is_some(), b.is_some()),
        };
        let count = if a { left.next() } else { None };
        let other = if b { right.next() } else { None };
        windows.push((count.map_or(0.0, |count| count.1), other.map_or(0.0, |other| other.1)));
    }
}

/// The warning or error that is most clearly new or more frequent than the traffic explains.
pub fn complaints(counters: &Counters<'_, Counter>) -> Break {
    let lines = |counted: &Counted<'_>| matches!(counted, Counted::Lines(..));
    let total = |of: fn(&Counter) -> f64| -> f64 {
        counters.iter().filter(|(counted, _)| lines(counted)).map(|(_, counter)| of(counter)).sum()
    };
    let (before, after) = (total(|c| c.before), total(|c| c.after));
    let mut found = Break::default();
    if before <= 0.0 {
        return found;
    }
    let asked = [Counted::Requests, Counted::Called].map(|counted| {
        let counter = counters.get(&counted).filter(|counter| counter.before > 0.0);
        counter.map_or(0.0, |counter| counter.after / counter.before)
    });
    let growth = asked.into_iter().fold(after / before, f64::max);
    for (counted, counter) in counters.iter() {
        let Counted::Lines(_, severity) = counted else { continue };
        if *severity < LogSeverity::Warning {
            continue;
        }
        let expected = (counter.before * growth).max(UNHEARD_OF);
        let seen = counter.after;
        if seen > expected {
            let nats = seen * (seen / expected).ln() - (seen - expected);
            found.keep_stronger(nats, counter, None);
        }
    }
    found
}
