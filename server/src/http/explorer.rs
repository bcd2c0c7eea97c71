//! The pages: an index of what is here, and a GraphQL explorer that needs no network.

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::error::ApiError;

/// Files of the pages, compiled in.
#[derive(RustEmbed)]
#[folder = "web/"]
struct Web;

/// Nothing from elsewhere: the pages work on a machine without a network, and a page that shows
/// what others wrote must not run it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// `GET /`.
pub(super) async fn index() -> Result<Response, ApiError> {
    file("index.html")
}

/// `GET /graphql`: the explorer.
pub(super) async fn page() -> Result<Response, ApiError> {
    file("graphql.html")
}

/// `GET /assets/…`: scripts and styles.
pub(super) async fn asset(Path(path): Path<String>) -> Result<Response, ApiError> {
    file(&path)
}

fn file(path: &str) -> Result<Response, ApiError> {
    let file = Web::get(path)
        .ok_or_else(|| ApiError::not_found("not_found", format!("no file is called {path:?}")))?;
    let media_type = match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((headers, file.data.into_owned()).into_response())
}
