//! What every request gets: an id, a span, a time limit, its numbers, and errors in one form.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use super::App;
use super::error::ApiError;
use crate::trace_context;

const REQUEST_ID: &str = "x-request-id";

/// The id under which the server's log speaks of a request.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// Outermost: whatever the handlers and inner layers answer, an error leaves in one form.
pub(super) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = RequestId(client_id(&request).unwrap_or_else(|| Uuid::now_v7().to_string()));
    let method = request.method().clone();
    // The route, not the path: a path holds ids, and a label must stay bounded.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let grpc = is_grpc(&request);
    request.extensions_mut().insert(id.clone());
    let span = tracing::info_span!(
        "request",
        request.id = id.0,
        http.method = %method,
        http.route = route,
        http.status = tracing::field::Empty,
        error.code = tracing::field::Empty,
    );
    trace_context::follow_request(&span, request.headers());
    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = if grpc { told_by_grpc(&response) } else { response.status() };
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        span.record("error.code", error.code());
        response = if grpc { error.render_grpc() } else { error.render(&id.0) };
    }
    span.record("http.status", status.as_u16());
    app.metrics.request(&method, &route, status, started.elapsed());
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    span.in_scope(|| tracing::debug!("answered"));
    response
}

/// A client's own id is kept, so that its log and ours meet, when it is short and printable.
fn client_id(request: &Request) -> Option<String> {
    let id = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let accepted = (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    accepted.then(|| id.to_owned())
}

/// Whether an error must be told as gRPC tells it.
fn is_grpc(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|it| it.as_bytes().starts_with(b"application/grpc"))
}

/// What an answer of gRPC comes to over HTTP, where every answer is 200.
fn told_by_grpc(response: &Response) -> StatusCode {
    use tonic_otlp::{Code, Status};
    let Some(status) = Status::from_header_map(response.headers()) else {
        return response.status();
    };
    match status.code() {
        Code::Ok => response.status(),
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            StatusCode::BAD_REQUEST
        }
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented | Code::NotFound => StatusCode::NOT_FOUND,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Cancelled => StatusCode::from_u16(499).expect("499 is a number of a status"),
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Gives up on a request past its time.
pub(super) async fn time_limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = Duration::from_millis(app.config.http.request_timeout_ms);
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::unavailable(
            "timeout",
            format!(
                "the request took longer than {} ms; what it appended, if anything, is found by \
                 sending the same ids again",
                limit.as_millis()
            ),
        )
        .into_response(),
    }
}

/// Turns a panic into a 500 and a line in the log.
pub(super) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let what = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(panic = what, "a request panicked");
    ApiError::internal_without_cause().into_response()
}

#[cfg(test)]
mod tests {
    use tonic_otlp::{Code, Status};

    use super::*;

    #[test]
    fn an_error_of_grpc_counts_as_one() {
        let told = |code: Code| told_by_grpc(&Status::new(code, "why").into_http()).as_u16();
        let codes = [
            (Code::Unauthenticated, 401),
            (Code::InvalidArgument, 400),
            (Code::Unimplemented, 404),
            (Code::ResourceExhausted, 429),
            (Code::Cancelled, 499),
            (Code::Internal, 500),
            (Code::Unavailable, 503),
            (Code::DeadlineExceeded, 504),
            (Code::Ok, 200),
        ];
        for (code, status) in codes {
            assert_eq!(told(code), status, "{code:?}");
        }
        assert_eq!(told_by_grpc(&StatusCode::FORBIDDEN.into_response()), 403, "no answer of gRPC");
    }
}
