//! Pages of whole tables, filtered and cut by the database.

use std::sync::Arc;

use async_graphql::OutputType;
use serde::de::DeserializeOwned;
use surrealdb::types::{RecordId, Value};

use super::error::ApiResult;
use super::page::{Listed, Nodes, Page};
use super::read::{self, Known};
use super::view::View;
use crate::value;

/// A table as a list: what it is ordered by and which rows are wanted.
pub struct List {
    table: &'static str,
    /// The column of the moment, newest first; by key without one.
    moment: Option<&'static str>,
    conditions: Vec<&'static str>,
    bindings: Vec<(String, Value)>,
}

impl List {
    /// All rows of `table` by key.
    pub fn by_key(table: &'static str) -> Self {
        Self { table, moment: None, conditions: Vec::new(), bindings: Vec::new() }
    }

    /// All rows of `table`, the newest `moment` first.
    pub fn newest(table: &'static str, moment: &'static str) -> Self {
        Self { moment: Some(moment), ..Self::by_key(table) }
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

    /// One page of it.
    pub async fn page<R, T>(
        mut self,
        view: &View,
        page: &Page,
        node: impl Fn(Arc<R>) -> T,
    ) -> ApiResult<Nodes<T>>
    where
        R: Listed + DeserializeOwned,
        T: OutputType,
    {
        let known = read::known(self.table, view);
        let statements: Vec<_> = known.iter().map(|of| self.statement(of, page)).collect();
        if let Some(after) = &page.after {
            let id = RecordId::new(self.table, after.key.clone());
            self.bindings.push(("after".to_owned(), Value::RecordId(id)));
            self.bindings.push(("moment".to_owned(), after.at.map_or(Value::None, value::time)));
        }
        let rows: Vec<R> = read::rows(view, &statements.join(";"), self.bindings).await?;
        let mut placed: Vec<_> = rows.into_iter().map(|row| (row.place(), Arc::new(row))).collect();
        if known.len() > 1 {
            let newest_first = self.moment.is_some();
            placed.sort_by(|(a, _), (b, _)| if newest_first { b.cmp(a) } else { a.cmp(b) });
        }
        Ok(page.connect(placed, node))
    }

    /// Every part of the text is a constant of this program; values are bound. Each of the places
    /// where rows stand gives its first rows, of which the page is cut.
    fn statement(&self, of: &Known, page: &Page) -> String {
        let mut conditions: Vec<String> =
            self.conditions.iter().map(|condition| format!("({condition})")).collect();
        conditions.extend(of.when.map(str::to_owned));
        let id = if of.table == self.table { "id" } else { "original" };
        let order = match self.moment {
            Some(at) => {
                if page.after.is_some() {
                    conditions
                        .push(format!("({at} < $moment OR ({at} = $moment AND {id} < $after))"));
                }
                format!("{at} DESC, {id} DESC")
            }
            None => {
                if page.after.is_some() {
                    conditions.push(format!("{id} > $after"));
                }
                format!("{id} ASC")
            }
        };
        let filter = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        format!("SELECT * FROM {}{filter} ORDER BY {order} LIMIT {}", of.table, page.limit())
    }
}
