//! The store without what projections do: what benchmarks hold the API and the projections
//! against. Nothing else goes this way, because it could change rows behind the projections'
//! back.

use std::time::{Duration, Instant};

use futures::StreamExt;
use surrealdb::method::StreamItem;
use surrealdb::types::{Array, Object, Value};

use crate::content_hash::tables;
use crate::graph::Graph;
use crate::reads::{Answers, ReadGraphError};
use crate::table::Table;

/// Rows in one statement: those of an ordinary batch of events.
const ROWS: usize = 500;

/// What a copy of rows took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Copied {
    /// How many.
    pub rows: usize,
    /// Only to write them.
    pub writing: Duration,
}

impl Graph {
    /// Puts statements to the store as they are and answers how many rows each gave.
    #[doc(hidden)]
    pub async fn bare(&self, statements: &str) -> Result<Vec<usize>, ReadGraphError> {
        let Answers(mut answers) = self.ask(statements, Object::new()).await?;
        let count = answers.num_statements();
        (0..count).map(|n| Ok(answers.take::<Vec<Value>>(n)?.len())).collect()
    }

    /// Writes all rows of `other` here, former versions included, as the store's own batch
    /// inserts. The graph must be empty; its checkpoint stays where it was.
    #[doc(hidden)]
    pub async fn copy_bare(&self, other: &Self) -> Result<Copied, ReadGraphError> {
        let mut copied = Copied::default();
        for name in tables().filter(|name| *name != "checkpoint") {
            let edges = Table::ALL.iter().any(|table| {
                table.is_edge() && (table.name() == name || table.former() == Some(name))
            });
            let relation = if edges { "RELATION " } else { "" };
            let insert = format!("INSERT {relation}INTO {name} $rows RETURN NONE");
            let mut rows = other.db.query(format!("SELECT * FROM {name}")).stream_items()?;
            let mut batch = Vec::with_capacity(ROWS);
            while let Some(item) = rows.next().await {
                match item? {
                    StreamItem::Row { value, .. } => batch.push(value),
                    StreamItem::StatementEnd { result, .. } => result?,
                }
                if batch.len() == ROWS {
                    self.insert_bare(&insert, std::mem::take(&mut batch), &mut copied).await?;
                }
            }
            if !batch.is_empty() {
                self.insert_bare(&insert, batch, &mut copied).await?;
            }
        }
        Ok(copied)
    }

    async fn insert_bare(
        &self,
        insert: &str,
        rows: Vec<Value>,
        copied: &mut Copied,
    ) -> Result<(), ReadGraphError> {
        copied.rows += rows.len();
        let mut binds = Object::new();
        binds.insert("rows", Value::Array(Array::from(rows)));
        let started = Instant::now();
        self.ask(insert, binds).await?;
        copied.writing += started.elapsed();
        Ok(())
    }
}
