//! What texts mean, by the embedding that is configured.

use std::sync::Arc;

use embedding::{EmbeddingError, Meanings, StaticEmbedding};

use crate::config::{Embedding, SearchConfig};

/// Reads the embedding that is configured; none where it is off.
pub(crate) async fn configured(config: &SearchConfig) -> Result<Option<Meanings>, EmbeddingError> {
    let choice = config.embedding.clone();
    let read = move || {
        Ok(match choice {
            Embedding::Off => None,
            Embedding::Builtin => Some(StaticEmbedding::builtin()),
            Embedding::Folder(folder) => Some(Arc::new(StaticEmbedding::open(&folder)?)),
        })
    };
    let read = tokio::task::spawn_blocking(read).await;
    let read = read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    Ok(read.map(|embedding| {
        tracing::info!(
            embedding.name = embedding.name(),
            embedding.fingerprint = embedding.fingerprint(),
            "search knows what texts mean"
        );
        Meanings::by(embedding, config.least_near)
    }))
}
