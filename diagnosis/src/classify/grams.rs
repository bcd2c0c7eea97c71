//! From a text to what a model counts: words, runs of words, runs of letters.

use std::collections::BTreeMap;

use rust_stemmers::{Algorithm, Stemmer};

use crate::search::words;

/// Longest run of words.
const MOST_WORDS: usize = 3;
/// Runs of letters have so many, the ends of the word counted. They join the forms of a word that
/// stems do not, and misspellings.
const LETTERS: std::ops::RangeInclusive<usize> = 4..=5;

/// How often each gram stands in a text. Runs of words do not reach over the end of a line; runs
/// of letters begin with `~`.
pub fn grams(text: &str) -> BTreeMap<String, u32> {
    let stemmer = Stemmer::create(Algorithm::English);
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let mut run: Vec<String> = Vec::new();
        words(line, |_, word| {
            run.push(stemmer.stem(word).into_owned());
            letters(word, &mut counts);
        });
        for length in 1..=MOST_WORDS {
            for gram in run.windows(length) {
                *counts.entry(gram.join(" ")).or_default() += 1;
            }
        }
    }
    counts
}

fn letters(word: &str, counts: &mut BTreeMap<String, u32>) {
    let ended: Vec<char> = std::iter::once('^').chain(word.chars()).chain(['$']).collect();
    for length in LETTERS {
        for gram in ended.windows(length) {
            let gram: String = std::iter::once(&'~').chain(gram).collect();
            *counts.entry(gram).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_stay_within_lines_and_words() {
        let grams = grams("CPU rising\ncpu");
        let counted = |gram: &str| grams.get(gram).copied();
        assert_eq!((counted("cpu"), counted("cpu rise")), (Some(2), Some(1)));
        assert_eq!(counted("rise cpu"), None);
        assert_eq!((counted("~^cpu$"), counted("~isin")), (Some(2), Some(1)));
    }
}
