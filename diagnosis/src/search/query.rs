//! What is asked.

use super::words::words;

/// Longest question, in characters.
pub const MAX_QUERY_CHARS: usize = 1_000;
/// Most different words of a question.
pub const MAX_QUERY_WORDS: usize = 32;

/// Why a question cannot be asked; the message says what can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Nothing to look for.
    #[error("expected a text with at least one word")]
    NoWords,
    /// Too long a text.
    #[error("expected at most {MAX_QUERY_CHARS} characters, got {got}")]
    TooLong {
        /// Its characters.
        got: usize,
    },
    /// Too many words.
    #[error("expected at most {MAX_QUERY_WORDS} different words, got {got}")]
    TooManyWords {
        /// Its words.
        got: usize,
    },
}

/// A question: its text, and the different words of it in its order. A paragraph with any of them
/// answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    text: String,
    words: Vec<String>,
}

impl Query {
    /// Reads a question.
    pub fn read(text: &str) -> Result<Self, QueryError> {
        let got = text.chars().count();
        if got > MAX_QUERY_CHARS {
            return Err(QueryError::TooLong { got });
        }
        let mut asked: Vec<String> = Vec::new();
        words(text, |_, word| {
            if asked.iter().all(|asked| asked != word) {
                asked.push(word.to_owned());
            }
        });
        match asked.len() {
            0 => Err(QueryError::NoWords),
            1..=MAX_QUERY_WORDS => Ok(Self { text: text.to_owned(), words: asked }),
            got => Err(QueryError::TooManyWords { got }),
        }
    }

    /// The text, as it was asked.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The words.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_says_what_can() {
        assert_eq!(Query::read(" ?! "), Err(QueryError::NoWords));
        assert_eq!(Query::read(""), Err(QueryError::NoWords));
        let long = "a".repeat(MAX_QUERY_CHARS + 1);
        assert_eq!(Query::read(&long), Err(QueryError::TooLong { got: MAX_QUERY_CHARS + 1 }));
        let many: Vec<String> = (100..140).map(|n| n.to_string()).collect();
        assert_eq!(Query::read(&many.join(" ")), Err(QueryError::TooManyWords { got: 40 }));
        let twice = Query::read("Timeout timeout TIMEOUT pool").unwrap();
        assert_eq!(twice.words().collect::<Vec<_>>(), ["timeout", "pool"]);
    }
}
