//! How much of an objective's error budget is left, and how fast it burns.
//!
//! Multi-window, multi-burn-rate alerting after "The Site Reliability Workbook" (Beyer et al.,
//! 2018), chapter 5: a rate is alarming when both a long and a short look back show it, the long
//! one so that a moment is no alarm, the short one so that the alarm ends soon after the trouble.

use std::collections::BTreeMap;

use events::catalogue::model::{Indicator, SloDefined};
use events::catalogue::telemetry::{Latency, MetricSnapshotRecorded};
use jiff::{SignedDuration, Timestamp};

/// When burning is alarming.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurnRule {
    /// The long look back.
    pub long: SignedDuration,
    /// The short look back.
    pub short: SignedDuration,
    /// Times the rate at which the budget would last exactly its window.
    pub rate: f64,
    /// Whether someone has to be woken.
    pub page: bool,
}

impl BurnRule {
    /// The workbook's four rules for a budget of 30 days, with looks back in the same proportion
    /// to another window: 2 % of the budget in an hour, 5 % in six hours, 10 % in a day and in
    /// three.
    pub fn usual(window: SignedDuration) -> Vec<Self> {
        let part = |number: i32, of: i32| window * number / of;
        let rule = |long, short, rate, page| Self { long, short, rate, page };
        vec![
            rule(part(1, 720), part(1, 8_640), 14.4, true),
            rule(part(6, 720), part(1, 1_440), 6.0, true),
            rule(part(24, 720), part(2, 720), 3.0, false),
            rule(part(72, 720), part(6, 720), 1.0, false),
        ]
    }
}

/// What an objective counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Requests.
    pub total: f64,
    /// Those of them that were not good.
    pub bad: f64,
}

impl Tally {
    /// What a snapshot counts for an objective; `None` if it did not measure it.
    pub fn of(snapshot: &MetricSnapshotRecorded, slo: &SloDefined) -> Option<Self> {
        let total = snapshot.requests? as f64;
        let bad = match slo.indicator {
            Indicator::Availability => snapshot.errors? as f64,
            Indicator::Latency if total == 0.0 => 0.0,
            Indicator::Latency => {
                let within = share_within(snapshot.latency.as_ref()?, slo.threshold_ms?.get());
                total * (1.0 - within)
            }
        };
        Some(Self { total, bad: bad.min(total) })
    }

    fn add(&mut self, other: Self) {
        self.total += other.total;
        self.bad += other.bad;
    }
}

/// The share of requests within a limit, told from three quantiles: straight lines between them,
/// and beyond the last one as far again as from the 95th to the 99th percentile.
pub fn share_within(latency: &Latency, limit_ms: f64) -> f64 {
    let (p50, p95, p99) = (latency.p50_ms.get(), latency.p95_ms.get(), latency.p99_ms.get());
    let points = [(0.0, 0.0), (p50, 0.5), (p95, 0.95), (p99, 0.99), (p99 + (p99 - p95), 1.0)];
    let above = points.iter().position(|(value, _)| limit_ms < *value);
    match above {
        None => 1.0,
        Some(0) => 0.0,
        Some(index) => {
            let ((low, from), (high, to)) = (points[index - 1], points[index]);
            from + (to - from) * (limit_ms - low) / (high - low)
        }
    }
}

/// The error budget of one objective.
#[derive(Clone, Debug)]
pub struct ErrorBudget {
    slo: SloDefined,
    window: SignedDuration,
    rules: Vec<BurnRule>,
    step: SignedDuration,
    /// Tallies by the step that they ended in.
    steps: BTreeMap<i64, Tally>,
}

/// How a budget stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Over the objective's window.
    pub tally: Tally,
    /// Share of good requests; `None` without any.
    pub good: Option<f64>,
    /// Share of the budget that is left; below 0 when it is overspent.
    pub remaining: f64,
    /// Every rule, with the rates over its two looks back and whether both are alarming.
    pub burns: Vec<Burn>,
}

/// A rule as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burn {
    /// The rule.
    pub rule: BurnRule,
    /// The rate over the long look back.
    pub long: f64,
    /// The rate over the short look back.
    pub short: f64,
    /// Both are at least the rule's.
    pub alarming: bool,
}

impl ErrorBudget {
    /// The budget of an objective, with nothing counted.
    pub fn new(slo: SloDefined, rules: Vec<BurnRule>) -> Self {
        let window = SignedDuration::from_millis(slo.window_ms.get() as i64);
        let window = window.max(SignedDuration::from_secs(1));
        let shortest = rules.iter().map(|rule| rule.short).min().unwrap_or(window);
        let step = (shortest / 5).max(SignedDuration::from_secs(1));
        Self { slo, window, rules, step, steps: BTreeMap::new() }
    }

    /// Counts a snapshot of the objective's component. Of one that did not measure what the
    /// objective is about nothing is known, which is neither good nor bad.
    pub fn count(&mut self, snapshot: &MetricSnapshotRecorded) {
        if snapshot.component == self.slo.component
            && let Some(tally) = Tally::of(snapshot, &self.slo)
        {
            let step = self.step_of(snapshot.window.end());
            self.steps.entry(step).or_default().add(tally);
        }
    }

    /// How the budget stands at `now`. Forgets what is older than its window.
    pub fn standing(&mut self, now: Timestamp) -> Standing {
        let oldest = self.step_of(now.saturating_sub(self.window).unwrap_or(Timestamp::MIN));
        self.steps = self.steps.split_off(&(oldest + 1));
        let tally = self.tally(self.window, now);
        let allowed = 1.0 - self.slo.objective.get();
        let share = |part: f64, of: f64| if of > 0.0 { part / of } else { 0.0 };
        let spent = |tally: Tally| match allowed {
            // Nothing is allowed: the first bad request is more than all of it.
            0.0 if tally.bad > 0.0 => f64::INFINITY,
            0.0 => 0.0,
            allowed => share(tally.bad, tally.total) / allowed,
        };
        let burn = |rule: &BurnRule| {
            let (long, short) = (self.tally(rule.long, now), self.tally(rule.short, now));
            let (long, short) = (spent(long), spent(short));
            let alarming = long >= rule.rate && short >= rule.rate;
            Burn { rule: *rule, long, short, alarming }
        };
        Standing {
            tally,
            good: (tally.total > 0.0).then(|| 1.0 - share(tally.bad, tally.total)),
            remaining: 1.0 - spent(tally),
            burns: self.rules.iter().map(burn).collect(),
        }
    }

    fn tally(&self, back: SignedDuration, now: Timestamp) -> Tally {
        let from = self.step_of(now.saturating_sub(back).unwrap_or(Timestamp::MIN));
        let mut sum = Tally::default();
        let steps = self.steps.range(from + 1..=self.step_of(now));
        steps.for_each(|(_, tally)| sum.add(*tally));
        sum
    }

    /// The step that a window ended in: one that ends with a step belongs to it.
    fn step_of(&self, end: Timestamp) -> i64 {
        let step = i64::try_from(self.step.as_millis()).unwrap_or(i64::MAX).max(1);
        (end.as_millisecond() - 1).div_euclid(step)
    }
}

#[cfg(test)]
mod tests {
    use events::catalogue::telemetry::Window;
    use events::value::{NonNegative, Ratio};

    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_767_225_600_000 + ms).unwrap()
    }

    fn slo(indicator: Indicator, objective: f64) -> SloDefined {
        SloDefined {
            slo: "cart".parse().unwrap(),
            component: "cart".parse().unwrap(),
            indicator,
            threshold_ms: (indicator == Indicator::Latency)
                .then(|| NonNegative::new(100.0).unwrap()),
            objective: Ratio::new(objective).unwrap(),
            window_ms: NonNegative::new(720.0 * HOUR_MS as f64).unwrap(),
        }
    }

    fn budget(slo: SloDefined) -> ErrorBudget {
        let rules = BurnRule::usual(SignedDuration::from_hours(720));
        ErrorBudget::new(slo, rules)
    }

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

    #[test]
    fn the_workbooks_rules_are_those_of_a_month() {
        let rules = BurnRule::usual(SignedDuration::from_hours(720));
        let minutes: Vec<_> =
            rules.iter().map(|rule| (rule.long.as_mins(), rule.short.as_mins())).collect();
        assert_eq!(minutes, [(60, 5), (360, 30), (1_440, 120), (4_320, 360)]);
    }

    #[test]
    fn a_budget_is_spent_by_the_share_of_what_failed() {
        let mut budget = budget(slo(Indicator::Availability, 0.99));
        for window in 1..=360 {
            budget.count(&snapshot(window * 10_000, 1_000, 5));
        }
        let standing = budget.standing(at(HOUR_MS));
        assert!((standing.remaining - 0.5).abs() < 1e-9);
        assert!((standing.good.unwrap() - 0.995).abs() < 1e-9);
        assert!(standing.burns.iter().all(|burn| (burn.long - 0.5).abs() < 1e-9));
        assert!(standing.burns.iter().all(|burn| !burn.alarming));
        let later = budget.standing(at(721 * HOUR_MS + 10_000));
        assert_eq!((later.remaining, later.good), (1.0, None), "it is forgotten after the window");
    }

    #[test]
    fn a_burst_alarms_while_it_lasts_and_not_long_after() {
        let mut budget = budget(slo(Indicator::Availability, 0.99));
        for window in 1..=360 {
            // 20 % fail in the last ten minutes of the hour.
            budget.count(&snapshot(window * 10_000, 100, if window > 300 { 20 } else { 0 }));
        }
        let paging = |standing: &Standing| standing.burns[0].alarming;
        let now = budget.standing(at(HOUR_MS));
        assert!((now.burns[0].long - 20.0 / 6.0).abs() < 0.01);
        assert!(!paging(&now), "3.3 times over an hour is no page");
        for window in 361..=560 {
            budget.count(&snapshot(window * 10_000, 100, 20));
        }
        assert!(paging(&budget.standing(at(5_600_000))));
        for window in 561..=600 {
            budget.count(&snapshot(window * 10_000, 100, 0));
        }
        let after = budget.standing(at(6_000_000));
        assert!(after.burns[0].long >= 14.4, "{after:?}");
        assert!(!paging(&after), "the last five minutes are fine");
    }

    #[test]
    fn latency_is_told_from_quantiles_and_what_was_not_measured_is_not_counted() {
        let latency = snapshot(0, 1, 0).latency.unwrap();
        for (limit, share) in [(0.0, 0.0), (50.0, 0.5), (100.0, 0.725), (200.0, 0.99), (250.0, 1.0)]
        {
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
        let mut budget = budget(slo(Indicator::Availability, 1.0));
        budget.count(&snapshot(10_000, 100, 0));
        assert_eq!(budget.standing(at(20_000)).remaining, 1.0);
        budget.count(&snapshot(20_000, 100, 1));
        assert_eq!(budget.standing(at(20_000)).remaining, f64::NEG_INFINITY);
    }
}
