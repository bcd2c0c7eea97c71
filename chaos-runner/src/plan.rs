//! What to exercise next, and why.
//!
//! Every component × fault kind of the base is a cell. A cell's priority is a product:
//!
//! ```text
//! priority = criticality × need × weakness × incidents
//!
//! criticality  4 critical, 3 high, 2 medium or unknown, 1 low
//! need         1 never exercised
//!              1 − ½·D/age when stale: from ½ at the limit of D days towards 1
//!              ¼·age/D when exercised: from 0 just now to ¼ at the limit
//! weakness     1.5 when the last run did not show that the steady state holds, else 1
//! incidents    1 + ln(1 + real incidents of the cell)
//! ```
//!
//! So a cell that was never tried comes before one that was tried long ago, what nobody can do
//! without comes before what nobody misses, and what really broke counts more with every time,
//! though ever less so. Cells of equal priority are in the order of their names.

pub mod write;

use std::cmp::Ordering;

use events::catalogue::experiment::ExperimentOutcome;
use events::catalogue::topology::Criticality;
use events::{ComponentName, FaultKind, Timestamp};
use serde::Serialize;

use crate::shop::control::FaultSpec;
use crate::shop::faults;

/// Whether a cell was exercised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Never.
    Never,
    /// Longer ago than the limit.
    Stale,
    /// Within the limit.
    Exercised,
}

/// What the base knows of a component × fault kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The component.
    pub component: ComponentName,
    /// How much depends on it, if anybody said so.
    pub criticality: Option<Criticality>,
    /// The kind of fault.
    pub fault_kind: FaultKind,
    /// Whether it was exercised.
    pub state: State,
    /// How the last run ended.
    pub last_verdict: Option<ExperimentOutcome>,
    /// When.
    pub last_exercised_at: Option<Timestamp>,
    /// Incidents of this cell that no experiment caused.
    pub real_incidents: u64,
}

/// A cell with its place in the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// What to exercise.
    pub cell: Cell,
    /// By the formula of [the module](self).
    pub priority: f64,
    /// Why, a few words each, the weightiest term first.
    pub reasons: Vec<String>,
}

/// A plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Cells that can be exercised here, first things first.
    pub proposals: Vec<Proposal>,
    /// Cells for which the shop has no driver.
    pub without_driver: usize,
}

/// Ranks cells as of `now`. `stale_after_days` is the limit of the formula.
pub fn rank(cells: Vec<Cell>, now: Timestamp, stale_after_days: u32) -> Plan {
    let all = cells.len();
    let limit = f64::from(stale_after_days.max(1));
    let mut proposals: Vec<_> = cells
        .into_iter()
        .filter(|cell| faults::check(&spec(cell)).is_ok())
        .map(|cell| propose(cell, now, limit))
        .collect();
    proposals.sort_by(|one, other| {
        let names = |it: &Proposal| (it.cell.component.clone(), it.cell.fault_kind.clone());
        other
            .priority
            .partial_cmp(&one.priority)
            .unwrap_or(Ordering::Equal)
            .then_with(|| names(one).cmp(&names(other)))
    });
    Plan { without_driver: all - proposals.len(), proposals }
}

fn spec(cell: &Cell) -> FaultSpec {
    FaultSpec {
        fault: None,
        kind: cell.fault_kind.clone(),
        component: cell.component.clone(),
        peer: None,
        arguments: write::arguments(cell.fault_kind.as_str()),
        duration_ms: None,
    }
}

fn propose(cell: Cell, now: Timestamp, limit: f64) -> Proposal {
    let age = cell.last_exercised_at.map(|at| now.duration_since(at).as_secs_f64() / 86_400.0);
    let age = age.map(|days| days.max(0.0));
    let (weight, critical) = match cell.criticality {
        Some(Criticality::Critical) => (4.0, "critical: nothing works without it"),
        Some(Criticality::High) => (3.0, "of high criticality"),
        Some(Criticality::Medium) => (2.0, "of medium criticality"),
        Some(Criticality::Low) => (1.0, "of low criticality"),
        None => (2.0, "of unknown criticality"),
    };
    let (need, tried) = match (cell.state, age) {
        (State::Never, _) | (_, None) => (1.0, "never exercised".to_owned()),
        (State::Stale, Some(age)) => {
            (1.0 - 0.5 * limit / age.max(limit), format!("last exercised {} ago", days(age)))
        }
        (State::Exercised, Some(age)) => {
            (0.25 * (age / limit).min(1.0), format!("exercised {} ago", days(age)))
        }
    };
    let shaken = match cell.last_verdict {
        Some(ExperimentOutcome::Deviated) => Some("the steady state deviated the last time"),
        Some(ExperimentOutcome::Aborted | ExperimentOutcome::Failed) => {
            Some("the last run did not come to its end")
        }
        Some(ExperimentOutcome::Held) | None => None,
    };
    let weakness = if shaken.is_some() { 1.5 } else { 1.0 };
    let incidents = 1.0 + (cell.real_incidents as f64).ln_1p();
    let mut reasons = vec![(weight / 2.0, critical.to_owned()), (need * 2.0, tried)];
    reasons.extend(shaken.map(|words| (weakness, words.to_owned())));
    if cell.real_incidents > 0 {
        let plural = if cell.real_incidents == 1 { "" } else { "s" };
        let words = format!("{} real incident{plural} of this kind", cell.real_incidents);
        reasons.push((incidents, words));
    }
    reasons.sort_by(|one, other| other.0.total_cmp(&one.0));
    Proposal {
        priority: weight * need * weakness * incidents,
        reasons: reasons.into_iter().map(|(_, words)| words).collect(),
        cell,
    }
}

fn days(age: f64) -> String {
    match age {
        age if age < 2.0 / 24.0 => format!("{:.0} min", age * 1_440.0),
        age if age < 2.0 => format!("{:.0} h", age * 24.0),
        age => format!("{age:.0} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(component: &str, kind: &str) -> Cell {
        Cell {
            component: component.parse().unwrap(),
            criticality: Some(Criticality::High),
            fault_kind: kind.parse().unwrap(),
            state: State::Never,
            last_verdict: None,
            last_exercised_at: None,
            real_incidents: 0,
        }
    }

    fn now() -> Timestamp {
        "2026-06-30T00:00:00Z".parse().unwrap()
    }

    fn tried(days_ago: i64, state: State) -> Cell {
        let at = now() - jiff::SignedDuration::from_hours(24 * days_ago);
        let last_verdict = Some(ExperimentOutcome::Held);
        Cell { state, last_exercised_at: Some(at), last_verdict, ..cell("cart", "latency") }
    }

    fn order(cells: Vec<Cell>) -> Vec<String> {
        let plan = rank(cells, now(), 30);
        plan.proposals
            .iter()
            .map(|it| format!("{} {}", it.cell.component, it.cell.fault_kind))
            .collect()
    }

    fn priority(cell: Cell) -> f64 {
        rank(vec![cell], now(), 30).proposals[0].priority
    }

    #[test]
    fn each_term_moves_a_cell_the_way_it_says() {
        assert_eq!(priority(cell("cart", "latency")), 3.0);
        assert_eq!(priority(tried(30, State::Stale)), 1.5);
        assert!(priority(tried(300, State::Stale)) > priority(tried(40, State::Stale)));
        assert!(priority(tried(300, State::Stale)) < priority(cell("cart", "latency")));
        assert_eq!(priority(tried(15, State::Exercised)), 3.0 * 0.125);
        let deviated =
            Cell { last_verdict: Some(ExperimentOutcome::Deviated), ..tried(30, State::Stale) };
        assert_eq!(priority(deviated), 1.5 * 1.5);
        let broke = |times| Cell { real_incidents: times, ..cell("cart", "latency") };
        assert!(priority(broke(1)) > priority(broke(0)));
        assert!(priority(broke(9)) - priority(broke(8)) < priority(broke(2)) - priority(broke(1)));
    }

    #[test]
    fn what_matters_most_comes_first_and_ties_are_in_the_order_of_names() {
        let critical =
            Cell { criticality: Some(Criticality::Critical), ..cell("gateway", "latency") };
        let low = Cell { criticality: Some(Criticality::Low), ..cell("cart", "jitter") };
        let cells = vec![low, cell("orders", "latency"), cell("catalog", "latency"), critical];
        assert_eq!(
            order(cells),
            ["gateway latency", "catalog latency", "orders latency", "cart jitter"]
        );
    }

    #[test]
    fn what_no_driver_can_do_is_counted_and_not_proposed() {
        let cells = vec![
            cell("cart", "pool_exhaustion"),
            cell("mainframe", "latency"),
            cell("cart", "gremlins"),
            cell("cart", "latency"),
        ];
        let plan = rank(cells, now(), 30);
        assert_eq!((plan.proposals.len(), plan.without_driver), (1, 3));
    }

    #[test]
    fn reasons_say_what_the_terms_say() {
        let cell = Cell {
            real_incidents: 2,
            last_verdict: Some(ExperimentOutcome::Deviated),
            ..tried(45, State::Stale)
        };
        let plan = rank(vec![cell], now(), 30);
        let mut reasons = plan.proposals[0].reasons.clone();
        reasons.sort();
        assert_eq!(
            reasons,
            [
                "2 real incidents of this kind",
                "last exercised 45 days ago",
                "of high criticality",
                "the steady state deviated the last time",
            ]
        );
    }
}
