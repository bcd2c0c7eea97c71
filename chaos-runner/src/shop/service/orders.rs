//! The orders, in the database, through a bounded pool of connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use deadpool_postgres::{
    Client, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::Type;

use super::PoolStats;
use super::failure::Failure;

/// Connections to the database at most.
const POOL_SIZE: usize = 8;
/// How long a request waits for a connection, and then for the database.
const DATABASE_PATIENCE: Duration = Duration::from_millis(500);

const INSERT: &str = "INSERT INTO orders (customer, items, total_cents, payment) \
                      VALUES ($1, $2, $3, $4) RETURNING id";
const SELECT: &str = "SELECT id, customer, items, total_cents FROM orders WHERE id = $1";

#[derive(Deserialize)]
struct NewOrder {
    user: i64,
    items: i64,
    total_cents: i64,
    payment: i64,
}

/// An order as it stands in the database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) id: i64,
    pub(super) user: i64,
    pub(super) items: i64,
    pub(super) total_cents: i64,
}

/// Connections that the admin endpoint holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// Their number.
    pub(crate) held: usize,
}

/// The pool, and the connections that a fault holds.
pub(super) struct OrderStore {
    pool: Pool,
    held: Mutex<Vec<Object>>,
}

pub(super) fn router(store: Arc<OrderStore>) -> Router {
    Router::new().route("/orders", post(place)).route("/orders/{id}", get(read)).with_state(store)
}

async fn place(
    State(store): State<Arc<OrderStore>>,
    Json(order): Json<NewOrder>,
) -> Result<Json<Order>, Failure> {
    let statements = async |client: &Client| {
        let insert = client.prepare_typed_cached(INSERT, &[Type::INT8; 4]).await?;
        let placed = client
            .query_one(&insert, &[&order.user, &order.items, &order.total_cents, &order.payment])
            .await?;
        let id: i64 = placed.try_get(0)?;
        select(client, id).await
    };
    store.with_connection(statements).await?.map(Json).ok_or(Failure::NotFound("order"))
}

async fn read(
    State(store): State<Arc<OrderStore>>,
    Path(id): Path<i64>,
) -> Result<Json<Order>, Failure> {
    let found = store.with_connection(async |client: &Client| select(client, id).await).await?;
    found.map(Json).ok_or(Failure::NotFound("order"))
}

async fn select(client: &Client, id: i64) -> Result<Option<Order>, tokio_postgres::Error> {
    let select = client.prepare_typed_cached(SELECT, &[Type::INT8]).await?;
    let Some(row) = client.query_opt(&select, &[&id]).await? else { return Ok(None) };
    Ok(Some(Order {
        id: row.try_get(0)?,
        user: row.try_get(1)?,
        items: row.try_get(2)?,
        total_cents: row.try_get(3)?,
    }))
}

impl OrderStore {
    pub(super) fn new(database: SocketAddr) -> Self {
        let mut config = tokio_postgres::Config::new();
        config
            .host(database.ip().to_string())
            .port(database.port())
            .user("orders")
            .dbname("shop")
            .ssl_mode(SslMode::Disable);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config, NoTls, recycling))
            .max_size(POOL_SIZE)
            .wait_timeout(Some(DATABASE_PATIENCE))
            .create_timeout(Some(DATABASE_PATIENCE))
            .recycle_timeout(Some(DATABASE_PATIENCE))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a pool with timeouts has a runtime");
        Self { pool, held: Mutex::default() }
    }

    /// Runs statements on one connection. One that did not answer in time is closed, not
    /// returned: the next request would wait behind the statements that still hang.
    async fn with_connection<T>(
        &self,
        statements: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failure> {
        let connection = self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(_) => Failure::PoolTimeout,
            PoolError::Backend(error) => Failure::Database(error),
            _ => Failure::CalleeUnreachable("database"),
        })?;
        match tokio::time::timeout(DATABASE_PATIENCE, statements(&connection)).await {
            Ok(done) => Ok(done?),
            Err(_) => {
                drop(Object::take(connection));
                Err(Failure::CalleeTimeout("database"))
            }
        }
    }

    pub(super) fn stats(&self) -> PoolStats {
        let status = self.pool.status();
        let idle = status.available;
        PoolStats {
            size: status.max_size,
            in_use: status.size.saturating_sub(idle),
            waiting: status.waiting,
        }
    }

    /// Takes every connection of the pool into an open transaction, as code does that forgets
    /// to give them back. Connections in use are taken when their request returns them.
    pub(super) async fn hold_all(&self) -> Hold {
        let mut held = self.held.lock().await;
        while held.len() < POOL_SIZE {
            let Ok(connection) = self.pool.get().await else { break };
            if connection.batch_execute("BEGIN").await.is_err() {
                break;
            }
            held.push(connection);
        }
        Hold { held: held.len() }
    }

    /// Gives back what [`Self::hold_all`] took.
    pub(super) async fn release_all(&self) -> Hold {
        let mut held = self.held.lock().await;
        for connection in held.drain(..) {
            if connection.batch_execute("ROLLBACK").await.is_err() {
                drop(Object::take(connection));
            }
        }
        Hold { held: held.len() }
    }
}
