//! Things that used to happen together and no longer do.
//!
//! A request that goes its usual way leaves its marks in proportion: the second log line after
//! the first, the query after the call. A proportion that held over many windows and broke names
//! the component in which the way ends early, whatever the mix of requests (G. Jiang, H. Chen,
//! K. Yoshihira, "Modeling and Tracking of Transaction Flow Dynamics for Fault Detection in
//! Complex Systems", IEEE TDSC 2006). Only counts of one component are compared with each other.

use events::EventId;
use events::catalogue::telemetry::LogSeverity;
use jiff::Timestamp;

use super::signals::{Counted, Counter, Counters};

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
pub fn missing(counters: &Counters<'_>) -> Break {
    let mut known: Vec<(&Counted<'_>, &Counter)> =
        counters.iter().filter(|(_, counter)| counter.total_before >= LEAST_COUNT).collect();
    known.sort_by(|a, b| b.1.total_before.total_cmp(&a.1.total_before));
    known.truncate(MOST_COUNTED);
    let mut found = Break::default();
    for (index, (counted, counter)) in known.iter().enumerate() {
        if is_failure(counted) {
            continue;
        }
        let others = known.iter().enumerate().filter(|(other, _)| *other != index);
        let others = others.map(|(_, (_, other))| *other);
        let least = (known.len() as f64).ln();
        // Comparing window by window is dear, and most have nothing to tell by any partner.
        let told = |other: &Counter| {
            let expected = counter.total_before / other.total_before * other.total_after;
            nats(counter, LEFT_OUT_TELLS * expected) > least
        };
        if !others.clone().any(told) {
            continue;
        }
        let Some((expected, partner)) = expected(counter, others) else { continue };
        found.keep_stronger(nats(counter, expected) - least, counter, Some(partner));
    }
    found
}

// By how much likelier so few are when there is something wrong.
fn nats(counter: &Counter, expected: f64) -> f64 {
    let seen = counter.total_after;
    if seen >= expected {
        return 0.0;
    }
    let logs = if seen > 0.0 { seen * (seen / expected).ln() } else { 0.0 };
    // The proportion itself is known only as well as it was seen before.
    let known = counter.total_before / (counter.total_before + expected);
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
fn expected<'c>(
    counter: &Counter,
    others: impl Iterator<Item = &'c Counter>,
) -> Option<(f64, &'c Counter)> {
    let mut partners: Vec<(f64, f64, &Counter)> = others
        .filter(|other| other.total_after > 0.0)
        .filter_map(|other| {
            let (proportion, error) = proportion(counter, other)?;
            (error < GOES_TOGETHER).then_some((error, proportion * other.total_after, other))
        })
        .collect();
    partners.sort_by(|a, b| {
        a.0.total_cmp(&b.0).then_with(|| b.2.total_before.total_cmp(&a.2.total_before))
    });
    partners.truncate(PARTNERS);
    partners.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (_, expected, partner) = partners.get(partners.len() / 2)?;
    Some((*expected, partner))
}

// How many there are for each of the other, and the squared error of that, a count. The windows
// that fit worst are left out: not all that came before was calm.
fn proportion(counter: &Counter, other: &Counter) -> Option<(f64, f64)> {
    let mut windows = together(&counter.before, &other.before);
    let first = counter.total_before / other.total_before;
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
pub fn complaints(counters: &Counters<'_>) -> Break {
    let lines = |counted: &Counted<'_>| matches!(counted, Counted::Lines(..));
    let total = |of: fn(&Counter) -> f64| -> f64 {
        counters.iter().filter(|(counted, _)| lines(counted)).map(|(_, counter)| of(counter)).sum()
    };
    let (before, after) = (total(|c| c.total_before), total(|c| c.total_after));
    let mut found = Break::default();
    if before <= 0.0 {
        return found;
    }
    let asked = [Counted::Requests, Counted::Called].map(|counted| {
        let counter = counters.get(&counted).filter(|counter| counter.total_before > 0.0);
        counter.map_or(0.0, |counter| counter.total_after / counter.total_before)
    });
    let growth = asked.into_iter().fold(after / before, f64::max);
    for (counted, counter) in counters.iter() {
        let Counted::Lines(_, severity) = counted else { continue };
        if *severity < LogSeverity::Warning {
            continue;
        }
        let expected = (counter.total_before * growth).max(UNHEARD_OF);
        let seen = counter.total_after;
        if seen > expected {
            let nats = seen * (seen / expected).ln() - (seen - expected);
            found.keep_stronger(nats, counter, None);
        }
    }
    found
}
