//! Pages of whole tables, filtered, ordered and cut by the database.

use std::cmp::Ordering;
use std::sync::Arc;

use async_graphql::{Enum, OutputType};
use events::Timestamp;
use serde::de::DeserializeOwned;
use surrealdb::types::{Number, RecordId, Value};

use super::error::ApiResult;
use super::page::{Cursor, Listed, Nodes, Page};
use super::read::{self, Known};
use super::view::View;
use crate::value;

/// Which end of an order comes first.
#[derive(Enum, Copy, Clone, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The smallest, the earliest, the first by name.
    Asc,
    /// The largest, the latest, the last by name.
    Desc,
}

/// What a list is ordered by: a rank if there is one, then a moment if there is one, then the
/// key. Rows of the same rank always run from the newest on.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// An expression that gives a whole number.
    rank: Option<&'static str>,
    /// A column that holds a time.
    moment: Option<&'static str>,
    descending: bool,
}

/// One criterion: the expression, the name of its bound value, and whether it falls.
type Criterion = (&'static str, &'static str, bool);

impl Order {
    /// By key.
    pub fn key(direction: Direction) -> Self {
        Self { rank: None, moment: None, descending: direction == Direction::Desc }
    }

    /// By `moment`.
    pub fn moment(moment: &'static str, direction: Direction) -> Self {
        Self { moment: Some(moment), ..Self::key(direction) }
    }

    /// By a whole number, then by `moment` if there is one.
    pub fn rank(
        expression: &'static str,
        moment: Option<&'static str>,
        direction: Direction,
    ) -> Self {
        Self { rank: Some(expression), moment, ..Self::key(direction) }
    }

    fn criteria(self) -> Vec<Criterion> {
        let mut criteria = Vec::with_capacity(3);
        let mut falls = self.descending;
        if let Some(rank) = self.rank {
            criteria.push((rank, "rank", falls));
            falls = self.moment.is_some();
        }
        if let Some(moment) = self.moment {
            criteria.push((moment, "moment", falls));
        }
        criteria.push((KEY, "after", falls));
        criteria
    }

    /// Which of two places comes first.
    fn compare(self, a: &Cursor, b: &Cursor) -> Ordering {
        let mut order = Ordering::Equal;
        for (_, name, falls) in self.criteria() {
            let rises = match name {
                "rank" => a.rank.cmp(&b.rank),
                "moment" => a.at.cmp(&b.at),
                _ => a.key.cmp(&b.key),
            };
            order = order.then(if falls { rises.reverse() } else { rises });
        }
        order
    }

    /// What stands behind a row: `a < $a OR (a = $a AND (b < $b OR …))`. `key` is the column that
    /// holds the row's key.
    fn behind(self, key: &str) -> String {
        let mut condition = String::new();
        for (expression, name, falls) in self.criteria().into_iter().rev() {
            let expression = if expression == KEY { key } else { expression };
            let past = format!("{expression} {} ${name}", if falls { "<" } else { ">" });
            condition = match condition.is_empty() {
                true => past,
                false => format!("({past} OR ({expression} = ${name} AND {condition}))"),
            };
        }
        condition
    }

    fn order_by(self, key: &str) -> String {
        let shown = |(expression, name, falls): Criterion| {
            let column = match name {
                "rank" => ORDER_RANK,
                "after" => key,
                _ => expression,
            };
            format!("{column} {}", if falls { "DESC" } else { "ASC" })
        };
        self.criteria().into_iter().map(shown).collect::<Vec<_>>().join(", ")
    }
}

/// The column of a row's key in its own table; a former version holds it in another.
const KEY: &str = "id";
/// The database orders by columns only, so a rank is one in the answer.
const ORDER_RANK: &str = "order_rank";

/// A table as a list: what it is ordered by and which rows are wanted.
pub struct List {
    table: &'static str,
    order: Order,
    conditions: Vec<&'static str>,
    bindings: Vec<(String, Value)>,
}

impl List {
    /// All rows of `table` by key.
    pub fn by_key(table: &'static str) -> Self {
        let order = Order::key(Direction::Asc);
        Self { table, order, conditions: Vec::new(), bindings: Vec::new() }
    }

    /// All rows of `table`, the newest `moment` first.
    pub fn newest(table: &'static str, moment: &'static str) -> Self {
        Self { order: Order::moment(moment, Direction::Desc), ..Self::by_key(table) }
    }

    /// In this order.
    pub fn ordered(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Only rows for which `condition` holds, which speaks of their own columns: it is asked of
    /// what rows were as well.
    pub fn when(mut self, condition: &'static str) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Only rows for which `condition` holds with `$name` bound to `value`, if there is one.
    pub fn filter(
        mut self,
        condition: &'static str,
        name: &'static str,
        value: Option<impl Into<String>>,
    ) -> Self {
        if let Some(value) = value {
            self.conditions.push(condition);
            self.bindings.push((name.to_owned(), Value::String(value.into())));
        }
        self
    }

    /// As [`Self::filter`], with a time.
    pub fn filter_time(
        mut self,
        condition: &'static str,
        name: &'static str,
        at: Option<Timestamp>,
    ) -> Self {
        if let Some(at) = at {
            self.conditions.push(condition);
            self.bindings.push((name.to_owned(), value::time(at)));
        }
        self
    }

    /// One page of it, in the order that is usual for its rows.
    pub async fn page<R, T>(
        self,
        view: &View,
        page: &Page,
        node: impl Fn(Arc<R>) -> T,
    ) -> ApiResult<Nodes<T>>
    where
        R: Listed + DeserializeOwned,
        T: OutputType,
    {
        self.page_by(view, page, R::place, node).await
    }

    /// As [`Self::page`], with the place that a row has in the order of this list.
    pub async fn page_by<R, T>(
        self,
        view: &View,
        page: &Page,
        place: impl Fn(&R) -> Cursor,
        node: impl Fn(Arc<R>) -> T,
    ) -> ApiResult<Nodes<T>>
    where
        R: DeserializeOwned,
        T: OutputType,
    {
        let placed = self.placed(view, page, place).await?;
        Ok(page.connect(placed, node))
    }

    async fn placed<R: DeserializeOwned>(
        mut self,
        view: &View,
        page: &Page,
        place: impl Fn(&R) -> Cursor,
    ) -> ApiResult<Vec<(Cursor, Arc<R>)>> {
        let known = read::known(self.table, view);
        let statements: Vec<_> = known.iter().map(|of| self.statement(of, page)).collect();
        if let Some(after) = &page.after {
            let id = RecordId::new(self.table, after.key.clone());
            let rank = after.rank.map_or(Value::None, |rank| Value::Number(Number::Int(rank)));
            let moment = after.at.map_or(Value::None, value::time);
            let bound = [("after", Value::RecordId(id)), ("moment", moment), ("rank", rank)];
            self.bindings.extend(bound.map(|(name, value)| (name.to_owned(), value)));
        }
        let rows: Vec<R> = read::rows(view, &statements.join(";"), self.bindings).await?;
        let mut placed: Vec<_> = rows.into_iter().map(|row| (place(&row), Arc::new(row))).collect();
        if known.len() > 1 {
            placed.sort_by(|(a, _), (b, _)| self.order.compare(a, b));
        }
        Ok(placed)
    }

    /// The first rows of it, as many as the page has, in the order that is usual for them.
    pub async fn rows<R: Listed + DeserializeOwned>(
        self,
        view: &View,
        page: &Page,
    ) -> ApiResult<Vec<Arc<R>>> {
        let mut placed = self.placed(view, page, R::place).await?;
        placed.truncate(page.first);
        Ok(placed.into_iter().map(|(_, row)| row).collect())
    }

    /// All rows, in no order, with these columns, one of which is `id`: rows that a batch changes
    /// meanwhile are told apart by it.
    pub async fn all<R: DeserializeOwned>(
        self,
        view: &View,
        columns: &'static str,
    ) -> ApiResult<Vec<R>> {
        let statement = |of: Known| {
            let filter = self.filter_of(&of, None);
            let key = if of.table != self.table && columns != "*" { ", original" } else { "" };
            format!("SELECT {columns}{key} FROM {}{filter}", of.table)
        };
        let statements: Vec<_> = read::known(self.table, view).into_iter().map(statement).collect();
        read::rows(view, &statements.join(";"), self.bindings).await
    }

    /// Every part of the text is a constant of this program; values are bound. Each of the places
    /// where rows stand gives its first rows, of which the page is cut.
    fn statement(&self, of: &Known, page: &Page) -> String {
        let rank = self.order.rank.map(|rank| format!(", {rank} AS {ORDER_RANK}"));
        format!(
            "SELECT *{} FROM {}{} ORDER BY {} LIMIT {}",
            rank.unwrap_or_default(),
            of.table,
            self.filter_of(of, page.after.as_ref()),
            self.order.order_by(self.key_of(of)),
            page.limit()
        )
    }

    fn key_of(&self, of: &Known) -> &'static str {
        if of.table == self.table { KEY } else { "original" }
    }

    fn filter_of(&self, of: &Known, after: Option<&Cursor>) -> String {
        let mut conditions: Vec<String> =
            self.conditions.iter().map(|condition| format!("({condition})")).collect();
        conditions.extend(of.when.map(str::to_owned));
        if after.is_some() {
            conditions.push(self.order.behind(self.key_of(of)));
        }
        match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_row_follows_the_order() {
        let newest = Order::moment("opened_at", Direction::Desc);
        assert_eq!(
            newest.behind("id"),
            "(opened_at < $moment OR (opened_at = $moment AND id < $after))"
        );
        assert_eq!(newest.order_by("id"), "opened_at DESC, id DESC");
        let worst = Order::rank("r", Some("at"), Direction::Asc);
        assert_eq!(worst.order_by("id"), "order_rank ASC, at DESC, id DESC");
        let expected =
            "(r > $rank OR (r = $rank AND (at < $moment OR (at = $moment AND id < $after))))";
        assert_eq!(worst.behind("id"), expected);
        assert_eq!(Order::key(Direction::Asc).behind("id"), "id > $after");
        assert_eq!(
            Order::rank("r", None, Direction::Desc).order_by("id"),
            "order_rank DESC, id ASC"
        );
    }
}
