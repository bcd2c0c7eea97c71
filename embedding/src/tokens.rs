//! From a text to the numbers of its tokens.

use std::path::Path;

use serde::Deserialize;
use tokenizers::Tokenizer;

use crate::EmbeddingError;

/// How many tokens of a text count.
pub const MAX_TOKENS: usize = 512;
/// How many characters of a text are looked at for them: eight a token, which English does not
/// need.
pub const MAX_TEXT_CHARS: usize = 8 * MAX_TOKENS;

/// See the [module](self).
#[derive(Debug)]
pub struct Tokens {
    tokenizer: Tokenizer,
    unknown: Option<u32>,
    count: usize,
}

impl Tokens {
    /// Reads `tokenizer.json`.
    pub fn read(path: &Path, text: &[u8]) -> Result<Self, EmbeddingError> {
        let error = |source| EmbeddingError::Tokenizer { path: path.to_owned(), source };
        let mut tokenizer = Tokenizer::from_bytes(text).map_err(error)?;
        // What a transformer needs: all its texts as long as each other.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(error)?;
        let unknown = unknown(text).map_err(|source| error(source.into()))?;
        let unknown = match unknown {
            Some(Unknown::Token(token)) => tokenizer.token_to_id(&token),
            Some(Unknown::Number(number)) => Some(number),
            None => None,
        };
        let last = tokenizer.get_vocab(true).into_values().max();
        let count = last.map_or(0, |last| last as usize + 1);
        Ok(Self { tokenizer, unknown, count })
    }

    /// One more than the highest number that a token can have.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The tokens of a text that are known, in order.
    pub fn of(&self, text: &str) -> Vec<u32> {
        let end = text.char_indices().nth(MAX_TEXT_CHARS).map_or(text.len(), |(at, _)| at);
        // A text that the tokenizer cannot make tokens of has none.
        let Ok(encoded) = self.tokenizer.encode_fast(&text[..end], false) else {
            return Vec::new();
        };
        let known = encoded.get_ids().iter().copied().take(MAX_TOKENS);
        known.filter(|token| Some(*token) != self.unknown).collect()
    }
}

enum Unknown {
    Token(String),
    Number(u32),
}

/// What stands for a word that is not known; tokenizers of different kinds say it differently.
fn unknown(text: &[u8]) -> Result<Option<Unknown>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Document {
        model: Model,
    }
    #[derive(Deserialize)]
    struct Model {
        unk_token: Option<String>,
        unk_id: Option<u32>,
    }
    let Document { model } = serde_json::from_slice(text)?;
    let token = model.unk_token.map(Unknown::Token);
    Ok(token.or(model.unk_id.map(Unknown::Number)))
}
