//! Reads that more than GraphQL needs: the evidence of an incident, and the past it is compared
//! with.

mod evidence;
mod past;
mod studied;

pub use evidence::Span;
pub use past::Past;
pub use studied::Unsaid;
pub(crate) use studied::{Known, Seen};

use serde::de::DeserializeOwned;
use surrealdb::IndexedResults;
use surrealdb::types::{Object, Value};

use crate::graph::Graph;
use crate::table::Table;
use crate::value::decode;

/// Why the graph could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadGraphError {
    /// The store failed.
    #[error("the graph store failed")]
    Store(#[source] Box<surrealdb::Error>),
    /// A row is not what projections write.
    #[error("the graph holds a foreign row in answer {statement}")]
    Foreign {
        /// The statement that answered it, from 0.
        statement: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl From<surrealdb::Error> for ReadGraphError {
    fn from(error: surrealdb::Error) -> Self {
        Self::Store(Box::new(error))
    }
}

/// The answers to several statements that were sent at once.
pub(crate) struct Answers(pub(crate) IndexedResults);

impl Answers {
    pub(crate) fn rows<T: DeserializeOwned>(
        &mut self,
        statement: usize,
    ) -> Result<Vec<T>, ReadGraphError> {
        let rows: Vec<Value> = self.0.take(statement)?;
        rows.into_iter()
            .map(decode)
            .collect::<Result<_, _>>()
            .map_err(|source| ReadGraphError::Foreign { statement, source })
    }
}

impl Graph {
    /// At most `limit` rows of a table, in the order of their keys.
    pub async fn rows<T: DeserializeOwned>(
        &self,
        table: Table,
        limit: usize,
    ) -> Result<Vec<T>, ReadGraphError> {
        let mut binds = Object::new();
        binds.insert("limit", i64::try_from(limit).unwrap_or(i64::MAX));
        let statement = format!("SELECT * FROM {} LIMIT $limit", table.name());
        self.ask(&statement, binds).await?.rows(0)
    }

    pub(crate) async fn ask(
        &self,
        statements: &str,
        binds: Object,
    ) -> Result<Answers, ReadGraphError> {
        Ok(Answers(self.db.query(statements).bind(Value::Object(binds)).await?.check()?))
    }
}

/// A position as the store's integers hold it.
pub(crate) fn at_position(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
