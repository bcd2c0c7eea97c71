//! Made-up traffic with a daily peak: the peak is no alarm once two days had it, and one at
//! another hour is.

#![allow(clippy::unwrap_used, reason = "the whole crate is tests")]

use std::collections::BTreeMap;

use diagnosis::detect::{Detector, Settings};
use events::catalogue::telemetry::{Latency, MetricSnapshotRecorded, Window};
use events::value::{Line, NonNegative};
use events::{Event, EventData, EventId, RecordedEvent, Timestamp};
use jiff::SignedDuration;
use proptest::prelude::*;

const WINDOW: SignedDuration = SignedDuration::from_mins(5);
const WINDOWS_A_DAY: usize = 288;
const WINDOWS_AN_HOUR: usize = 12;

/// What users do.
#[derive(Clone, Debug)]
struct Traffic {
    /// Requests a second outside of peaks.
    base: f64,
    /// How many times as many in a peak.
    factor: f64,
    /// The hour of the daily peak.
    hour: usize,
    /// How long it takes, in windows.
    lasts: usize,
    /// Of each day: windows that its peak is late, up to two.
    late: [usize; 4],
    /// Of each day: how high its peak is beside the others'.
    height: [f64; 4],
    /// Up to a tenth more or less in each window.
    noise: Vec<f64>,
    /// The hour of another peak, on the last day.
    odd: Option<usize>,
}

impl Traffic {
    fn peak(&self, day: usize) -> std::ops::Range<usize> {
        let from = day * WINDOWS_A_DAY + self.hour * WINDOWS_AN_HOUR + self.late[day];
        from..from + self.lasts
    }

    fn odd_peak(&self) -> std::ops::Range<usize> {
        let from = self.odd.map(|hour| 3 * WINDOWS_A_DAY + hour * WINDOWS_AN_HOUR);
        from.map_or(0..0, |from| from..from + self.lasts)
    }

    fn rate(&self, window: usize) -> f64 {
        let day = window / WINDOWS_A_DAY;
        let factor = if self.peak(day).contains(&window) {
            self.factor * self.height[day]
        } else if self.odd_peak().contains(&window) {
            self.factor
        } else {
            1.0
        };
        self.base * factor * (1.0 + self.noise[window % self.noise.len()])
    }

    /// The windows of four days in which something was unusual.
    fn alarms(&self) -> Vec<usize> {
        let mut detector = Detector::new(Settings::default());
        let windows = 0..4 * WINDOWS_A_DAY;
        windows
            .filter(|window| !detector.observe(&snapshot(*window, self.rate(*window))).is_empty())
            .collect()
    }
}

fn snapshot(number: usize, rate: f64) -> RecordedEvent {
    let midnight = Timestamp::from_second(1_767_225_600).unwrap();
    let start = midnight + WINDOW * i32::try_from(number).unwrap();
    let window = Window { start, duration_ms: WINDOW.as_millis().unsigned_abs() as u64 };
    let ms = |ms: f64| NonNegative::new(ms).unwrap();
    let data = EventData::from(MetricSnapshotRecorded {
        component: "gateway".parse().unwrap(),
        window: window.clone(),
        requests: Some((rate * WINDOW.as_secs_f64()) as u64),
        errors: Some(0),
        latency: Some(Latency {
            p50_ms: ms(10.0),
            p95_ms: ms(20.0),
            p99_ms: ms(30.0),
            mean_ms: Some(ms(12.0)),
        }),
        saturation: None,
        cpu_cores: None,
        memory_bytes: None,
        extras: BTreeMap::new(),
    });
    let id = EventId(uuid::Uuid::from_u128(number as u128 + 1));
    let event = Event::with_id(id, Line::clipped("/test"), window.end(), data);
    RecordedEvent {
        stream: event.data.stream(),
        revision: 0,
        position: number as u64 + 1,
        recorded_at: event.time,
        event,
        pruned: None,
    }
}

fn traffic() -> impl Strategy<Value = Traffic> {
    (
        1.0..200.0,
        4.5..15.0,
        1..18_usize,
        6..36_usize,
        [0..3_usize, 0..3, 0..3, 0..3],
        [0.8..1.2, 0.8..1.2, 0.8..1.2, 0.8..1.2],
        prop::collection::vec(-0.1..0.1, 50..100),
    )
        .prop_map(|(base, factor, hour, lasts, late, height, noise)| Traffic {
            base,
            factor,
            hour,
            lasts,
            late,
            height,
            noise,
            odd: None,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_daily_peak_is_no_alarm_on_the_fourth_day_and_one_at_another_hour_is(
        daily in traffic(),
        away in 5..20_usize,
    ) {
        let alarms = daily.alarms();
        for day in [0, 1] {
            let noticed = alarms.iter().any(|window| daily.peak(day).contains(window));
            prop_assert!(noticed, "a peak of day {} is none that is known", day + 1);
        }
        let later: Vec<_> = alarms.iter().filter(|it| **it >= 2 * WINDOWS_A_DAY).collect();
        prop_assert!(later.is_empty(), "days three and four: {later:?}");

        let odd = Traffic { odd: Some((daily.hour + away) % 21), ..daily.clone() };
        let apart = odd.odd_peak().start.abs_diff(daily.peak(3).start);
        prop_assume!(apart >= 4 * WINDOWS_AN_HOUR + daily.lasts);
        let begins = odd.odd_peak().start;
        let noticed = odd.alarms().into_iter().find(|window| *window >= 3 * WINDOWS_A_DAY);
        prop_assert!(noticed.is_some_and(|it| (begins..begins + 2).contains(&it)), "{noticed:?}");
    }
}
