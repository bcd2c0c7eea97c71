//! The one form of every error answer.
//!
//! `{"error":{"code","message","pointer"?,"request_id",…},…}`. A code is stable across versions;
//! the message says what is wrong and what would be right. What went wrong inside the server is
//! logged and answered with a constant text.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tonic_types::{ErrorDetails, StatusExt};

/// An error on its way to the client. [`super::request`] writes it out with the request's id.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Map<String, Value>,
    beside: Map<String, Value>,
    retry_after_s: Option<u64>,
    challenge: bool,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: Map::new(),
            beside: Map::new(),
            retry_after_s: None,
            challenge: false,
        }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 401, with what to show instead.
    pub(crate) fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::UNAUTHORIZED, code, message);
        error.challenge = true;
        error
    }

    /// When to ask again.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// 503 for what a retry can cure.
    pub(crate) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retry_after(1)
    }

    /// 500: the cause goes to the server's log, the client gets a constant text.
    pub(crate) fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = chain(cause), "a request failed inside the server");
        Self::internal_without_cause()
    }

    pub(crate) fn internal_without_cause() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed; its log has the cause under this request id",
        )
    }

    /// The JSON pointer to what is wrong.
    pub(crate) fn at(self, pointer: impl Into<String>) -> Self {
        self.with("pointer", pointer.into())
    }

    /// A further field of `error`.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// A further field beside `error`.
    pub(crate) fn beside(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.beside.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn pointer(&self) -> Option<&str> {
        self.details.get("pointer")?.as_str()
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    #[cfg(test)]
    pub(crate) fn details(&self) -> &Map<String, Value> {
        &self.details
    }

    /// The answer to a request of gRPC: its status stands in headers.
    pub(super) fn render_grpc(self) -> Response {
        use tonic_otlp::Code;
        let code = match self.status {
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Code::Unimplemented,
            status if status.is_client_error() => Code::InvalidArgument,
            _ => Code::Internal,
        };
        let message = format!("{}: {}", self.code, self.message);
        let Some(seconds) = self.retry_after_s else {
            return tonic_otlp::Status::new(code, message).into_http();
        };
        let retry = std::time::Duration::from_secs(seconds);
        let details = ErrorDetails::with_retry_info(Some(retry));
        tonic_otlp::Status::with_error_details(code, message, details).into_http()
    }

    /// The answer, for the request with this id.
    pub(super) fn render(self, request_id: &str) -> Response {
        let mut error = self.details;
        error.insert("code".to_owned(), self.code.into());
        error.insert("message".to_owned(), self.message.into());
        error.insert("request_id".to_owned(), request_id.into());
        let mut body = self.beside;
        body.insert("error".to_owned(), Value::Object(error));
        let mut response = (self.status, axum::Json(Value::Object(body))).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.challenge {
            let challenge = match self.code {
                "token_missing" => "Bearer realm=\"faultline\"",
                _ => "Bearer realm=\"faultline\", error=\"invalid_token\"",
            };
            let challenge = HeaderValue::from_static(challenge);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The cause and its causes in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<events::log::ReadError> for ApiError {
    fn from(error: events::log::ReadError) -> Self {
        Self::internal(&error)
    }
}

impl From<events::log::AppendError> for ApiError {
    fn from(error: events::log::AppendError) -> Self {
        use events::log::AppendError as Failed;
        let message = error.to_string();
        match error {
            Failed::WrongExpectedRevision { stream, actual, expected } => {
                Self::new(StatusCode::CONFLICT, "wrong_expected_revision", message)
                    .with("stream", stream)
                    .with("actual", json!(actual))
                    .with("expected", json!(expected))
            }
            Failed::PartlyKnown { id } => {
                Self::new(StatusCode::CONFLICT, "partly_known", message).with("id", id.to_string())
            }
            Failed::Empty => Self::bad_request("empty_batch", message),
            Failed::RepeatedId { id } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "repeated_id", message)
                    .with("id", id.to_string())
            }
            Failed::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "batch_too_large", message)
            }
            Failed::Overloaded => Self::unavailable("overloaded", message),
            // Room does not come back within a second.
            Failed::DiskFull => Self::unavailable("disk_full", message).retry_after(10),
            Failed::Unavailable(_) => {
                tracing::error!(error = message, "an append failed");
                Self::unavailable(
                    "log_unavailable",
                    "the event log's server cannot be reached; the events may or may not be \
                     durable; retry with the same ids",
                )
            }
            Failed::Refused(_) => {
                tracing::error!(error = message, "an append failed");
                // No Retry-After: somebody has to change something on that server.
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "log_refused",
                    "the event log's server refused the events, the log of this server says why; \
                     nothing was written",
                )
            }
            Failed::Poisoned(_) => {
                tracing::error!(error = message, "an append failed");
                // No Retry-After: only a restart, with the operator's look at the disk, helps.
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "log_poisoned",
                    "the event log stopped writing after a failed write; the events may or may \
                     not be durable; retry with the same ids after the server was restarted",
                )
            }
        }
    }
}
