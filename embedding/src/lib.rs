//! What a text means, as a vector, offline.
//!
//! A static embedding is a table with a vector for each token. A text means the mean of its
//! tokens' vectors, each by its weight, so that the order of words counts for nothing and a short
//! paragraph takes microseconds (S. Tulkens and T. van Dongen, "Model2Vec: Fast State-of-the-Art
//! Static Embeddings", 2024). Two texts mean the same as far as the cosine of their vectors says.
//!
//! One table is built in: all-MiniLM-L6-v2 distilled to 256 dimensions, English; `model/README.md`
//! says where it is from and `scripts/distil-embedding` makes it. Any other in Model2Vec's format
//! is read from a folder. Nothing is fetched, and no text leaves the process.

mod builtin;
mod error;
mod meaning;
mod numbers;
mod table;
#[cfg(test)]
mod tests;
mod tokens;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub use error::EmbeddingError;
pub use meaning::Meanings;
pub use table::{MAX_DIMENSIONS, MAX_ROWS};
pub use tokens::{MAX_TEXT_CHARS, MAX_TOKENS};

use table::Table;
use tokens::Tokens;

/// Largest `model.safetensors` that is read, in bytes.
pub const MAX_TABLE_BYTES: u64 = 1 << 30;
/// Largest `tokenizer.json` that is read, in bytes.
pub const MAX_TOKENIZER_BYTES: u64 = 64 << 20;
/// Largest `config.json` that is read, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// From which cosine of the built-in embedding on a paragraph answers a question by its meaning
/// alone. It was chosen on `seed-data`'s runbooks with the questions of `datasets`' example
/// `search`, so what that prints is no proof of it: with 0.3, 0.35 and 0.4 the mean reciprocal rank
/// of the right runbook is 0.514, 0.514 and 0.509, and 16 questions about something else bring 25,
/// 16 and 11 runbooks. Another table has another spread, and needs a number of its own.
pub const LEAST_NEAR: f64 = 0.4;

/// The files of a folder in Model2Vec's format.
const TABLE: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "config.json";

/// A static embedding.
#[derive(Debug)]
pub struct StaticEmbedding {
    name: String,
    fingerprint: String,
    tokens: Tokens,
    table: Table,
}

impl StaticEmbedding {
    /// The one that is built in, read when it is first asked for.
    pub fn builtin() -> Arc<Self> {
        builtin::embedding()
    }

    /// Reads a folder with `model.safetensors`, `tokenizer.json` and `config.json`, as the Python
    /// package `model2vec` writes it: a tensor `embeddings` of I8, F16 or F32, and perhaps
    /// `weights` and `mapping`. Whether `config.json` asks for normalized vectors makes no
    /// difference: all that is kept of a vector is its direction.
    pub fn open(folder: &Path) -> Result<Self, EmbeddingError> {
        let name = folder.file_name().map_or_else(
            || folder.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        let config = folder.join(CONFIG);
        error::check_config(&config, &read(&config, MAX_CONFIG_BYTES)?)?;
        let (tokenizer, table) = (folder.join(TOKENIZER), folder.join(TABLE));
        let tokenizer = (tokenizer.as_path(), &read(&tokenizer, MAX_TOKENIZER_BYTES)?[..]);
        let bytes = read(&table, MAX_TABLE_BYTES)?;
        Self::of(name, tokenizer, &table, bytes.into())
    }

    fn of(
        name: String,
        (tokenizer, text): (&Path, &[u8]),
        table: &Path,
        bytes: std::borrow::Cow<'static, [u8]>,
    ) -> Result<Self, EmbeddingError> {
        let mut hash = blake3::Hasher::new();
        for part in [text, &bytes] {
            hash.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let tokens = Tokens::read(tokenizer, text)?;
        let table = Table::read(table, bytes, tokens.count())?;
        Ok(Self { name, fingerprint: hash.finalize().to_hex().to_string(), tokens, table })
    }

    /// What the text means: a vector of length 1 of [`Self::dimensions`] numbers, all finite.
    /// `None` when no token of it is known, or none has a weight. Only the first
    /// [`MAX_TEXT_CHARS`] characters and of these the first [`MAX_TOKENS`] tokens count.
    pub fn embed(&self, text: &str) -> Option<Vec<f32>> {
        self.table.mean(&self.tokens.of(text))
    }

    /// How many numbers a vector has.
    pub fn dimensions(&self) -> usize {
        self.table.dimensions()
    }

    /// How many tokens it knows.
    pub fn tokens(&self) -> usize {
        self.tokens.count()
    }

    /// What it is called: the folder it was read from, without those above, or the model that the
    /// built-in one was made of.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The BLAKE3 hash of tokenizer and table, in hexadecimal: the same one gives the same vectors.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, EmbeddingError> {
    let io = |source| EmbeddingError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let too_large = |bytes| EmbeddingError::TooLarge { path: path.to_owned(), bytes, limit };
    if bytes > limit {
        return Err(too_large(bytes));
    }
    let mut read = Vec::with_capacity(usize::try_from(bytes).expect("the limit is far below"));
    // What is no plain file may hold more than it says.
    file.take(limit + 1).read_to_end(&mut read).map_err(io)?;
    if read.len() as u64 > limit {
        return Err(too_large(read.len() as u64));
    }
    Ok(read)
}
