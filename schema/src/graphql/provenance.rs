//! Where an answer comes from.

use async_graphql::{ID, SimpleObject};
use events::EventId;
use events::catalogue::diagnosis;

use super::scalar::Position;
use crate::rows;

/// Which part of the log a node or an edge comes from.
#[derive(SimpleObject)]
pub struct Provenance {
    /// Position of the event that made it known.
    pub since: Position,
    /// Position of the event from which on it no longer holds; null while it holds.
    pub until: Option<Position>,
    /// The events that made it: the first eight and the last eight, by position.
    pub events: Vec<ID>,
    /// How many events there were.
    pub event_count: Position,
}

impl From<&rows::Provenance> for Provenance {
    fn from(row: &rows::Provenance) -> Self {
        Self {
            since: Position(row.since),
            until: row.until.map(Position),
            events: event_ids(&row.events),
            event_count: Position(row.event_count),
        }
    }
}

/// A named share of a score, with what it was computed from.
#[derive(SimpleObject)]
pub struct ScoreTerm {
    /// What it measures.
    pub name: String,
    /// Its share of the score: the terms add up to it.
    pub contribution: f64,
    /// The ids of the events that it was computed from.
    pub evidence: Vec<ID>,
}

impl From<&diagnosis::ScoreTerm> for ScoreTerm {
    fn from(term: &diagnosis::ScoreTerm) -> Self {
        Self {
            name: term.name.as_str().to_owned(),
            contribution: term.contribution.get(),
            evidence: event_ids(&term.evidence),
        }
    }
}

/// A name with a value.
#[derive(SimpleObject)]
pub struct Attribute {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Names with values, by name.
pub fn attributes<'a>(map: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<Attribute> {
    map.into_iter()
        .map(|(name, value)| Attribute { name: name.clone(), value: value.clone() })
        .collect()
}

/// Event ids as they stand in answers.
pub fn event_ids(ids: &[EventId]) -> Vec<ID> {
    ids.iter().map(ID::from).collect()
}
