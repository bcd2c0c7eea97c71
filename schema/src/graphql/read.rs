//! Reads of the graph in the shapes that answers need.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures::FutureExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use surrealdb::types::{Array, RecordId, Value};

use super::Base;
use super::batch::Batch;
use super::error::{ApiError, ApiResult};
use crate::value;

/// Rows that several readers share.
pub type Rows<R> = Arc<[Arc<R>]>;

/// An edge of which only the ends matter.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "A: Deserialize<'de>, B: Deserialize<'de>"))]
pub struct Link<A, B> {
    /// Where it begins.
    #[serde(rename = "in")]
    pub from: A,
    /// Where it ends.
    #[serde(rename = "out")]
    pub to: B,
}

/// The rows that one statement answers.
pub async fn rows<R: DeserializeOwned>(
    base: &Base,
    statement: &str,
    bindings: Vec<(&'static str, Value)>,
) -> ApiResult<Vec<R>> {
    base.count_statement();
    let values = values(base, statement, bindings).await.map_err(ReadError::Store);
    let rows = values.and_then(|values| {
        values.into_iter().map(value::decode).collect::<Result<_, _>>().map_err(ReadError::Row)
    });
    rows.map_err(ApiError::internal)
}

async fn values(
    base: &Base,
    statement: &str,
    bindings: Vec<(&'static str, Value)>,
) -> Result<Vec<Value>, Box<surrealdb::Error>> {
    let graph = base.graph();
    let query =
        bindings.into_iter().fold(graph.db.query(statement), |query, binding| query.bind(binding));
    let mut response = query.await?.check()?;
    Ok(response.take(0)?)
}

/// Why rows could not be read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    /// The store failed.
    #[error("the graph store failed")]
    Store(#[source] Box<surrealdb::Error>),
    /// A row is not what projections write.
    #[error("the graph holds a foreign row")]
    Row(#[source] serde_json::Error),
}

/// The keys as record ids of `table`.
pub fn records<K: ToString>(table: &'static str, keys: &[K]) -> Value {
    let id = |key: &K| Value::RecordId(RecordId::new(table, key.to_string()));
    Value::Array(Array::from(keys.iter().map(id).collect::<Vec<_>>()))
}

/// The keys as texts.
pub fn texts<K: ToString>(keys: &[K]) -> Value {
    let text = |key: &K| Value::String(key.to_string());
    Value::Array(Array::from(keys.iter().map(text).collect::<Vec<_>>()))
}

/// Nodes of `table` by their keys.
pub fn nodes<K, R>(base: &Base, table: &'static str, key: fn(&R) -> K) -> Batch<K, Arc<R>>
where
    K: Clone + Eq + Hash + ToString + Send + Sync + 'static,
    R: DeserializeOwned + Send + Sync + 'static,
{
    let base = base.clone();
    Batch::new(move |keys: Vec<K>| {
        let base = base.clone();
        async move {
            let ids = records(table, &keys);
            let found: Vec<R> = rows(&base, "SELECT * FROM $keys", vec![("keys", ids)]).await?;
            Ok(found.into_iter().map(|row| (key(&row), Arc::new(row))).collect())
        }
        .boxed()
    })
}

/// Rows by the node they belong to: `statement` answers those of all `$keys`, which `bind` makes
/// of the nodes' keys. A node without rows has an empty list.
pub fn grouped<K, R>(
    base: &Base,
    statement: &'static str,
    bind: fn(&[K]) -> Value,
    key: fn(&R) -> K,
) -> Batch<K, Rows<R>>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    R: DeserializeOwned + Send + Sync + 'static,
{
    let base = base.clone();
    Batch::new(move |keys: Vec<K>| {
        let base = base.clone();
        async move {
            let found: Vec<R> = rows(&base, statement, vec![("keys", bind(&keys))]).await?;
            let mut groups: HashMap<K, Vec<Arc<R>>> =
                keys.into_iter().map(|key| (key, Vec::new())).collect();
            for row in found {
                groups.entry(key(&row)).or_default().push(Arc::new(row));
            }
            Ok(groups.into_iter().map(|(key, rows)| (key, Rows::from(rows))).collect())
        }
        .boxed()
    })
}
