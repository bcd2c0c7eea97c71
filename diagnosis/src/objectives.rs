//! How objectives stand: how much of an error budget is left, and how fast it burns.
//!
//! Multi-window, multi-burn-rate alerting after "The Site Reliability Workbook" (Beyer et al.,
//! 2018), chapter 5: a rate is alarming when both a long and a short look back show it, the long
//! one so that a moment is no alarm, the short one so that the alarm ends soon after the trouble.
//!
//! [`ErrorBudget`] is one objective: it counts snapshots and says how it stands at a moment.
//! [`Objectives`] is the fold over the log: it knows every objective that was defined and says
//! when one begins to burn, once for each episode. Both count in whole numbers, so that windows
//! that come late or in another order come to the same, and keep a bounded number of them.

mod budget;
mod counts;
mod episode;
mod rule;
mod tally;

use std::collections::BTreeMap;

use events::catalogue::model::{ErrorBudgetBurned, SloDefined};
use events::{EventData, EventId, RecordedEvent, SloId};
use jiff::Timestamp;

pub use budget::{Burn, ErrorBudget, Standing};
pub use rule::BurnRule;
pub use tally::{Tally, share_within};

use episode::Episode;

/// A budget began to burn, or burns faster than was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Burned {
    /// The event's id, derived from its cause: the same whenever the log is read again.
    pub id: EventId,
    /// The snapshot that showed it.
    pub cause: EventId,
    /// The end of the latest window.
    pub at: Timestamp,
    /// The event's data.
    pub data: ErrorBudgetBurned,
}

/// Every objective, as the log defines them.
#[derive(Clone, Debug, Default)]
pub struct Objectives {
    known: BTreeMap<SloId, Known>,
    latest: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Known {
    budget: ErrorBudget,
    episode: Episode,
}

impl Objectives {
    /// Takes the next event of the log. What was pruned was counted when it was whole.
    pub fn observe(&mut self, recorded: &RecordedEvent) -> Vec<Burned> {
        match &recorded.event.data {
            _ if recorded.pruned.is_some() => Vec::new(),
            EventData::SloDefined(data) => {
                self.define(data);
                Vec::new()
            }
            EventData::MetricSnapshotRecorded(data) => {
                let latest = self.latest.max(Some(data.window.end()));
                self.latest = latest;
                let at = latest.unwrap_or(data.window.end());
                let cause = recorded.event.id;
                let concerned = self
                    .known
                    .iter_mut()
                    .filter(|(_, it)| it.budget.slo().component == data.component);
                let burned = concerned.filter_map(|(slo, known)| {
                    known.budget.count(data);
                    let data = known.episode.advance(slo, &known.budget.standing(at))?;
                    Some(Burned { id: cause.derived(&format!("burns {slo}")), cause, at, data })
                });
                burned.collect()
            }
            _ => Vec::new(),
        }
    }

    /// How an objective stands at a moment; `None` if none of that name was defined.
    pub fn standing(&self, slo: &SloId, at: Timestamp) -> Option<Standing> {
        Some(self.known.get(slo)?.budget.standing(at))
    }

    /// The objectives, as they were last defined.
    pub fn defined(&self) -> impl Iterator<Item = &SloDefined> {
        self.known.values().map(|known| known.budget.slo())
    }

    /// The end of the latest window that was seen.
    pub fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    // What was counted stays when only the target changed.
    fn define(&mut self, slo: &SloDefined) {
        match self.known.get_mut(&slo.slo) {
            Some(known) if known.budget.counts_the_same(slo) => known.budget.aim_at(slo.objective),
            _ => {
                let known =
                    Known { budget: ErrorBudget::new(slo.clone()), episode: Episode::default() };
                self.known.insert(slo.slo.clone(), known);
            }
        }
    }
}

#[cfg(test)]
mod tests;
