//! A digest of all that the graph says, by which a rebuilt graph is held against the one that
//! grew (PR-1).

use std::collections::BTreeMap;

use futures::StreamExt;
use surrealdb::method::StreamItem;
use surrealdb::types::{ToSql, Value};

use crate::graph::Graph;
use crate::table::Table;

/// A digest of the graph's content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ContentHash([u8; 32]);

impl std::fmt::Display for ContentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Every table that counts.
pub(crate) fn tables() -> impl Iterator<Item = &'static str> {
    let names = Table::ALL.iter().map(|table| table.name());
    let former = Table::ALL.iter().filter_map(|table| table.former());
    names.chain(former).chain(["set_aside", "checkpoint"])
}

impl Graph {
    /// Digest of every row of every table and of what it was, the checkpoint and what was set aside included.
    ///
    /// Rows are hashed one by one and the digests in the order of the rows' ids, so that the
    /// store's own order does not count and memory is a digest a row.
    pub async fn content_hash(&self) -> Result<ContentHash, surrealdb::Error> {
        let mut whole = blake3::Hasher::new();
        for name in tables() {
            whole.update(name.as_bytes());
            for (id, digest) in self.digests(name).await? {
                whole.update(id.as_bytes());
                whole.update(digest.as_bytes());
            }
        }
        Ok(ContentHash(*whole.finalize().as_bytes()))
    }

    /// Digest of every row of `table` by its id.
    pub(crate) async fn digests(
        &self,
        table: &str,
    ) -> Result<BTreeMap<String, blake3::Hash>, surrealdb::Error> {
        let mut digests = BTreeMap::new();
        let mut items = self.db.query(format!("SELECT * FROM {table}")).stream_items()?;
        while let Some(item) = items.next().await {
            match item? {
                StreamItem::Row { value, .. } => {
                    let id = match &value {
                        Value::Object(row) => row.get("id").map(ToSql::to_sql),
                        _ => None,
                    };
                    // SurrealQL's own rendering: typed, and objects in the order of their names.
                    let digest = blake3::hash(value.to_sql().as_bytes());
                    digests.insert(id.unwrap_or_default(), digest);
                }
                StreamItem::StatementEnd { result, .. } => result?,
            }
        }
        Ok(digests)
    }
}
