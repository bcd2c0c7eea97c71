//! The shop's front door: passes what users ask on to the services behind it.

use axum::extract::{Path, State};
use axum::http::{Method, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::json;

use super::failure::Failure;
use super::upstream::Upstream;

/// The services that the gateway passes on to.
#[derive(Clone)]
pub(super) struct Behind {
    pub(super) catalog: Upstream,
    pub(super) cart: Upstream,
    pub(super) checkout: Upstream,
}

pub(super) fn router(behind: Behind) -> Router {
    Router::new()
        .route("/", get(front_page))
        .route("/catalog", get(catalog))
        .route("/catalog/{id}", get(catalog))
        .route("/cart/{user}", get(cart))
        .route("/cart/{user}/items", post(add_to_cart))
        .route("/checkout", post(checkout))
        .with_state(behind)
}

/// The shop's first page: needs no other service.
async fn front_page() -> Response {
    Json(json!({ "shop": "demo", "sections": ["catalog", "cart", "checkout"] })).into_response()
}

async fn catalog(State(behind): State<Behind>, uri: Uri) -> Result<Response, Failure> {
    pass_on(&behind.catalog, Method::GET, uri.path(), Bytes::new()).await
}

async fn cart(State(behind): State<Behind>, uri: Uri) -> Result<Response, Failure> {
    pass_on(&behind.cart, Method::GET, uri.path(), Bytes::new()).await
}

async fn add_to_cart(
    State(behind): State<Behind>,
    Path(user): Path<u32>,
    body: Bytes,
) -> Result<Response, Failure> {
    pass_on(&behind.cart, Method::POST, &format!("/cart/{user}/items"), body).await
}

async fn checkout(State(behind): State<Behind>, body: Bytes) -> Result<Response, Failure> {
    pass_on(&behind.checkout, Method::POST, "/checkout", body).await
}

async fn pass_on(
    to: &Upstream,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Response, Failure> {
    let answer = to.ask(method, path, body).await?;
    Ok((answer.status, [(header::CONTENT_TYPE, "application/json")], answer.body).into_response())
}
