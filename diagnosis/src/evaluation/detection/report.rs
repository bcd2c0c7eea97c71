//! Scores of recordings, put together.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Detection, FalseAlarm, JudgedInjection, Moved, Score};

/// How long detecting took, over several injections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Times {
    /// In windows: the median.
    pub median_windows: u64,
    /// In windows: nine of ten took at most this long.
    pub p90_windows: u64,
    /// In seconds: the median.
    pub median_s: f64,
    /// In seconds: nine of ten took at most this long.
    pub p90_s: f64,
}

/// Injections of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KindRow {
    /// The fault kind, `all` for the last row.
    pub kind: String,
    /// How many.
    pub injected: usize,
    /// Those of them that moved a golden signal.
    pub moved: usize,
    /// Those of them for which that is not known.
    pub unknown: usize,
    /// Those that moved one and were detected.
    pub detected: usize,
    /// Those that moved none, or may not have, and were detected all the same.
    pub detected_beside: usize,
    /// Those that moved one and were not, by name.
    pub missed: Vec<String>,
    /// Of those that moved a signal and were detected.
    pub times: Option<Times>,
}

/// One part of the detector.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PartRow {
    /// Which.
    pub part: String,
    /// Injections that moved a signal and in whose anomalies it spoke.
    pub detected: usize,
    /// Those of them in which no other part spoke.
    pub alone: usize,
    /// Those of them in which it spoke in the first anomaly.
    pub first: usize,
    /// How long it took to speak.
    pub times: Option<Times>,
    /// False alarms in which it spoke.
    pub false_alarms: usize,
}

/// How the detector did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// A row for each fault kind by name, and one for all.
    pub kinds: Vec<KindRow>,
    /// A row for each part that spoke, by name.
    pub parts: Vec<PartRow>,
    /// Time without a fault or another known reason, in hours.
    pub quiet_hours: f64,
    /// When and where the false alarms were, in words.
    pub false_alarms: Vec<String>,
    /// False alarms in an hour of quiet time; absent without quiet time.
    pub false_alarms_per_hour: Option<f64>,
}

impl Report {
    /// Of all recordings together.
    pub fn of(scores: &[Score]) -> Self {
        let injections: Vec<&JudgedInjection> =
            scores.iter().flat_map(|score| &score.injections).collect();
        let mut kinds: BTreeMap<&str, Vec<&JudgedInjection>> = BTreeMap::new();
        for judged in &injections {
            let kind = judged.injection.kind.as_ref().map_or("unknown", |kind| kind.as_str());
            kinds.entry(kind).or_default().push(judged);
        }
        let alarms: Vec<&FalseAlarm> =
            scores.iter().flat_map(|score| &score.false_alarms).collect();
        let quiet_hours = scores.iter().map(|score| score.quiet_s).sum::<f64>() / 3_600.0;
        let told = |alarm: &&FalseAlarm| {
            let components: Vec<&str> = alarm.components.iter().map(|it| it.as_str()).collect();
            let parts: Vec<&str> = alarm.parts.iter().map(String::as_str).collect();
            format!("{}: {} ({})", alarm.began_at, components.join(", "), parts.join(", "))
        };
        let per_hour = alarms.len() as f64 / quiet_hours;
        let mut rows: Vec<KindRow> =
            kinds.into_iter().map(|(kind, of_kind)| kind_row(kind, &of_kind)).collect();
        rows.push(kind_row("all", &injections));
        Self {
            kinds: rows,
            parts: part_rows(&injections, &alarms),
            quiet_hours,
            false_alarms: alarms.iter().map(told).collect(),
            false_alarms_per_hour: (quiet_hours > 0.0).then_some(per_hour),
        }
    }
}

fn kind_row(kind: &str, injections: &[&JudgedInjection]) -> KindRow {
    let moved = || injections.iter().filter(|it| it.moved == Moved::Yes);
    let beside = injections.iter().filter(|it| it.moved != Moved::Yes && it.detection.is_some());
    let missed = moved().filter(|it| it.detection.is_none());
    KindRow {
        kind: kind.to_owned(),
        injected: injections.len(),
        moved: moved().count(),
        unknown: injections.iter().filter(|it| it.moved == Moved::Unknown).count(),
        detected: moved().filter(|it| it.detection.is_some()).count(),
        detected_beside: beside.count(),
        missed: missed.map(|it| it.injection.name.clone()).collect(),
        times: times(moved().filter_map(|it| it.detection.as_ref())),
    }
}

fn part_rows(injections: &[&JudgedInjection], alarms: &[&FalseAlarm]) -> Vec<PartRow> {
    let moved: Vec<_> = injections.iter().filter(|it| it.moved == Moved::Yes).collect();
    let of_faults = injections.iter().flat_map(|it| it.by_part.keys());
    let names: BTreeSet<&String> =
        of_faults.chain(alarms.iter().flat_map(|it| &it.parts)).collect();
    let row = |name: &String| {
        let spoke: Vec<_> = moved.iter().filter(|it| it.by_part.contains_key(name)).collect();
        let first = spoke.iter().filter(|it| {
            let own = it.by_part.get(name).map(|detection| detection.windows);
            own == it.detection.as_ref().map(|detection| detection.windows)
        });
        PartRow {
            part: name.clone(),
            detected: spoke.len(),
            alone: spoke.iter().filter(|it| it.by_part.len() == 1).count(),
            first: first.count(),
            times: times(spoke.iter().filter_map(|it| it.by_part.get(name))),
            false_alarms: alarms.iter().filter(|it| it.parts.contains(name)).count(),
        }
    };
    names.into_iter().map(row).collect()
}

fn times<'d>(detections: impl Iterator<Item = &'d Detection>) -> Option<Times> {
    let detections: Vec<&Detection> = detections.collect();
    let mut windows: Vec<u64> = detections.iter().map(|it| it.windows).collect();
    let mut seconds: Vec<f64> = detections.iter().map(|it| it.seconds).collect();
    windows.sort_unstable();
    seconds.sort_by(f64::total_cmp);
    // The nearest rank: a time that was measured.
    let rank = |share: f64| ((share * windows.len() as f64).ceil() as usize).saturating_sub(1);
    let (middle, ninth) = (rank(0.5), rank(0.9));
    Some(Times {
        median_windows: *windows.get(middle)?,
        p90_windows: *windows.get(ninth)?,
        median_s: *seconds.get(middle)?,
        p90_s: *seconds.get(ninth)?,
    })
}
