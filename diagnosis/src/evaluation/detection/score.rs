//! What the detector noticed against what was true.

use std::collections::BTreeMap;

use events::ComponentName;
use jiff::{SignedDuration, Timestamp};

use super::moved::Measured;
use super::{
    AFTERMATH_WINDOWS, Alarm, HOPS, Injection, Moved, Noticed, Observed, Reason, Truth, Watched,
};
use crate::detect::{Settings, part_name};

/// How an injection was noticed.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Where first.
    pub component: ComponentName,
    /// Windows that had ended since the injection.
    pub windows: u64,
    /// Seconds since the injection.
    pub seconds: f64,
}

/// An injection and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedInjection {
    /// The injection.
    pub injection: Injection,
    /// Whether it could be noticed by what users feel.
    pub moved: Moved,
    /// The first that noticed it; `None` if nothing did.
    pub detection: Option<Detection>,
    /// The first detection that each part of the detector spoke in.
    pub by_part: BTreeMap<String, Detection>,
}

/// An alarm in quiet time.
pub type FalseAlarm = Alarm;

/// How the detector did on one recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Every injection, by time.
    pub injections: Vec<JudgedInjection>,
    /// Every false alarm, by time.
    pub false_alarms: Vec<FalseAlarm>,
    /// How much quiet time there was, in seconds.
    pub quiet_s: f64,
}

/// Holds what was noticed against what was true.
pub fn score(observed: &Observed, watched: &Watched, truth: &Truth) -> Score {
    let measured = Measured::of(observed);
    let aftermath = observed.step().saturating_mul(AFTERMATH_WINDOWS as i32);
    let judged = truth.injections.iter().map(|injection| {
        let mut by_part: BTreeMap<String, Detection> = BTreeMap::new();
        let mut first = None;
        for noticed in &watched.noticed {
            if !may_come_from(noticed, injection, aftermath, watched) {
                continue;
            }
            let detection = detection(noticed, injection);
            for part in noticed.anomaly.parts.iter().map(part_name) {
                by_part.entry(part).or_insert_with(|| detection.clone());
            }
            first.get_or_insert(detection);
        }
        JudgedInjection {
            injection: injection.clone(),
            moved: measured.moved(injection, truth, &watched.topology),
            detection: first,
            by_part,
        }
    });
    let explained = explained(truth, aftermath);
    let touches = |from: Timestamp, until: Timestamp| {
        explained.iter().any(|reason| reason.from <= until && from < reason.until)
    };
    let alarms = watched.alarms.iter();
    let false_alarms = alarms.filter(|it| !touches(it.began_at, it.known_at)).cloned().collect();
    Score { injections: judged.collect(), false_alarms, quiet_s: quiet_s(observed, &explained) }
}

fn may_come_from(
    noticed: &Noticed,
    injection: &Injection,
    aftermath: SignedDuration,
    watched: &Watched,
) -> bool {
    let anomaly = &noticed.anomaly;
    let first = anomaly.since.saturating_add(length(noticed)).unwrap_or(Timestamp::MAX);
    let latest = injection.until.saturating_add(aftermath).unwrap_or(Timestamp::MAX);
    let near = || watched.topology.hops(&injection.component, &anomaly.component, HOPS).is_some();
    first > injection.from && noticed.known_at <= latest && near()
}

fn length(noticed: &Noticed) -> SignedDuration {
    let ms = noticed.anomaly.window.duration_ms.max(1);
    SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}

fn detection(noticed: &Noticed, injection: &Injection) -> Detection {
    let (end, window) = (noticed.anomaly.window.end(), length(noticed).as_nanos());
    let until_end = end.duration_since(injection.from).as_nanos().max(1);
    let waited = noticed.known_at.duration_since(end).as_nanos().max(0);
    let windows = (until_end + window - 1) / window + waited / window;
    Detection {
        component: noticed.anomaly.component.clone(),
        windows: u64::try_from(windows).unwrap_or(u64::MAX),
        seconds: noticed.known_at.duration_since(injection.from).as_secs_f64(),
    }
}

// The times that are not quiet, by their beginning.
fn explained(truth: &Truth, aftermath: SignedDuration) -> Vec<Reason> {
    let injected = truth.injections.iter().map(|it| Reason { from: it.from, until: it.until });
    let mut explained: Vec<Reason> = injected
        .chain(truth.reasons.iter().copied())
        .map(|reason| Reason {
            until: reason.until.saturating_add(aftermath).unwrap_or(Timestamp::MAX),
            ..reason
        })
        .collect();
    explained.sort_by_key(|reason| reason.from);
    explained
}

// The first windows, in which nothing can be called unusual yet, are not counted.
fn quiet_s(observed: &Observed, explained: &[Reason]) -> f64 {
    let learning = i32::try_from(Settings::default().least_windows).unwrap_or(i32::MAX);
    let covered = observed.covered();
    let first = covered.first().map_or(Timestamp::MIN, |(start, _)| *start);
    let begin = first.saturating_add(observed.step().saturating_mul(learning));
    let mut from = begin.unwrap_or(Timestamp::MAX);
    let mut quiet = 0.0;
    for (start, end) in covered {
        from = from.max(start);
        for reason in explained.iter().filter(|reason| reason.from < end) {
            if reason.from > from {
                quiet += reason.from.duration_since(from).as_secs_f64();
            }
            from = from.max(reason.until);
        }
        if end > from {
            quiet += end.duration_since(from).as_secs_f64();
            from = end;
        }
    }
    quiet
}
