//! OTLP over HTTP and over gRPC: what OpenTelemetry's SDKs and Collectors export to.

mod grpc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use receivers::body::{Encoding, Media};
use receivers::otlp::{answer, status};
use receivers::{Content, Refusal};

use super::error::ApiError;
use super::{App, Final, media};
use crate::otlp::{Declined, RETRY_AFTER, Signal};
pub(super) use grpc::export as export_grpc;

/// `POST /v1/traces`, `/v1/metrics` and `/v1/logs`: an export of OTLP, in protocol buffers or
/// JSON, plain or by gzip. Success is 200, with a partial success when part was dropped.
pub(super) async fn export<S: Signal>(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let said = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let content = match Content::read(said(header::CONTENT_TYPE), said(header::CONTENT_ENCODING)) {
        Ok(content) => content,
        Err(refusal) => return Ok(refused(Media::Json, &refusal)),
    };
    let announced = said(header::CONTENT_LENGTH)
        .filter(|_| content.encoding == Encoding::Identity)
        .and_then(|length| length.parse().ok());
    let _room = match app.otlp.room(announced).await {
        Ok(room) => room,
        Err(Declined::Busy(why)) => return Err(busy(why)),
        Err(Declined::Refused(refusal)) => return Ok(refused(content.media, &refusal)),
    };
    let body = media::body(&headers, body, app.config.otlp.max_body_bytes).await?;
    match app.otlp.take::<S>(content, body.into()).await {
        Ok(absorbed) => {
            let body = answer::<S>(content.media, absorbed.rejected());
            Ok(written(StatusCode::OK, content.media, body))
        }
        Err(Declined::Refused(refusal)) => Ok(refused(content.media, &refusal)),
        Err(Declined::Busy(why)) => Err(busy(why)),
    }
}

/// 503 with `Retry-After`, which a client heeds.
fn busy(why: &str) -> ApiError {
    ApiError::unavailable("overloaded", format!("{why}; send the same request again"))
        .retry_after(RETRY_AFTER.as_secs())
}

/// A refusal as the specification wants it: `google.rpc.Status` in the form of the request.
fn refused(media: Media, refusal: &Refusal) -> Response {
    let code = StatusCode::from_u16(refusal.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = written(code, media, status(media, refusal));
    response.extensions_mut().insert(Final);
    response
}

fn written(code: StatusCode, media: Media, body: Vec<u8>) -> Response {
    let form = HeaderValue::from_static(media.content_type());
    (code, [(header::CONTENT_TYPE, form)], body).into_response()
}
