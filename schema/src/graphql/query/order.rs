//! What lists may be ordered by.

use async_graphql::{Enum, InputObject};

use super::super::list::{Direction, List, Order};
use super::super::page::{Cursor, Listed};
use crate::rows;

/// What components are ordered by.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
pub enum ComponentOrderField {
    /// Their names.
    Name,
    /// How much depends on them, then their names; those of which nobody said it are the lowest.
    Criticality,
    /// When something last spoke of them.
    LastSeen,
}

/// An order of components.
#[derive(InputObject)]
pub struct ComponentOrder {
    /// By what.
    pub field: ComponentOrderField,
    /// Which end comes first.
    #[graphql(default_with = "Direction::Asc")]
    pub direction: Direction,
}

const CRITICALITY: &str =
    "(array::find_index(['low', 'medium', 'high', 'critical'], criticality) ?? -1)";

impl ComponentOrder {
    /// The list in this order, and the place of a row in it.
    pub fn apply(this: Option<Self>, list: List) -> (List, fn(&rows::Component) -> Cursor) {
        let Some(Self { field, direction }) = this else { return (list, Listed::place) };
        match field {
            ComponentOrderField::Name => (list.ordered(Order::key(direction)), Listed::place),
            ComponentOrderField::Criticality => {
                (list.ordered(Order::rank(CRITICALITY, None, direction)), |row| {
                    Cursor::ranked(row.criticality.map_or(-1, |it| it as i64), None, &row.id)
                })
            }
            ComponentOrderField::LastSeen => {
                (list.ordered(Order::moment("last_seen", direction)), |row| {
                    Cursor::at(row.last_seen, &row.id)
                })
            }
        }
    }
}

/// What incidents are ordered by.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
pub enum IncidentOrderField {
    /// When they were opened.
    OpenedAt,
    /// When they were over; those that are not are the earliest.
    ResolvedAt,
    /// How bad they are, then the newest first.
    Severity,
    /// How far they are, from open to merged, then the newest first.
    Status,
}

/// An order of incidents.
#[derive(InputObject)]
pub struct IncidentOrder {
    /// By what.
    pub field: IncidentOrderField,
    /// Which end comes first.
    #[graphql(default_with = "Direction::Desc")]
    pub direction: Direction,
}

const SEVERITY: &str =
    "(array::find_index(['info', 'warning', 'error', 'critical'], severity) ?? -1)";
const STATUS: &str = "(array::find_index(
    ['open', 'acknowledged', 'mitigated', 'resolved', 'merged'], status ?? 'open') ?? -1)";

impl IncidentOrder {
    /// The list in this order, and the place of a row in it.
    pub fn apply(this: Option<Self>, list: List) -> (List, fn(&rows::Incident) -> Cursor) {
        let Some(Self { field, direction }) = this else { return (list, Listed::place) };
        let opened = Some("opened_at");
        match field {
            IncidentOrderField::OpenedAt => {
                (list.ordered(Order::moment("opened_at", direction)), Listed::place)
            }
            IncidentOrderField::ResolvedAt => {
                (list.ordered(Order::moment("resolved_at", direction)), |row| {
                    Cursor::at(row.resolved_at, &row.id)
                })
            }
            IncidentOrderField::Severity => {
                (list.ordered(Order::rank(SEVERITY, opened, direction)), |row| {
                    let rank = row.severity.map_or(-1, |it| it as i64);
                    Cursor::ranked(rank, row.opened_at, &row.id)
                })
            }
            IncidentOrderField::Status => {
                (list.ordered(Order::rank(STATUS, opened, direction)), |row| {
                    let rank = row.status.map_or(0, |it| it as i64);
                    Cursor::ranked(rank, row.opened_at, &row.id)
                })
            }
        }
    }
}

/// What alerts are ordered by.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
pub enum AlertOrderField {
    /// When they last began to fire.
    FiredAt,
    /// How bad they are, then the newest first.
    Severity,
}

/// An order of alerts.
#[derive(InputObject)]
pub struct AlertOrder {
    /// By what.
    pub field: AlertOrderField,
    /// Which end comes first.
    #[graphql(default_with = "Direction::Desc")]
    pub direction: Direction,
}

impl AlertOrder {
    /// The list in this order, and the place of a row in it.
    pub fn apply(this: Option<Self>, list: List) -> (List, fn(&rows::Alert) -> Cursor) {
        let Some(Self { field, direction }) = this else { return (list, Listed::place) };
        match field {
            AlertOrderField::FiredAt => {
                (list.ordered(Order::moment("fired_at", direction)), Listed::place)
            }
            AlertOrderField::Severity => {
                (list.ordered(Order::rank(SEVERITY, Some("fired_at"), direction)), |row| {
                    let rank = row.severity.map_or(-1, |it| it as i64);
                    Cursor::ranked(rank, row.fired_at, &row.id)
                })
            }
        }
    }
}

/// What runs of experiments are ordered by.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
pub enum ExperimentOrderField {
    /// When they were prepared.
    PlannedAt,
    /// When they ended; those that have not are the earliest.
    FinishedAt,
}

/// An order of runs of experiments.
#[derive(InputObject)]
pub struct ExperimentOrder {
    /// By what.
    pub field: ExperimentOrderField,
    /// Which end comes first.
    #[graphql(default_with = "Direction::Desc")]
    pub direction: Direction,
}

impl ExperimentOrder {
    /// The list in this order, and the place of a row in it.
    pub fn apply(this: Option<Self>, list: List) -> (List, fn(&rows::Experiment) -> Cursor) {
        let Some(Self { field, direction }) = this else { return (list, Listed::place) };
        match field {
            ExperimentOrderField::PlannedAt => {
                (list.ordered(Order::moment("planned_at", direction)), Listed::place)
            }
            ExperimentOrderField::FinishedAt => {
                (list.ordered(Order::moment("finished_at", direction)), |row| {
                    Cursor::at(row.finished_at, &row.id)
                })
            }
        }
    }
}
