//! Events that could not be projected, kept where people see them (PR-4).

use events::{EventId, RecordedEvent, Timestamp};
use serde::Deserialize;
use surrealdb::types::{Object, RecordId, Value};

use crate::graph::Graph;
use crate::projection::ProjectError;
use crate::value::{decode, text, time};

/// An event that is in the log and not in the graph.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SetAside {
    /// The event.
    #[serde(rename = "id")]
    pub event: EventId,
    /// Its position in the log.
    pub position: u64,
    /// Its type.
    pub event_type: String,
    /// Its stream.
    pub stream: String,
    /// The kind of error, stable across versions.
    pub code: String,
    /// What is wrong with it.
    pub error: String,
    /// When the log recorded it.
    pub recorded_at: Timestamp,
}

/// Why the events that were set aside could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum SetAsideError {
    /// The store failed.
    #[error("the graph store failed")]
    Store(#[source] Box<surrealdb::Error>),
    /// A row is not what the executor writes.
    #[error("a row of set_aside is not one")]
    Foreign(#[source] serde_json::Error),
}

impl From<surrealdb::Error> for SetAsideError {
    fn from(error: surrealdb::Error) -> Self {
        Self::Store(Box::new(error))
    }
}

impl SetAside {
    pub(super) fn new(recorded: &RecordedEvent, error: &ProjectError) -> Self {
        Self {
            event: recorded.event.id,
            position: recorded.position,
            event_type: recorded.event.data.event_type().to_owned(),
            stream: recorded.stream.to_string(),
            code: error.code().to_owned(),
            error: error.to_string(),
            recorded_at: recorded.recorded_at,
        }
    }

    pub(super) fn row(&self) -> Value {
        let mut row = Object::new();
        row.insert("id", RecordId::new("set_aside", self.event.to_string()));
        row.insert("position", i64::try_from(self.position).unwrap_or(i64::MAX));
        row.insert("event_type", text(self.event_type.as_str()));
        row.insert("stream", text(self.stream.as_str()));
        row.insert("code", text(self.code.as_str()));
        row.insert("error", text(self.error.as_str()));
        row.insert("recorded_at", time(self.recorded_at));
        Value::Object(row)
    }
}

impl Graph {
    /// At most `limit` events that were set aside behind position `after`, in order.
    pub async fn set_aside(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<SetAside>, SetAsideError> {
        let mut binds = Object::new();
        binds.insert("after", i64::try_from(after).unwrap_or(i64::MAX));
        binds.insert("limit", i64::try_from(limit).unwrap_or(i64::MAX));
        let mut response = self
            .db
            .query("SELECT * FROM set_aside WHERE position > $after ORDER BY position LIMIT $limit")
            .bind(Value::Object(binds))
            .await?
            .check()?;
        let rows: Vec<Value> = response.take(0)?;
        rows.into_iter().map(decode).collect::<Result<_, _>>().map_err(SetAsideError::Foreign)
    }

    /// How many events were set aside.
    pub async fn set_aside_count(&self) -> Result<u64, SetAsideError> {
        let mut response =
            self.db.query("SELECT count() AS n FROM set_aside GROUP ALL").await?.check()?;
        let counts: Vec<i64> = response.take("n")?;
        Ok(counts.first().map_or(0, |count| count.unsigned_abs()))
    }
}
