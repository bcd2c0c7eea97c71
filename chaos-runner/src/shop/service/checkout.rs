//! Turns a cart into a paid order.

use axum::extract::{Path, State};
use axum::http::Method;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::info;

use super::cart::PricedCart;
use super::failure::Failure;
use super::orders::Order;
use super::payments::Payment;
use super::upstream::Upstream;

/// The services that a checkout needs.
#[derive(Clone)]
pub(super) struct Behind {
    pub(super) cart: Upstream,
    pub(super) payments: Upstream,
    pub(super) orders: Upstream,
}

#[derive(Deserialize)]
struct Buy {
    user: u32,
}

#[derive(Serialize)]
struct Bought {
    order: Order,
    payment: u64,
}

pub(super) fn router(behind: Behind) -> Router {
    Router::new()
        .route("/checkout", post(buy))
        .route("/checkout/shipping/{cents}", get(shipping))
        .with_state(behind)
}

async fn buy(State(behind): State<Behind>, Json(buy): Json<Buy>) -> Result<Json<Bought>, Failure> {
    let path = format!("/cart/{}", buy.user);
    let cart: PricedCart = behind.cart.ask_for(Method::GET, &path, Bytes::new()).await?;
    let total_cents = cart.total_cents + shipping_cents(cart.total_cents);
    let charge = json!({ "user": cart.user, "amount_cents": total_cents }).to_string();
    let payment: Payment =
        behind.payments.ask_for(Method::POST, "/payments", charge.into()).await?;
    let items: u32 = cart.items.iter().map(|item| item.quantity).sum();
    let order = json!({
        "user": cart.user, "items": items, "total_cents": total_cents, "payment": payment.id,
    });
    let order: Order =
        behind.orders.ask_for(Method::POST, "/orders", order.to_string().into()).await?;
    info!("user {} bought {items} items for {total_cents} cents", buy.user);
    Ok(Json(Bought { order, payment: payment.id }))
}

/// What shipping will cost: needs no other service.
async fn shipping(Path(cents): Path<u64>) -> Json<u64> {
    Json(shipping_cents(cents))
}

fn shipping_cents(total_cents: u64) -> u64 {
    if total_cents < 5_000 { 490 } else { 0 }
}
