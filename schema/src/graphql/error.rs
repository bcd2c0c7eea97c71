//! What can go wrong for a caller, with the stable code that it finds in `extensions.code`.

use std::error::Error as StdError;
use std::sync::Arc;

/// An error of the API. Resolvers return it; [`super::guard`] writes its code and field into
/// the answer's `extensions`, in one place.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// An argument that no request with this value can succeed with.
    #[error("{field}: {message}")]
    InvalidInput {
        /// The argument at fault, as a path: `input.claim.component`.
        field: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The graph does not know what the argument names.
    #[error("{field}: unknown {kind} {key:?}")]
    NotFound {
        /// The argument that named it.
        field: String,
        /// What kind of thing.
        kind: &'static str,
        /// The name.
        key: String,
    },
    /// The state of things forbids it now.
    #[error("{field}: {message}")]
    Conflict {
        /// The stable code.
        code: &'static str,
        /// The argument at fault.
        field: String,
        /// What stands in the way.
        message: String,
    },
    /// What was asked to be waited for did not happen in time.
    #[error("position {wanted} is not projected yet: the graph is at {at}; ask again")]
    NotProjectedYet {
        /// The argument that asks for it.
        field: &'static str,
        /// The position that was waited for.
        wanted: u64,
        /// Where the projection is.
        at: u64,
    },
    /// The index that the question needs was not loaded in time.
    #[error("the index of texts and past incidents is not loaded yet; ask again")]
    IndexNotLoaded,
    /// The log takes nothing at the moment.
    #[error("the event log takes no events at the moment; ask again with the same eventId")]
    Overloaded,
    /// The log's disk has no room.
    #[error(
        "the disk of the event log is full; nothing was recorded: ask again with the same eventId when there is room"
    )]
    DiskFull,
    /// Not the caller's fault. The cause is for the server's own log only.
    #[error("internal error; the server's log has the cause")]
    Internal(#[source] Arc<dyn StdError + Send + Sync>),
}

impl ApiError {
    /// An argument error.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidInput { field: field.into(), message: message.into() }
    }

    /// A reference to something unknown.
    pub fn not_found(field: &str, kind: &'static str, key: impl ToString) -> Self {
        Self::NotFound { field: field.to_owned(), kind, key: key.to_string() }
    }

    /// A failure behind the API.
    pub fn internal(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Internal(Arc::new(cause))
    }

    /// The code for `extensions.code`; it never changes its meaning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidInput { .. } => "invalid_input",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { code, .. } => code,
            Self::NotProjectedYet { .. } => "not_projected_yet",
            Self::IndexNotLoaded => "index_not_loaded",
            Self::Overloaded => "overloaded",
            Self::DiskFull => "disk_full",
            Self::Internal(_) => "internal",
        }
    }

    /// The argument at fault, for `extensions.field`.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::InvalidInput { field, .. }
            | Self::NotFound { field, .. }
            | Self::Conflict { field, .. } => Some(field),
            Self::NotProjectedYet { field, .. } => Some(field),
            Self::IndexNotLoaded | Self::Overloaded | Self::DiskFull | Self::Internal(_) => None,
        }
    }
}

/// What resolvers answer.
pub type ApiResult<T> = Result<T, ApiError>;
