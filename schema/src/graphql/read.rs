//! Reads of the graph in the shapes that answers need.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use futures::FutureExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use surrealdb::types::{Array, Number, RecordId, ToSql, Value};

use super::batch::Batch;
use super::error::{ApiError, ApiResult};
use super::view::View;
use crate::reads::at_position;
use crate::table::Table;
use crate::value::{self, texts};

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

/// The rows that the statements answer, those of the first one first. `$position` is bound for
/// them where the answer is asked for as of one.
pub async fn rows<R: DeserializeOwned>(
    view: &View,
    statements: &str,
    bindings: Vec<(String, Value)>,
) -> ApiResult<Vec<R>> {
    let values = values(view, statements, bindings).await.map_err(ReadError::Store);
    let rows = values.and_then(|values| {
        values.into_iter().map(value::decode).collect::<Result<_, _>>().map_err(ReadError::Row)
    });
    rows.map_err(ApiError::internal)
}

async fn values(
    view: &View,
    statements: &str,
    mut bindings: Vec<(String, Value)>,
) -> Result<Vec<Value>, Box<surrealdb::Error>> {
    if let Some(position) = view.position() {
        bindings.push(("position".to_owned(), Value::Number(Number::Int(at_position(position)))));
    }
    let query = bindings
        .into_iter()
        .fold(view.graph().db.query(statements), |query, binding| query.bind(binding));
    let mut response = query.await?.check()?;
    let statements = response.num_statements();
    let mut values = Vec::new();
    let mut seen = HashSet::new();
    for statement in 0..statements {
        view.count_statement();
        let found: Vec<Value> = response.take(statement)?;
        // A batch may commit between two statements, and then a row that the first one gave as it
        // is stands among the former ones as well.
        let mut once =
            |row: &Value| statements == 1 || key_of(row).is_none_or(|key| seen.insert(key));
        values.extend(found.into_iter().filter(&mut once));
    }
    Ok(values)
}

/// The key of a row, or of the row of which it is a former version.
fn key_of(row: &Value) -> Option<String> {
    match row {
        Value::Object(row) => row.get("original").or_else(|| row.get("id")).map(ToSql::to_sql),
        _ => None,
    }
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

/// Where the rows of a table stand as a view knows them.
pub struct Known {
    /// The table that holds them.
    pub table: &'static str,
    /// What holds of those that were known; nothing where all are.
    pub when: Option<&'static str>,
}

/// Where the rows of `table` stand as `view` knows them: now in the table itself; as of a
/// position those that nothing changed since, and what the others were.
pub fn known(table: &'static str, view: &View) -> Vec<Known> {
    if view.position().is_none() {
        return vec![Known { table, when: None }];
    }
    match Table::named(table).and_then(Table::former) {
        None => vec![Known { table, when: Some("since <= $position") }],
        Some(former) => vec![
            Known { table, when: Some("changed <= $position") },
            Known { table: former, when: Some(FORMERLY) },
        ],
    }
}

/// What holds of the former version of a row that was the last one at `$position`.
const FORMERLY: &str = "superseded > $position AND changed <= $position";

/// Which rows belong to a node: its edges, or rows that name it.
///
/// A group that is made of one speaks of the moment of its view by itself.
#[derive(Clone, Copy)]
pub struct Source {
    table: &'static str,
    /// Whether only what edges join is read.
    ends: bool,
    near: Near,
}

#[derive(Clone, Copy)]
enum Near {
    /// The edges that begin at nodes of this table.
    From(&'static str),
    /// The edges that end at nodes of this table.
    Into(&'static str),
    /// The rows that name the node in this column, if the condition holds.
    Naming(&'static str, Option<&'static str>),
    /// The rows whose keys begin with the node's.
    Keyed,
}

impl Source {
    /// The edges of `table` that begin at a node of `node`.
    pub fn from(node: &'static str, table: &'static str) -> Self {
        Self { table, ends: false, near: Near::From(node) }
    }

    /// The edges of `table` that end at a node of `node`.
    pub fn into(node: &'static str, table: &'static str) -> Self {
        Self { table, ends: false, near: Near::Into(node) }
    }

    /// The rows of `table` that hold a node's key in `column`.
    pub fn naming(table: &'static str, column: &'static str) -> Self {
        Self { table, ends: false, near: Near::Naming(column, None) }
    }

    /// The rows of `table` whose keys begin with the node's.
    pub fn keyed(table: &'static str) -> Self {
        Self { table, ends: false, near: Near::Keyed }
    }

    /// Of edges only what they join.
    pub fn ends(self) -> Self {
        Self { ends: true, ..self }
    }

    /// Of rows that name a node those for which `condition` holds.
    pub fn when(self, condition: &'static str) -> Self {
        match self.near {
            Near::Naming(column, _) => Self { near: Near::Naming(column, Some(condition)), ..self },
            Near::From(_) | Near::Into(_) | Near::Keyed => self,
        }
    }

    fn bindings<K: ToString>(self, keys: &[K]) -> Vec<(String, Value)> {
        let keys = match self.near {
            Near::From(node) | Near::Into(node) => records(node, keys),
            Near::Naming(..) => texts(keys),
            Near::Keyed => return numbered(keys),
        };
        vec![("keys".to_owned(), keys)]
    }

    fn statements(self, view: &View, keys: usize) -> String {
        let statements = known(self.table, view).into_iter().map(|of| self.statement(&of, keys));
        statements.collect::<Vec<_>>().join(";")
    }

    fn statement(self, Known { table, when }: &Known, keys: usize) -> String {
        let near = self.near;
        let columns = match self.ends {
            true if *table == self.table => "id, in, out",
            true => "original, in, out",
            false => "*",
        };
        let when = when.map(|when| format!(" AND {when}")).unwrap_or_default();
        let edges = format!("(SELECT {columns} FROM {table} WHERE until = NONE{when})");
        match near {
            Near::From(_) => format!("array::flatten((SELECT VALUE ->{edges} FROM $keys))"),
            Near::Into(_) => format!("array::flatten((SELECT VALUE <-{edges} FROM $keys))"),
            Near::Naming(column, condition) => {
                let also = condition.map(|also| format!(" AND {also}")).unwrap_or_default();
                format!("SELECT * FROM {table} WHERE {column} IN $keys{also}{when}")
            }
            Near::Keyed => {
                let ranges = ranges(table, keys, "..", |key| format!("[{key}, '~']"));
                format!("SELECT * FROM {ranges} WHERE true{when}")
            }
        }
    }
}

/// Nodes of `table` by their keys.
pub fn nodes<K, R>(view: &Arc<View>, table: &'static str, key: fn(&R) -> K) -> Batch<K, Arc<R>>
where
    K: Clone + Eq + Hash + ToString + Send + Sync + 'static,
    R: DeserializeOwned + Send + Sync + 'static,
{
    let view = view.clone();
    Batch::new(move |keys: Vec<K>| {
        let view = view.clone();
        async move {
            let known = known(table, &view);
            let mut bindings = vec![("keys".to_owned(), records(table, &keys))];
            if known.len() > 1 {
                bindings.extend(numbered(&keys));
            }
            let statements = known.iter().map(|of| by_key(of, table, keys.len()));
            let statements = statements.collect::<Vec<_>>().join(";");
            let found: Vec<R> = rows(&view, &statements, bindings).await?;
            Ok(found.into_iter().map(|row| (key(&row), Arc::new(row))).collect())
        }
        .boxed()
    })
}

fn by_key(Known { table, when }: &Known, current: &str, keys: usize) -> String {
    let when = when.map(|when| format!(" WHERE {when}")).unwrap_or_default();
    if *table == current {
        return format!("SELECT * FROM $keys{when}");
    }
    // The versions of a row lie together: a range a row finds them without an index.
    let ranges = ranges(table, keys, "..=", |key| format!("[{key}, $position]"));
    format!("SELECT * FROM {ranges}{when}")
}

/// One range of the table a key: from whatever begins with it up to `end`.
fn ranges(table: &str, keys: usize, dots: &str, end: impl Fn(&str) -> String) -> String {
    let range = |index| {
        let key = format!("$key_{index}");
        format!("{table}:[{key}]{dots}{}", end(&key))
    };
    (0..keys).map(range).collect::<Vec<_>>().join(", ")
}

/// The keys, bound one by one as [`ranges`] names them.
fn numbered<K: ToString>(keys: &[K]) -> Vec<(String, Value)> {
    let bound =
        |(index, key): (usize, &K)| (format!("key_{index}"), Value::String(key.to_string()));
    keys.iter().enumerate().map(bound).collect()
}

/// Rows by the node they belong to, as `source` finds them. A node without rows has an empty
/// list.
pub fn grouped<K, R>(view: &Arc<View>, source: Source, key: fn(&R) -> K) -> Batch<K, Rows<R>>
where
    K: Clone + Eq + Hash + ToString + Send + Sync + 'static,
    R: DeserializeOwned + Send + Sync + 'static,
{
    let view = view.clone();
    Batch::new(move |keys: Vec<K>| {
        let view = view.clone();
        async move {
            let statements = source.statements(&view, keys.len());
            let found: Vec<R> = rows(&view, &statements, source.bindings(&keys)).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A row that is given by both statements is told by its key, and only then given once.
    #[test]
    fn edges_of_which_only_the_ends_are_read_have_their_keys() {
        let calls = Source::from("component", "calls").ends();
        let then = |table| calls.statement(&Known { table, when: Some("since <= $position") }, 1);
        assert!(then("calls").contains("(SELECT id, in, out FROM calls "), "{}", then("calls"));
        let former = then("was_calls");
        assert!(former.contains("(SELECT original, in, out FROM was_calls "), "{former}");
    }
}
