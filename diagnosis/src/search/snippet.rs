//! The piece of a paragraph that shows why it was found.

use std::ops::Range;

/// About how long a piece is, in bytes.
const WINDOW: usize = 240;

/// Part of a snippet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnippetPart {
    /// The text.
    pub text: String,
    /// Whether it is a word that was asked for.
    pub matched: bool,
}

/// The piece of `text` with the most different words of those at `found`, each of which has the
/// number of the word that it is; the beginning when there are none. What was left out before and
/// behind shows as `…`.
pub fn snippet(text: &str, found: &[(Range<usize>, usize)]) -> Vec<SnippetPart> {
    let window = window(text, found);
    let mut parts = Vec::new();
    let mut push = |text: &str, matched: bool| {
        if !text.is_empty() {
            parts.push(SnippetPart { text: text.to_owned(), matched });
        }
    };
    if window.start > 0 {
        push("…", false);
    }
    let mut at = window.start;
    for found in merged(found) {
        if found.start < at || found.end > window.end {
            continue;
        }
        push(&text[at..found.start], false);
        push(&text[found.clone()], true);
        at = found.end;
    }
    push(&text[at..window.end], false);
    if window.end < text.len() {
        push("…", false);
    }
    parts
}

/// An identifier is found whole and by its parts: together they are one place.
fn merged(found: &[(Range<usize>, usize)]) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = found.iter().map(|(at, _)| at.clone()).collect();
    places.sort_by_key(|at| (at.start, at.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for place in places {
        match merged.last_mut() {
            Some(last) if place.start < last.end => last.end = last.end.max(place.end),
            _ => merged.push(place),
        }
    }
    merged
}

fn window(text: &str, found: &[(Range<usize>, usize)]) -> Range<usize> {
    if text.len() <= WINDOW {
        return 0..text.len();
    }
    if found.is_empty() {
        let end = ceil(text, WINDOW);
        return 0..text[..end].rfind(char::is_whitespace).unwrap_or(end);
    }
    let mut places: Vec<&(Range<usize>, usize)> = found.iter().collect();
    places.sort_by_key(|(at, _)| at.start);
    let mut best = (0, 0..0);
    for (n, (first, _)) in places.iter().enumerate() {
        let within = places[n..].iter().take_while(|(at, _)| at.end <= first.start + WINDOW);
        let (mut different, mut end) = (Vec::new(), first.end);
        for (at, word) in within {
            end = end.max(at.end);
            if !different.contains(word) {
                different.push(*word);
            }
        }
        if different.len() > best.0 {
            best = (different.len(), first.start..end);
        }
    }
    let core = best.1;
    let spare = WINDOW.saturating_sub(core.len()) / 2;
    let from = word_start(text, core.start.saturating_sub(spare), core.start);
    let to = word_end(text, (core.end + spare).min(text.len()), core.end);
    from..to
}

/// The first place from `at` on where a word begins, `latest` when none does before it.
fn word_start(text: &str, at: usize, latest: usize) -> usize {
    if at == 0 {
        return 0;
    }
    let at = ceil(text, at);
    let behind = text[at..latest.max(at)].find(char::is_whitespace).map(|space| at + space + 1);
    behind.map_or(latest, |start| ceil(text, start).min(latest))
}

/// The last place up to `at` where a word ends, `earliest` when none does behind it.
fn word_end(text: &str, at: usize, earliest: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    let at = ceil(text, at);
    text[earliest.min(at)..at].rfind(char::is_whitespace).map_or(earliest, |space| earliest + space)
}

fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, words: &[&str]) -> Vec<(Range<usize>, usize)> {
        let of = |(n, word): (usize, &&str)| {
            text.match_indices(*word).map(move |(at, word)| (at..at + word.len(), n)).collect()
        };
        words.iter().enumerate().flat_map::<Vec<_>, _>(of).collect()
    }

    fn joined(parts: &[SnippetPart]) -> String {
        parts.iter().map(|part| part.text.as_str()).collect()
    }

    #[test]
    fn a_short_paragraph_is_shown_whole() {
        let text = "the pool of orders was exhausted";
        let parts = snippet(text, &found(text, &["pool", "exhausted"]));
        assert_eq!(joined(&parts), text);
        let matched: Vec<&str> =
            parts.iter().filter(|part| part.matched).map(|part| part.text.as_str()).collect();
        assert_eq!(matched, ["pool", "exhausted"]);
    }

    #[test]
    fn a_long_paragraph_shows_the_place_with_the_most_different_words() {
        let filler = "nothing of note happened here äöü ".repeat(30);
        let text = format!("pool pool pool {filler} the pool was exhausted {filler}");
        let parts = snippet(&text, &found(&text, &["pool", "exhausted"]));
        let shown = joined(&parts);
        assert!(shown.contains("the pool was exhausted"), "{shown}");
        assert!(shown.starts_with('…') && shown.ends_with('…'));
        assert!(shown.len() < WINDOW + 60, "{}", shown.len());
    }

    #[test]
    fn without_a_word_the_beginning_is_shown() {
        let text = "the pool of orders was exhausted ".repeat(30);
        let shown = joined(&snippet(&text, &[]));
        assert!(shown.starts_with("the pool") && shown.ends_with(" the pool…"), "{shown}");
        let text = "ä".repeat(WINDOW);
        assert_eq!(joined(&snippet(&text, &[])), format!("{}…", "ä".repeat(WINDOW / 2)));
    }

    #[test]
    fn overlapping_places_are_one() {
        let text = "a PaymentTimeout";
        let parts = snippet(text, &[(2..16, 0), (2..9, 1), (9..16, 2)]);
        assert_eq!(parts.len(), 2);
        assert!(parts[1].matched && parts[1].text == "PaymentTimeout");
    }
}
