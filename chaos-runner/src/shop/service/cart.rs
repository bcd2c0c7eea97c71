//! What each user is about to buy. Carts live in memory: a restart forgets them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::Method;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::catalog::{PRODUCTS, Product};
use super::failure::Failure;
use super::upstream::Upstream;

/// Most items in one cart; the oldest makes room.
const MAX_ITEMS: usize = 12;
/// Most carts; users beyond it have the cart of a first visit.
const MAX_CARTS: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) product: u32,
    pub(super) quantity: u32,
}

/// A cart with its price.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PricedCart {
    pub(super) user: u32,
    pub(super) items: Vec<Item>,
    pub(super) total_cents: u64,
}

#[derive(Clone)]
struct Carts {
    by_user: Arc<Mutex<HashMap<u32, Vec<Item>>>>,
    catalog: Upstream,
}

pub(super) fn router(catalog: Upstream) -> Router {
    Router::new()
        .route("/cart/{user}", get(priced))
        .route("/cart/{user}/items", post(add))
        .route("/cart/{user}/count", get(count))
        .with_state(Carts { by_user: Arc::default(), catalog })
}

/// The shop puts two suggestions into the cart of a first visit, so that everyone can buy.
fn first_visit(user: u32) -> Vec<Item> {
    let product = |n: u32| Item { product: n % PRODUCTS + 1, quantity: 1 };
    vec![product(user), product(user.wrapping_mul(7))]
}

impl Carts {
    fn items(&self, user: u32) -> Vec<Item> {
        let carts = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        carts.get(&user).cloned().unwrap_or_else(|| first_visit(user))
    }
}

async fn priced(
    State(carts): State<Carts>,
    Path(user): Path<u32>,
) -> Result<Json<PricedCart>, Failure> {
    let items = carts.items(user);
    let ids: Vec<_> = items.iter().map(|item| item.product.to_string()).collect();
    let path = format!("/prices?ids={}", ids.join(","));
    let prices: Vec<u64> = carts.catalog.ask_for(Method::GET, &path, Bytes::new()).await?;
    let total_cents =
        items.iter().zip(prices).map(|(item, price)| u64::from(item.quantity) * price).sum();
    Ok(Json(PricedCart { user, items, total_cents }))
}

async fn add(
    State(carts): State<Carts>,
    Path(user): Path<u32>,
    Json(item): Json<Item>,
) -> Result<Json<Vec<Item>>, Failure> {
    let path = format!("/catalog/{}", item.product);
    let _: Product = carts.catalog.ask_for(Method::GET, &path, Bytes::new()).await?;
    let mut items = carts.items(user);
    if items.len() == MAX_ITEMS {
        items.remove(0);
    }
    items.push(item);
    let mut by_user = carts.by_user.lock().unwrap_or_else(PoisonError::into_inner);
    if by_user.len() < MAX_CARTS || by_user.contains_key(&user) {
        by_user.insert(user, items.clone());
    }
    Ok(Json(items))
}

/// The number on the cart's badge: needs no other service.
async fn count(State(carts): State<Carts>, Path(user): Path<u32>) -> Json<u32> {
    Json(carts.items(user).iter().map(|item| item.quantity).sum())
}
