//! The orders, in the database, through a bounded pool of connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use deadpool_postgres::{
    Client, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use events::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tracing::info;

use super::PoolStats;
use super::failure::Failure;
use crate::shop::otlp::{Instruments, PoolCounts, Statement, Statements, error_type};
use crate::shop::topology::DATABASE;

/// Connections to the database at most.
const POOL_SIZE: usize = 8;
/// How long a request waits for a connection, and then for the database.
const DATABASE_PATIENCE: Duration = Duration::from_millis(500);

/// The database's name for its clients.
const NAMESPACE: &str = "shop";

const INSERT: Statement = Statement {
    operation: "INSERT",
    table: "orders",
    text: "INSERT INTO orders (customer, items, total_cents, payment) \
           VALUES ($1, $2, $3, $4) RETURNING id",
};
const SELECT: Statement = Statement {
    operation: "SELECT",
    table: "orders",
    text: "SELECT id, customer, items, total_cents FROM orders WHERE id = $1",
};

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
    observed: Statements,
}

pub(super) fn router(store: Arc<OrderStore>) -> Router {
    Router::new().route("/orders", post(place)).route("/orders/{id}", get(read)).with_state(store)
}

async fn place(
    State(store): State<Arc<OrderStore>>,
    Json(order): Json<NewOrder>,
) -> Result<Json<Order>, Failure> {
    let statements = async |client: &Client| {
        let insert = async {
            let insert = client.prepare_typed_cached(INSERT.text, &[Type::INT8; 4]).await?;
            let order = [&order.user, &order.items, &order.total_cents, &order.payment];
            client.query_one(&insert, &order.map(|it| it as &(dyn ToSql + Sync))).await
        };
        let id: i64 = store.observed.observe(INSERT, insert).await?.try_get(0)?;
        store.select(client, id).await
    };
    let placed = store.with_connection(statements).await?;
    let placed = placed.ok_or(Failure::NotFound("order"))?;
    info!("order {}: {} items for user {}", placed.id, placed.items, placed.user);
    Ok(Json(placed))
}

async fn read(
    State(store): State<Arc<OrderStore>>,
    Path(id): Path<i64>,
) -> Result<Json<Order>, Failure> {
    let statements = async |client: &Client| store.select(client, id).await;
    store.with_connection(statements).await?.map(Json).ok_or(Failure::NotFound("order"))
}

impl OrderStore {
    pub(super) fn new(database: SocketAddr, instruments: &Instruments) -> Arc<Self> {
        let observed = Statements::new(instruments, DATABASE, NAMESPACE, database);
        let store = Arc::new(Self { pool: pool(database), held: Mutex::default(), observed });
        let watched = Arc::clone(&store);
        store.observed.watch_pool(instruments, move || watched.pool_counts());
        store
    }

    async fn select(
        &self,
        client: &Client,
        id: i64,
    ) -> Result<Option<Order>, tokio_postgres::Error> {
        let select = async {
            let select = client.prepare_typed_cached(SELECT.text, &[Type::INT8]).await?;
            client.query_opt(&select, &[&id]).await
        };
        let Some(row) = self.observed.observe(SELECT, select).await? else { return Ok(None) };
        Ok(Some(Order {
            id: row.try_get(0)?,
            user: row.try_get(1)?,
            items: row.try_get(2)?,
            total_cents: row.try_get(3)?,
        }))
    }

    /// Runs statements on one connection. One that did not answer in time is closed, not
    /// returned: the next request would wait behind the statements that still hang.
    async fn with_connection<T>(
        &self,
        statements: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failure> {
        let began = Timestamp::now();
        let connection = self.pool.get().await.map_err(|error| self.no_connection(began, error))?;
        match tokio::time::timeout(DATABASE_PATIENCE, statements(&connection)).await {
            Ok(done) => Ok(done?),
            Err(_) => {
                drop(Object::take(connection));
                Err(Failure::CalleeTimeout(DATABASE))
            }
        }
    }

    /// That no connection was to be had is the pool's own affair or the database's: which, is
    /// told.
    fn no_connection(&self, began: Timestamp, error: PoolError) -> Failure {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => {
                self.observed.waited_in_vain();
                Failure::PoolTimeout
            }
            PoolError::Timeout(_) => {
                self.observed.unreachable(began, "timeout".to_owned());
                Failure::PoolTimeout
            }
            PoolError::Backend(error) => {
                self.observed.unreachable(began, error_type(&error));
                Failure::Database(error)
            }
            _ => Failure::CalleeUnreachable(DATABASE),
        }
    }

    pub(super) fn stats(&self) -> PoolStats {
        let PoolCounts { used, most, waiting, .. } = self.pool_counts();
        PoolStats { size: most, in_use: used, waiting }
    }

    fn pool_counts(&self) -> PoolCounts {
        let status = self.pool.status();
        PoolCounts {
            used: status.size.saturating_sub(status.available),
            idle: status.available,
            most: status.max_size,
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

fn pool(database: SocketAddr) -> Pool {
    let mut config = tokio_postgres::Config::new();
    config
        .host(database.ip().to_string())
        .port(database.port())
        .user("orders")
        .dbname(NAMESPACE)
        .ssl_mode(SslMode::Disable);
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(Manager::from_config(config, NoTls, recycling))
        .max_size(POOL_SIZE)
        .wait_timeout(Some(DATABASE_PATIENCE))
        .create_timeout(Some(DATABASE_PATIENCE))
        .recycle_timeout(Some(DATABASE_PATIENCE))
        .runtime(Runtime::Tokio1)
        .build()
        .expect("a pool with timeouts has a runtime")
}
