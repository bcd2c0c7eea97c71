//! One process of the shop that answers HTTP: the gateway, the catalog, the cart, the checkout,
//! the payments or the orders.
//!
//! The six share how a request comes in (a bound on requests in flight, a few workers, the flaws
//! of a bad version) and how others are called (one attempt, a bounded wait).

mod admission;
mod cart;
mod catalog;
mod checkout;
mod failure;
mod flaw;
mod gateway;
mod orders;
mod payments;
mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::child::{self, ChildArgs, ChildError};
use super::otlp::{Calls, Instruments, Served, observe, watch_process};
use super::topology::{self, CART, CATALOG, CHECKOUT, DATABASE, GATEWAY, ORDERS, PAYMENTS};
use admission::Admission;
use orders::OrderStore;
use upstream::Upstream;

pub(crate) use admission::PING_PATH;
pub(crate) use catalog::PRODUCTS;
pub use flaw::FlawArgs;
pub(crate) use orders::Hold;

/// Arguments of the hidden subcommand that plays a service.
#[derive(clap::Args, Clone, Debug)]
pub struct ServiceArgs {
    /// What every process of the shop is told.
    #[command(flatten)]
    pub child: ChildArgs,
    /// Where a callee is reached, through its proxy: `catalog=127.0.0.1:9001`.
    #[arg(long = "upstream", value_parser = parse_upstream)]
    pub upstreams: Vec<(String, SocketAddr)>,
    /// What is wrong with this version.
    #[command(flatten)]
    pub flaw: FlawArgs,
}

fn parse_upstream(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, address) = text.split_once('=').ok_or("expected NAME=ADDRESS")?;
    let address = address.parse().map_err(|error| format!("{address:?}: {error}"))?;
    Ok((name.to_owned(), address))
}

/// What a process of the shop says about itself at `/-/stats`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// The version that runs.
    pub version: String,
    /// Requests, or statements, in the process now.
    pub in_flight: usize,
    /// How many it accepts.
    pub limit: usize,
    /// The connection pool, when there is one.
    pub pool: Option<PoolStats>,
    /// Open connections, for the database.
    pub connections: Option<usize>,
}

/// A bounded pool of connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PoolStats {
    /// Connections that the pool may have.
    pub size: usize,
    /// Those that someone uses.
    pub in_use: usize,
    /// Requests that wait for one.
    pub waiting: usize,
}

/// Plays a service until the supervisor asks it to end.
pub async fn run(args: ServiceArgs) -> Result<(), ChildError> {
    let telemetry = child::begin(&args.child)?;
    let instruments = telemetry.instruments();
    watch_process(&instruments);
    let name = args.child.component.as_str();
    let capacity = topology::component(name)
        .and_then(|component| component.capacity)
        .ok_or_else(|| ChildError::Unknown { what: "service", name: name.to_owned() })?;
    let callees = Callees::new(&args.upstreams, capacity.patience, &instruments);
    let store = match name {
        ORDERS => Some(OrderStore::new(callees.address(DATABASE)?, &instruments)),
        _ => None,
    };
    let (listener, address) = child::listen().await?;
    let (admin_listener, admin_address) = child::listen().await?;
    let business = business(name, &callees, store.clone())?;
    let admission = Arc::new(Admission::new(capacity, args.flaw.clone().into()));
    // What is refused at the door is a request too: it is observed around the admission.
    let served = Arc::new(Served::new(&instruments, address));
    let business = business
        .layer(middleware::from_fn_with_state(Arc::clone(&admission), admission::admit))
        .layer(middleware::from_fn_with_state(served, observe));
    let version = args.child.version;
    info!("{name} {version} answers at {address}");
    let admin = admin(Admin { version: version.into(), admission, store });
    child::serve_admin(admin_listener, admin);
    child::announce(address, admin_address)?;
    // A request that has begun is answered before the process ends.
    let asked_to_end = child::asked_to_end()?;
    axum::serve(listener, business)
        .with_graceful_shutdown(asked_to_end)
        .await
        .map_err(ChildError::io("serve HTTP"))?;
    child::end(telemetry).await
}

fn business(
    name: &str,
    callees: &Callees,
    store: Option<Arc<OrderStore>>,
) -> Result<Router, ChildError> {
    let router = match (name, store) {
        (GATEWAY, _) => gateway::router(gateway::Behind {
            catalog: callees.to(CATALOG)?,
            cart: callees.to(CART)?,
            checkout: callees.to(CHECKOUT)?,
        }),
        (CATALOG, _) => catalog::router(),
        (CART, _) => cart::router(callees.to(CATALOG)?),
        (CHECKOUT, _) => checkout::router(checkout::Behind {
            cart: callees.to(CART)?,
            payments: callees.to(PAYMENTS)?,
            orders: callees.to(ORDERS)?,
        }),
        (PAYMENTS, _) => payments::router(),
        (ORDERS, Some(store)) => orders::router(store),
        _ => return Err(ChildError::Unknown { what: "service", name: name.to_owned() }),
    };
    Ok(router)
}

struct Callees<'a> {
    addresses: BTreeMap<&'a str, SocketAddr>,
    patience: std::time::Duration,
    instruments: &'a Instruments,
}

impl<'a> Callees<'a> {
    fn new(
        upstreams: &'a [(String, SocketAddr)],
        patience: std::time::Duration,
        instruments: &'a Instruments,
    ) -> Self {
        let addresses = upstreams.iter().map(|(name, at)| (name.as_str(), *at)).collect();
        Self { addresses, patience, instruments }
    }

    fn address(&self, name: &str) -> Result<SocketAddr, ChildError> {
        self.addresses
            .get(name)
            .copied()
            .ok_or_else(|| ChildError::Unknown { what: "upstream", name: name.to_owned() })
    }

    fn to(&self, name: &'static str) -> Result<Upstream, ChildError> {
        let address = self.address(name)?;
        let calls = Calls::new(self.instruments, name, address);
        Ok(Upstream::new(name, address, self.patience, calls))
    }
}

#[derive(Clone)]
struct Admin {
    version: Arc<str>,
    admission: Arc<Admission>,
    store: Option<Arc<OrderStore>>,
}

fn admin(admin: Admin) -> Router {
    Router::new()
        .route("/-/stats", get(stats))
        .route("/-/pool/hold", post(hold_pool).delete(release_pool))
        .with_state(admin)
}

async fn stats(State(admin): State<Admin>) -> Json<Stats> {
    Json(Stats {
        version: admin.version.to_string(),
        in_flight: admin.admission.in_flight(),
        limit: admin.admission.limit(),
        pool: admin.store.as_ref().map(|store| store.stats()),
        connections: None,
    })
}

async fn hold_pool(State(admin): State<Admin>) -> Json<Hold> {
    Json(match &admin.store {
        Some(store) => store.hold_all().await,
        None => Hold::default(),
    })
}

async fn release_pool(State(admin): State<Admin>) -> Json<Hold> {
    Json(match &admin.store {
        Some(store) => store.release_all().await,
        None => Hold::default(),
    })
}
