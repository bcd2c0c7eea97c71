//! From a text to the paragraphs it is found by.

/// Longest paragraph, in characters; a longer one is cut at a space.
pub const MAX_PASSAGE_CHARS: usize = 1_200;
/// Most paragraphs of a document: what stands behind them is not searched.
pub const MAX_PASSAGES: usize = 500;

/// The paragraphs of a text, which blank lines part, without the space around them.
pub fn passages(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for paragraph in paragraphs(text) {
        let mut rest = paragraph.trim();
        while !rest.is_empty() && found.len() < MAX_PASSAGES {
            let (first, behind) = rest.split_at(cut(rest));
            found.push(first.trim_end());
            rest = behind.trim_start();
        }
    }
    found
}

fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut line_start = 0;
        for line in text.split_inclusive('\n') {
            if line.trim().is_empty() {
                rest = Some(&text[line_start + line.len()..]);
                return Some(&text[..line_start]);
            }
            line_start += line.len();
        }
        rest = None;
        Some(text)
    })
}

/// Where a paragraph ends that must end somewhere: behind a sentence when one ends in its second
/// half, or else at a space, or else between two characters.
fn cut(text: &str) -> usize {
    let Some((limit, _)) = text.char_indices().nth(MAX_PASSAGE_CHARS) else {
        return text.len();
    };
    let head = &text[..limit];
    let half = limit / 2;
    let sentence = head.rfind(". ").map(|at| at + 1).filter(|at| *at > half);
    let space = || head.rfind(char::is_whitespace).filter(|at| *at > half);
    sentence.or_else(space).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_part_paragraphs() {
        assert_eq!(passages("a b\nc\n\n d\r\n \t\r\n\n\ne\n"), ["a b\nc", "d", "e"]);
        assert!(passages(" \n\n ").is_empty());
    }

    #[test]
    fn a_long_paragraph_is_cut_behind_a_sentence_or_a_space_and_loses_nothing() {
        let sentence = format!("{} end. ", "word ".repeat(30));
        let text = sentence.repeat(20);
        let cut = passages(&text);
        assert!(cut.len() > 2);
        for passage in &cut {
            assert!(passage.chars().count() <= MAX_PASSAGE_CHARS);
            assert!(passage.ends_with("end."), "{passage:?}");
        }
        let joined: String = cut.join(" ").split_whitespace().collect();
        assert_eq!(joined, text.split_whitespace().collect::<String>());
    }

    #[test]
    fn a_text_without_spaces_is_cut_between_characters() {
        let text = "ä".repeat(3 * MAX_PASSAGE_CHARS + 1);
        let cut = passages(&text);
        assert_eq!(cut.len(), 4);
        assert_eq!(cut.concat(), text);
        assert_eq!(passages(&"a\n\n".repeat(10_000)).len(), MAX_PASSAGES);
    }
}
