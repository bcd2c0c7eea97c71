//! How a service says that it could not do what was asked.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tracing::error;

/// Why a service could not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Too many requests are in the service.
    #[error("too many requests in flight")]
    Overloaded,
    /// This version cannot do it.
    #[error("internal error")]
    Defect,
    /// The caller asked for what does not exist.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The callee did not answer in time.
    #[error("{0} did not answer in time")]
    CalleeTimeout(&'static str),
    /// The connection to the callee could not be made, or broke.
    #[error("no connection to {0}")]
    CalleeUnreachable(&'static str),
    /// The callee answered that it could not.
    #[error("{0} answered {1}")]
    CalleeFailed(&'static str, StatusCode),
    /// No connection of the pool became free in time.
    #[error("no database connection became free")]
    PoolTimeout,
    /// A statement failed.
    #[error("the database did not do it")]
    Database(#[from] tokio_postgres::Error),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Overloaded | Self::PoolTimeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::Defect | Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::CalleeTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::CalleeUnreachable(_) => StatusCode::BAD_GATEWAY,
            // A caller's own mistake further up stays one; a failure stays a failure.
            Self::CalleeFailed(_, status) if status.is_client_error() => status,
            Self::CalleeFailed(..) => StatusCode::BAD_GATEWAY,
        };
        if status.is_server_error() {
            match &self {
                Self::Database(cause) => error!("{self}: {cause}"),
                _ => error!("{self}"),
            }
        }
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}
