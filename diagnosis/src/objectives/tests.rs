//! Objectives over days of windows, and what holds whatever is counted.

use events::catalogue::model::{Indicator, SloDefined};
use events::catalogue::telemetry::{Latency, MetricSnapshotRecorded, Window};
use events::value::{Line, NonNegative, Ratio};
use events::{Event, EventData, EventId, RecordedEvent, SloId};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_767_225_600_000 + ms).unwrap()
}

fn slo(indicator: Indicator, objective: f64) -> SloDefined {
    SloDefined {
        slo: "cart".parse().unwrap(),
        component: "cart".parse().unwrap(),
        indicator,
        threshold_ms: (indicator == Indicator::Latency).then(|| NonNegative::new(100.0).unwrap()),
        objective: Ratio::new(objective).unwrap(),
        window_ms: NonNegative::new(720.0 * HOUR_MS as f64).unwrap(),
    }
}

/// A window of ten seconds.
fn snapshot(end_ms: i64, requests: u64, errors: u64) -> MetricSnapshotRecorded {
    let ms = |ms: f64| NonNegative::new(ms).unwrap();
    MetricSnapshotRecorded {
        component: "cart".parse().unwrap(),
        window: Window { start: at(end_ms - 10_000), duration_ms: 10_000 },
        requests: Some(requests),
        errors: Some(errors),
        latency: Some(Latency {
            p50_ms: ms(50.0),
            p95_ms: ms(150.0),
            p99_ms: ms(200.0),
            mean_ms: None,
        }),
        saturation: None,
        cpu_cores: None,
        memory_bytes: None,
        extras: [].into(),
    }
}

fn recorded(number: i64, data: impl Into<EventData>) -> RecordedEvent {
    let id = EventId(uuid::Uuid::nil()).derived(&number.to_string());
    let event = Event::with_id(id, Line::clipped("/test"), at(number), data.into());
    RecordedEvent {
        stream: event.data.stream(),
        revision: 0,
        position: number.unsigned_abs() + 1,
        recorded_at: event.time,
        event,
        pruned: None,
    }
}

/// Minutes of one window each, so many of 100 requests failed; what was told, and in which.
fn told(minutes: impl IntoIterator<Item = u64>) -> Vec<(i64, Burned)> {
    let mut objectives = Objectives::default();
    objectives.observe(&recorded(0, slo(Indicator::Availability, 0.99)));
    let mut told = Vec::new();
    for (minute, errors) in (1..).zip(minutes) {
        let snapshot = snapshot(minute * MINUTE_MS, 100, errors);
        let burned = objectives.observe(&recorded(minute, snapshot));
        told.extend(burned.into_iter().map(|burned| (minute, burned)));
    }
    told
}

#[test]
fn the_workbooks_rules_are_those_of_a_month() {
    let rules = BurnRule::usual(SignedDuration::from_hours(720));
    let told: Vec<_> =
        rules.iter().map(|r| (r.rate, r.long.as_mins(), r.short.as_mins())).collect();
    assert_eq!(told, [(14.4, 60, 5), (6.0, 360, 30), (1.0, 4_320, 360)]);
}

#[test]
fn a_budget_is_spent_by_the_share_of_what_failed() {
    let mut budget = ErrorBudget::new(slo(Indicator::Availability, 0.99));
    for window in 1..=360 {
        budget.count(&snapshot(window * 10_000, 1_000, 5));
    }
    let standing = budget.standing(at(HOUR_MS));
    assert!((standing.remaining - 0.5).abs() < 1e-9);
    assert!((standing.good.unwrap() - 0.995).abs() < 1e-9);
    assert!(standing.burns.iter().all(|burn| (burn.long - 0.5).abs() < 1e-9));
    assert!(standing.burns.iter().all(|burn| !burn.alarming));
    let later = budget.standing(at(722 * HOUR_MS));
    assert_eq!((later.remaining, later.good), (1.0, None), "it is forgotten after the window");
}

#[test]
fn a_fast_burn_is_told_once_and_again_when_it_comes_back() {
    let calm = || std::iter::repeat_n(0, 60);
    let burning = || std::iter::repeat_n(30, 90);
    // 14.4 times the budget over an hour is reached after 29 minutes of 30 %.
    let once = told(calm().chain(burning()));
    assert_eq!(once.len(), 3, "a ticket, six times, and faster still: {once:?}");
    let (minute, burned) = &once[2];
    assert_eq!(*minute, 60 + 29);
    assert_eq!(burned.data.window_ms.get(), HOUR_MS as f64);
    assert!(burned.data.burn_rate.get() >= 14.4);
    assert_eq!(burned.at, at(minute * MINUTE_MS));

    let days = || std::iter::repeat_n(0, 600);
    let twice = told(calm().chain(burning()).chain(days()).chain(burning()));
    let fast = twice.iter().filter(|(_, it)| it.data.window_ms.get() == HOUR_MS as f64);
    assert_eq!(fast.count(), 2, "{twice:?}");
}

#[test]
fn a_rate_that_wavers_around_its_limit_is_one_episode() {
    // Minutes of 20 % and of 8 % in turn, five each: 14 times the budget, the short look back
    // between 8 and 20 times.
    let wavering = (0..600).map(|minute| if minute / 5 % 2 == 0 { 22 } else { 8 });
    let fast = |(_, it): &&(i64, Burned)| it.data.window_ms.get() == HOUR_MS as f64;
    let told = told(wavering);
    assert_eq!(told.iter().filter(fast).count(), 1, "{told:?}");
}

#[test]
fn a_slow_leak_is_a_ticket_and_nothing_else() {
    let told = told(std::iter::repeat_n(2, 60 * 24));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].1.data.window_ms.get(), 72.0 * HOUR_MS as f64);
}

#[test]
fn another_target_keeps_what_was_counted_and_another_limit_does_not() {
    let mut objectives = Objectives::default();
    objectives.observe(&recorded(0, slo(Indicator::Availability, 0.99)));
    objectives.observe(&recorded(1, snapshot(10_000, 100, 1)));
    let id: SloId = "cart".parse().unwrap();
    let good = |objectives: &Objectives| objectives.standing(&id, at(20_000)).unwrap().good;
    objectives.observe(&recorded(2, slo(Indicator::Availability, 0.9)));
    let standing = objectives.standing(&id, at(20_000)).unwrap();
    assert!((standing.remaining - 0.9).abs() < 1e-9, "{standing:?}");
    objectives.observe(&recorded(3, slo(Indicator::Latency, 0.9)));
    assert_eq!(good(&objectives), None);
    assert_eq!(objectives.defined().count(), 1);
    assert_eq!(objectives.standing(&"other".parse().unwrap(), at(0)), None);
}

#[test]
fn latency_is_told_from_quantiles_and_what_was_not_measured_is_not_counted() {
    let latency = snapshot(0, 1, 0).latency.unwrap();
    for (limit, share) in [(0.0, 0.0), (50.0, 0.5), (100.0, 0.725), (200.0, 0.99), (250.0, 1.0)] {
        assert!((share_within(&latency, limit) - share).abs() < 1e-9, "{limit}");
    }
    let slo = slo(Indicator::Latency, 0.5);
    let tally = Tally::of(&snapshot(0, 1_000, 0), &slo).unwrap();
    assert!((tally.bad - 275.0).abs() < 1e-9);
    let without = MetricSnapshotRecorded { latency: None, ..snapshot(0, 1_000, 0) };
    assert_eq!(Tally::of(&without, &slo), None);
    let quiet = MetricSnapshotRecorded { requests: Some(0), ..without };
    assert_eq!(Tally::of(&quiet, &slo), Some(Tally::default()), "nobody was let wait");
}

#[test]
fn an_objective_of_all_is_overspent_by_the_first_failure() {
    let mut budget = ErrorBudget::new(slo(Indicator::Availability, 1.0));
    budget.count(&snapshot(10_000, 100, 0));
    assert_eq!(budget.standing(at(20_000)).remaining, 1.0);
    budget.count(&snapshot(20_000, 100, 1));
    assert_eq!(budget.standing(at(20_000)).remaining, f64::NEG_INFINITY);
    let mut objectives = Objectives::default();
    objectives.observe(&recorded(0, slo(Indicator::Availability, 1.0)));
    let burned = objectives.observe(&recorded(1, snapshot(20_000, 100, 1)));
    assert_eq!(burned[0].data.remaining.get(), 0.0);
}

#[test]
fn memory_is_bounded_however_long_it_counts_and_whatever_the_clock_says() {
    let mut budget = ErrorBudget::new(slo(Indicator::Availability, 0.99));
    for hour in 0..3_000 {
        budget.count(&snapshot(hour * HOUR_MS, 100, 1));
    }
    // One from far ahead takes the place of one step, not of all.
    budget.count(&snapshot(1_000_000 * HOUR_MS, 100, 100));
    assert!(budget.steps() <= 362 + 722, "{}", budget.steps());
    let standing = budget.standing(at(2_999 * HOUR_MS));
    assert!(standing.tally.total >= 71_000.0, "{standing:?}");
    assert!((standing.good.unwrap() - 0.99).abs() < 1e-9);
}

proptest! {
    #[test]
    fn no_budget_is_above_one_and_more_errors_leave_no_more_of_it(
        windows in prop::collection::vec((0i64..3_000, 0u64..500, 0u64..500), 1..80),
        more in 0usize..80,
        objective in 0.0f64..1.0,
        now in 0i64..4_000,
    ) {
        let standing = |windows: &[(i64, u64, u64)]| {
            let mut budget = ErrorBudget::new(slo(Indicator::Availability, objective));
            for (minute, requests, errors) in windows {
                budget.count(&snapshot(minute * MINUTE_MS, *requests, *errors));
            }
            budget.standing(at(now * MINUTE_MS))
        };
        let before = standing(&windows);
        prop_assert!(before.remaining <= 1.0);
        prop_assert!(before.tally.bad <= before.tally.total);
        prop_assert!(before.burns.iter().all(|burn| burn.long >= 0.0 && burn.short >= 0.0));
        let mut worse = windows.clone();
        let place = more % worse.len();
        worse[place].2 += 10;
        let after = standing(&worse);
        prop_assert!(after.remaining <= before.remaining);
        for (before, after) in before.burns.iter().zip(&after.burns) {
            prop_assert!(after.long >= before.long && after.short >= before.short);
        }
    }

    #[test]
    fn windows_that_come_late_come_to_the_same(
        windows in prop::collection::vec((0i64..60_000, 0u64..500, 0u64..500), 1..120),
        turn in 0usize..120,
    ) {
        for indicator in [Indicator::Availability, Indicator::Latency] {
            let standing = |windows: &[(i64, u64, u64)]| {
                let mut budget = ErrorBudget::new(slo(indicator, 0.99));
                for (minute, requests, errors) in windows {
                    budget.count(&snapshot(minute * MINUTE_MS, *requests, *errors));
                }
                budget.standing(at(60_000 * MINUTE_MS))
            };
            let mut late = windows.clone();
            late.rotate_left(turn % windows.len());
            let mut reversed = windows.clone();
            reversed.reverse();
            prop_assert_eq!(standing(&windows), standing(&late));
            prop_assert_eq!(standing(&windows), standing(&reversed));
        }
    }
}
