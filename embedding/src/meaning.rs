//! An embedding beside the words of a search.

use std::sync::Arc;

use diagnosis::search::Meaning;

use super::StaticEmbedding;

/// What texts mean by a static embedding, for full-text search.
#[derive(Clone, Debug)]
pub struct Meanings {
    embedding: Arc<StaticEmbedding>,
    least_near: f64,
}

impl Meanings {
    /// By `embedding`; a text is found by its meaning alone from the cosine `least_near` on.
    pub fn by(embedding: Arc<StaticEmbedding>, least_near: f64) -> Self {
        Self { embedding, least_near }
    }
}

impl Meaning for Meanings {
    fn of(&self, text: &str) -> Option<Vec<f32>> {
        self.embedding.embed(text)
    }

    fn dimensions(&self) -> usize {
        self.embedding.dimensions()
    }

    fn least_near(&self) -> f64 {
        self.least_near
    }
}
