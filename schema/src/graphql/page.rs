//! Relay connections, forward only: newest first for what happens, by name for what exists.

use std::convert::Infallible;
use std::sync::Arc;

use async_graphql::OutputType;
use async_graphql::connection::{Connection, CursorType, Edge, EmptyFields};
use events::Timestamp;

use super::error::{ApiError, ApiResult};
use crate::rows;

/// Longest list that one field answers.
pub const MAX_FIRST: i32 = 200;
/// Length of a list that is not asked for otherwise.
pub const DEFAULT_FIRST: i32 = 20;

/// The place of a row in a list: its rank and its moment, where the list is ordered by them, and
/// its key to tell equal rows apart. It stays valid whatever is added or changed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// How high it stands; absent in lists that are not ordered by that.
    pub rank: Option<i64>,
    /// The moment; absent in lists by name, and for what nothing dates.
    pub at: Option<Timestamp>,
    /// The row's key.
    pub key: String,
}

impl Cursor {
    /// The place of a row in a list by name.
    pub fn named(key: impl ToString) -> Self {
        Self { rank: None, at: None, key: key.to_string() }
    }

    /// The place of a row in a list by time.
    pub fn at(at: impl Into<Option<Timestamp>>, key: impl ToString) -> Self {
        Self { rank: None, at: at.into(), key: key.to_string() }
    }

    /// The place of a row in a list by rank.
    pub fn ranked(rank: i64, at: impl Into<Option<Timestamp>>, key: impl ToString) -> Self {
        Self { rank: Some(rank), ..Self::at(at, key) }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(ranked) = text.strip_prefix('#') {
            let (rank, rest) = ranked.split_once('~')?;
            let rest = Self::parse(rest).filter(|rest| rest.rank.is_none())?;
            return Some(Self { rank: Some(rank.parse().ok()?), ..rest });
        }
        let (at, key) = text.split_once('~')?;
        let at = if at.is_empty() { None } else { Some(at.parse().ok()?) };
        Some(Self { rank: None, at, key: key.to_owned() })
    }
}

impl CursorType for Cursor {
    type Error = Infallible;

    fn decode_cursor(text: &str) -> Result<Self, Infallible> {
        Ok(Self::parse(text).unwrap_or_else(|| Self::named(text)))
    }

    fn encode_cursor(&self) -> String {
        let rank = self.rank.map(|rank| format!("#{rank}~")).unwrap_or_default();
        let at = self.at.map(|at| at.to_string()).unwrap_or_default();
        format!("{rank}{at}~{}", self.key)
    }
}

/// A row with a place in the lists of its kind.
pub trait Listed {
    /// Whether those lists run from the newest to the oldest; otherwise they run by key.
    const NEWEST_FIRST: bool;
    /// Its place.
    fn place(&self) -> Cursor;
}

macro_rules! listed {
    ($($row:ident, $newest_first:literal, |$this:ident| $place:expr;)*) => {
        $(impl Listed for rows::$row {
            const NEWEST_FIRST: bool = $newest_first;
            fn place(&self) -> Cursor {
                let $this = self;
                $place
            }
        })*
    };
}

listed! {
    Component, false, |row| Cursor::named(&row.id);
    Runbook, false, |row| Cursor::named(&row.id);
    Slo, false, |row| Cursor::named(&row.id);
    Incident, true, |row| Cursor::at(row.opened_at, &row.id);
    Experiment, true, |row| Cursor::at(row.planned_at, &row.id);
    Fault, true, |row| Cursor::at(row.injected_at, &row.id);
    Label, true, |row| Cursor::at(row.at, &row.id);
    Diagnosis, true, |row| Cursor::at(row.at, &row.id);
    Mitigation, true, |row| Cursor::at(row.at, row.id);
    AuditEntry, true, |row| Cursor::at(row.at, row.id);
    ChangeRow, true, |row| Cursor::at(row.at, row.id);
    Alert, true, |row| Cursor::at(row.fired_at, &row.id);
    Maintenance, true, |row| Cursor::at(row.started_at, &row.id);
    Feedback, true, |row| Cursor::at(row.at, row.id);
    Retention, true, |row| Cursor::at(row.at, row.id);
    Model, true, |row| Cursor::at(row.trained_at, &row.id);
    ModelSelection, true, |row| Cursor::at(row.at, row.id);
}

/// A page that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most so many rows.
    pub first: usize,
    /// Behind this row.
    pub after: Option<Cursor>,
}

/// A page of nodes.
pub type Nodes<T> = Connection<Cursor, T, EmptyFields, EmptyFields>;

impl Page {
    /// Reads the arguments of a list.
    pub fn read(first: Option<i32>, after: Option<String>) -> ApiResult<Self> {
        let first = first.unwrap_or(DEFAULT_FIRST);
        if !(1..=MAX_FIRST).contains(&first) {
            let message = format!("expected 1 to {MAX_FIRST}, got {first}");
            return Err(ApiError::invalid("first", message));
        }
        let after = after
            .map(|text| {
                Cursor::parse(&text).ok_or_else(|| {
                    let message = format!("expected a cursor from an earlier answer, got {text:?}");
                    ApiError::invalid("after", message)
                })
            })
            .transpose()?;
        Ok(Self { first: first.unsigned_abs() as usize, after })
    }

    /// How many rows to read, so that one too many says that there is a next page.
    pub fn limit(&self) -> usize {
        self.first + 1
    }

    /// This page of all `rows`, which are in no order.
    pub fn of<R: Listed, T: OutputType>(
        &self,
        rows: &[Arc<R>],
        node: impl Fn(Arc<R>) -> T,
    ) -> Nodes<T> {
        let newest_first = R::NEWEST_FIRST;
        self.cut(rows, newest_first, |row| row.place(), node)
    }

    /// As [`Self::of`], with the place that a row has in this list alone.
    pub fn cut<R, T: OutputType>(
        &self,
        rows: &[Arc<R>],
        newest_first: bool,
        place: impl Fn(&R) -> Cursor,
        node: impl Fn(Arc<R>) -> T,
    ) -> Nodes<T> {
        self.connect(self.wanted(rows, newest_first, place), node)
    }

    /// The rows of [`Self::cut`] in their order, and of those to come one more.
    pub fn wanted<R>(
        &self,
        rows: &[Arc<R>],
        newest_first: bool,
        place: impl Fn(&R) -> Cursor,
    ) -> Vec<(Cursor, Arc<R>)> {
        let behind = |at: &Cursor| match &self.after {
            Some(after) if newest_first => at < after,
            Some(after) => at > after,
            None => true,
        };
        let placed = rows.iter().map(|row| (place(row), row.clone()));
        let mut wanted: Vec<_> = placed.filter(|(at, _)| behind(at)).collect();
        wanted.sort_by(|(a, _), (b, _)| if newest_first { b.cmp(a) } else { a.cmp(b) });
        wanted.truncate(self.limit());
        wanted
    }

    /// The connection of rows that were read in order, up to [`Self::limit`].
    pub fn connect<R, T: OutputType>(
        &self,
        mut rows: Vec<(Cursor, R)>,
        node: impl Fn(R) -> T,
    ) -> Nodes<T> {
        let more = rows.len() > self.first;
        rows.truncate(self.first);
        let mut connection = Connection::new(self.after.is_some(), more);
        connection.edges.extend(rows.into_iter().map(|(at, row)| Edge::new(at, node(row))));
        connection
    }
}

/// What a list may cost: as many as asked for, each with its own fields.
pub fn cost(first: Option<i32>, child: usize) -> usize {
    let first = first.unwrap_or(DEFAULT_FIRST).clamp(1, MAX_FIRST).unsigned_abs() as usize;
    1 + first * child
}

/// What a ranking may cost that is computed for the request: it reads the evidence anew, and
/// `without` some labels it learns anew.
pub fn ranking_cost(computed: bool, without: bool, child: usize) -> usize {
    // A few tenths of a second each: ten of them are answered well before the time is up.
    const COMPUTED: usize = 4_500;
    // As long as seconds each.
    const LEARNED: usize = 20_000;
    child
        + match (computed, without) {
            (_, true) => LEARNED,
            (true, false) => COMPUTED,
            (false, false) => 1,
        }
}

/// What an answer may cost that is made of whole tables.
pub fn overview_cost(first: Option<i32>, child: usize) -> usize {
    const OVERVIEW: usize = 5_000;
    OVERVIEW + cost(first, child)
}

/// What a search of every text may cost.
pub fn search_cost(first: i32, child: usize) -> usize {
    const TEXTS: usize = 200;
    TEXTS + cost(Some(first), child)
}

/// What a comparison with the whole past may cost.
pub fn similar_cost(first: i32, child: usize) -> usize {
    const PAST: usize = 200;
    PAST + cost(Some(first), child)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64, key: &str) -> Cursor {
        Cursor::at(Timestamp::from_second(second).unwrap(), key)
    }

    #[test]
    fn a_cursor_is_read_back_whatever_the_key_is() {
        let ranked = Cursor::ranked(-3, Timestamp::from_second(7).unwrap(), "#1~a");
        for cursor in [at(7, "a~b"), Cursor::named("~"), Cursor::at(None, ""), ranked] {
            assert_eq!(Cursor::parse(&cursor.encode_cursor()), Some(cursor));
        }
    }

    #[test]
    fn lists_are_bounded() {
        for first in [0, -1, MAX_FIRST + 1] {
            let error = Page::read(Some(first), None).unwrap_err();
            assert_eq!(error.field(), Some("first"), "{first}");
        }
        assert_eq!(Page::read(None, Some("x".into())).unwrap_err().field(), Some("after"));
        assert_eq!(Page::read(Some(MAX_FIRST), None).unwrap().limit(), 201);
    }

    #[test]
    fn pages_meet_without_a_gap_or_an_overlap_among_equal_moments() {
        let rows: Vec<_> =
            [at(1, "a"), at(3, "b"), at(3, "c"), at(2, "d")].into_iter().map(Arc::new).collect();
        let mut seen = Vec::new();
        let mut page = Page::read(Some(1), None).unwrap();
        loop {
            let got = page.cut(&rows, true, Clone::clone, |row| row.key.clone());
            seen.extend(got.edges.iter().map(|edge| edge.node.clone()));
            if !got.has_next_page {
                break;
            }
            page.after = got.edges.last().map(|edge| edge.cursor.clone());
        }
        assert_eq!(seen, ["c", "b", "d", "a"]);
    }
}
