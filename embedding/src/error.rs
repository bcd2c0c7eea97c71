//! Why an embedding cannot be read.

use std::path::{Path, PathBuf};

use safetensors::SafeTensorError;
use serde::Deserialize;

/// Why an embedding cannot be read; the message names the file and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddingError {
    /// A file cannot be read, or is not there.
    #[error("{path} could not be read", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is larger than any that is read.
    #[error("{path} has {bytes} bytes, expected at most {limit}", path = path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its bytes, as far as they were counted.
        bytes: u64,
        /// How many it may have.
        limit: u64,
    },
    /// `config.json` is no JSON object.
    #[error("{path} is not a configuration of Model2Vec, a JSON object", path = path.display())]
    Config {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It is a model, but no static embedding.
    #[error("{path} has model_type {got:?}, expected \"model2vec\"", path = path.display())]
    ModelType {
        /// Which.
        path: PathBuf,
        /// What it says it is.
        got: String,
    },
    /// `tokenizer.json` is no tokenizer.
    #[error("{path} is not a tokenizer as the library tokenizers writes it", path = path.display())]
    Tokenizer {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// `model.safetensors` is of another format, or cut off.
    #[error("{path} is not a file of tensors in the safetensors format", path = path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: SafeTensorError,
    },
    /// There is no table in it.
    #[error("{path} has no tensor {tensor:?}, expected one of [rows, dimensions]", path = path.display())]
    NoTensor {
        /// Which.
        path: PathBuf,
        /// The tensor's name.
        tensor: &'static str,
    },
    /// A tensor is not what the format says.
    #[error("tensor {tensor:?} of {path} has {got}, expected {expected}", path = path.display())]
    Tensor {
        /// Which file.
        path: PathBuf,
        /// The tensor's name.
        tensor: &'static str,
        /// What it has.
        got: String,
        /// What it should have.
        expected: String,
    },
}

/// Whether `config.json` is that of a static embedding.
pub fn check_config(path: &Path, text: &[u8]) -> Result<(), EmbeddingError> {
    #[derive(Deserialize)]
    struct Config {
        model_type: Option<String>,
    }
    match serde_json::from_slice::<Config>(text) {
        Ok(Config { model_type: Some(got) }) if got != "model2vec" => {
            Err(EmbeddingError::ModelType { path: path.to_owned(), got })
        }
        Ok(_) => Ok(()),
        Err(source) => Err(EmbeddingError::Config { path: path.to_owned(), source }),
    }
}
