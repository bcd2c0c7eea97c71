//! The error budget of one objective.

use events::catalogue::model::SloDefined;
use events::catalogue::telemetry::MetricSnapshotRecorded;
use events::value::Ratio;
use jiff::{SignedDuration, Timestamp};

use super::counts::Counts;
use super::{BurnRule, Tally};

/// Steps of the shortest look back: how exact it is.
const FINE_STEPS: i32 = 5;
/// Steps of the objective's window: an hour of thirty days.
const COARSE_STEPS: i32 = 720;

/// What an objective counted, in fine steps for the short looks back and in coarse ones for the
/// long: about a thousand numbers however long its window is.
#[derive(Clone, Debug)]
pub struct ErrorBudget {
    slo: SloDefined,
    window: SignedDuration,
    rules: [BurnRule; 3],
    fine: Counts,
    fine_reach: SignedDuration,
    coarse: Counts,
}

/// How a budget stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Over the objective's window.
    pub tally: Tally,
    /// Share of good requests (the indicator); `None` without any.
    pub good: Option<f64>,
    /// Share of the budget that is left: at most 1, below 0 when it is overspent.
    pub remaining: f64,
    /// Every rule, the fastest first.
    pub burns: [Burn; 3],
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
    pub fn new(slo: SloDefined) -> Self {
        let window = SignedDuration::from_millis(slo.window_ms.get() as i64);
        let window = window.max(SignedDuration::from_secs(1));
        let rules = BurnRule::usual(window);
        let shortest = rules.iter().map(|rule| rule.short).min().unwrap_or(window);
        // All looks back but that of the slowest rule, which is days long.
        let fine_reach = rules[1].long.max(rules[2].short);
        Self {
            fine: Counts::new(shortest / FINE_STEPS, fine_reach),
            coarse: Counts::new(window / COARSE_STEPS, window),
            slo,
            window,
            rules,
            fine_reach,
        }
    }

    /// The objective.
    pub fn slo(&self) -> &SloDefined {
        &self.slo
    }

    /// Counts a snapshot of the objective's component. Of one that did not measure what the
    /// objective is about nothing is known, which is neither good nor bad.
    pub fn count(&mut self, snapshot: &MetricSnapshotRecorded) {
        if snapshot.component == self.slo.component
            && let Some(tally) = Tally::of(snapshot, &self.slo)
        {
            let end = snapshot.window.end();
            self.fine.add(end, tally);
            self.coarse.add(end, tally);
        }
    }

    /// How the budget stands at `now`, by the windows that ended until then. Looks back are exact
    /// to a step: a fifth of the shortest of them, and for the window and for what is longer
    /// than its 120th part a 720th of the window.
    pub fn standing(&self, now: Timestamp) -> Standing {
        let tally = self.coarse.since(self.window, now);
        let share = |part: f64, of: f64| if of > 0.0 { part / of } else { 0.0 };
        let burn = |rule: &BurnRule| {
            let spent = |back| self.spent(self.since(back, now));
            let (long, short) = (spent(rule.long), spent(rule.short));
            let alarming = long >= rule.rate && short >= rule.rate;
            Burn { rule: *rule, long, short, alarming }
        };
        Standing {
            tally,
            good: (tally.total > 0.0).then(|| 1.0 - share(tally.bad, tally.total)),
            remaining: 1.0 - self.spent(tally),
            burns: self.rules.each_ref().map(burn),
        }
    }

    /// Whether another definition counts the same requests over the same time.
    pub(super) fn counts_the_same(&self, other: &SloDefined) -> bool {
        SloDefined { objective: self.slo.objective, ..other.clone() } == self.slo
    }

    pub(super) fn aim_at(&mut self, objective: Ratio) {
        self.slo.objective = objective;
    }

    // Times the budget that the bad ones are of what was asked: 1 is all of it.
    fn spent(&self, tally: Tally) -> f64 {
        let allowed = 1.0 - self.slo.objective.get();
        match tally.total {
            0.0 => 0.0,
            // Nothing is allowed: the first bad request is more than all of it.
            _ if allowed <= 0.0 => {
                if tally.bad > 0.0 {
                    f64::INFINITY
                } else {
                    0.0
                }
            }
            total => tally.bad / total / allowed,
        }
    }

    fn since(&self, back: SignedDuration, now: Timestamp) -> Tally {
        let counts = if back <= self.fine_reach { &self.fine } else { &self.coarse };
        counts.since(back, now)
    }

    #[cfg(test)]
    pub(super) fn steps(&self) -> usize {
        self.fine.len() + self.coarse.len()
    }
}
