//! What search knows beside words.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};

/// `[search]`: what full-text search knows beside words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// By what the server knows what a text means: `builtin` (for English), a folder with another
    /// static embedding in Model2Vec's format, or `off`. Default `builtin`.
    pub embedding: Embedding,
    /// From which cosine on a text is found that has no word of the question, 0 to 1. Another
    /// embedding needs a number of its own. Default 0.4.
    pub least_near: f64,
}

/// A static embedding, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Embedding {
    /// Words alone count.
    Off,
    /// The one that comes with the server.
    Builtin,
    /// One of the user's.
    Folder(PathBuf),
}

impl From<String> for Embedding {
    fn from(text: String) -> Self {
        match text.as_str() {
            "off" => Self::Off,
            "builtin" => Self::Builtin,
            _ => Self::Folder(text.into()),
        }
    }
}

impl From<Embedding> for String {
    fn from(embedding: Embedding) -> Self {
        match embedding {
            Embedding::Off => "off".to_owned(),
            Embedding::Builtin => "builtin".to_owned(),
            Embedding::Folder(folder) => folder.display().to_string(),
        }
    }
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self { embedding: Embedding::Builtin, least_near: embedding::LEAST_NEAR }
    }
}

impl SearchConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.embedding == Embedding::Folder(PathBuf::new()) {
            return Err(invalid("search.embedding", "\"builtin\", \"off\" or a folder", "\"\""));
        }
        if !(0.0..=1.0).contains(&self.least_near) {
            return Err(invalid("search.least_near", "a cosine from 0 to 1", self.least_near));
        }
        Ok(())
    }
}
