//! Charges for an order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::failure::Failure;

#[derive(Deserialize)]
struct Charge {
    user: u32,
    amount_cents: u64,
}

/// A charge that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Payment {
    pub(super) id: u64,
    pub(super) user: u32,
    pub(super) amount_cents: u64,
}

pub(super) fn router() -> Router {
    Router::new().route("/payments", post(charge)).with_state(Arc::new(AtomicU64::new(1)))
}

async fn charge(
    State(next): State<Arc<AtomicU64>>,
    Json(charge): Json<Charge>,
) -> Result<Json<Payment>, Failure> {
    if charge.amount_cents == 0 {
        return Err(Failure::NotFound("amount to charge"));
    }
    let id = next.fetch_add(1, Ordering::Relaxed);
    info!("payment {id}: charged {} cents to user {}", charge.amount_cents, charge.user);
    Ok(Json(Payment { id, user: charge.user, amount_cents: charge.amount_cents }))
}
