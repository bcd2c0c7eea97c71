//! The shape of a line: its words, with `<*>` for those that vary for certain.

/// Words of a line that are looked at.
const MOST_WORDS: usize = 60;
/// Bytes of a shape, so that a template fits into an event.
const MOST_BYTES: usize = 480;
/// A longer word is an id, an address or a payload.
const LONGEST_WORD: usize = 60;

/// Writes the shape of the first line of `text`. A word with a digit in it is a value; of
/// `name=value` the name stays. Values beside each other become one.
pub fn write_shape(text: &str, shape: &mut String) {
    let line = text.trim_start().split(['\n', '\r']).next().unwrap_or_default();
    let mut last_varies = false;
    for word in line.split_ascii_whitespace().take(MOST_WORDS) {
        let varies = word.len() > LONGEST_WORD || word.bytes().any(|byte| byte.is_ascii_digit());
        let name = varies.then(|| name_of(word)).flatten();
        if varies && name.is_none() && last_varies {
            continue;
        }
        let kept = if varies { name.unwrap_or_default() } else { word };
        if shape.len() + kept.len() + 4 > MOST_BYTES {
            break;
        }
        if !shape.is_empty() {
            shape.push(' ');
        }
        push_printable(kept, shape);
        if varies {
            shape.push_str("<*>");
        }
        last_varies = varies && name.is_none();
    }
}

/// `user=` of `user=17`, `took:` of `took:3ms`.
fn name_of(word: &str) -> Option<&str> {
    let end = word.find(['=', ':'])? + 1;
    let name = &word[..end];
    let plain = name.bytes().all(|byte| !byte.is_ascii_digit());
    (plain && (2..=40).contains(&end) && end < word.len()).then_some(name)
}

fn push_printable(word: &str, shape: &mut String) {
    if word.chars().any(char::is_control) {
        shape.extend(word.chars().map(|it| if it.is_control() { '?' } else { it }));
    } else {
        shape.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        let mut shape = String::new();
        write_shape(text, &mut shape);
        shape
    }

    #[test]
    fn values_are_taken_out_and_names_stay() {
        assert_eq!(shape("order 17 of user=42 took 3ms"), "order <*> of user=<*> took <*>");
        assert_eq!(shape("  GET /carts/1f2e 200 15\nat line 3"), "GET <*>");
        assert_eq!(shape(&format!("token {}", "x".repeat(100))), "token <*>");
        assert_eq!(shape("a\u{7}b: done"), "a?b: done");
        assert_eq!(shape(""), "");
    }

    #[test]
    fn a_shape_is_bounded_whatever_the_line_is() {
        let text = "wörd ".repeat(100_000);
        assert!(shape(&text).len() <= MOST_BYTES);
        assert!(shape(&"é".repeat(100_000)).len() <= 10);
    }
}
