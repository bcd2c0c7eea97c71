//! Which log the configuration names, and opening it.

use std::path::PathBuf;
use std::sync::Arc;

use events::log::{
    EmbeddedLog, EventLog, KurrentLog, KurrentOpenError, KurrentOptions, OpenError, Options,
};

use crate::config::StorageConfig;

/// Why the log did not open.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The one in the data folder.
    #[error("opening the event log in {}", dir.display())]
    Embedded {
        /// Its folder.
        dir: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// The one on a server.
    #[error("opening the event log at {url}")]
    Kurrent {
        /// Its URL, without credentials.
        url: String,
        /// Why.
        source: KurrentOpenError,
    },
}

/// Opens the log in the data folder.
pub(crate) async fn open_embedded(storage: &StorageConfig) -> Result<EmbeddedLog, LogError> {
    let dir = storage.log_dir();
    let folder = dir.clone();
    let options = Options { compression: storage.log_compression, ..Options::default() };
    // Recovery reads files, for seconds when it rebuilds the log's index.
    let opened = tokio::task::spawn_blocking(move || EmbeddedLog::open(&folder, options)).await;
    match opened {
        Ok(log) => log.map_err(|source| LogError::Embedded { dir, source }),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Opens the log that is configured.
pub(crate) async fn open(storage: &StorageConfig) -> Result<Arc<dyn EventLog>, LogError> {
    if storage.log_is_embedded() {
        return Ok(Arc::new(open_embedded(storage).await?));
    }
    let mut options = KurrentOptions::new(&storage.log, storage.data.join("log-index"));
    options.password.clone_from(&storage.log_password);
    match KurrentLog::open(options).await {
        Ok(log) => Ok(Arc::new(log)),
        Err(source) => Err(LogError::Kurrent { url: storage.shown_log(), source }),
    }
}
