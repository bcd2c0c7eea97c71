//! Where two graphs that should be the same are not.

use std::fmt;

use crate::content_hash;
use crate::graph::Graph;

/// The first row in which two graphs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The row's id.
    pub row: String,
    /// What is wrong with it.
    pub kind: DifferenceKind,
}

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The other graph alone has it.
    Missing,
    /// This graph alone has it.
    Surplus,
    /// Both have it, with another content.
    Content,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, row, kind } = self;
        match kind {
            DifferenceKind::Missing => write!(f, "table {table} lacks {row}"),
            DifferenceKind::Surplus => write!(f, "table {table} has {row}, which should not be"),
            DifferenceKind::Content => write!(f, "table {table} has another {row}"),
        }
    }
}

impl Graph {
    /// The first row, by table and id, in which this graph is not `expected`.
    pub async fn first_difference(
        &self,
        expected: &Self,
    ) -> Result<Option<Difference>, surrealdb::Error> {
        for table in content_hash::tables() {
            let (mut ours, theirs) = (self.digests(table).await?, expected.digests(table).await?);
            for (row, digest) in theirs {
                let kind = match ours.remove(&row) {
                    None => DifferenceKind::Missing,
                    Some(ours) if ours != digest => DifferenceKind::Content,
                    Some(_) => continue,
                };
                return Ok(Some(Difference { table, row, kind }));
            }
            if let Some((row, _)) = ours.pop_first() {
                return Ok(Some(Difference { table, row, kind: DifferenceKind::Surplus }));
            }
        }
        Ok(None)
    }
}
