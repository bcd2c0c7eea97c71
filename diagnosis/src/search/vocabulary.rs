//! Which words are the same word.

use std::collections::HashMap;
use std::fmt;

use rust_stemmers::{Algorithm, Stemmer};

/// Every word that was ever indexed, by the number of its stem.
pub struct Vocabulary {
    stemmer: Stemmer,
    /// Words as they stand in texts. Stemming costs more than to look them up.
    words: HashMap<Box<str>, u32>,
    stems: HashMap<Box<str>, u32>,
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self {
            stemmer: Stemmer::create(Algorithm::English),
            words: HashMap::new(),
            stems: HashMap::new(),
        }
    }
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocabulary").field("stems", &self.stems.len()).finish_non_exhaustive()
    }
}

impl Vocabulary {
    /// The term that `word` is, if a text has it.
    pub fn term(&self, word: &str) -> Option<u32> {
        let known = self.words.get(word).copied();
        known.or_else(|| self.stems.get(&*self.stemmer.stem(word)).copied())
    }

    /// The term that `word` is, from now on.
    pub fn learn(&mut self, word: &str) -> u32 {
        if let Some(term) = self.words.get(word) {
            return *term;
        }
        let next = u32::try_from(self.stems.len()).expect("fewer stems than memory has room for");
        let term = *self.stems.entry(self.stemmer.stem(word).into()).or_insert(next);
        self.words.insert(word.into(), term);
        term
    }
}
