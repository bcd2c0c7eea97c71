//! Pages of whole tables, filtered and cut by the database.

use std::sync::Arc;

use async_graphql::OutputType;
use serde::de::DeserializeOwned;
use surrealdb::types::{RecordId, Value};

use super::error::ApiResult;
use super::page::{Listed, Nodes, Page};
use super::read;
use super::view::View;
use crate::value;

/// A table as a list: what it is ordered by and which rows are wanted.
pub struct List {
    table: &'static str,
    /// The column of the moment, newest first; by key without one.
    moment: Option<&'static str>,
    conditions: Vec<&'static str>,
    bindings: Vec<(&'static str, Value)>,
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

    /// Only rows for which `condition` holds.
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
            self.bindings.push((name, Value::String(value.into())));
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
        let statement = self.statement(view, page);
        if let Some(after) = &page.after {
            let id = RecordId::new(self.table, after.key.clone());
            self.bindings.push(("after", Value::RecordId(id)));
            self.bindings.push(("moment", after.at.map_or(Value::None, value::time)));
        }
        let rows: Vec<R> = read::rows(view, &statement, self.bindings).await?;
        let placed = rows.into_iter().map(|row| (row.place(), Arc::new(row))).collect();
        Ok(page.connect(placed, node))
    }

    /// Every part of the text is a constant of this program; values are bound.
    fn statement(&self, view: &View, page: &Page) -> String {
        let mut conditions: Vec<String> =
            self.conditions.iter().map(|condition| format!("({condition})")).collect();
        if view.position().is_some() {
            conditions.push("since <= $position".to_owned());
        }
        let order = match self.moment {
            Some(at) => {
                if page.after.is_some() {
                    conditions
                        .push(format!("({at} < $moment OR ({at} = $moment AND id < $after))"));
                }
                format!("{at} DESC, id DESC")
            }
            None => {
                if page.after.is_some() {
                    conditions.push("id > $after".to_owned());
                }
                "id ASC".to_owned()
            }
        };
        let filter = match conditions.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", conditions.join(" AND ")),
        };
        format!("SELECT * FROM {}{filter} ORDER BY {order} LIMIT {}", self.table, page.limit())
    }
}
