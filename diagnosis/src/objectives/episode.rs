//! When a burn is told: once, and again only when it has become worse.

use events::SloId;
use events::catalogue::model::ErrorBudgetBurned;
use events::value::{NonNegative, Ratio};

use super::{Burn, Standing};

/// Share of a rule's rate below which one of its looks back has to fall before the rule can be
/// told again: a rate that wavers around its limit is one episode.
const OVER_BELOW: f64 = 0.5;
/// Rates are cut off here: an objective of all requests burns infinitely fast.
const MOST_RATE: f64 = 1e9;

/// The rate of the fastest rule that was told and is not over.
#[derive(Clone, Debug, Default)]
pub(super) struct Episode {
    told: Option<f64>,
}

impl Episode {
    /// What is to be told of a standing. While a rule holds on, neither it nor a slower one is
    /// news; when the fast ones are over they can be told again, whatever the slow ones still
    /// remember.
    pub(super) fn advance(
        &mut self,
        slo: &SloId,
        standing: &Standing,
    ) -> Option<ErrorBudgetBurned> {
        let holds = |burn: &&Burn| burn.long.min(burn.short) >= burn.rule.rate * OVER_BELOW;
        let of_it = |burn: &&Burn| self.told.is_some_and(|told| burn.rule.rate <= told);
        let fastest = standing.burns.iter().filter(of_it).find(holds);
        self.told = fastest.map(|burn| burn.rule.rate);
        let burn = standing.burns.iter().find(|burn| burn.alarming)?;
        if self.told.is_some_and(|told| burn.rule.rate <= told) {
            return None;
        }
        self.told = Some(burn.rule.rate);
        let remaining = standing.remaining.clamp(0.0, 1.0);
        Some(ErrorBudgetBurned {
            slo: slo.clone(),
            burn_rate: NonNegative::new(burn.long.min(MOST_RATE)).expect("a rate is not negative"),
            window_ms: NonNegative::new(burn.rule.long.as_millis() as f64)
                .expect("a look back is not negative"),
            remaining: Ratio::new(remaining).expect("it was clamped"),
        })
    }
}
