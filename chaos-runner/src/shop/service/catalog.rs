//! What can be bought.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// Number of products; ids are 1 to this.
pub(crate) const PRODUCTS: u32 = 40;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Product {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) price_cents: u64,
    pub(super) description: String,
}

#[derive(Deserialize)]
struct Wanted {
    ids: String,
}

pub(super) fn router() -> Router {
    let products: Arc<[Product]> = (1..=PRODUCTS).map(product).collect();
    Router::new()
        .route("/catalog", get(list))
        .route("/catalog/{id}", get(one))
        .route("/prices", get(prices))
        .with_state(products)
}

fn product(id: u32) -> Product {
    const THINGS: [&str; 8] =
        ["kettle", "lamp", "chair", "notebook", "backpack", "clock", "mug", "blanket"];
    const LOOKS: [&str; 5] = ["plain", "blue", "oak", "folding", "large"];
    let thing = THINGS[id as usize % THINGS.len()];
    let look = LOOKS[id as usize % LOOKS.len()];
    Product {
        id,
        name: format!("{look} {thing}"),
        price_cents: 900 + u64::from(id) * 137 % 5_000,
        description: format!("A {look} {thing} for every day, number {id} of the collection."),
    }
}

async fn list(State(products): State<Arc<[Product]>>) -> Json<Vec<Product>> {
    Json(products.to_vec())
}

async fn one(
    State(products): State<Arc<[Product]>>,
    Path(id): Path<u32>,
) -> Result<Json<Product>, Failure> {
    find(&products, id).map(Json)
}

async fn prices(
    State(products): State<Arc<[Product]>>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<u64>>, Failure> {
    let ids = wanted.ids.split(',').filter(|id| !id.is_empty());
    let price = |id: &str| {
        let id = id.parse().map_err(|_| Failure::NotFound("product"))?;
        Ok(find(&products, id)?.price_cents)
    };
    ids.map(price).collect::<Result<_, Failure>>().map(Json)
}

fn find(products: &[Product], id: u32) -> Result<Product, Failure> {
    products.iter().find(|product| product.id == id).cloned().ok_or(Failure::NotFound("product"))
}
