//! From text to words.
//!
//! A word is a run of letters and digits in lower case. A run that is an identifier is also the
//! words it is made of: `PaymentTimeout` is `paymenttimeout`, `payment` and `timeout`, and
//! `http503` is `http503`, `http` and `503`, so that it is found by its name and by its parts.

use std::ops::Range;

/// Longest word, in characters: what is longer is a blob, known by how it begins.
pub const MAX_WORD_CHARS: usize = 64;

/// Shortest part of an identifier that is a word of its own, in characters.
const MIN_PART_CHARS: usize = 2;

/// Tells `each` the words of `text` with the bytes they stand at, in order; the parts of an
/// identifier behind the whole of it.
pub fn words(text: &str, mut each: impl FnMut(Range<usize>, &str)) {
    let mut word = String::new();
    let mut start = None;
    for (at, letter) in text.char_indices() {
        match (belongs(letter), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                run(text, from..at, &mut word, &mut each);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        run(text, from..text.len(), &mut word, &mut each);
    }
}

fn belongs(letter: char) -> bool {
    letter.is_alphanumeric() || is_mark(letter)
}

/// An accent that stands behind its letter instead of in it. It counts for nothing.
fn is_mark(letter: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&letter)
}

fn run(text: &str, at: Range<usize>, word: &mut String, each: &mut impl FnMut(Range<usize>, &str)) {
    lower(&text[at.clone()], word);
    if word.is_empty() {
        return;
    }
    each(at.clone(), word);
    for part in parts(text, at) {
        if text[part.clone()].chars().count() >= MIN_PART_CHARS {
            lower(&text[part.clone()], word);
            each(part, word);
        }
    }
}

fn lower(run: &str, word: &mut String) {
    word.clear();
    let letters = run.chars().filter(|letter| !is_mark(*letter)).take(MAX_WORD_CHARS);
    word.extend(letters.flat_map(char::to_lowercase));
}

/// The parts of an identifier; none when the run is one word.
fn parts(text: &str, at: Range<usize>) -> Vec<Range<usize>> {
    let run = &text[at.clone()];
    if run.len() > 4 * MAX_WORD_CHARS {
        return Vec::new();
    }
    let letters: Vec<(usize, char)> = run.char_indices().collect();
    let mut cuts = Vec::new();
    for (n, pair) in letters.windows(2).enumerate() {
        let (before, here) = (pair[0].1, pair[1].1);
        let next = letters.get(n + 2).map(|(_, letter)| *letter);
        let begins = (before.is_lowercase() && here.is_uppercase())
            || (before.is_numeric() != here.is_numeric() && !is_mark(here))
            || (before.is_uppercase()
                && here.is_uppercase()
                && next.is_some_and(char::is_lowercase));
        if begins {
            cuts.push(at.start + pair[1].0);
        }
    }
    if cuts.is_empty() {
        return Vec::new();
    }
    let starts = std::iter::once(at.start).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([at.end]);
    starts.zip(ends).map(|(from, to)| from..to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let mut told = Vec::new();
        words(text, |at, word| {
            assert!(text.get(at).is_some(), "{text:?} is cut between characters");
            told.push(word.to_owned());
        });
        told
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        assert_eq!(
            told("Timeout of 30 s (pool_exhausted)!"),
            ["timeout", "of", "30", "s", "pool", "exhausted"]
        );
        assert_eq!(told("Überlauf, ΣΊΣΥΦΟΣ; e\u{301}te\u{301}"), ["überlauf", "σίσυφοσ", "ete"]);
        assert!(told(" \u{301}… --").is_empty());
    }

    #[test]
    fn identifiers_are_found_whole_and_by_their_parts() {
        assert_eq!(told("PaymentTimeout"), ["paymenttimeout", "payment", "timeout"]);
        assert_eq!(told("HTTPServer503"), ["httpserver503", "http", "server", "503"]);
        assert_eq!(told("p99"), ["p99", "99"]);
        assert_eq!(told("IOError"), ["ioerror", "io", "error"]);
    }

    #[test]
    fn a_blob_is_one_word_of_bounded_length() {
        let blob = "aB3".repeat(10_000);
        let told = told(&blob);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].chars().count(), MAX_WORD_CHARS);
    }
}
