//! The database's definitions, applied in order, each once.
//!
//! A migration never changes once it is released: the digest of its text is recorded, and a
//! graph made from another text is rebuilt rather than guessed at.

use surrealdb::Surreal;
use surrealdb::engine::any::Any;
use surrealdb::types::{Object, Value};

use crate::graph;

/// One step of the definitions.
struct Migration {
    number: i64,
    name: &'static str,
    statements: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "graph",
        statements: include_str!("../migrations/0001_graph.surql"),
    },
    Migration {
        number: 2,
        name: "versions",
        statements: include_str!("../migrations/0002_versions.surql"),
    },
    Migration {
        number: 3,
        name: "retention",
        statements: include_str!("../migrations/0003_retention.surql"),
    },
    Migration {
        number: 4,
        name: "alerts",
        statements: include_str!("../migrations/0004_alerts.surql"),
    },
    Migration {
        number: 5,
        name: "models",
        statements: include_str!("../migrations/0005_models.surql"),
    },
];

const MIGRATION_TABLE: &str = "
    DEFINE TABLE IF NOT EXISTS migration TYPE NORMAL SCHEMAFULL
        COMMENT 'Definitions that were applied; the key is their number.';
    DEFINE FIELD IF NOT EXISTS name ON migration TYPE string;
    DEFINE FIELD IF NOT EXISTS digest ON migration TYPE string;
";

/// Why the definitions could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The store failed.
    #[error("applying migration {number} failed")]
    Store {
        /// The migration; 0 for the table of migrations itself.
        number: i64,
        /// What the store says.
        #[source]
        source: Box<surrealdb::Error>,
    },
    /// Whoever makes the graph has not applied it yet.
    #[error("migration {number} is not applied yet")]
    Missing {
        /// The migration.
        number: i64,
    },
    /// The store was made by another version of Faultline.
    #[error("the store has migration {number} as {found}, this version knows {known}")]
    Foreign {
        /// The migration.
        number: i64,
        /// Digest of the text that was applied.
        found: String,
        /// What this version would apply.
        known: String,
    },
}

/// Applies what is missing.
pub(crate) async fn migrate(db: &Surreal<Any>) -> Result<(), MigrateError> {
    graph::made(db, MIGRATION_TABLE)
        .await
        .map_err(|source| MigrateError::Store { number: 0, source: Box::new(source) })?;
    let last = known(db).await?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.number > last) {
        apply(db, migration).await?;
    }
    Ok(())
}

/// Fails unless every migration is applied; changes nothing.
pub(crate) async fn verify(db: &Surreal<Any>) -> Result<(), MigrateError> {
    let last = known(db).await?;
    match MIGRATIONS.iter().find(|migration| migration.number > last) {
        None => Ok(()),
        Some(missing) => Err(MigrateError::Missing { number: missing.number }),
    }
}

/// The number of the last migration that was applied; fails on one of another version.
async fn known(db: &Surreal<Any>) -> Result<i64, MigrateError> {
    let applied = applied(db).await?;
    let last = applied.last().map_or(0, |(number, _)| *number);
    for (number, found) in applied {
        let known = MIGRATIONS
            .iter()
            .find(|migration| migration.number == number)
            .map_or_else(|| "no such migration".to_owned(), digest);
        if found != known {
            return Err(MigrateError::Foreign { number, found, known });
        }
    }
    Ok(last)
}

async fn apply(db: &Surreal<Any>, migration: &Migration) -> Result<(), MigrateError> {
    let failed =
        |source| MigrateError::Store { number: migration.number, source: Box::new(source) };
    let mut record = Object::new();
    record.insert("number", migration.number);
    record.insert("name", migration.name);
    record.insert("digest", digest(migration));
    db.query("BEGIN")
        .query(migration.statements)
        .query("CREATE type::record('migration', $number) SET name = $name, digest = $digest")
        .query("COMMIT")
        .bind(Value::Object(record))
        .await
        .and_then(|response| response.check())
        .map(drop)
        .map_err(failed)
}

async fn applied(db: &Surreal<Any>) -> Result<Vec<(i64, String)>, MigrateError> {
    let failed = |source| MigrateError::Store { number: 0, source: Box::new(source) };
    let text = "SELECT record::id(id) AS number, digest FROM migration ORDER BY number";
    let mut response = match db.query(text).await.map_err(failed)?.check() {
        Ok(response) => response,
        // There is no table before the first migration.
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let numbers: Vec<i64> = response.take((0, "number")).map_err(failed)?;
    let digests: Vec<String> = response.take((0, "digest")).map_err(failed)?;
    Ok(numbers.into_iter().zip(digests).collect())
}

fn digest(migration: &Migration) -> String {
    blake3::hash(migration.statements.as_bytes()).to_hex().to_string()
}
