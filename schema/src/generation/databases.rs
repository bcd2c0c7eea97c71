//! Generations on a SurrealDB server: databases, and a record that points to the one in use.

use surrealdb::Surreal;
use surrealdb::engine::any::Any;
use surrealdb::types::{Object, Value};

use crate::graph::{self, is_conflict};
use crate::lease::{OVER, Tenure};

/// The database that holds the pointer.
const POINTER_DATABASE: &str = "faultline_generations";

/// Where the pointer stands, and the lease beside it.
pub(crate) async fn pointer_database(
    server: &Surreal<Any>,
    url: &str,
) -> Result<Surreal<Any>, surrealdb::Error> {
    database(server, url, POINTER_DATABASE).await
}

/// The generation in use.
pub(super) async fn current(server: &Surreal<Any>) -> Result<u64, surrealdb::Error> {
    let text = "SELECT VALUE number FROM generation:current";
    let number = match server.query(text).await?.check() {
        Ok(mut answer) => answer.take::<Vec<i64>>(0)?.pop(),
        // There is no table before the first rebuild.
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error),
    };
    Ok(number.and_then(|number| u64::try_from(number).ok()).unwrap_or(1))
}

/// Every generation that is there.
pub(super) async fn existing(server: &Surreal<Any>) -> Result<Vec<u64>, surrealdb::Error> {
    let text = "RETURN object::keys((INFO FOR NS).databases)";
    let names: Vec<String> = server.query(text).await?.check()?.take(0)?;
    Ok(names.iter().filter_map(|name| generation_of(name)).collect())
}

/// A session with the database of a generation selected, which is made when it is not there.
pub(super) async fn open(
    server: &Surreal<Any>,
    url: &str,
    generation: u64,
) -> Result<Surreal<Any>, surrealdb::Error> {
    database(server, url, &database_name(generation)).await
}

/// Removes a generation, if it is there.
pub(super) async fn remove(server: &Surreal<Any>, generation: u64) -> Result<(), surrealdb::Error> {
    let name = database_name(generation);
    graph::made(server, &format!("REMOVE DATABASE IF EXISTS {name}")).await
}

/// The pointer is moved in the tenure that is the last one, or not at all.
pub(super) async fn point(
    server: &Surreal<Any>,
    tenure: Tenure,
    generation: u64,
) -> Result<(), surrealdb::Error> {
    let mut binds = Object::new();
    binds.insert("number", i64::try_from(generation).unwrap_or(i64::MAX));
    binds.insert("tenure", tenure.stored());
    let pointing = "UPSERT generation:current SET number = $number RETURN NONE";
    let fenced = format!(
        "BEGIN; IF ((SELECT VALUE epoch FROM ONLY lease:graph) ?? 0) != $tenure \
         {{ THROW '{OVER}' }}; \
         UPDATE lease:graph SET generation = $number RETURN NONE; {pointing}; COMMIT"
    );
    let text = if tenure.is_shared() { fenced } else { pointing.to_owned() };
    loop {
        let mut answer = server.query(&text).bind(Value::Object(binds.clone())).await?;
        let errors = answer.take_errors();
        if errors.values().any(is_conflict) {
            // With the renewal of the lease, which is over.
            continue;
        }
        // The others only say that the transaction did not go on.
        let told = |error: &surrealdb::Error| error.to_string().contains(OVER);
        return errors.into_values().max_by_key(told).map_or(Ok(()), Err);
    }
}

fn database_name(generation: u64) -> String {
    match generation {
        0 | 1 => "faultline".to_owned(),
        later => format!("faultline_{later}"),
    }
}

fn generation_of(database: &str) -> Option<u64> {
    match database {
        "faultline" => Some(1),
        other => other.strip_prefix("faultline_")?.parse().ok(),
    }
}

/// A session of its own with the database selected.
async fn database(
    server: &Surreal<Any>,
    url: &str,
    name: &str,
) -> Result<Surreal<Any>, surrealdb::Error> {
    let session = server.clone();
    session.use_ns(graph::namespace_of(url)).await?;
    graph::made(&session, &format!("DEFINE DATABASE IF NOT EXISTS {name}")).await?;
    session.use_ns(graph::namespace_of(url)).use_db(name).await?;
    Ok(session)
}
